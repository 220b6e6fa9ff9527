"""The embedded sample, laid once from the packages that hold it."""

import csv
import fnmatch
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from conftest import changed_params
from PIL import Image

from chromascape.errors import ChromascapeError
from chromascape.params import Params
from chromascape.photos import reading, sample, source, validation

MAX_SIDE = 400


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]], int]:
    """The sample's folder, the rows of its provenance, and the count that was returned."""
    pytest.importorskip("mvtbdata")
    folder = tmp_path_factory.mktemp("sample")
    count = sample.write_sample(folder / "photos", folder / "table" / "provenance.csv", MAX_SIDE)
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
    assert count == len(rows) == len(sample.MVTB) + len(sample.SKIMAGE)
    assert sorted(row["path"] for row in rows) == source.list_files(folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["photos", "table"]
    assert [path.name for path in (folder.parent / "table").iterdir()] == ["provenance.csv"]


def test_provenance_names_package_version_licence_and_file(laid: tuple[Path, list[dict[str, str]], int]) -> None:
    _, rows, _ = laid
    for row in rows:
        module, inside, names, licence = sample.PACKAGES[row["package"]]
        assert row["version"] == version(row["package"])
        assert row["licence"] == licence
        assert row["path"] == f"{row['package']}/{row['file'].removeprefix(f'{module}/{inside}/')}"
        assert row["path"].removeprefix(row["package"] + "/") in names
    assert {row["package"] for row in rows} == {"mvtb-data", "scikit-image"}


def test_large_color_photos_are_scaled_down_and_all_others_are_untouched(
    laid: tuple[Path, list[dict[str, str]], int],
) -> None:
    folder, rows, _ = laid
    scaled = 0
    for row in rows:
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


def test_the_sample_is_the_same_bytes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"scikit-image": ("skimage", "data", ["astronaut.png", "rocket.jpg", "camera.png"], "BSD")}
    monkeypatch.setattr(sample, "PACKAGES", few)
    for name in ("1", "2"):
        assert sample.write_sample(tmp_path / name, tmp_path / f"{name}.csv", 200) == 3
    names = source.list_files(tmp_path / "1")
    assert names == ["scikit-image/astronaut.png", "scikit-image/camera.png", "scikit-image/rocket.jpg"]
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_a_missing_package_is_told_with_the_way_out_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = sample.PACKAGES["scikit-image"][:2] + (["camera.png"], "BSD")
    missing = ("no_such_module_at_all", "images", ["x.png"], "MIT")
    monkeypatch.setattr(sample, "PACKAGES", {"scikit-image": packages, "no-such-package": missing})
    with pytest.raises(ChromascapeError) as caught:
        sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", MAX_SIDE)
    assert str(caught.value) == "package no-such-package is missing: pip install 'chromascape[sample]'"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_package_lacks_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = {"scikit-image": ("skimage", "data", ["camera.png", "no-such-photo.png"], "BSD")}
    monkeypatch.setattr(sample, "PACKAGES", packages)
    with pytest.raises(ChromascapeError, match=r"scikit-image.*no-such-photo\.png|no-such-photo\.png.*scikit-image"):
        sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", MAX_SIDE)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_photo_is_copied_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "PACKAGES", {"scikit-image": ("skimage", "data", ["README.txt"], "BSD")})
    assert sample.write_sample(tmp_path / "photos", tmp_path / "provenance.csv", MAX_SIDE) == 1
    ours = tmp_path / "photos" / "scikit-image" / "README.txt"
    assert ours.read_bytes() == (Path(str(files("skimage"))) / "data" / "README.txt").read_bytes()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The manifest of the sample as params.yaml has it laid, by path."""
    pytest.importorskip("mvtbdata")
    folder, params = tmp_path_factory.mktemp("as-in-params"), Params.model_validate(changed_params({}))
    sample.write_sample(folder / "photos", folder / "provenance.csv", params.sample.max_side)
    table, _ = validation.validate_folder(folder / "photos", params.data, params.validate_, folder / "docs", 1)
    return table.set_index("path")


def test_params_of_the_repository_give_the_sample_usable_splits(manifest: pd.DataFrame) -> None:
    counts = manifest["split"].value_counts()
    assert counts["val"] >= 5 and counts["test"] >= 5
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


def test_every_pattern_of_the_repository_matches_photos_of_the_sample() -> None:
    paths = [f"mvtb-data/{name}" for name in sample.MVTB] + [f"scikit-image/{name}" for name in sample.SKIMAGE]
    for pattern in Params.model_validate(changed_params({})).data.split.same_scene:
        assert len(fnmatch.filter(paths, pattern)) >= 2, pattern
