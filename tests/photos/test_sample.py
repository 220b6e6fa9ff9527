"""The embedded sample, laid once from the packages that hold it."""

import csv
import fnmatch
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from conftest import REPOSITORY, Clock, changed_params
from PIL import Image

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.training_photos import count_seen, hashes_of, read_seen
from chromascape.errors import ChromascapeError, how_to_install
from chromascape.params import Params
from chromascape.photos import reading, sample, source, validation

PARAMS = Params.model_validate(changed_params({"validate.seconds": 0}))  # one job inspects in this process
MAX_SIDE = PARAMS.sample.max_side
LANDSCAPES = REPOSITORY / "data" / "landscapes"
FREE = {"CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "GPL-2.0-or-later", "LGPL-3.0"}


def credits() -> list[dict[str, str]]:
    """What the project says of its landscapes, a row each."""
    with (LANDSCAPES / sample.CREDITS).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def few_landscapes(tmp_path: Path) -> Path:
    """A folder of two landscapes with credits, and a third without."""
    folder = tmp_path / "of-the-project"
    folder.mkdir()
    rows = credits()[:2]
    with (folder / sample.CREDITS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for name in [rows[0]["file"], rows[1]["file"], "fog.jpg"]:
        (folder / name).write_bytes((LANDSCAPES / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]], int]:
    """The sample's folder, the rows of its provenance, and the count that was returned."""
    pytest.importorskip("mvtbdata")
    folder = tmp_path_factory.mktemp("sample")
    count = sample.write_sample(folder / "photos", folder / "table" / "provenance.csv", MAX_SIDE, LANDSCAPES)
    with (folder / "table" / "provenance.csv").open(newline="", encoding="utf-8") as file:
        return folder / "photos", list(csv.DictReader(file)), count


def opened(data: bytes) -> Image.Image | None:
    """The header of a photo, or None: a file of the sample that can't be opened is part of it."""
    try:
        return reading.open_photo(data)
    except source.PhotoError:
        return None


def test_every_file_has_its_row_of_provenance(laid: tuple[Path, list[dict[str, str]], int]) -> None:
    folder, rows, count = laid
    assert count == len(rows) == len(sample.MVTB) + len(sample.SKIMAGE) + len(credits())
    assert sorted(row["path"] for row in rows) == source.list_files(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["photos", "table"]
    assert [path.name for path in (folder.parent / "table").iterdir()] == ["provenance.csv"]


def of_packages(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in rows if not row["path"].startswith("sample-landscapes/")]


def test_provenance_names_package_version_author_licence_and_file(
    laid: tuple[Path, list[dict[str, str]], int],
) -> None:
    _, every, _ = laid
    rows = of_packages(every)
    for row in rows:
        module, inside, names, author, licence = sample.PACKAGES[row["package"]]
        assert row["version"] == version(row["package"])
        assert (row["author"], row["licence"]) == (author, licence)
        assert row["path"] == f"{row['package']}/{row['file'].removeprefix(f'{module}/{inside}/')}"
        assert row["path"].removeprefix(row["package"] + "/") in names
    assert {row["package"] for row in rows} == {"mvtb-data", "scikit-image"}


def test_provenance_names_author_licence_and_source_of_each_landscape(
    laid: tuple[Path, list[dict[str, str]], int],
) -> None:
    folder, every, _ = laid
    rows = {row["path"]: row for row in every if row["path"].startswith("sample-landscapes/")}
    assert list(rows) == [f"sample-landscapes/{credit['file']}" for credit in credits()]
    for credit in credits():
        row = rows[f"sample-landscapes/{credit['file']}"]
        assert [row[key] for key in ("package", "version", "author", "file")] == [
            credit[key] for key in ("package", "version", "author", "source")
        ]
        assert row["licence"].startswith(f"{credit['licence']} ({credit['licence_url']})")
        assert (folder / row["path"]).is_file()


def test_each_landscape_of_the_project_has_author_free_licence_and_source() -> None:
    rows = credits()
    assert sorted(row["file"] for row in rows) == sorted(path.name for path in LANDSCAPES.glob("*.jpg"))
    assert len(rows) >= 12
    for row in rows:
        assert all(row.values()), row
        assert row["licence"] in FREE
        image = Image.open(LANDSCAPES / row["file"])
        assert (image.format, image.mode, max(image.size)) == ("JPEG", "RGB", 640)
        assert not image.getexif() and "icc_profile" not in image.info
    assert sum(path.stat().st_size for path in LANDSCAPES.glob("*.jpg")) < 3e6


def test_large_color_photos_are_scaled_down_and_all_others_are_untouched(
    laid: tuple[Path, list[dict[str, str]], int],
) -> None:
    folder, rows, _ = laid
    scaled = 0
    for row in of_packages(rows):
        module, _, inside = row["file"].partition("/")
        source = Path(str(files(module))) / inside
        data, original = (folder / row["path"]).read_bytes(), source.read_bytes()
        ours, theirs = opened(data), opened(original)
        if theirs is None or theirs.mode not in ("RGB", "RGBA") or max(theirs.size) <= MAX_SIDE:
            assert data == original, row["path"]
            continue
        scaled += 1
        assert ours is not None
        assert (ours.mode, ours.format, max(ours.size)) == (theirs.mode, theirs.format, MAX_SIDE)
        assert ours.width / ours.height == pytest.approx(theirs.width / theirs.height, rel=0.01)
    assert 10 < scaled < len(rows)


def test_the_sample_is_mixed(laid: tuple[Path, list[dict[str, str]], int]) -> None:
    folder, rows, _ = laid
    images = [opened((folder / row["path"]).read_bytes()) for row in rows]
    assert {"L", "RGB", "RGBA"} <= {image.mode for image in images if image}


def test_the_sample_is_the_same_bytes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_landscapes: Path
) -> None:
    few = {"scikit-image": ("skimage", "data", ["astronaut.png", "rocket.jpg", "camera.png"], "its team", "BSD")}
    monkeypatch.setattr(sample, "PACKAGES", few)
    for name in ("1", "2"):
        assert sample.write_sample(tmp_path / name, tmp_path / f"{name}.csv", 200, few_landscapes) == 5
    names = source.list_files(tmp_path / "1")
    laid = ["sample-landscapes/aitzgorri.jpg", "sample-landscapes/picos-de-europa.jpg"]  # not the one without credits
    assert names == [*laid, "scikit-image/astronaut.png", "scikit-image/camera.png", "scikit-image/rocket.jpg"]
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_laying_it_on_a_slow_machine_is_not_silent_in_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_landscapes: Path, clock: Clock
) -> None:
    few = {"scikit-image": ("skimage", "data", ["astronaut.png", "rocket.jpg", "camera.png"], "its team", "BSD")}
    monkeypatch.setattr(sample, "PACKAGES", few)
    monkeypatch.setattr(sample, "_copy", clock.slow(sample._copy, 20))
    sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", 200, few_landscapes)
    assert clock.lines == [(40, "sample, scikit-image: 3 of 3 photos")]


