"""What a photo's levels mean: its color profile, or what its header says instead, as a conversion to sRGB."""

import io
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from chromascape.color import lab
from chromascape.photos.source import PhotoError

# The modes whose pixels are converted as those of another: all others as they are.
CONVERTED_AS = {"RGBA": "RGB", "RGBa": "RGB", "P": "RGB", "PA": "RGB", "YCbCr": "RGB"}
GRAY = ("L", "LA", "La", "I", "F")
SAME = 2  # levels: a profile that changes no color by more is sRGB under whatever name
CODE_POINTS = "cicp"  # in `info` of a Pillow image: primaries and transfer, by their numbers in ITU-T H.273
SRGB_XY = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green and blue, x and y
# The primaries and the transfer functions of H.273 that photos have. A transfer is a PNG's gamma: 0.45455 is sRGB.
PRIMARIES = {
    1: SRGB_XY,
    2: SRGB_XY,  # not specified
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}
VIDEO = {5, 6, 7}  # of older video, so near sRGB's that browsers do not convert them either
TRANSFERS = {1: 1 / 2.2, 2: 1 / 2.2, 4: 1 / 2.2, 5: 1 / 2.8, 6: 1 / 2.2, 8: 1.0, 13: 1 / 2.2, 14: 1 / 2.2, 15: 1 / 2.2}
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def code_points(image: Image.Image, data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer function that the header of a PNG, an AVIF or a HEIC names, by their numbers in H.273.

    Raises:
        PhotoError: they are those of an HDR picture, or of none that is known.
    """
    if image.format == "PNG":
        head = data[: data.find(b"IDAT")]
        at, form = head.find(b"\0\0\0\4cICP"), ">8xBB"
    elif image.format in ("AVIF", "HEIF") and not image.info.get("icc_profile"):
        head = data[: max(0, data.find(b"mdat"))] or data
        at, form = head.find(b"colrnclx"), ">8xHH"
    else:
        return None
    if at < 0 or len(head) < at + struct.calcsize(form):
        return None
    primaries, transfer = struct.unpack_from(form, head, at)
    primaries = 1 if primaries in VIDEO else primaries
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        kind = {16: "HDR (PQ)", 18: "HDR (HLG)"}.get(transfer, f"colors of the kind {primaries}/{transfer}")
        raise PhotoError("unsupported", f"{kind}: export it as sRGB of 8 bits")
    return primaries, transfer


def to_srgb(image: Image.Image) -> Any:
    """The transform to sRGB of a color image, from the mode that `CONVERTED_AS` names; None if it is sRGB as it is."""
    mode = CONVERTED_AS.get(image.mode, image.mode)
    if mode == "LAB":
        return _transform(ImageCms.createProfile("LAB"), mode)
    profile = _profile(image) if mode in ("RGB", "CMYK") else None
    try:
        if profile is None or (mode == "RGB" and _is_srgb(profile)):
            return None
        return _transform(_open(profile), mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # a broken profile: colors as if they were sRGB are better than no photo


def gray_curve(image: Image.Image) -> NDArray[np.float64] | None:
    """The levels of sRGB, 0..255, for the levels 0..255 of a gray image; None if it has these as it is."""
    gray = image.mode in GRAY or image.mode.startswith("I;16")
    profile = _profile(image) if gray else None
    try:
        curve = None if profile is None else _curve(profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if curve is None or np.abs(curve - np.arange(256)).max() <= SAME else curve


def _profile(image: Image.Image) -> bytes | None:
    """The color profile of an image, or one that says what its header says; as browsers choose among them."""
    info = image.info
    if CODE_POINTS in info:
        primaries, transfer = info[CODE_POINTS]
        return described(TRANSFERS[transfer], PRIMARIES[primaries])
    if info.get("icc_profile"):
        return bytes(info["icc_profile"])
    gamma = info.get("gamma")
    if "srgb" in info or not isinstance(gamma, float) or not 0.01 < gamma < 100:
        return None
    return described(gamma, info.get("chromaticity") or SRGB_XY)


@lru_cache(maxsize=32)
def described(gamma: float, xy: tuple[float, ...]) -> bytes | None:
    """A color profile (ICC.1:2001-04) of RGB with a gamma and the chromaticities of a PNG's gAMA and cHRM.

    A gamma within 5 % of 1/2.2 (libpng's threshold) means sRGB's own curve: it is what writers of sRGB put there.

    Args:
        gamma: of the file, 1 for linear light.
        xy: x and y of white, red, green and blue.
    Returns:
        The profile; None if there are no such colors.
    """
    white, *primaries = np.array(xy, float).reshape(4, 2)
    if min(white[1], *(each[1] for each in primaries)) <= 0:
        return None
    columns = np.stack([_xyz(each) for each in primaries], axis=1)
    cones = BRADFORD @ D50 / (BRADFORD @ _xyz(white))
    try:
        columns *= np.linalg.solve(columns, _xyz(white))
        columns = np.linalg.solve(BRADFORD, cones[:, None] * (BRADFORD @ columns))
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(columns).all() or np.abs(columns).max() > 4:
        return None
    levels = np.linspace(0, 1, 1024)
    light = lab.linear_light(levels) if abs(2.2 * gamma - 1) < 0.05 else levels ** (1 / gamma)
    curve = b"curv" + struct.pack(">II", 0, 1024) + np.rint(light * 65535).astype(">u2").tobytes()
    tags = {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, b"wtpt": _xyz_tag(D50)}
    tags |= {name: _xyz_tag(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name, block in tags.items():
        table += name + struct.pack(">II", at + len(body), len(block))
        body += block
    head = struct.pack(">I4xI", at + len(body), 0x02100000) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    return (head + _xyz_tag(D50)[8:]).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])


def _xyz_tag(xyz: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + np.rint(xyz * 65536).astype(">i4").tobytes()


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _transform(profile: Any, mode: str, flags: ImageCms.Flags = ImageCms.Flags.NONE) -> Any:
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)


@lru_cache(maxsize=32)
def _is_srgb(profile: bytes) -> bool:
    """Whether a profile of RGB leaves all colors of a coarse grid as they are, whatever its description says."""
    levels = np.array([0, 8, 16, 32, 48, 64, 96, 128, 160, 192, 224, 240, 255], np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    seen = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), _transform(_open(profile), "RGB")))
    return bool(np.abs(seen.astype(int) - grid).max() <= SAME)


@lru_cache(maxsize=32)
def _curve(profile: bytes) -> NDArray[np.float64]:
    """The levels of sRGB for the 256 levels of gray, by a profile of gray or of RGB. ImageCms knows 8 bits only."""
    own = _open(profile)
    mode = "RGB" if own.profile.xcolor_space.strip() == "RGB" else "L"
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert(mode)
    exact = _transform(own, mode, ImageCms.Flags.NOOPTIMIZE)  # else dark levels are interpolated from few
    return np.asarray(ImageCms.applyTransform(ramp, exact))[0, :, 1].astype(float)
