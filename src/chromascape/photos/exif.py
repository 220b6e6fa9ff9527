"""EXIF of a photo that was turned upright and converted to sRGB: what it says of the old pixels is corrected.

The bytes are changed in place: a maker's note contains offsets into the EXIF, which rewriting would break.
"""

import struct
from dataclasses import dataclass

# Tags of Exif 3.0, which are looked up in the first directory and in those to which DIRECTORIES point.
DIRECTORIES = (0x8769, 0xA005)  # Exif, interoperability
ORIENTATION, COLOR_SPACE, COLOR_RULE = 0x0112, 0xA001, 0x0001
WIDTHS, HEIGHTS = (0x0100, 0xA002, 0x1001), (0x0101, 0xA003, 0x1002)
# Resolutions of the picture and of the sensor, across and down: each by the other.
EXCHANGED = {0x011A: 0x011B, 0x011B: 0x011A, 0xA20E: 0xA20F, 0xA20F: 0xA20E}
# How the old pixels were stored, and the curves and primaries of their colors.
STORAGE = {
    0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x011C, 0x012D, 0x013E, 0x013F, 0x0211, 0x0212, 0x0214,
    0x9102, 0xA500,
}  # fmt: skip
PLACES = {0x9214, 0xA214}  # where the subject is


@dataclass(frozen=True)
class Pixels:
    """What metadata is corrected for: size of the upright picture in pixels, and its EXIF orientation before."""

    width: int
    height: int
    orientation: int = 1

    @property
    def turned(self) -> bool:
        """Whether turning it upright exchanged its sides."""
        return self.orientation > 4


def corrected(raw: bytes, pixels: Pixels) -> bytes:
    """EXIF with orientation 1, the size of `pixels`, sRGB, and without a link to the thumbnail, which is gray.

    Returns:
        The bytes with b"Exif\\0\\0" before them, as many as there were; empty if they are damaged.
    """
    data = bytearray(raw.removeprefix(b"Exif\0\0"))
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
        (first,) = struct.unpack_from(order + "I", data, 4)
        end = _correct(data, order, first, pixels, set())
        struct.pack_into("4x", data, end)  # no next directory: it is the thumbnail's
    except (KeyError, struct.error):
        return b""  # its orientation can't be corrected
    return b"Exif\0\0" + bytes(data)


def _correct(data: bytearray, order: str, at: int, pixels: Pixels, seen: set[int]) -> int:
    """Correct the directory at this offset and those to which it points; returns where its entries ended."""
    (count,) = struct.unpack_from(order + "H", data, at)
    end, entries = at + 2 + 12 * count, {}
    for start in range(at + 2, end, 12):
        (tag, rest) = struct.unpack_from(order + "H10s", data, start)
        entries[tag] = rest
    seen.add(at)
    for tag in set(DIRECTORIES) & set(entries):
        (inside,) = struct.unpack_from(order + "6xI", entries[tag])
        try:
            if inside not in seen:
                _correct(data, order, inside, pixels, seen)
        except struct.error:
            del entries[tag]
    left_out = STORAGE | (PLACES if pixels.orientation > 1 else set())
    kept = {tag: _entry(entries, tag, order, pixels) for tag in entries if tag not in left_out}
    lines = [struct.pack(order + "H10s", tag, rest) for tag, rest in kept.items()]
    struct.pack_into(f"{end - at}s", data, at, struct.pack(order + "H", len(kept)) + b"".join(lines))
    return end


def _entry(entries: dict[int, bytes], tag: int, order: str, pixels: Pixels) -> bytes:
    """Type, count and value of a tag, corrected."""
    if tag in (ORIENTATION, COLOR_SPACE):
        return struct.pack(order + "HIH2x", 3, 1, 1)
    if tag == COLOR_RULE:
        return struct.pack(order + "HI4s", 2, 4, b"R98")  # sRGB; R03 is Adobe RGB
    if tag in WIDTHS or tag in HEIGHTS:
        return struct.pack(order + "HII", 4, 1, pixels.width if tag in WIDTHS else pixels.height)
    return entries.get(EXCHANGED[tag], entries[tag]) if pixels.turned and tag in EXCHANGED else entries[tag]