def test_a_missing_package_is_told_with_the_way_out_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = sample.PACKAGES["scikit-image"][:2] + (["camera.png"], "its team", "BSD")
    missing = ("no_such_module_at_all", "images", ["x.png"], "nobody", "MIT")
    monkeypatch.setattr(sample, "PACKAGES", {"scikit-image": packages, "no-such-package": missing})
    with pytest.raises(ChromascapeError) as caught:
        sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", MAX_SIDE, LANDSCAPES)
    assert str(caught.value) == f"package no-such-package is missing: {how_to_install('sample')}"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_package_lacks_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = {"scikit-image": ("skimage", "data", ["camera.png", "no-such-photo.png"], "its team", "BSD")}
    monkeypatch.setattr(sample, "PACKAGES", packages)
    with pytest.raises(ChromascapeError, match=r"scikit-image.*no-such-photo\.png|no-such-photo\.png.*scikit-image"):
        sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", MAX_SIDE, LANDSCAPES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["credits.csv", "picos-de-europa.jpg"])
def test_a_missing_file_of_the_landscapes_is_named_with_the_way_out_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_landscapes: Path, name: str
) -> None:
    monkeypatch.setattr(sample, "PACKAGES", {})
    (few_landscapes / name).unlink()
    with pytest.raises(ChromascapeError) as caught:
        sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", MAX_SIDE, few_landscapes)
    back = f"the project lacks this file: `git checkout {few_landscapes}` brings it back"
    assert str(caught.value) == f"{few_landscapes / name}: {back}"
    assert list(tmp_path.iterdir()) == [few_landscapes]


