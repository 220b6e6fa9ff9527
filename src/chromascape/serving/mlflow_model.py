"""The model as MLflow serves it: photo files in, colorized PNGs out, of any size.

MLflow runs this file to make the model ("models from code"), so nothing is pickled.
"""

import base64
import binascii
import io
from collections.abc import Iterable
from typing import Any, get_args

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext
from PIL import Image

from chromascape.colorizing.colorizer import Colorizer, Rendering
from chromascape.errors import choices
from chromascape.photos import reading
from chromascape.photos.source import Limits, PhotoError

MAX_PHOTOS = 16  # of a request
MAX_PIXELS = 100_000_000  # of all photos of a request together: their PNGs wait in memory for the answer


class RefusedRequest(MlflowException):
    """What the caller can put right. MLflow's server answers it with status 400 and this message.

    The server puts a copy of the whole request before the message of any MlflowException: a photo's bytes, where
    the caller should find a line. So the message is put back when the answer is written.
    """

    def __init__(self, line: str):
        super().__init__(line, INVALID_PARAMETER_VALUE)

    def serialize_as_json(self) -> str:
        """The body of the answer."""
        self.message = str(self)
        return str(super().serialize_as_json())


class ColorizerModel(PythonModel):
    """A colorizer behind MLflow's interface of models."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights that were logged with the model."""
        self.colorizer = Colorizer.load(context.artifacts["colorizer"])

    # MLflow makes a table of one column of what it is given, and leaves this type as it is: of `list[bytes]` it would
    # infer a signature of its own, which has no params.
    def predict(  # type: ignore[override]
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[bytes]:
        """Colorize photo files in any format that `photos` opens.

        Args:
            model_input: a photo file a row, in the first column: its bytes, or these in base64, as JSON has them.
            params: `rendering`: faithful, which is the default, or vivid.
        Returns:
            A PNG for each, of the photo's size.
        Raises:
            RefusedRequest: a file is no photo, the photos are too many or too large, or there is no such rendering.
        """
        rendering = (params or {}).get("rendering", "faithful")
        if rendering not in get_args(Rendering):
            raise RefusedRequest(f"params.rendering: must be {choices(get_args(Rendering))}, but is {rendering!r}")
        return [self._png(image, number, rendering) for number, image in enumerate(_open(model_input.iloc[:, 0]), 1)]

    def _png(self, image: Image.Image, number: int, rendering: Rendering) -> bytes:
        stream = io.BytesIO()
        try:
            self.colorizer.colorize(image, rendering).save(stream, "PNG")
        except PhotoError as error:
            raise RefusedRequest(f"photo {number}: {error}") from None
        return stream.getvalue()


def _open(files: Iterable[object]) -> list[Image.Image]:
    """The photos of a request by their headers alone: too many or too large ones are refused before any is decoded."""
    images: list[Image.Image] = []
    for number, file in enumerate(files, 1):
        if number > MAX_PHOTOS:
            raise RefusedRequest(f"inputs: more than {MAX_PHOTOS} photos: send them in several requests")
        try:
            images.append(reading.open_photo(_file_bytes(file), Limits(max_pixels=MAX_PIXELS)))
        except PhotoError as error:
            raise RefusedRequest(f"photo {number}: {error}") from None
        if sum(image.width * image.height for image in images) > MAX_PIXELS:
            raise RefusedRequest(f"inputs: more than {MAX_PIXELS:,} pixels: send the photos in several requests")
    return images


def _file_bytes(file: object) -> bytes:
    """A file's bytes, which may come in base64, in lines too: no photo file consists of base64's characters alone."""
    data = file if isinstance(file, bytes) else str(file).encode()
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return data


mlflow.models.set_model(ColorizerModel())
