"""What Pillow can't write: PNGs of 16 bits a channel, and TIFFs with EXIF."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms, PngImagePlugin, TiffImagePlugin, TiffTags

from chromascape.photos.metadata import XMP_KEY, Metadata, exif_tags


def png_texts(about: Metadata) -> PngImagePlugin.PngInfo:
    """The texts of a PNG, its XMP among them."""
    info = PngImagePlugin.PngInfo()
    for key, value in about.texts.items():
        info.add_itxt(key, value)
    if about.xmp:
        info.add_itxt(XMP_KEY, about.xmp.decode("utf-8", "replace"))
    return info


@cache
def srgb_profile() -> bytes:
    """sRGB's color profile, dated 2000-01-01, so that the same picture gives the same bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


def png_of_16_bits(picture: NDArray[np.uint16], about: Metadata) -> Iterator[bytes]:
    """A PNG of uint16 (H, W, 3 or 4) (W3C PNG, third edition), piece by piece."""
    height, width, channels = picture.shape
    kind = 6 if channels == 4 else 2
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    if about.profile:
        yield _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile()))
    if about.dpi:
        yield _chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in about.dpi), 1))
    if about.exif:
        yield _chunk(b"eXIf", about.exif.removeprefix(b"Exif\0\0"))
    for name, data, *_ in png_texts(about).chunks:
        yield _chunk(name, data)
    pack = zlib.compressobj(6)
    above = np.zeros((1, width * channels * 2), np.uint8)
    for top in range(0, height, 64):
        rows = picture[top : top + 64].astype(">u2").view(np.uint8).reshape(-1, above.shape[1])
        # Filter 2, the difference from the row above, compresses photos well and is one subtraction.
        differences = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        filters = np.full((len(rows), 1), 2, np.uint8)
        yield _chunk(b"IDAT", pack.compress(np.concatenate([filters, differences], axis=1).tobytes()))
    yield _chunk(b"IDAT", pack.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(picture: NDArray[Any], about: Metadata) -> Iterator[bytes]:
    """A TIFF (revision 6.0) of uint8 or uint16 (H, W, 3 or 4), not compressed, in one strip, piece by piece."""
    height, width, channels = picture.shape
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in exif_tags(about.exif).items():
        tags[tag] = value
    tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH] = width, height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (8 * picture.itemsize,) * channels
    tags[TiffImagePlugin.COMPRESSION], tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 1, 2
    tags[TiffImagePlugin.SAMPLESPERPIXEL], tags[TiffImagePlugin.ROWSPERSTRIP] = channels, height
    if channels == 4:
        tags[TiffImagePlugin.EXTRASAMPLES] = 2  # alpha, not premultiplied
    tags[TiffImagePlugin.STRIPBYTECOUNTS] = picture.nbytes
    tags.tagtype[TiffImagePlugin.STRIPOFFSETS] = TiffTags.LONG
    tags[TiffImagePlugin.STRIPOFFSETS] = 0  # Pillow counts from the end of the directory
    if about.dpi:
        tags[TiffImagePlugin.RESOLUTION_UNIT] = 2
        tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = about.dpi
    if about.profile:
        tags.tagtype[TiffImagePlugin.ICCPROFILE] = TiffTags.UNDEFINED
        tags[TiffImagePlugin.ICCPROFILE] = srgb_profile()
    if about.xmp:
        tags.tagtype[TiffImagePlugin.XMP] = TiffTags.BYTE
        tags[TiffImagePlugin.XMP] = about.xmp
    head = io.BytesIO()
    tags.save(head)
    yield head.getvalue()
    for top in range(0, height, 64):
        rows = picture[top : top + 64]
        yield rows.astype(rows.dtype.newbyteorder("<")).tobytes()
