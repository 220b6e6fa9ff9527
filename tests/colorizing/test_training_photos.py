"""Hashes of the photos that weights have seen: written, read, joined, counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.training_photos import (
    FILE,
    NONE,
    are_seen,
    count_seen,
    hashes_by_row,
    hashes_of,
    join,
    read_seen,
    write_seen,
)
from chromascape.errors import ChromascapeError


def manifest(**columns: list[str | None]) -> pd.DataFrame:
    """Six files: two in train, one in each other split, one rejected and one undecodable."""
    table = pd.DataFrame({
        "verdict": ["accepted"] * 4 + ["rejected"] * 2,
        "split": ["train", "train", "val", "test", "train", None],
        "sha256": [f"{number:064x}" for number in (5, 3, 4, 9, 7, 8)],
        "phash": ["00000000000000ff", "f0f0f0f0f0f0f0f0", "0123456789abcdef", "ffffffffffffffff", "1" * 16, None],
    })  # fmt: skip
    return table.assign(**columns)


def test_accepted_photos_of_the_splits_are_taken() -> None:
    seen = hashes_of(manifest(), ("train", "val"))
    assert len(seen) == 3
    perceptual = {3: "f0f0f0f0f0f0f0f0", 4: "0123456789abcdef", 5: "00000000000000ff"}
    assert [row.tobytes().hex() for row in seen] == [f"{number:064x}{digits}" for number, digits in perceptual.items()]
    assert len(hashes_of(manifest(), ())) == 0


def test_what_is_written_is_read_and_the_bytes_do_not_depend_on_the_order(tmp_path: Path) -> None:
    for name, table in {"one": manifest(), "two": manifest().iloc[::-1]}.items():
        (tmp_path / name).mkdir()
        write_seen(tmp_path / name, hashes_of(table, ("train",)), hashes_of(table, ("val",)))
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()
    seen = read_seen(tmp_path / "one")
    np.testing.assert_array_equal(seen, hashes_of(manifest(), ("train", "val")))
    trained = read_seen(tmp_path / "one", trained_only=True)
    np.testing.assert_array_equal(trained, hashes_of(manifest(), ("train",)))
    arrays = load_file(tmp_path / "one" / FILE)
    assert {name: (array.shape, str(array.dtype)) for name, array in arrays.items()} == {
        "sha256": ((3, 32), "uint8"),
        "phash": ((3, 8), "uint8"),
        "trained": ((3,), "uint8"),
    }


def test_a_model_without_the_file_has_seen_nothing_that_is_known(tmp_path: Path) -> None:
    seen = read_seen(tmp_path)
    assert len(seen) == 0
    assert count_seen(hashes_of(manifest(), ("test",)), seen, 8) == 0
    write_seen(tmp_path, NONE)
    assert len(read_seen(tmp_path)) == 0


def test_joined_hashes_have_every_photo_once() -> None:
    train, both = hashes_of(manifest(), ("train",)), hashes_of(manifest(), ("train", "val"))
    np.testing.assert_array_equal(join(train, both), both)
    assert len(join(both, hashes_of(manifest(), ("test",)))) == 4


@pytest.mark.parametrize(
    ("sha256", "phash", "expected"),
    [
        (5, "ffffffff00000000", 1),  # the same file, whatever its perceptual hash
        (1, "00000000000000ff", 1),  # the same picture in another file
        (1, "00000000000000f0", 1),  # four bits differ
        (1, "00000000000000e0", 0),  # five bits
        (1, "f0f0f0f0f0f0f0f0", 1),
    ],
)
def test_copies_and_near_copies_count(sha256: int, phash: str, expected: int) -> None:
    seen = hashes_of(manifest(), ("train",))
    photo = manifest().iloc[:1].assign(sha256=[f"{sha256:064x}"], phash=[phash])
    assert count_seen(hashes_of(photo, ("train",)), seen, 4) == expected
    assert count_seen(NONE, seen, 4) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not safetensors",
        {"sha256": np.zeros((2, 32), np.uint8)},
        {"sha256": np.zeros((2, 31), np.uint8), "phash": np.zeros((2, 8), np.uint8)},
        {"sha256": np.zeros((2, 32), np.uint8), "phash": np.zeros((3, 8), np.uint8)},
        {"sha256": np.zeros((2, 32), np.int8), "phash": np.zeros((2, 8), np.uint8)},
        {"sha256": np.zeros((), np.uint8), "phash": np.zeros((2, 8), np.uint8)},
        {"sha256": np.zeros((2, 32), np.uint8), "phash": np.zeros((2, 8), np.uint8), "trained": np.ones(3, np.uint8)},
    ],
    ids=["empty", "noise", "one array", "short hashes", "other numbers", "signed", "no rows", "other flags"],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | dict[str, np.ndarray]) -> None:
    if isinstance(content, bytes):
        (tmp_path / FILE).write_bytes(content)
    else:
        save_file(content, tmp_path / FILE)
    with pytest.raises(ChromascapeError, match=r"seen\.safetensors: damaged .*: train again, or install Chromascape"):
        read_seen(tmp_path)


def test_photos_of_a_file_without_flags_were_trained_on(tmp_path: Path) -> None:
    """Older versions did not tell them apart; also what both trained and chose is trained on."""
    sha256, phash = np.hsplit(hashes_of(manifest(), ("train",)), [32])
    save_file({"sha256": sha256.copy(), "phash": phash.copy()}, tmp_path / FILE)
    assert len(read_seen(tmp_path, trained_only=True)) == 2
    write_seen(tmp_path, hashes_of(manifest(), ("train", "val")), hashes_of(manifest(), ("val",)))
    assert len(read_seen(tmp_path, trained_only=True)) == 3


def test_which_photos_were_seen_is_told_in_their_order() -> None:
    photos = hashes_by_row(manifest().iloc[[3, 0, 2]])
    assert are_seen(photos, hashes_of(manifest(), ("train", "val")), 0).tolist() == [False, True, True]


def test_the_shipped_weights_name_every_photo_that_they_have_seen() -> None:
    seen = read_seen(SHIPPED)
    assert len(seen) == 18_295 + 392
    assert len(np.unique(seen[:, :32], axis=0)) == len(seen)
    assert count_seen(np.hstack([seen[:3, :32], np.bitwise_not(seen[:3, 32:])]), seen, 0) == 3
