"""The sample: a deliberate mix of files from two packages, for validation to sort out, and landscapes to measure on."""

import csv
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from PIL import Image

from chromascape.errors import ChromascapeError, how_to_install
from chromascape.files import atomic_folder, atomic_write
from chromascape.parallel import with_progress
from chromascape.photos import reading
from chromascape.photos.source import PhotoError
from chromascape.photos.splits import LANDSCAPES

# Color photos; then four channels; then gray, binary, gray with alpha, drawings and tiny files.
MVTB = """
campus/P1070491.png campus/P1070493.png campus/P1070494.png campus/P1070495.png campus/P1070496.png campus/P1070497.png
campus/P1070498.png campus/P1070499.png campus/P1070500.png campus/P1070501.png campus/P1070503.png campus/P1070504.png
campus/P1070505.png campus/P1070506.png campus/P1070507.png campus/P1070509.png campus/P1070510.png campus/P1070512.png
campus/P1070514.png campus/P1070515.png campus/holdout/P1070492.png campus/holdout/P1070502.png
campus/holdout/P1070508.png campus/holdout/P1070511.png campus/holdout/P1070513.png
58060.png butterfly.jpg church.jpg church.png eiffel-1.png eiffel-2.png image3.jpg notre-dame.png parks.png rocks2-l.png
rocks2-r.png roof.png greenscreen.png lab-scene.png mosaic/aerial-08.png mosaic/aerial-09.png mosaic/aerial-10.png
tomato_124.png tomato_14.png tomato_35.png tomato_54.png yellowtargets.png
flowers1.png flowers2.png flowers3.png flowers4.png flowers5.png flowers6.png flowers7.png flowers8.png flowers9.png
road.png building2-3.png monalisa.png tags.png apriltag12.png
building2-1.png building2-2.png castle.png castle2.png street.png penguins.png calibration/left01.jpg
calibration/left02.jpg seq/im.001.png seq/im.002.png lena.png mosaic/aerial2-001.png multiblobs.png
multiblobs_edgecase.png segmentation.png sharks.png adelson.png fisheye_target.png arucoboard.png 5points.png wally.png
""".split()  # noqa: SIM905
SKIMAGE = """
astronaut.png chelsea.png coffee.png rocket.jpg motorcycle_left.png motorcycle_right.png hubble_deep_field.jpg
retina.jpg color.png logo.png horse.png chessboard_RGB.png brick.png grass.png camera.png coins.png multipage_rgb.tif
no_time_for_that_tiny.gif
""".split()  # noqa: SIM905
README = "skimage/data/README.txt"
# By package: module, folder inside it, files, author, licence.
PACKAGES = {
    "mvtb-data": ("mvtbdata", "images", MVTB, "Peter Corke", "MIT"),
    "scikit-image": (
        "skimage", "data", SKIMAGE, f"the scikit-image team; each file's own in {README}",
        f"BSD-3-Clause; each file's own terms in {README}",
    ),
}  # fmt: skip
CREDITS = "credits.csv"  # beside the landscapes: file, title, author, licence, licence_url, package, version, source


def write_sample(folder: Path, provenance: Path, max_side: int, landscapes: Path) -> int:
    """Write the sample into a folder: copies of files, with large photos scaled down to `max_side` pixels.

    Args:
        provenance: a CSV to write, with package, version, author and licence of each file.
        landscapes: folder of the project's landscapes, with their credits.
    Returns:
        The number of files.
    Raises:
        ChromascapeError: a package or a file is missing.
    """
    rows: list[tuple[str, ...]] = [("path", "package", "version", "author", "licence", "file")]
    with atomic_folder(folder) as temporary:
        for package, (module, inside, names, author, licence) in PACKAGES.items():
            try:
                source = Path(str(files(module))) / inside
            except ModuleNotFoundError:
                raise ChromascapeError(f"package {package} is missing: {how_to_install('sample')}") from None
            for name in with_progress(names, len(names), f"sample, {package}"):
                missing = f"package {package} lacks this file: install the pinned version"
                _copy(source / name, temporary / package / name, max_side, missing)
                held = f"{module}/{inside}/{name}"
                rows.append((f"{package}/{name}", package, version(package), author, licence, held))
        rows += _copy_landscapes(landscapes, temporary, max_side)
    with atomic_write(provenance) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return len(rows) - 1


def _copy_landscapes(landscapes: Path, folder: Path, max_side: int) -> list[tuple[str, ...]]:
    """Copy the project's landscapes, those with credits; returns their rows of provenance."""
    missing = f"the project lacks this file: `git checkout {landscapes}` brings it back"
    try:
        with (landscapes / CREDITS).open(newline="", encoding="utf-8") as file:
            credits = list(csv.DictReader(file))
    except FileNotFoundError:
        raise ChromascapeError(f"{landscapes / CREDITS}: {missing}") from None
    rows: list[tuple[str, ...]] = []
    for row in credits:
        path = f"{LANDSCAPES}/{row['file']}"
        _copy(landscapes / row["file"], folder / path, max_side, missing)
        licence = f"{row['licence']} ({row['licence_url']}); scaled down from the package's file"
        rows.append((path, row["package"], row["version"], row["author"], licence, row["source"]))
    return rows


def _copy(source: Path, target: Path, max_side: int, missing: str) -> None:
    """Copy one file, or raise ChromascapeError with `missing`; large color photos are scaled down, in their format."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        raise ChromascapeError(f"{source}: {missing}") from None
    target.write_bytes(data)
    try:
        image = reading.open_photo(data)
    except PhotoError:
        return  # validation is meant to sort out such files
    if max(image.size) > max_side and image.mode in ("RGB", "RGBA"):
        reading.decode(image)
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        image.save(target, quality=95)
