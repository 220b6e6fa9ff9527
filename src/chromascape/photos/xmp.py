"""XMP of a photo that was turned upright and made sRGB: what it says of the old file is corrected or left out."""

from typing import Any
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

from chromascape.photos.exif import Pixels

TIFF, EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
EXIF_EX, PHOTOSHOP = "http://cipa.jp/exif/1.0/", "http://ns.adobe.com/photoshop/1.0/"
FIXED = {(TIFF, "Orientation"): "1", (EXIF, "ColorSpace"): "1"}
WIDTHS, HEIGHTS = {(TIFF, "ImageWidth"), (EXIF, "PixelXDimension")}, {(TIFF, "ImageLength"), (EXIF, "PixelYDimension")}
EXCHANGED = {(TIFF, "XResolution"): "YResolution", (TIFF, "YResolution"): "XResolution"}
LEFT_OUT = {
    *((TIFF, name) for name in (
        "BitsPerSample", "Compression", "PhotometricInterpretation", "SamplesPerPixel", "PlanarConfiguration",
        "TransferFunction", "WhitePoint", "PrimaryChromaticities", "YCbCrCoefficients", "YCbCrSubSampling",
        "ReferenceBlackWhite",
    )),
    (EXIF, "CompressedBitsPerPixel"), (EXIF_EX, "Gamma"), (EXIF_EX, "InteroperabilityIndex"),
    (PHOTOSHOP, "ColorMode"), (PHOTOSHOP, "ICCProfile"),
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
}  # fmt: skip
PLACES = {(EXIF, "SubjectArea"), (EXIF, "SubjectLocation")}
# Of videos, depth, gain maps and further pictures that follow in the file or stand in the XMP, and are not written.
ATTACHED = (
    "http://ns.google.com/photos/", "http://ns.adobe.com/hdr-gain-map/", "http://ns.apple.com/HDRGainMap/",
    "http://ns.apple.com/pixeldatainfo/", "http://ns.apple.com/depthData/", "http://ns.apple.com/portrait",
    "http://ns.xiaomi.com/photos/", "http://ns.samsung.com/", "http://ns.oplus.com/photos/",
)  # fmt: skip
PANORAMA = "http://ns.google.com/photos/1.0/panorama/"  # is still one


def corrected(raw: bytes, pixels: Pixels) -> bytes:
    """XMP with orientation 1 and the size of `pixels`; the same bytes if they were right, empty if they are damaged."""
    data = raw.strip(b"\0")
    if not data or b"<!DOCTYPE" in data:  # no XMP has one, and entities may take all memory
        return b""
    try:
        document = minidom.parseString(data)
    except (ExpatError, ValueError, LookupError):
        return b""
    changes = [_correct(node, pixels) for node in document.getElementsByTagName("*")]
    if not any(changes):
        return raw
    return "".join(node.toxml() for node in document.childNodes).encode()


def _correct(element: minidom.Element, pixels: Pixels) -> bool:
    """Correct an element's properties, which are attributes or elements; returns whether there was anything to do."""
    properties: list[Any] = [*element.attributes.values(), *element.childNodes]
    named = {(node.namespaceURI or "", node.localName): node for node in properties if node.localName}
    before = {key: _text(node) for key, node in named.items()}
    wanted = {key: _value(key, before, pixels) for key in named}
    for key, node in named.items():
        value = wanted[key]
        if value is None and isinstance(node, minidom.Attr):
            element.removeAttributeNode(node)
        elif value is None:
            element.removeChild(node)
        elif value != before[key]:
            (node if isinstance(node, minidom.Attr) else node.firstChild).nodeValue = value
    return wanted != before


def _value(key: tuple[str, str], values: dict[tuple[str, str], str], pixels: Pixels) -> str | None:
    """The property's corrected value, None to leave it out; `values` has those that stand beside it."""
    space, _ = key
    attached = space.startswith(ATTACHED) and space != PANORAMA
    if attached or key in LEFT_OUT or (key in PLACES and pixels.orientation > 1):
        return None
    if not values[key].strip():  # it has no text of its own, but elements
        return values[key]
    if key in WIDTHS or key in HEIGHTS:
        return str(pixels.width if key in WIDTHS else pixels.height)
    if key in EXCHANGED and pixels.turned:
        return values.get((space, EXCHANGED[key]), values[key])
    return FIXED.get(key, values[key])


def _text(node: Any) -> str:
    """The text of an attribute, or of an element that begins with text."""
    if isinstance(node, minidom.Attr):
        return node.value
    first = node.firstChild
    return first.data if first is not None and first.nodeType == Node.TEXT_NODE else ""
