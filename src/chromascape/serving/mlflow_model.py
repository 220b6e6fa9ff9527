"""The model as MLflow serves it: a photo file's bytes in, a colorized PNG's bytes out, of any size.

MLflow runs this file to make the model ("models from code"), so nothing is pickled.
"""

import io

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext

from chromascape.colorizing.colorizer import Colorizer
from chromascape.photos import reading


class ColorizerModel(PythonModel):
    """A colorizer behind MLflow's interface of models."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights that were logged with the model."""
        self.colorizer = Colorizer.load(context.artifacts["colorizer"])

    # MLflow reads the model's signature off these type hints.
    def predict(  # type: ignore[override]
        self, context: PythonModelContext, model_input: list[bytes]
    ) -> list[bytes]:
        """Photo files in any format that `photos` opens; returns a PNG for each, of the photo's size."""
        return [self._png(data) for data in model_input]

    def _png(self, data: bytes) -> bytes:
        stream = io.BytesIO()
        self.colorizer.colorize(reading.open_photo(data)).save(stream, "PNG")
        return stream.getvalue()


mlflow.models.set_model(ColorizerModel())
