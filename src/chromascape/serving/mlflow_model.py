"""The model for MLflow: photo files of any size in, colorized PNGs out.

MLflow runs this file to create the model ("models from code"), so nothing is pickled.
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
from chromascape.colorizing.hint_files import from_json
from chromascape.colorizing.hints import Hint
from chromascape.errors import ChromascapeError, choices
from chromascape.photos import reading
from chromascape.photos.source import Limits, PhotoError

MAX_PHOTOS = 16  # per request
MAX_PIXELS = 100_000_000  # of all photos of a request: their PNGs are held in memory until the answer


class RefusedRequest(MlflowException):
    """An error of the caller. MLflow's server answers with status 400 and this message.

    The server puts a copy of the whole request, with the photos' bytes, before the message of any MlflowException. So
    the message alone is restored when the answer is written.
    """

    def __init__(self, line: str):
        super().__init__(line, INVALID_PARAMETER_VALUE)

    def serialize_as_json(self) -> str:
        """The body of the answer."""
        self.message = str(self)
        return str(super().serialize_as_json())


class ColorizerModel(PythonModel):
    """A colorizer with MLflow's model interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights that were logged with the model."""
        self.colorizer = Colorizer.load(context.artifacts["colorizer"])

    # MLflow converts its input to a table of one column. From the type `list[bytes]` it would infer a signature of its
    # own, which has no params.
    def predict(  # type: ignore[override]
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[bytes]:
        """Colorize photo files in any format of `reading.FORMATS`.

        Args:
            model_input: a photo file per row, in the first column: its bytes, or these in base64, as in JSON.
            params: `rendering`: faithful (the default) or vivid. `hints`: colors that a user names, a JSON text for
                each photo as in a file of `hint_files`, empty for a photo without. `negative`: whether the photos are
                negatives.
        Returns:
            A PNG for each photo, of its size.
        Raises:
            RefusedRequest: a file is not a photo, the photos are too many or too large, the rendering is unknown, or
                hints are none, or more or fewer than photos.
        """
        params = params or {}
        rendering, negative = params.get("rendering", "faithful"), bool(params.get("negative"))
        if rendering not in get_args(Rendering):
            raise RefusedRequest(f"params.rendering: must be {choices(get_args(Rendering))}, but is {rendering!r}")
        images = _open(model_input.iloc[:, 0])
        hints = _hints(params.get("hints", ()), len(images))
        pairs = zip(images, hints, strict=True)
        return [self._png(image, number, rendering, own, negative) for number, (image, own) in enumerate(pairs, 1)]

    def _png(self, image: Image.Image, number: int, rendering: Rendering, hints: list[Hint], negative: bool) -> bytes:
        stream = io.BytesIO()
        try:
            self.colorizer.colorize(image, rendering, hints=hints, negative=negative).save(stream, "PNG")
        except ChromascapeError as error:
            raise RefusedRequest(f"photo {number}: {error}") from None
        return stream.getvalue()


def _hints(texts: Iterable[str], photos: int) -> list[list[Hint]]:
    """The hints of each photo of a request."""
    texts = list(texts) or [""] * photos
    if len(texts) != photos:
        raise RefusedRequest(f"params.hints: {len(texts)} entries for {photos} photos: send one for each, or none")
    try:
        named = enumerate(texts, 1)
        data = ((text.encode("utf-8", "surrogatepass"), f"params.hints: entry {number}") for number, text in named)
        return [from_json(text, name) if text else [] for text, name in data]
    except ChromascapeError as error:
        raise RefusedRequest(str(error)) from None


def _open(files: Iterable[object]) -> list[Image.Image]:
    """Open the photos of a request. Too many or too large ones are refused before any is decoded."""
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
    """A file's bytes, decoded if they are base64, with or without line breaks; no photo file is valid base64."""
    data = file if isinstance(file, bytes) else str(file).encode()
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return data


mlflow.models.set_model(ColorizerModel())