def test_a_file_that_is_no_photo_is_copied_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_landscapes: Path
) -> None:
    monkeypatch.setattr(sample, "PACKAGES", {"scikit-image": ("skimage", "data", ["README.txt"], "its team", "BSD")})
    assert sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", MAX_SIDE, few_landscapes) == 3
    ours = tmp_path / "photos" / "scikit-image" / "README.txt"
    assert ours.read_bytes() == (Path(str(files("skimage"))) / "data" / "README.txt").read_bytes()


@pytest.fixture(scope="module")
def manifest(laid: tuple[Path, list[dict[str, str]], int], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The manifest of the sample as params.yaml has it laid, by path."""
    docs = tmp_path_factory.mktemp("docs")
    table, _ = validation.validate_folder(laid[0], PARAMS.data, PARAMS.validate_, docs, 1)
    return table.set_index("path")


def test_params_of_the_repository_give_the_sample_usable_splits(manifest: pd.DataFrame) -> None:
    counts = manifest["split"].value_counts()
    assert counts["val"] >= 5
    # Figures on the sample are figures on landscapes, and on all of them.
    assert manifest.index[manifest["split"] == "test"].tolist() == sorted(
        f"sample-landscapes/{row['file']}" for row in credits()
    )
    campus = manifest[manifest.index.str.contains("/campus/")]
    assert len(campus) == 25
    assert set(campus["split"]) == {"train"} and campus["group"].nunique() == 1


@pytest.mark.parametrize(
    "names",
    [
        [f"mvtb-data/{name}" for name in sample.MVTB if name.startswith("campus/")],
        ["mvtb-data/rocks2-l.png", "mvtb-data/rocks2-r.png"],
        [f"mvtb-data/mosaic/aerial-{number}.png" for number in ("08", "09", "10")],
        ["mvtb-data/eiffel-1.png", "mvtb-data/eiffel-2.png"],
        ["mvtb-data/church.jpg", "mvtb-data/church.png"],
        [f"mvtb-data/tomato_{number}.png" for number in (124, 14, 35, 54)],
        ["scikit-image/motorcycle_left.png", "scikit-image/motorcycle_right.png"],
        [f"mvtb-data/flowers{number}.png" for number in range(1, 10)],
    ],
)
def test_photos_of_the_sample_that_overlap_share_a_scene(manifest: pd.DataFrame, names: list[str]) -> None:
    scene = manifest.loc[names]
    assert scene["group"].nunique() == 1
    assert (manifest["group"] == scene["group"].iloc[0]).sum() == len(names)  # and with nothing else
    kept = scene["split"].dropna().tolist()
    assert len(set(kept)) <= 1
    assert len(kept) <= 1 or kept[0] == "train"


def test_neither_the_shipped_model_nor_one_fine_tuned_here_has_seen_a_landscape(manifest: pd.DataFrame) -> None:
    table = manifest.reset_index()
    landscapes = hashes_of(table, ["test"])
    assert len(landscapes) == len(credits())
    assert count_seen(landscapes, read_seen(SHIPPED), 8) == 0
    assert count_seen(landscapes, hashes_of(table, ["train", "val"]), 8) == 0


def test_every_pattern_of_the_repository_matches_photos_of_the_sample() -> None:
    paths = [f"mvtb-data/{name}" for name in sample.MVTB] + [f"scikit-image/{name}" for name in sample.SKIMAGE]
    for pattern in Params.model_validate(changed_params({})).data.split.same_scene:
        assert len(fnmatch.filter(paths, pattern)) >= 2, pattern
