"""Colorize many files: a photo that fails is reported, and the rest continue."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chromascape.color import lab
from chromascape.colorizing.colorizer import Colorizer, Rendering, as_levels
from chromascape.colorizing.hint_files import hints_of, read_hints
from chromascape.errors import explain_os_error, explain_photo_error
from chromascape.files import atomic_write
from chromascape.parallel import cores, in_threads
from chromascape.photos import reading
from chromascape.photos.pixels import Strip
from chromascape.photos.source import read_bytes
from chromascape.photos.writing import SUFFIXES, prepare, write

AHEAD_PIXELS = 32_000_000  # of photos in memory, with one that is decoded or encoded while another gets its colors

AHEAD_PIXELS = 32_000_000  # of photos in memory, with one that is decoded or encoded while another gets its colors


@dataclass(frozen=True)
class Options:
    """How to colorize: see `Colorizer.colorize`. With `compare`, gray is written to the left of color.

    `hints` is a file as `hint_files.read_hints` reads it, or a folder of such files with the photos' names.
    """

    rendering: Rendering = "faithful"
    saturation: float = 1.0
    compare: bool = False
    hints: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """The result for one photo: `error` if it failed, else `notes` on what its file lacks."""

    source: Path
    error: str = ""
    notes: tuple[str, ...] = ()


def colorize_files(
    colorizer: Colorizer, pairs: list[tuple[Path, Path]], options: Options, jobs: int
) -> Iterator[Outcome]:
    """Colorize each photo into its file, `jobs` at a time; outcomes are in the order of the photos.

    While photos get their colors, another is decoded or encoded, if it is not too large.
    """
    if jobs > 1:
        colorizer.network.share(jobs)
    room, threads = Room(jobs), min(jobs + 1, max(len(pairs), 1)) if cores() > 1 else jobs
    with warnings.catch_warnings(action="ignore"):  # by decoders of odd files, which an outcome reports
        yield from in_threads(lambda pair: _outcome(colorizer, *pair, options, room), pairs, threads)


class Room:
    """Room for `jobs` photos of any size, and for more as long as all together have up to AHEAD_PIXELS."""

    def __init__(self, jobs: int):
        self.jobs, self.photos, self.pixels = jobs, 0, 0
        self.changed = threading.Condition()
        self.local = threading.local()
        self.colors = threading.Semaphore(jobs)  # of so many photos are computed at a time

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for a photo of so many pixels, and keep it."""
        with self.changed:
            self.changed.wait_for(lambda: self.photos < self.jobs or self.pixels + pixels <= AHEAD_PIXELS)
            self.photos, self.pixels = self.photos + 1, self.pixels + pixels
        try:
            yield
        finally:
            with self.changed:
                self.photos, self.pixels = self.photos - 1, self.pixels - pixels
                self.changed.notify_all()

    def in_turn(self, strips: Iterator[Strip]) -> Iterator[Strip]:
        """The strips, computed while no more than `jobs` other photos get their colors."""
        with self.colors:
            yield from strips


def _outcome(colorizer: Colorizer, source: Path, target: Path, options: Options, room: Room) -> Outcome:
    try:
        return Outcome(source, notes=tuple(colorize_file(colorizer, source, target, options, room)))
    except OSError as error:
        return Outcome(source, explain_os_error(error))
    except Exception as error:
        return Outcome(source, explain_photo_error(error, "colorize a smaller copy, or use --jobs 1"))


def colorize_file(
    colorizer: Colorizer, source: Path, target: Path, options: Options = Options(), room: Room | None = None
) -> list[str]:
    """Colorize one photo into a file, whole or not at all, in the format that the file's suffix names.

    Resolution, EXIF and other metadata are kept as far as the format can hold them.

    Returns:
        Notes on what the written file lacks of the photo.
    Raises:
        PhotoError: the photo can't be read, or the format can't hold it.
        ChromascapeError: its hints can't be read.
        OSError: the file can't be written.
    """
    room = room or Room(1)
    room = room or Room(1)
    image = reading.open_photo(read_bytes(source))
    with room.taken(image.width * image.height):
        photo = prepare(image, SUFFIXES[target.suffix.lower()], 2 if options.compare else 1)
        photo.pixels.read_once = True
        file_of_hints = hints_of(source, options.hints)
        hints = read_hints(file_of_hints, (photo.pixels.width, photo.pixels.height)) if file_of_hints else ()
        strips = room.in_turn(colorizer.strips(photo.pixels, options.rendering, options.saturation, hints))
        with atomic_write(target) as temporary, temporary.open("wb") as file:
            write(photo, map(_beside_gray, strips) if options.compare else strips, file)
    missing = [f"no hints for it in {options.hints}"] * (options.hints is not None and file_of_hints is None)
    return [*photo.notes, *missing]


def _beside_gray(strip: Strip) -> Strip:
    """The strip with a gray copy on its left."""
    rows, colors, alpha = strip
    lightness = lab.lightness(colors)
    gray = as_levels(lab.join(lightness, np.zeros((*lightness.shape, 2), np.float32)), colors.dtype)
    return rows, np.concatenate([gray, colors], axis=1), None if alpha is None else np.concatenate([alpha] * 2, axis=1)
