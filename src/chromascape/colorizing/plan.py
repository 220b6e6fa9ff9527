"""Which photo becomes which file: nothing is opened yet."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from chromascape.errors import ChromascapeError
from chromascape.photos.reading import EXTENSIONS
from chromascape.photos.source import list_files
from chromascape.photos.writing import SUFFIXES

KNOWN = frozenset().union(*EXTENSIONS.values())
# Photos in these formats are written in the same; all others as PNG.
SAME = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".avif"}


@dataclass(frozen=True)
class Plan:
    """Photos and the files that they become; folders that can't be read, and links to folders, which are left out."""

    pairs: list[tuple[Path, Path]]
    closed: list[Path]
    links: list[Path]


def make_plan(inputs: list[str], output: Path, recursive: bool) -> Plan:
    """Inside folders every image, by its extension, keeps its relative path and stem.

    Args:
        inputs: photos, folders, and patterns such as `scans/*.tif`.
        output: a file, for one photo, where its suffix is that of a picture; else a folder.
        recursive: take folders inside folders too.
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
    plan.pairs[:] = dict.fromkeys(plan.pairs)  # named twice, colorized once
    _check(plan.pairs)
    return plan


def _matches(text: str) -> list[Path]:
    """The file or folder of this name, else the photos that the pattern matches; a shell may not have done so."""
    path = Path(text)
    if os.path.lexists(path) or not glob.has_magic(text):
        if not path.exists():
            raise ChromascapeError(f"{path}: no such file" + (": a broken link" if path.is_symlink() else ""))
        return [path]
    found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207, Path takes no absolute pattern
    photos = [path for path in found if path.suffix.lower() in KNOWN and not path.is_dir()]
    if not photos:
        raise ChromascapeError(f"{text}: no photo has a name like this")
    return photos


def _is_file(output: Path) -> bool:
    """Whether the output is meant to be a file; a wrong one is refused here."""
    suffix = output.suffix.lower()
    if output.is_dir():
        return False
    if suffix in SUFFIXES:
        return True
    if suffix in KNOWN:
        raise ChromascapeError(f"{output}: {suffix} is not written; choose one of {', '.join(sorted(SUFFIXES))}")
    if os.path.lexists(output):
        raise ChromascapeError(f"{output}: is a file and no picture: name a folder, or a file such as {output}.png")
    return False


def _add_folder(plan: Plan, source: Path, output: Path, recursive: bool) -> None:
    """A folder's photos; what lies in the output folder is no photo of it, so that a second run finds the same."""
    if not os.access(source, os.R_OK | os.X_OK):
        raise ChromascapeError(f"{source}: this folder can't be read: check its permissions")
    outputs = real(output)
    names = [name for name in list_files(source) if recursive or "/" not in name]
    if not real(source).is_relative_to(outputs):
        names = [name for name in names if not real(source / name).is_relative_to(outputs)]
    photos = [name for name in names if Path(name).suffix.lower() in KNOWN and not (source / name).is_dir()]
    if recursive:  # a folder that is listed is one that can't be looked into, or a link, which may loop
        folders = [source / name for name in names if (source / name).is_dir()]
        plan.closed.extend(path for path in folders if not path.is_symlink())
        plan.links.extend(path for path in folders if path.is_symlink())
    if not photos:
        more = "" if recursive else "; --recursive looks into its folders"
        raise ChromascapeError(f"{source}: no photos in this folder{more}")
    plan.pairs.extend((source / name, _target(output / name)) for name in photos)


def _check(pairs: list[tuple[Path, Path]]) -> None:
    """No photo may be written over another one or over itself."""
    taken: dict[str, Path] = {}
    inputs = {real(source): source for source, _ in pairs}
    for source, target in pairs:
        replaced = inputs.get(real(target))
        if replaced is not None:
            whose = "its own colors" if replaced == source else f"those of {source}"
            raise ChromascapeError(f"{replaced}: would be replaced by {whose}: choose another output folder")
        first = taken.setdefault(os.path.normcase(target), source)
        if first != source:
            raise ChromascapeError(
                f"{source} and {first} would both become {target}: colorize them into different folders"
            )


def _target(path: Path) -> Path:
    """The same name, with an extension that can be written: PNG for those that can't."""
    return path if path.suffix.lower() in SAME else path.with_suffix(".png")


def real(path: Path) -> Path:
    """The path without links. `Path.resolve` fails on some Pythons at a link to itself."""
    return Path(os.path.realpath(path))
