"""Groups and splits."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import changed_params, make_photo, write_photos
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from chromascape.errors import ChromascapeError
from chromascape.params import Data, Params, Split
from chromascape.photos import inspection, source
from chromascape.photos.manifest import COLUMNS, TYPES
from chromascape.photos.splits import add_groups, add_splits, check_splits, near_groups, split_of

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)
SPLIT = Split(train=0.4, val=0.3, test=0.3, seed=1)
RANK = {"test": 0, "val": 1, "train": 2}


def save(path: Path, picture: np.ndarray | Image.Image, **options: Any) -> Path:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    image.save(path, **options)
    return path


def table_of(contents: list[tuple[str, str | None, str | None]]) -> pd.DataFrame:
    """A manifest with what grouping needs, from (path, SHA-256, perceptual hash)."""
    return (
        pd.DataFrame(contents, columns=["path", "sha256", "phash"], dtype=object).reindex(columns=COLUMNS).astype(TYPES)
    )


@pytest.fixture
def validate(make_params: Callable[..., Params]) -> Any:
    return make_params().validate_


def brute_groups(hashes: list[str | None], bits: int) -> list[int]:
    """Groups by comparing every photo with every other, numbered by their first member."""
    groups = list(range(len(hashes)))
    for first, one in enumerate(hashes):
        for second, other in enumerate(hashes[:first]):
            if one and other and (int(one, 16) ^ int(other, 16)).bit_count() <= bits:
                old, new = sorted((groups[first], groups[second]), reverse=True)
                groups = [new if group == old else group for group in groups]
    return groups


def numbered_by_first(groups: np.ndarray) -> list[int]:
    listed = groups.tolist()
    return [listed.index(group) for group in listed]


@st.composite
def hash_lists(draw: st.DrawFn) -> list[str | None]:
    """Perceptual hashes in clusters a few bits apart, some missing."""
    bases = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    hashes: list[str | None] = []
    for _ in range(draw(st.integers(0, 25))):
        value = draw(st.sampled_from(bases))
        for bit in draw(st.lists(st.integers(0, 63), max_size=9)):
            value ^= 1 << bit
        hashes.append(None if draw(st.integers(0, 9)) == 0 else f"{value:016x}")
    return hashes


@SETTINGS
@given(hash_lists(), st.integers(0, 8))
@example([], 4)
@example([None, None], 4)
@example(["ffffffffffffffff", "ffffffffffffffff"], 0)
def test_near_groups_are_those_of_comparing_everything(hashes: list[str | None], bits: int) -> None:
    groups = near_groups(pd.Series(hashes, dtype=object), bits)
    assert numbered_by_first(groups) == brute_groups(hashes, bits)


@pytest.mark.parametrize("bits", range(9))
def test_hashes_at_just_the_distance_are_near_wherever_the_bits_lie(bits: int) -> None:
    generator = np.random.default_rng(bits)
    for _ in range(20):
        value = int(generator.integers(0, 2**63))
        flipped = [int(bit) for bit in generator.permutation(64)[: bits + 1]]
        near = value ^ sum(1 << bit for bit in flipped[:bits])
        far = value ^ sum(1 << bit for bit in flipped)
        hashes = pd.Series([f"{value:016x}", f"{near:016x}"], dtype=object)
        assert len(set(near_groups(hashes, bits).tolist())) == 1
        hashes[1] = f"{far:016x}"
        assert len(set(near_groups(hashes, bits).tolist())) == 2


def test_groups_are_named_after_their_members_content_alone() -> None:
    one, two, three = "a" * 64, "b" * 64, "c" * 64
    near, far = "0000000000000000", "ffffffffffffffff"
    table = table_of([("p", two, near), ("q", one, near), ("r", three, far)])
    add_groups(table, 4)
    assert table["group"][0] == table["group"][1] != table["group"][2]
    other = table_of([("elsewhere", one, near), ("p", two, "0000000000000001")])
    add_groups(other, 4)
    assert other["group"].tolist() == [table["group"][0]] * 2
    assert table["group"].str.fullmatch("[0-9a-f]{12}").all()


def test_undecodable_files_share_a_group_only_with_their_copies() -> None:
    table = table_of([("a", "a" * 64, None), ("b", "a" * 64, None), ("c", "c" * 64, None), ("d", None, None)])
    table.loc[4] = table.loc[3]
    table.loc[4, "path"] = os.fsdecode(b"\xff")
    add_groups(table, 4)
    groups = table["group"].tolist()
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda image, path: image.save(path.with_suffix(".jpg"), quality=70),
        lambda image, path: image.resize((300, 270)).save(path.with_stem("large")),
        lambda image, path: image.resize((120, 108)).save(path.with_stem("small")),
        lambda image, path: image.point(lambda level: level * 0.9).save(path.with_stem("darker")),
    ],
    ids=["jpeg", "enlarged", "reduced", "darkened"],
)
def test_a_changed_copy_shares_its_photo_s_group(tmp_path: Path, validate: Any, change: Any) -> None:
    paths = write_photos(tmp_path, 4)
    change(Image.open(paths[1]), paths[1])
    table = inspection.inspect_folder(tmp_path, validate, 1)
    add_groups(table, 4)
    groups = table.set_index("path")["group"]
    copy = next(name for name in groups.index if name not in [path.name for path in paths])
    assert groups[copy] == groups["photo-001.png"]
    assert groups.nunique() == 4


@SETTINGS
@given(st.integers(0, 2**31), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_split_follows_from_content_and_seed(seed: int, sha256: str) -> None:
    split = Split(train=0.5, val=0.25, test=0.25, seed=seed)
    assert split_of(sha256, split) == split_of(sha256, split) in RANK
    # A larger test share takes from val, a smaller one gives to it: no photo goes from test to train.
    larger = Split(train=0.5, val=0.2, test=0.3, seed=seed)
    moved = (split_of(sha256, split), split_of(sha256, larger))
    assert moved[0] == moved[1] or moved == ("val", "test")


def test_splits_have_about_their_shares_and_another_seed_gives_others() -> None:
    split = Split(train=0.7, val=0.2, test=0.1, seed=0)
    contents = [source.sha256(str(number).encode()) for number in range(4000)]
    found = [split_of(content, split) for content in contents]
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        assert found.count(name) / len(found) == pytest.approx(share, abs=0.03)
    others = [split_of(content, split.model_copy(update={"seed": 1})) for content in contents]
    assert 0.3 < np.mean([one != other for one, other in zip(found, others, strict=True)]) < 0.6


@st.composite
def folders(draw: st.DrawFn) -> list[tuple[str, str | None, str | None, bool]]:
    """Files as (path, SHA-256, perceptual hash, accepted): near and exact copies, and some that can't be decoded."""
    hashes = draw(hash_lists())
    contents = [(source.sha256(str(number).encode()), phash) for number, phash in enumerate(hashes)]
    files: list[tuple[str, str | None, str | None, bool]] = []
    for number in range(draw(st.integers(0, 30)) if contents else 0):
        sha256, phash = draw(st.sampled_from(contents))
        accepted = phash is not None and draw(st.integers(0, 4)) > 0
        files.append((f"{number:03}", sha256, phash, accepted))
    if draw(st.booleans()):
        files.append(("999", None, None, False))
    return files


