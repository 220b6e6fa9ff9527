"""Choose the output file for each photo, before any photo is opened."""

import difflib
import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.photos.reading import EXTENSIONS
from chromascape.photos.source import URL, is_apple_double, list_files
from chromascape.photos.writing import SUFFIXES

KNOWN = frozenset().union(*EXTENSIONS.values())
# Photos in these formats keep their format; all others are written as PNG.
SAME = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".avif"}
# Suffixes by which one means a picture, too.
PICTURES = {
    ".ai", ".apng", ".arw", ".cr2", ".cr3", ".dng", ".emf", ".eps", ".exr", ".hdr", ".heic", ".heif", ".hif", ".ico",
    ".jxl", ".jxr", ".nef", ".orf", ".pcx", ".pdf", ".ps", ".psd", ".qoi", ".raf", ".raw", ".rw2", ".svg", ".tga",
    ".wdp", ".wmf", ".xcf",
}  # fmt: skip


@dataclass
class Plan:
    """Photos and their output files, and what is not colorized."""

    pairs: list[tuple[Path, Path]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # a line each: folders that can't be read, photos without a name
    notes: list[str] = field(default_factory=list)  # links to folders, and files that only look like photos


def default_folder(style: str, options: Mapping[str, Any]) -> str:
    """The folder for pictures where none is named: another for another style, so that none is skipped as done."""
    saturation = options["saturation"]
    parts = [style] * (style != "faithful") + [f"{saturation:g}"] * (saturation != 1)
    named = [name for name in ("hints", "like", "negative", "whole", "compare") if options[name]]
    return "-".join(["colorized", *parts, *named])


def make_plan(inputs: list[str], output: str, recursive: bool) -> Plan:
    """Photos in folders are found by their extension and keep their relative path and stem.

    Args:
        inputs: photos, folders, and patterns such as `scans/*.tif`.
        output: for a single photo, a file if it has a suffix and does not end in `/`; else a folder.
        recursive: include subfolders.
    Raises:
        ChromascapeError: an input is missing or can't be read; the output can't be written, or is an input.
    """
    if elsewhere := [text for text in [*inputs, output] if URL.match(text)]:
        raise ChromascapeError(f"{elsewhere[0]}: colorize takes files of this machine only: copy the photos here first")
    plan = Plan()
    sources = [path for text in inputs for path in _matches(text, plan)]
    several = len(sources) > 1 or sources[0].is_dir()
    folder = Path(output)
    one_file = _is_file(output, several)
    if one_file and several:
        raise ChromascapeError(f"{output}: name a folder for more than one photo")
    for source in sources:
        if source.is_dir():
            _add_folder(plan, source, folder, recursive)
        else:
            plan.pairs.append((source, folder if one_file else _target(folder / source.name)))
    plan.pairs[:] = dict.fromkeys(plan.pairs)
    _check_inputs(plan.pairs)
    _part_with_clashes(plan)
    return plan


def _matches(text: str, plan: Plan) -> list[Path]:
    """The file or folder of this name, or the photos that match it as a pattern, if the shell has not expanded it."""
    if not text:
        raise ChromascapeError("an input has an empty name: name a photo, a folder or a pattern")
    path = Path(text)
    if os.path.lexists(path) or not glob.has_magic(text):
        if not path.exists():
            raise ChromascapeError(f"{path}: no such file" + (": a broken link" if path.is_symlink() else ""))
        return [path]
    found = glob.glob(_pattern(path), recursive=True)  # noqa: PTH207, Path.glob takes no absolute pattern
    photos = [path for path in map(Path, sorted(found)) if path.suffix.lower() in KNOWN and not path.is_dir()]
    photos = _without_apple_doubles(photos, plan)
    if not photos:
        raise ChromascapeError(f"{text}: no photo matches")
    return photos


def _pattern(path: Path) -> str:
    """The pattern, with brackets and stars in the names of folders that are there as they are."""
    there = next(folder for folder in path.parents if folder.exists())
    return str(Path(glob.escape(str(there)), path.relative_to(there)))


def _without_apple_doubles(photos: list[Path], plan: Plan) -> list[Path]:
    """The photos, without the files that macOS puts beside each on disks of others."""
    doubles = [path for path in photos if is_apple_double(path)]
    plan.notes.extend(f"{path}: what macOS knows of a file, not a photo: skipped" for path in doubles)
    return [path for path in photos if path not in set(doubles)]


def _is_file(output: str, several: bool) -> bool:
    """Whether the output is a file rather than a folder.

    Raises:
        ChromascapeError: it has a suffix that can't be written, or exists and is not a picture; it is no name.
    """
    path, suffix = Path(output), Path(output).suffix.lower()
    if output in ("", "-"):
        raise ChromascapeError(f"-o '{output}': name a file or a folder; pictures are not written to standard output")
    if path.is_dir() or output.endswith(("/", os.sep)):
        return False
    if suffix in SUFFIXES:
        return True
    picture = suffix in KNOWN | PICTURES or bool(difflib.get_close_matches(suffix, SUFFIXES, 1, 0.8))
    # A folder may have a point in its name; one photo with an unknown suffix is more likely a slip.
    if suffix and (picture or (not several and suffix[1:].isalnum() and not suffix[1:].isdecimal())):
        known = ", ".join(sorted(SUFFIXES))
        raise ChromascapeError(f"{output}: {suffix} can't be written; choose one of {known}, or {output}/ for a folder")
    if os.path.lexists(path):
        raise ChromascapeError(f"{output}: is a file but not a picture: name a folder, or a file such as {output}.png")
    return False


def _add_folder(plan: Plan, source: Path, output: Path, recursive: bool) -> None:
    """Add a folder's photos, without those in the output folder, so that a second run finds the same photos."""
    if not os.access(source, os.R_OK | os.X_OK):
        raise ChromascapeError(f"{source}: this folder can't be read: check its permissions")
    outputs = real(output)
    names = [name for name in list_files(source) if recursive or "/" not in name]
    if not real(source).is_relative_to(outputs):
        names = [name for name in names if not real(source / name).is_relative_to(outputs)]
    photos = [source / name for name in names if Path(name).suffix.lower() in KNOWN and not (source / name).is_dir()]
    photos = _without_apple_doubles(photos, plan)
    if recursive:  # `list_files` lists only folders that it did not enter: unreadable ones, and links, which may loop
        for folder in (source / name for name in names if (source / name).is_dir()):
            if folder.is_symlink():
                plan.notes.append(f"{folder}: a link to a folder, which is not followed: give it as an input")
            else:
                plan.errors.append(f"{folder}: this folder can't be read: check its permissions")
    if not photos:
        more = "" if recursive else "; --recursive includes its subfolders"
        raise ChromascapeError(f"{source}: no photos in this folder{more}")
    plan.pairs.extend((photo, _target(output / photo.relative_to(source))) for photo in photos)


def _check_inputs(pairs: list[tuple[Path, Path]]) -> None:
    """Refuse to write over an input."""
    inputs = {real(source): source for source, _ in pairs}
    for source, target in pairs:
        replaced = inputs.get(real(target))
        if replaced is not None:
            whose = "its own colors" if replaced == source else f"the colors of {source}"
            raise ChromascapeError(f"{replaced}: would be replaced by {whose}: choose another output folder")


def _part_with_clashes(plan: Plan) -> None:
    """Leave out photos that would become the same file as another: it is the first's that keeps its name, if any."""
    taken: dict[str, Path] = {}
    for source, target in sorted(plan.pairs, key=lambda pair: pair[0].name != pair[1].name):
        first = taken.setdefault(os.path.normcase(target), source)
        if real(first) != real(source):  # else a photo that is named twice
            plan.errors.append(f"{source}: would become {target}, as {first} does: colorize it into another folder")
    plan.pairs[:] = [pair for pair in plan.pairs if taken[os.path.normcase(pair[1])] == pair[0]]


def _target(path: Path) -> Path:
    """The same name, with the extension .png if its own format is not kept."""
    return path if path.suffix.lower() in SAME else path.with_suffix(".png")


def real(path: Path) -> Path:
    """The path without links. `Path.resolve` fails on some Pythons at a link to itself."""
    return Path(os.path.realpath(path))
