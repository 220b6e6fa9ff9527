"""Colorize many files: a photo that fails is reported, and the rest continue."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromascape.color import lab
from chromascape.colorizing.colorizer import Colorizer, Rendering, as_levels
from chromascape.errors import explain_os_error
from chromascape.files import atomic_write
from chromascape.parallel import in_threads
from chromascape.photos import reading
from chromascape.photos.metadata import metadata
from chromascape.photos.pixels import WITH_ALPHA, Photo, Strip, assemble
from chromascape.photos.source import PhotoError, read_bytes
from chromascape.photos.writing import FORMATS, SUFFIXES, check_size, write_picture


@dataclass(frozen=True)
class Options:
    """How to colorize: see `Colorizer.colorize`. With `compare`, gray is written to the left of color."""

    rendering: Rendering = "faithful"
    saturation: float = 1.0
    compare: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result for one photo: `error` if it failed, else `notes` on what its file lacks."""

    source: Path
    error: str = ""
    notes: tuple[str, ...] = ()


def colorize_files(
    colorizer: Colorizer, pairs: list[tuple[Path, Path]], options: Options, jobs: int
) -> Iterator[Outcome]:
    """Colorize each photo into its file, `jobs` at a time; outcomes are in the order of the photos."""
    if jobs > 1:
        colorizer.network.share(jobs)
    with warnings.catch_warnings(action="ignore"):  # by decoders of odd files, which an outcome reports
        yield from in_threads(lambda pair: _outcome(colorizer, *pair, options), pairs, jobs)


def _outcome(colorizer: Colorizer, source: Path, target: Path, options: Options) -> Outcome:
    try:
        return Outcome(source, notes=tuple(colorize_file(colorizer, source, target, options)))
    except OSError as error:
        return Outcome(source, explain_os_error(error))
    except MemoryError:
        return Outcome(source, "not enough memory for a photo of this size: colorize a smaller copy, or use --jobs 1")
    except (PhotoError, ValueError, RuntimeError) as error:  # writers of formats raise any of these
        return Outcome(source, " ".join(str(error).split()))


def colorize_file(colorizer: Colorizer, source: Path, target: Path, options: Options = Options()) -> list[str]:
    """Colorize one photo into a file, whole or not at all, in the format that the file's suffix names.

    Resolution, EXIF and other metadata are kept as far as the format can hold them.

    Returns:
        Notes on what the written file lacks of the photo.
    Raises:
        PhotoError: the photo can't be read, or the format can't hold it.
        OSError: the file can't be written.
    """
    name = SUFFIXES[target.suffix.lower()]
    image = reading.open_photo(read_bytes(source))
    check_size(name, *image.size)
    notes, wide = _notes(image, name), 2 if options.compare else 1
    shape = image.size
    photo = Photo(upright := reading.upright(image))
    check_size(name, wide * photo.width, photo.height)
    about = metadata(image, turned=upright.size != shape)
    if upright is not image:
        image.close()  # frees its pixels
    strips: Iterator[Strip] = colorizer.strips(photo, options.rendering, options.saturation)
    if options.compare:
        strips = map(_beside_gray, strips)
    deep = FORMATS[name].deep and photo.dtype != np.uint8
    picture = _sixteen_bits(photo, strips, wide) if deep else assemble(photo, strips, wide)
    with atomic_write(target) as temporary:
        write_picture(picture, temporary, name, about)
    return notes


def _notes(image: Image.Image, name: str) -> list[str]:
    notes = []
    if reading.frames(image) > 1:
        notes.append("has several pictures: only the first is colorized")
    if (image.mode in WITH_ALPHA or "transparency" in image.info) and not FORMATS[name].alpha:
        notes.append(f"{name} has no transparency: transparent parts become white")
    if reading.bit_depth(image) > 8 and not FORMATS[name].deep:
        notes.append(f"{name} has 8 bits per channel, the photo {reading.bit_depth(image)}")
    return notes


def _beside_gray(strip: Strip) -> Strip:
    """The strip with a gray copy on its left."""
    rows, colors, alpha = strip
    lightness = lab.lightness(colors)
    gray = as_levels(lab.join(lightness, np.zeros((*lightness.shape, 2), np.float32)), colors.dtype)
    return rows, np.concatenate([gray, colors], axis=1), None if alpha is None else np.concatenate([alpha] * 2, axis=1)


def _sixteen_bits(photo: Photo, strips: Iterator[Strip], wide: int) -> NDArray[np.uint16]:
    picture = np.empty((photo.height, wide * photo.width, 3), np.uint16)
    for rows, colors, _ in strips:
        picture[rows] = colors if colors.dtype == np.uint16 else np.rint(colors * 65535)
    return picture