def split_up(files: list[tuple[str, str | None, str | None, bool]], bits: int) -> pd.DataFrame:
    table = table_of([file[:3] for file in files])
    accepted = pd.Series([file[3] for file in files], dtype=bool)
    add_groups(table, bits)
    table["exact"], table["near"] = add_splits(table, accepted, SPLIT, [])
    table["accepted"] = accepted
    return table.set_index("path")


@SETTINGS
@given(folders(), st.integers(0, 8))
def test_no_group_straddles_two_splits_and_nothing_is_left_out_without_need(
    files: list[tuple[str, str | None, str | None, bool]], bits: int
) -> None:
    table = split_up(files, bits)
    kept = table[table["split"].notna()]
    assert (kept.groupby("group")["split"].nunique() <= 1).all()
    assert (table["split"].notna() == (table["accepted"] & ~table["exact"] & ~table["near"])).all()
    assert not (table["exact"] & table["near"]).any()
    assert not ((table["exact"] | table["near"]) & ~table["accepted"]).any()
    for content, copies in table[table["accepted"]].groupby("sha256"):
        assert copies["exact"].tolist() == [False] + [True] * (len(copies) - 1)  # the first path is kept
        assert set(copies["split"].dropna()) <= {split_of(str(content), SPLIT)}
    for _, photo in table[table["near"]].iterrows():
        winners = kept.loc[kept["group"] == photo["group"], "split"]
        assert RANK[winners.iloc[0]] < RANK[split_of(photo["sha256"], SPLIT)]


