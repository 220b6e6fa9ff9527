"""The history of a training as a CSV file, a row an epoch."""

from pathlib import Path

import pandas as pd

from chromascape.files import write_table


def write_curves(history: list[dict[str, float]], path: Path) -> None:
    """Write a row an epoch: epoch (from 1), train_loss, val_loss, gray_val_loss, lr."""
    write_table(pd.DataFrame(history), path)


def read_curves(path: Path) -> pd.DataFrame:
    """What `write_curves` wrote.

    Raises:
        OSError: the file is missing or can't be read.
    """
    return pd.read_csv(path)
