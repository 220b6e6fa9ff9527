"""What worker processes read for themselves, and that they refuse what is another."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import write_lab
from registered import write_model

from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file
from chromascape.judging import evaluation
from chromascape.judging.stored import one_thread, stored_model, stored_of, stored_photos
from chromascape.photos.shards import Shards


@pytest.fixture
def lab_folder(tmp_path: Path) -> Path:
    """Shards of two training, two validation and three test photos, and their manifest."""
    manifest = write_lab(tmp_path, groups="abcdefg", train=2, val=2, test=3)
    manifest.to_csv(tmp_path / "manifest.csv")
    return tmp_path / "lab"


def test_each_is_read_once_and_another_is_refused(lab_folder: Path, tmp_path: Path) -> None:
    model, digest, folder, index = stored_of(write_model(tmp_path / "model", 0.3), lab_folder)
    assert stored_model(model, digest) is stored_model(model, digest)
    assert stored_photos(folder, index, "test") is stored_photos(folder, index, "test")
    assert len(stored_photos(folder, index, "val")) == 2
    with pytest.raises(ChromascapeError, match=r"config.json: another one than where the stage runs: every worker"):
        stored_model(model, "0" * 64)
    with pytest.raises(ChromascapeError, match=r"index.json: another one than"):
        stored_photos(folder, "0" * 64, "test")
    with pytest.raises(ChromascapeError, match=r"elsewhere/index.json: No such file .* at the same path"):
        stored_photos(tmp_path / "elsewhere", index, "test")


def test_torch_has_one_thread_for_a_while() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.scale
@pytest.mark.usefixtures("quick_workers")
def test_neither_processes_nor_threads_nor_who_predicts_change_a_digit(lab_folder: Path, tmp_path: Path) -> None:
    """With `jobs: 1`, sums were of arrays in another order, and two threads have other sums than one."""
    model, manifest = write_model(tmp_path / "model", 0.3), pd.read_csv(tmp_path / "manifest.csv")
    before = torch.get_num_threads()

    def tables(jobs: int, threads: int) -> dict[str, pd.DataFrame]:
        torch.set_num_threads(threads)
        return evaluation.evaluate_splits(model, "cpu", lab_folder, manifest, ["test", "val"], jobs, None, "test")

    try:
        one, found = tables(1, 1), [tables(1, 2), tables(2, 2)]
        with one_thread():
            models = [stored_model(folder) for folder in (evaluation.SHIPPED, evaluation.SHIPPED)]
            models[0] = stored_model(model, sha256_of_file(model / "config.json"))
            photos = {split: Shards(lab_folder, (split,)) for split in ("test", "val")}
            color = evaluation.mean_ab(Shards(lab_folder, ("train",)))
            rows = [("test", 0), ("val", 1)]
            here = list(evaluation.predicted_here(*models, photos, lambda: color, 2, rows, "test"))
    finally:
        torch.set_num_threads(before)
    for other in found:
        for split in ("test", "val"):
            pd.testing.assert_frame_equal(other[split], one[split], check_exact=True)
    assert here == [
        table.iloc[row].drop(["path", "group"]).to_dict() for table, row in ((one["test"], 0), (one["val"], 1))
    ]