@SETTINGS
@given(folders(), st.integers(0, 8), st.data())
def test_adding_photos_moves_no_photo_that_stays(
    files: list[tuple[str, str | None, str | None, bool]], bits: int, data: st.DataObject
) -> None:
    after = split_up(files, bits)
    there = [file for file in files if data.draw(st.booleans())]
    before = split_up(there, bits)
    split_before = before["split"].dropna()
    split_after = after.loc[split_before.index, "split"].dropna()
    assert (split_before[split_after.index] == split_after).all()


def test_adding_real_photos_moves_none_that_was_there(tmp_path: Path, validate: Any) -> None:
    def splits() -> pd.Series:
        table = inspection.inspect_folder(tmp_path, validate, 1)
        add_groups(table, 4)
        add_splits(table, pd.Series(True, index=table.index), SPLIT, [])
        kept = table.dropna(subset="split")
        assert (kept.groupby("group")["split"].nunique() == 1).all()
        return kept.set_index("path")["split"].astype(str)

    write_photos(tmp_path, 20)
    before = splits()
    assert len(before) == 20 and before.nunique() == 3
    write_photos(tmp_path / "0-first", 15, first_seed=100)
    for seed in range(0, 20, 2):  # near copies of what is there
        save(tmp_path / f"copy-{seed}.jpg", make_photo(seed))
    after = splits()
    stayed = after.index.intersection(before.index)
    assert len(stayed) >= 10
    assert (after[stayed] == before[stayed]).all()


def test_an_empty_split_is_told_with_the_ways_out() -> None:
    data = Data(dir="photos", train_only=[], split=SPLIT)
    table = table_of([("a", "a" * 64, None), ("b", "b" * 64, None)])
    table["split"] = ["train", "train"]
    with pytest.raises(ChromascapeError) as caught:
        check_splits(table, data)
    expected = "data.split: no photo fell into val and test (2 accepted): add photos, raise data.split.val (now 0.3) "
    assert str(caught.value) == expected + "or try another data.split.seed"
    table.loc[2] = table.loc[0]
    table["split"] = ["train", "val", "test"]
    check_splits(table, data)


def test_params_of_the_repository_name_a_usable_split() -> None:
    split = Params.model_validate(changed_params({})).data.split
    assert {split_of(source.sha256(str(number).encode()), split) for number in range(200)} == set(RANK)


def test_photos_of_train_only_folders_are_never_held_out() -> None:
    paths = [f"{folder}/{number}.jpg" for folder in ("extra", "extras", "own") for number in range(60)]
    manifest = pd.DataFrame({"path": paths, "sha256": [f"{n:064x}" for n in range(180)], "group": range(180)})
    accepted = pd.Series(True, index=manifest.index)
    split = Split(train=0.4, val=0.3, test=0.3, seed=0)
    add_splits(manifest, accepted, split, ["extra/"])
    by_folder = manifest.groupby(manifest["path"].str.split("/").str[0])["split"].agg(set)
    assert by_folder["extra"] == {"train"}
    assert by_folder["extras"] == by_folder["own"] == {"train", "val", "test"}
