"""Choose the output file for each photo, before any photo is opened."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from chromascape.errors import ChromascapeError
from chromascape.photos.reading import EXTENSIONS
from chromascape.photos.source import list_files
from chromascape.photos.writing import SUFFIXES

KNOWN = frozenset().union(*EXTENSIONS.values())
# Photos in these formats keep their format; all others are written as PNG.
SAME = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".avif"}


@dataclass(frozen=True)
class Plan:
    """Photos and their output files; folders that were skipped because they can't be read or are links."""

    pairs: list[tuple[Path, Path]]
    closed: list[Path]
    links: list[Path]


def make_plan(inputs: list[str], output: Path, recursive: bool) -> Plan:
    """Photos in folders are found by their extension and keep their relative path and stem.

    Args:
        inputs: photos, folders, and patterns such as `scans/*.tif`.
        output: for a single photo, a file if it has the suffix of a picture; else a folder.
        recursive: include subfolders.
    Raises:
        ChromascapeError: an input is missing or can't be read, or two photos would become one file.
    """
    sources = [path for text in inputs for path in _matches(text)]
    one_file = _is_file(output)
    if one_file and (len(sources) > 1 or sources[0].is_dir()):
        raise ChromascapeError(f"{output}: name a folder for more than one photo")
    plan = Plan([], [], [])
    for source in sources:
        if source.is_dir():
            _add_folder(plan, source, output, recursive)
        else:
            plan.pairs.append((source, output if one_file else _target(output / source.name)))
    plan.pairs[:] = dict.fromkeys(plan.pairs)  # a photo that is named twice is colorized once
    _check(plan.pairs)
    return plan


def _matches(text: str) -> list[Path]:
    """The file or folder of this name, or the photos that match it as a pattern, if the shell has not expanded it."""
    path = Path(text)
    if os.path.lexists(path) or not glob.has_magic(text):
        if not path.exists():
            raise ChromascapeError(f"{path}: no such file" + (": a broken link" if path.is_symlink() else ""))
        return [path]
    found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207, Path.glob takes no absolute pattern
    photos = [path for path in found if path.suffix.lower() in KNOWN and not path.is_dir()]
    if not photos:
        raise ChromascapeError(f"{text}: no photo matches")
    return photos


def _is_file(output: Path) -> bool:
    """Whether the output is a file rather than a folder.

    Raises:
        ChromascapeError: it has a suffix that can't be written, or exists and is not a picture.
    """
    suffix = output.suffix.lower()
    if output.is_dir():
        return False
    if suffix in SUFFIXES:
        return True
    if suffix in KNOWN:
        raise ChromascapeError(f"{output}: {suffix} can't be written; choose one of {', '.join(sorted(SUFFIXES))}")
    if os.path.lexists(output):
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
    photos = [name for name in names if Path(name).suffix.lower() in KNOWN and not (source / name).is_dir()]
    if recursive:  # `list_files` lists only folders that it did not enter: unreadable ones, and links, which may loop
        folders = [source / name for name in names if (source / name).is_dir()]
        plan.closed.extend(path for path in folders if not path.is_symlink())
        plan.links.extend(path for path in folders if path.is_symlink())
    if not photos:
        more = "" if recursive else "; --recursive includes its subfolders"
        raise ChromascapeError(f"{source}: no photos in this folder{more}")
    plan.pairs.extend((source / name, _target(output / name)) for name in photos)


def _check(pairs: list[tuple[Path, Path]]) -> None:
    """Refuse to write over an input, or two photos to one file."""
    taken: dict[str, Path] = {}
    inputs = {real(source): source for source, _ in pairs}
    for source, target in pairs:
        replaced = inputs.get(real(target))
        if replaced is not None:
            whose = "its own colors" if replaced == source else f"the colors of {source}"
            raise ChromascapeError(f"{replaced}: would be replaced by {whose}: choose another output folder")
        first = taken.setdefault(os.path.normcase(target), source)
        if first != source:
            raise ChromascapeError(
                f"{source} and {first} would both become {target}: colorize them into different folders"
            )


def _target(path: Path) -> Path:
    """The same name, with the extension .png if its own format is not kept."""
    return path if path.suffix.lower() in SAME else path.with_suffix(".png")


def real(path: Path) -> Path:
    """The path without links. `Path.resolve` fails on some Pythons at a link to itself."""
    return Path(os.path.realpath(path))
