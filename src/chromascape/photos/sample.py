"""The embedded sample: photos that come inside packages, deliberately mixed, so that validation has work, and
landscapes that come with the project, to measure on.
"""

import csv
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from PIL import Image

from chromascape.errors import ChromascapeError
from chromascape.files import atomic_folder, atomic_write
from chromascape.parallel import with_progress
from chromascape.photos import reading
from chromascape.photos.source import PhotoError
from chromascape.photos.splits import LANDSCAPES

MVTB = (
    # color photos
    [f"campus/P10704{n}.png" for n in (91, 93, 94, 95, 96, 97, 98, 99)]
    + [f"campus/P10705{n:02}.png" for n in (0, 1, 3, 4, 5, 6, 7, 9, 10, 12, 14, 15)]
    + [f"campus/holdout/P10{n}.png" for n in (70492, 70502, 70508, 70511, 70513)]
    + ["58060.png", "butterfly.jpg", "church.jpg", "church.png", "eiffel-1.png", "eiffel-2.png", "image3.jpg"]
    + ["notre-dame.png", "parks.png", "rocks2-l.png", "rocks2-r.png", "roof.png", "greenscreen.png"]
    + ["lab-scene.png", "mosaic/aerial-08.png", "mosaic/aerial-09.png", "mosaic/aerial-10.png"]
    + ["tomato_124.png", "tomato_14.png", "tomato_35.png", "tomato_54.png", "yellowtargets.png"]
    # four channels
    + [f"flowers{n}.png" for n in range(1, 10)]
    + ["road.png", "building2-3.png", "monalisa.png", "tags.png", "apriltag12.png"]
    # gray, binary, gray with alpha, drawings, tiny
    + ["building2-1.png", "building2-2.png", "castle.png", "castle2.png", "street.png", "penguins.png"]
    + ["calibration/left01.jpg", "calibration/left02.jpg", "seq/im.001.png", "seq/im.002.png", "lena.png"]
    + [
        "mosaic/aerial2-001.png",
        "multiblobs.png",
        "multiblobs_edgecase.png",
        "segmentation.png",
        "sharks.png",
    ]
    + ["adelson.png", "fisheye_target.png", "arucoboard.png", "5points.png", "wally.png"]
)
SKIMAGE = (
    [
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "rocket.jpg",
        "motorcycle_left.png",
        "motorcycle_right.png",
    ]
    + ["hubble_deep_field.jpg", "retina.jpg", "color.png", "logo.png", "horse.png", "chessboard_RGB.png"]
    + ["brick.png", "grass.png", "camera.png", "coins.png", "multipage_rgb.tif", "no_time_for_that_tiny.gif"]
)
PACKAGES = {
    "mvtb-data": ("mvtbdata", "images", MVTB, "Peter Corke", "MIT"),
    "scikit-image": (
        "skimage",
        "data",
        SKIMAGE,
        "the scikit-image team; each file's own in skimage/data/README.txt",
        "BSD-3-Clause; each file's own terms in skimage/data/README.txt",
    ),
}
CREDITS = "credits.csv"  # beside the landscapes: file, title, author, licence, licence_url, package, version, source


def write_sample(folder: Path, provenance: Path, max_side: int, landscapes: Path) -> int:
    """Lay the sample: every file as its package has it, photos above `max_side` pixels scaled down to it.

    Args:
        provenance: a CSV that names package, version, author, licence, the file in the package and ours.
        landscapes: folder of the landscapes that come with the project, with their credits.
    Returns:
        The number of files.
    Raises:
        ChromascapeError: a package is missing, or it or the project does not hold the files that it should.
    """
    rows: list[tuple[str, ...]] = [("path", "package", "version", "author", "licence", "file")]
    with atomic_folder(folder) as temporary:
        for package, (module, inside, names, author, licence) in PACKAGES.items():
            try:
                source = Path(str(files(module))) / inside
            except ModuleNotFoundError:
                raise ChromascapeError(f"package {package} is missing: pip install 'chromascape[sample]'") from None
            for name in with_progress(names, len(names), f"sample, {package}"):
                lacks = f"package {package} lacks this file: install the pinned version"
                _lay(source / name, temporary / package / name, max_side, lacks)
                held = f"{module}/{inside}/{name}"
                rows.append((f"{package}/{name}", package, version(package), author, licence, held))
        rows += _lay_landscapes(landscapes, temporary, max_side)
    with atomic_write(provenance) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return len(rows) - 1


def _lay_landscapes(landscapes: Path, folder: Path, max_side: int) -> list[tuple[str, ...]]:
    """Lay the project's own landscapes; returns their rows of provenance. Files without credits are not laid."""
    lacks = f"the project lacks this file: `git checkout {landscapes}` brings it back"
    try:
        with (landscapes / CREDITS).open(newline="", encoding="utf-8") as file:
            credits = list(csv.DictReader(file))
    except FileNotFoundError:
        raise ChromascapeError(f"{landscapes / CREDITS}: {lacks}") from None
    rows: list[tuple[str, ...]] = []
    for row in credits:
        path = f"{LANDSCAPES}/{row['file']}"
        _lay(landscapes / row["file"], folder / path, max_side, lacks)
        licence = f"{row['licence']} ({row['licence_url']}); scaled down from the package's file"
        rows.append((path, row["package"], row["version"], row["author"], licence, row["source"]))
    return rows


def _lay(source: Path, target: Path, max_side: int, lacks: str) -> None:
    """Copy one file as it is; only a large color photo is scaled down, in its own format.

    Args:
        lacks: what to say and do where there is no such file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        raise ChromascapeError(f"{source}: {lacks}") from None
    target.write_bytes(data)
    try:
        image = reading.open_photo(data)
    except PhotoError:
        return  # such files are part of what validation has to sort out
    if max(image.size) > max_side and image.mode in ("RGB", "RGBA"):
        reading.decode(image)
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        image.save(target, quality=95)
