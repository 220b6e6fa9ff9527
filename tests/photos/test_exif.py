"""EXIF and XMP that speak of the pixels that are written, in every format that keeps them."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from conftest import make_photo
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from chromascape.photos import exif, reading, xmp
from chromascape.photos.exif import Pixels
from chromascape.photos.writing import encoded, prepare

HEAD, END = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:Description xmlns:r="rdf" ', "</r:Description></x:xmpmeta>"
TIFF = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '


def camera_exif(orientation: int = 6) -> Image.Exif:
    """What a camera with Adobe RGB writes of 40 × 30 pixels."""
    own = Image.Exif()
    own[ExifTags.Base.Orientation], own[ExifTags.Base.Make] = orientation, "Box"
    own[ExifTags.Base.ImageWidth], own[ExifTags.Base.ImageLength] = 40, 30
    own[ExifTags.Base.XResolution], own[ExifTags.Base.YResolution] = IFDRational(300), IFDRational(150)
    own[ExifTags.Base.WhitePoint] = (IFDRational(313, 1000), IFDRational(329, 1000))
    inside = own.get_ifd(ExifTags.IFD.Exif)
    inside[ExifTags.Base.ExifImageWidth], inside[ExifTags.Base.ExifImageHeight] = 40, 30
    inside[ExifTags.Base.ColorSpace], inside[ExifTags.Base.SubjectLocation] = 65535, (3, 4)
    inside[ExifTags.Base.FocalPlaneXResolution], inside[ExifTags.Base.FocalPlaneYResolution] = 2000.0, 1000.0
    inside[ExifTags.IFD.Interop] = {1: "R03", 0x1001: 40, 0x1002: 30}
    return own


def written(name: str, data: bytes, wide: int = 1) -> Image.Image:
    """A photo's picture in a format, opened; its colors are the photo's own."""
    photo = prepare(reading.open_photo(data), name, wide)
    rows, alpha = photo.pixels.rows(slice(0, photo.pixels.height))
    colors = np.repeat(rows[..., None] if rows.ndim == 2 else rows, 3 if rows.ndim == 2 else 1, axis=-1)
    return Image.open(
        io.BytesIO(encoded(photo, [(slice(0, photo.pixels.height), np.tile(colors, (1, wide, 1)), alpha)]))
    )


def saved(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(make_photo(0, 40, 30)).convert("L").save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(("orientation", "wide"), [(6, 1), (1, 2)])
def test_exif_speaks_of_the_picture(name: str, orientation: int, wide: int) -> None:
    image = written(name, saved("JPEG", exif=camera_exif(orientation)), wide)
    turned = orientation > 4
    assert image.size == ((30, 40) if turned else (80, 30))
    own = image.getexif()
    inside = own.get_ifd(ExifTags.IFD.Exif)
    assert own.get(ExifTags.Base.Orientation, 1) == 1 and own[ExifTags.Base.Make] == "Box"
    assert (inside[ExifTags.Base.ExifImageWidth], inside[ExifTags.Base.ExifImageHeight]) == image.size
    assert (inside[ExifTags.Base.FocalPlaneXResolution] == 1000) == turned
    assert inside[ExifTags.Base.ColorSpace] == 1 and ExifTags.Base.WhitePoint not in own
    assert (ExifTags.Base.SubjectLocation in inside) != turned
    assert own.get_ifd(ExifTags.IFD.Interop) == {1: "R98", 0x1001: image.size[0], 0x1002: image.size[1]}
    if name != "TIFF":
        assert (own[ExifTags.Base.ImageWidth], own[ExifTags.Base.ImageLength]) == image.size
        assert own[ExifTags.Base.XResolution] == (150 if turned else 300)


@pytest.mark.parametrize("order", ["<", ">"])
def test_nothing_of_the_exif_moves_and_its_thumbnail_is_cut_off(order: str) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entries = [struct.pack(order + "HHIHH", tag, 3, 1, 6, 0) for tag in (0x0112, 0x0106, 0x5000)]
    raw = (
        b"Exif\0\0" + head + struct.pack(order + "H", 3) + b"".join(entries) + struct.pack(order + "I", 99) + b"further"
    )
    kept = exif.corrected(raw, Pixels(4, 4))
    upright = struct.pack(order + "HHIHH", 0x0112, 3, 1, 1, 0)
    assert kept == raw[:14] + struct.pack(order + "H", 2) + upright + entries[2] + bytes(16) + b"further"


def test_directories_that_point_at_themselves_or_outside_do_no_harm() -> None:
    def raw(place: int) -> bytes:
        entries = [struct.pack("<HHII", 0x8769, 4, 1, place), struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)]
        return b"II*\0" + struct.pack("<IH", 8, 2) + b"".join(entries) + bytes(4)

    upright = struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0)
    assert exif.corrected(raw(8), Pixels(4, 4)) == b"Exif\0\0" + raw(8).replace(b"\6\0\0\0", b"\1\0\0\0")
    assert exif.corrected(raw(9_999), Pixels(4, 4)) == (
        b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + upright + bytes(16)
    )


def raw_profile(kind: str, data: bytes) -> PngInfo:
    """As ImageMagick writes metadata into a PNG."""
    texts = PngInfo()
    texts.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(data):8}\n{data.hex()}\n", zip=True)
    texts.add_text("exif:Orientation", "6")
    texts.add_text("Author", "Ængström")
    return texts


@pytest.mark.parametrize("name", ["PNG", "JPEG"])
def test_the_orientation_in_a_pngs_texts_is_carried_out_once(name: str) -> None:
    first = written(name, saved("PNG", pnginfo=raw_profile("exif", camera_exif().tobytes())))
    assert first.size == (30, 40) and first.getexif()[ExifTags.Base.Make] == "Box"
    if name == "PNG":
        assert set(first.text) == {"Author"}  # type: ignore[attr-defined]
    assert first.getexif().get(ExifTags.Base.Orientation, 1) == 1 and reading.orientation(first) == 1


def test_xmp_in_a_pngs_texts_is_corrected_too() -> None:
    data = (HEAD + TIFF + 'tiff:Orientation="6">' + END).encode()
    image = written("PNG", saved("PNG", pnginfo=raw_profile("xmp", data)))
    assert b'tiff:Orientation="1"' in image.info["xmp"]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("name", ["TIFF", "PNG", "JPEG"])
def test_resolutions_are_exchanged_with_the_sides_of_a_tiff(name: str, compression: str) -> None:
    """Also of a square one, whose size tells nothing."""
    for size in ((40, 30), (30, 30)):
        stream = io.BytesIO()
        Image.new("L", size, 99).save(
            stream, "TIFF", dpi=(300, 150), tiffinfo={ExifTags.Base.Orientation: 6}, compression=compression
        )
        image = written(name, stream.getvalue())
        assert image.size == size[::-1]
        assert tuple(image.info["dpi"]) == pytest.approx((150, 300), abs=0.1)


@pytest.mark.parametrize(("kind", "value"), [(3, 9), (2, 54), (7, 54), (7, 6)])
def test_a_tiff_whose_orientation_is_none_stays_as_it_is(kind: int, value: int) -> None:
    """One of text or bytes ended the whole batch with a traceback; one that is out of range exchanged resolutions."""
    stream = io.BytesIO()
    Image.new("L", (40, 30), 99).save(stream, "TIFF", dpi=(300, 150), tiffinfo={ExifTags.Base.Orientation: 6})
    entry = struct.pack("<HHIH", ExifTags.Base.Orientation, 3, 1, 6)
    assert entry in stream.getvalue()
    odd = struct.pack("<HHIH", ExifTags.Base.Orientation, kind, 1, value)
    image = written("TIFF", stream.getvalue().replace(entry, odd))
    assert image.size == (40, 30) and tuple(image.info["dpi"]) == (300, 150)


def test_xmp_speaks_of_the_picture() -> None:
    """Properties are attributes or elements; the prefixes, and what is not of the pixels, stay."""
    old = HEAD + TIFF + (
        'tiff:Orientation="6" tiff:XResolution="300/1" tiff:YResolution="150/1" exif:PixelXDimension="40" '
        'exif:ColorSpace="65535" r:about="x"><tiff:ImageWidth>40</tiff:ImageWidth><exif:PixelYDimension>30'
        "</exif:PixelYDimension><exif:SubjectArea><r:Seq/></exif:SubjectArea><title>Attic &amp; roof</title>"
    ) + END  # fmt: skip
    new = HEAD + TIFF + (
        'tiff:Orientation="1" tiff:XResolution="150/1" tiff:YResolution="300/1" exif:PixelXDimension="30" '
        'exif:ColorSpace="1" r:about="x"><tiff:ImageWidth>30</tiff:ImageWidth><exif:PixelYDimension>40'
        "</exif:PixelYDimension><title>Attic &amp; roof</title>"
    ) + END  # fmt: skip
    assert sorted(xmp.corrected(old.encode(), Pixels(30, 40, 6)).decode().split()) == sorted(new.split())


@pytest.mark.parametrize(
    "claim",
    [
        'xmlns:a="http://ns.google.com/photos/1.0/camera/" a:MotionPhoto="1" a:MicroVideoOffset="99"',
        'xmlns:a="http://ns.google.com/photos/1.0/depthmap/" a:Near="1"',
        'xmlns:a="http://ns.adobe.com/hdr-gain-map/1.0/" a:Version="1.0"',
        'xmlns:a="http://ns.apple.com/HDRGainMap/1.0/" a:HDRGainMapVersion="65536"',
        'xmlns:a="http://ns.adobe.com/xmp/note/" a:HasExtendedXMP="0123"',
    ],
)
def test_xmp_claims_nothing_that_is_gone(claim: str) -> None:
    place, *properties = claim.split()
    panorama = ' xmlns:pano="http://ns.google.com/photos/1.0/panorama/" pano:UsePanoramaViewer="True"'
    names = [text.partition("=")[0] for text in properties]
    elements = "".join(f"<{name}><r:Seq/></{name}>" for name in names)
    for old in (HEAD + claim + panorama + ">" + END, HEAD + place + panorama + ">" + elements + END):
        new = xmp.corrected(old.encode(), Pixels(4, 4)).decode()
        assert "a:" not in new.replace("xmlns:a", "").replace("x:xmpmeta", "") and "UsePanoramaViewer" in new


def test_xmp_that_is_right_stays_as_it_is_and_damaged_xmp_goes() -> None:
    right = (
        '<?xpacket begin="" id="W5M0"?>' + HEAD + TIFF + 'tiff:Make="Box">' + END + "  <?xpacket end='w'?>"
    ).encode()
    assert xmp.corrected(right, Pixels(4, 4)) == right
    wrong = right.replace(b"tiff:Make", b"tiff:Orientation")
    assert xmp.corrected(wrong, Pixels(4, 4)).startswith(b"<?xpacket begin")
    deep, long = b"<a>" * 5_000 + b"</a>" * 5_000, b"<a>" + b" " * xmp.MOST_BYTES + b"</a>"
    for damaged in (deep, long, b"", b"\0", right[:-60], b"\xff\xfe\x00", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'):
        assert xmp.corrected(damaged, Pixels(4, 4)) == b""


def test_a_tiff_whose_xmp_alone_says_its_orientation() -> None:
    stream = io.BytesIO()
    data = (HEAD + TIFF + 'tiff:Orientation="6">' + END).encode()
    Image.new("L", (40, 30), 99).save(stream, "TIFF", dpi=(300, 150), tiffinfo={700: data})
    image = written("TIFF", stream.getvalue())
    assert image.size == (30, 40) and tuple(image.info["dpi"]) == (150, 300)
