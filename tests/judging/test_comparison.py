"""A champion measured on the Lab shards of a small working copy, beside the table of figures that lies there."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import table_of, write_photos
from registered import write_model

from chromascape.colorizing import training_photos as seen
from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file, write_table
from chromascape.judging import comparison, evaluation
from chromascape.params import Params
from chromascape.photos.manifest import write_manifest
from chromascape.photos.shards import Shards, write_shards


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shards:
    """Two training, two validation and four test photos, with their manifest and shards, in the current folder."""
    monkeypatch.chdir(tmp_path)
    paths = write_photos(tmp_path / "photos", 8, width=80, height=72)
    contents = [(path.name, sha256_of_file(path), f"{n:016x}") for n, path in enumerate(paths)]
    manifest = table_of(contents).assign(
        verdict="accepted", split=["train"] * 2 + ["val"] * 2 + ["test"] * 4, group=[*"abcdefgh"]
    )  # type: ignore[arg-type]
    manifest[["left", "top", "right", "bottom", "width", "height"]] = 0, 0, 80, 72, 80, 72
    write_manifest(manifest, comparison.MANIFEST)
    write_shards(comparison.LAB, tmp_path / "photos", manifest, 64, "crop", 48, jobs=1)
    return Shards(comparison.LAB, ("test",))


def write_figures_of(folder: Path, photos: Shards) -> pd.DataFrame:
    """What the stage `evaluate` writes for this model."""
    manifest = pd.read_csv(comparison.MANIFEST)
    table = evaluation.evaluate_splits(folder, "cpu", comparison.LAB, manifest, ["test"], 1)["test"]
    write_table(table, comparison.TABLES["test"])
    return table


def test_a_champion_is_measured_as_the_model_was(photos: Shards, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", 0.3)
    table = write_figures_of(folder, photos)
    measured = comparison.faithful_psnr(folder, "cpu", [("test", row) for row in range(4)], 1)
    assert measured.tolist() == table["model.psnr_db"].tolist()
    assert len(set(table["model.psnr_db"])) == 4


def test_the_closer_one_wins_on_the_same_photos(
    photos: Shards, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    loud, gray = write_model(tmp_path / "loud", 0.5), write_model(tmp_path / "gray", 0)
    params = make_params({"train.device": "cpu", "jobs": 1})
    for model, champion, sign in [(gray, loud, 1), (loud, gray, -1)]:
        write_figures_of(model, photos)
        found = comparison.against_champion(champion, params, "test")
        assert found and sign * found["gain_db"] > 1 and min(sign * side for side in found["ci95_db"]) > 0
        assert found["win_rate"] == (sign > 0) and (found["n_photos"], found["n_scenes"]) == (4, 4)


def test_photos_that_the_champion_was_trained_on_are_left_out(
    photos: Shards, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    """Val photos that only chose its epoch are not: they chose that of the model too."""
    folder, params = write_model(tmp_path / "model", 0.3), make_params({"jobs": 1, "validate.near_duplicate_bits": 0})
    table = write_figures_of(folder, photos)
    val = Shards(comparison.LAB, ("val",))
    write_table(table.iloc[:2].assign(path=val.paths), comparison.TABLES["val"])
    manifest = pd.read_csv(comparison.MANIFEST, dtype={"phash": str})
    test, chose = (
        manifest[manifest["path"].isin(paths)] for paths in (photos.paths[:1], [*val.paths, photos.paths[1]])
    )
    seen.write_seen(folder, seen.hashes_of(test, ("test",)), seen.hashes_of(chose, ("val", "test")))
    found = comparison.against_champion(folder, params, "test")
    assert found and found["n_photos"] == 2 and found["gain_db"] == 0 and found["ci95_db"] == [0, 0]
    on_val = comparison.against_champion(folder, params, "val")
    assert on_val and on_val["n_photos"] == 2
    seen.write_seen(folder, seen.hashes_of(manifest, ("train", "val", "test")))
    assert comparison.against_champion(folder, params, "test") is None
    assert comparison.against_champion(folder, params, "val") is None


def test_figures_of_other_photos_are_not_compared(
    photos: Shards, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    folder, params = write_model(tmp_path / "model", 0.3), make_params({"jobs": 1})
    table = write_figures_of(folder, photos)
    write_table(table.assign(path=[*table["path"][:-1], "other.png"]), comparison.TABLES["test"])
    with pytest.raises(ChromascapeError, match=r"per_photo.csv: of other photos than data/lab: run `dvc repro -f"):
        comparison.against_champion(folder, params, "test")
