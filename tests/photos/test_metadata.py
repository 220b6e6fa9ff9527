"""What is kept of a photo's file beside its pixels."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_photo
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from chromascape.photos import reading
from chromascape.photos.exif import Pixels
from chromascape.photos.metadata import Metadata, exif_tags, metadata
from chromascape.photos.writing import write_picture

MAKERS_NOTE = bytes(range(1, 41))
PIXELS = Pixels(40, 30)


def camera_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Lens & Sons", orientation
    inside = exif.get_ifd(ExifTags.IFD.Exif)
    inside[ExifTags.Base.ExposureTime] = IFDRational(1, 250)
    inside[ExifTags.Base.MakerNote] = MAKERS_NOTE
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif


def opened(kind: str, **options: Any) -> Image.Image:
    stream = io.BytesIO()
    Image.fromarray(make_photo(0, 40, 30)).save(stream, kind, **options)
    return reading.open_photo(stream.getvalue())


def read(exif: bytes) -> Image.Exif:
    own = Image.Exif()
    own.load(exif)
    return own


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_is_kept_but_for_its_orientation(tmp_path: Path, kind: str) -> None:
    image = opened(kind, exif=camera_exif())
    if kind == "TIFF":  # Pillow's own writer loses the folders
        with (tmp_path / "a.tif").open("wb") as file:
            write_picture(image, file, kind, metadata(opened("JPEG", exif=camera_exif()), PIXELS))
        image = reading.open_photo((tmp_path / "a.tif").read_bytes())
    about = metadata(image, PIXELS)
    own = read(about.exif)
    assert own[ExifTags.Base.Make] == "Lens & Sons"
    assert own.get(ExifTags.Base.Orientation, 1) == 1
    assert own.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] == IFDRational(1, 250)
    assert own.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == MAKERS_NOTE
    assert own.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
    assert ExifTags.Base.ImageWidth not in own, "speaks of the pixels of another file"
    assert set(exif_tags(about.exif)) == {ExifTags.Base.Make, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}


@pytest.mark.parametrize("raw", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"no exif", b"MM\0*\0\0\0\x08\xff\xff"])
def test_damaged_exif_is_left_out(raw: bytes) -> None:
    image = Image.new("L", (4, 4))
    image.info["exif"] = raw
    assert metadata(image, PIXELS).exif == b""
    assert exif_tags(raw) == {}


@pytest.mark.parametrize(
    ("dpi", "expected"),
    [
        ((300, 600), (300, 600)),
        (None, None),
        ((0, 0), None),
        ((1, 1), None),
        ((1, float("nan")), None),
        ("x", None),
        (72, None),
    ],
)
def test_resolution(dpi: Any, expected: tuple[float, float] | None) -> None:
    image = Image.new("L", (4, 4))
    image.info["dpi"] = dpi
    assert metadata(image, PIXELS).dpi == expected
    assert metadata(image, Pixels(4, 4, 8)).dpi == (expected and expected[::-1])


def test_texts_comments_and_nothing() -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("Author", "Ængström")
    assert metadata(opened("PNG", pnginfo=info), PIXELS).texts == {"Author": "Ængström"}
    assert metadata(opened("JPEG", comment=b"from the attic"), PIXELS).comment == b"from the attic"
    assert metadata(opened("GIF"), PIXELS).comment == b""
    assert metadata(Image.fromarray(np.zeros((3, 3), np.uint8)), PIXELS) == Metadata()
