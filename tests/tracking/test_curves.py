"""The history of a training, written and read again."""

from pathlib import Path

from chromascape.tracking.curves import read_curves, write_curves


def test_a_history_comes_back_to_the_bit(tmp_path: Path) -> None:
    history = [
        {"epoch": epoch, "train_loss": 1 / (3 + epoch), "val_loss": 0.1, "gray_val_loss": 1e-17, "lr": 2 / 3}
        for epoch in (1, 2)
    ]
    file = tmp_path / "metrics" / "curves.csv"
    write_curves(history, file)
    assert file.read_bytes().startswith(b"epoch,train_loss,val_loss,gray_val_loss,lr\n1,0.25,0.1,")
    assert read_curves(file).to_dict("records") == history
