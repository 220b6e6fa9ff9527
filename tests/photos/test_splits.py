"""Groups and splits."""

import fnmatch
import hashlib
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import changed_params, make_photo, save, table_of, write_photos
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from chromascape.errors import ChromascapeError
from chromascape.params import Data, Params, Split
from chromascape.photos import inspection, source
from chromascape.photos.manifest import COLUMNS, TYPES
from chromascape.photos.splits import (
    add_groups,
    add_splits,
    check_named_folders,
    connected,
    empty_split,
    near_links,
    only_note,
    scenes,
    split_of,
)

SETTINGS = settings(max_examples=30, deadline=None, derandomize=True, database=None)
UNMEASURED = pytest.mark.no_cover  # many tables, on lines that other tests measure too
SPLIT = Split(train=0.4, val=0.3, test=0.3, seed=1)
USUAL = Split(train=0.8, val=0.1, test=0.1, seed=4)
NAMES = {"train", "val", "test"}


def data_of(split: Split, train_only: list[str] | None = None, test_only: list[str] | None = None) -> Data:
    return Data(dir="photos", train_only=train_only or [], test_only=test_only or [], split=split)


def group_up(table: pd.DataFrame, bits: int = 4, split: Split = SPLIT) -> None:
    """Fill `group`, with all rows accepted that have a perceptual hash."""
    add_groups(table, table["phash"].notna(), bits, split)


@pytest.fixture
def validate(make_params: Callable[..., Params]) -> Any:
    return make_params({"validate.seconds": 0}).validate_  # so that one job reads in this process


def brute_groups(hashes: list[str | None], bits: int) -> list[int]:
    """Groups by comparing every photo with every other, numbered by their first member."""
    groups = list(range(len(hashes)))
    for first, one in enumerate(hashes):
        for second, other in enumerate(hashes[:first]):
            if one and other and (int(one, 16) ^ int(other, 16)).bit_count() <= bits:
                old, new = sorted((groups[first], groups[second]), reverse=True)
                groups = [new if group == old else group for group in groups]
    return groups


def near_groups(hashes: pd.Series, bits: int) -> np.ndarray:
    return connected(near_links(hashes, bits), len(hashes))


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


@UNMEASURED
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
    group_up(table)
    assert table["group"][0] == table["group"][1] != table["group"][2]
    other = table_of([("elsewhere", one, near), ("p", two, "0000000000000001")])
    group_up(other)
    assert other["group"].tolist() == [table["group"][0]] * 2
    assert table["group"].str.fullmatch("[0-9a-f]{12}").all()


def test_undecodable_files_share_a_group_only_with_their_copies() -> None:
    table = table_of([("a", "a" * 64, None), ("b", "a" * 64, None), ("c", "c" * 64, None), ("d", None, None)])
    table.loc[4] = table.loc[3]
    table.loc[4, "path"] = os.fsdecode(b"\xff")
    group_up(table)
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
    group_up(table)
    groups = table.set_index("path")["group"]
    copy = next(name for name in groups.index if name not in [path.name for path in paths])
    assert groups[copy] == groups["photo-001.png"]
    assert groups.nunique() == 4


@SETTINGS
@given(st.integers(0, 2**31), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_split_follows_from_content_and_seed(seed: int, sha256: str) -> None:
    split = Split(train=0.5, val=0.25, test=0.25, seed=seed)
    assert split_of(sha256, split) == split_of(sha256, split) in NAMES
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
def folders(draw: st.DrawFn) -> pd.DataFrame:
    """A manifest before grouping, and `accepted`: copies, near copies, bursts, patterns, and what can't be decoded."""
    hashes = draw(hash_lists())
    shots = st.tuples(st.sampled_from([None, "A", "B"]), st.none() | st.integers(0, 60).map(float))
    contents = [(source.sha256(str(number).encode()), phash, *draw(shots)) for number, phash in enumerate(hashes)]
    rows: list[tuple[Any, ...]] = []
    for number in range(draw(st.integers(0, 30)) if contents else 0):
        content = draw(st.sampled_from(contents))
        folder = draw(st.sampled_from(["", "", "", "", "walk/", "view-1/", "view-2/", "own/"]))
        rows.append((f"{folder}{number:03}", *content, content[1] is not None and draw(st.integers(0, 4)) > 0))
    if draw(st.booleans()):
        rows.append(("999", None, None, None, None, False))
    table = pd.DataFrame(rows, columns=["path", "sha256", "phash", "camera", "taken", "accepted"], dtype=object)
    table = table.sort_values("path", ignore_index=True)
    return table.reindex(columns=[*COLUMNS, "accepted"]).astype(TYPES | {"accepted": bool})


PATTERNS = ["walk/*", "view-*", "nothing/*"]


def scene_split(seconds: float = 2.0) -> Split:
    return SPLIT.model_copy(update={"burst_seconds": seconds, "same_scene": PATTERNS})


def split_up(table: pd.DataFrame, bits: int, data: Data | None = None) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    add_groups(table, table["accepted"], bits, scene_split())
    table["exact"], table["same_scene"] = add_splits(table, table["accepted"], data or data_of(SPLIT))
    return table.set_index("path")


def one_scene(one: dict[str, Any], other: dict[str, Any], bits: int, seconds: float) -> bool:
    """Do two rows share a scene by themselves?"""
    near = one["phash"] and other["phash"] and (int(one["phash"], 16) ^ int(other["phash"], 16)).bit_count() <= bits
    burst = one["camera"] and one["camera"] == other["camera"] and abs(one["taken"] - other["taken"]) <= seconds > 0
    pattern = any(fnmatch.fnmatch(one["path"], each) and fnmatch.fnmatch(other["path"], each) for each in PATTERNS)
    return bool(near or burst or pattern or (one["sha256"] and one["sha256"] == other["sha256"]))


@UNMEASURED
@SETTINGS
@given(folders(), st.integers(0, 8), st.sampled_from([0.0, 1.0, 5.0]))
def test_scenes_are_those_of_comparing_everything(table: pd.DataFrame, bits: int, seconds: float) -> None:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    for row in rows:
        row["taken"] = float("nan") if row["taken"] is None else row["taken"]
    groups = list(range(len(rows)))
    for first, one in enumerate(rows):
        for second, other in enumerate(rows[:first]):
            if one_scene(one, other, bits, seconds):
                old, new = sorted((groups[first], groups[second]), reverse=True)
                groups = [new if group == old else group for group in groups]
    assert numbered_by_first(scenes(table, bits, scene_split(seconds))) == groups


@UNMEASURED
@SETTINGS
@given(
    folders(),
    st.integers(0, 8),
    st.sampled_from([[], ["own"], ["walk/", "./view-1"]]),
    st.sampled_from(["train_only", "test_only"]),
)
def test_a_group_has_one_split_and_only_held_out_ones_leave_photos_out(
    files: pd.DataFrame, bits: int, named: list[str], key: str
) -> None:
    table = split_up(files, bits, data_of(SPLIT, **{key: named}))
    folders = tuple(f"{folder.strip('./')}/" for folder in named)
    assert table["group"].notna().all()
    assert (table["split"].notna() == (table["accepted"] & ~table["exact"] & ~table["same_scene"])).all()
    assert not (table["exact"] & table["same_scene"]).any()
    assert not ((table["exact"] | table["same_scene"]) & ~table["accepted"]).any()
    for _, copies in table[table["accepted"]].groupby("sha256"):
        assert copies["exact"].tolist() == [False] + [True] * (len(copies) - 1)  # the first path is kept
    for _, group in table[table["accepted"]].groupby("group"):
        smallest = group["sha256"].min()
        pulled = any(path.startswith(folders) for path in group.index) if folders else False
        [split] = set(group["split"].dropna())
        assert split == (key.removesuffix("_only") if pulled else split_of(smallest, SPLIT))
        kept = group.loc[group["split"].notna(), "sha256"].tolist()
        assert sorted(kept) == (sorted(set(group["sha256"])) if split == "train" else [smallest])


@UNMEASURED
@SETTINGS
@given(folders(), st.integers(0, 8))
def test_files_that_are_not_accepted_change_nothing_for_the_others(files: pd.DataFrame, bits: int) -> None:
    columns = ["group", "split", "exact", "same_scene"]
    accepted = files[files["accepted"]]
    alone, among = split_up(accepted, bits)[columns], split_up(files, bits).loc[accepted["path"], columns]
    pd.testing.assert_frame_equal(alone, among)


@UNMEASURED
@SETTINGS
@given(folders(), st.integers(0, 8))
def test_a_rejected_file_has_the_group_of_the_accepted_photos_of_its_scene(files: pd.DataFrame, bits: int) -> None:
    table = split_up(files, bits)
    everywhere = pd.Series(scenes(files, bits, scene_split()), index=table.index)
    for number, group in table.groupby(everywhere.to_numpy()):
        if group["accepted"].any():
            names = set(group.loc[group["accepted"], "group"])
            assert set(group["group"]) == names, number
        else:
            assert group["group"].nunique() == 1


@UNMEASURED
@SETTINGS
@given(folders(), st.integers(0, 8), st.data())
def test_adding_photos_moves_only_photos_of_the_new_photos_own_groups(
    files: pd.DataFrame, bits: int, data: st.DataObject
) -> None:
    there = pd.Series([data.draw(st.booleans()) for _ in range(len(files))], dtype=bool)
    before, after = split_up(files[there], bits), split_up(files, bits)
    touched = set(after.loc[files.loc[~there & files["accepted"], "path"], "group"])
    staying = before.index[~after.loc[before.index, "group"].isin(touched).to_numpy()]
    staying = staying[before.loc[staying, "accepted"]]
    columns = ["group", "split", "exact", "same_scene"]
    pd.testing.assert_frame_equal(before.loc[staying, columns], after.loc[staying, columns])


def scenes_of(count: int, photos: int) -> pd.DataFrame:
    """`count` scenes of `photos` near copies each, the hashes of different scenes far from each other."""
    generator = np.random.default_rng(photos)
    rows = []
    for scene in range(count):
        value = int(generator.integers(0, 2**63))
        for number in range(photos):
            sha256 = source.sha256(f"{scene} {number}".encode())
            rows.append((f"{scene:05}/{number:02}.jpg", sha256, f"{value ^ (number & 1):016x}"))
    return table_of(rows)


@pytest.mark.parametrize("photos", [1, 3, 10, 30])
def test_scenes_of_many_photos_neither_starve_training_nor_leak(photos: int) -> None:
    table = scenes_of(2000, photos)
    accepted = pd.Series(True, index=table.index)
    add_groups(table, accepted, 4, USUAL)
    exact, same_scene = add_splits(table, accepted, data_of(USUAL))
    assert not exact.any()
    scene = table["path"].str[:5]
    assert (table.groupby("group")["path"].count() == photos).all()
    splits = table.groupby(scene)["split"]
    assert (splits.nunique() == 1).all()
    split, kept = splits.first(), splits.count()
    for name, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert (split == name).mean() == pytest.approx(share, abs=0.03)
    assert (kept[split == "train"] == photos).all()
    assert (kept[split != "train"] == 1).all()
    assert same_scene.sum() == (photos - 1) * (split != "train").sum()


def test_single_photos_and_shares_lie_at_exact_thresholds() -> None:
    places = {}
    for number in range(5000):
        content = source.sha256(str(number).encode())
        places[content] = int(hashlib.sha256(f"4:{content}".encode()).hexdigest()[:16], 16) / 2**64
    for content, place in places.items():
        assert split_of(content, USUAL) == ("test" if place < 0.1 else "val" if place < 0.2 else "train")
    assert sum(0.2 <= place < 0.22 for place in places.values()) > 50  # a share that is off by 0.02 is seen
    # The nearest of 20,000 to the thresholds, by name, so that no change of the formula passes.
    nearest = {6252: "test", 4760: "val", 5382: "val", 14137: "train"}
    assert {n: split_of(source.sha256(str(n).encode()), USUAL) for n in nearest} == nearest


@pytest.mark.parametrize(
    "hashes",
    [
        ["0123456789abcdef"] * 20_000,
        [f"{1 << a ^ 1 << b ^ 1 << c:016x}" for a in range(40) for b in range(a) for c in range(b)],
        [f"{number ^ number >> 1:016x}" for number in range(8000)],  # a Gray code: a chain of single bits
    ],
    ids=["equal", "all near", "a chain"],
)
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_thousands_of_near_photos_are_grouped_in_bounded_memory(hashes: list[str], bits: int) -> None:
    series = pd.Series(hashes, dtype=object)
    assert len(near_links(series, bits)) <= (bits + 2) * len(series)  # not one a pair
    tracemalloc.start()
    groups = near_groups(series, bits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert len(set(groups.tolist())) == (
        len(series) if bits == 1 and "7" in hashes[0] and hashes[0] != hashes[1] else 1
    )


def shots_of(shots: list[tuple[str | None, float | None]]) -> pd.DataFrame:
    """A manifest of photos that are nothing alike, from (camera, taken)."""
    table = table_of([(f"{n:02}.jpg", source.sha256(str(n).encode()), None) for n in range(len(shots))])
    table["camera"] = pd.Series([camera for camera, _ in shots], dtype=object)
    table["taken"] = pd.Series([taken for _, taken in shots], dtype=float)
    return table


def test_bursts_chain_within_one_camera_and_not_across_cameras() -> None:
    start = 1.7e9
    shots = [("A", start), ("B", start), ("A", start + 10), ("A", start + 5), ("B", start + 5.1), (None, start)]
    shots += [("A", start + 15.1), ("A", None), ("A", None), (None, start), ("A", start + 15.25)]
    table = shots_of(shots)
    assert numbered_by_first(scenes(table, 4, USUAL)) == [0, 1, 0, 0, 4, 5, 6, 7, 8, 9, 6]
    zero = USUAL.model_copy(update={"burst_seconds": 0.0})
    assert len(set(scenes(table, 4, zero).tolist())) == len(shots)
    equal = shots_of([("A", start), ("A", start)])
    assert len(set(scenes(equal, 4, zero).tolist())) == 2
    longer = USUAL.model_copy(update={"burst_seconds": 5.1})
    assert numbered_by_first(scenes(table, 4, longer)) == [0, 1, 0, 0, 1, 5, 0, 7, 8, 9, 0]


def test_photos_that_match_one_pattern_share_a_scene() -> None:
    paths = ["a/walk/1.jpg", "walk/1.jpg", "walk/deep/2.jpg", "Walk/3.jpg", "rock-l.png", "rock-r.png", "rocks.png"]
    paths += [os.fsdecode(b"walk/\xff.jpg"), "walk.jpg"]
    table = table_of([(path, source.sha256(os.fsencode(path)), None) for path in paths])
    split = USUAL.model_copy(update={"same_scene": ["walk/*", "rock-[lr].png", "nothing/*"]})
    assert numbered_by_first(scenes(table, 4, split)) == [0, 1, 1, 3, 4, 4, 6, 1, 8]


def test_photos_that_match_a_list_share_a_scene_and_a_name_with_brackets_is_itself() -> None:
    paths = ["a[1].jpg", "b.jpg", "c.jpg", "walk/1.jpg", "a1.jpg"]
    table = table_of([(path, source.sha256(path.encode()), None) for path in paths])
    split = USUAL.model_copy(update={"same_scene": [["a[[]1].jpg", "c.jpg"], ["a[1].jpg", "walk/*"], "b.jpg"]})
    assert numbered_by_first(scenes(table, 4, split)) == [0, 1, 0, 0, 0]  # as a pattern, a[1].jpg is a1.jpg too


def test_one_photo_in_train_only_pulls_its_group_into_train() -> None:
    table = scenes_of(300, 3)
    table.loc[table["path"].str.endswith("2.jpg"), "path"] = [f"extra/{number}.jpg" for number in range(300)]
    accepted = pd.Series(True, index=table.index)
    add_groups(table, accepted, 4, USUAL)
    _, same_scene = add_splits(table, accepted, data_of(USUAL, ["extra"]))
    assert set(table["split"]) == {"train"} and not same_scene.any()
    # One that is not accepted pulls nothing.
    accepted = ~table["path"].str.startswith("extra/")
    add_groups(table, accepted, 4, USUAL)
    add_splits(table, accepted, data_of(USUAL, ["extra"]))
    assert set(table["split"].dropna()) == NAMES


@SETTINGS
@given(folders(), st.integers(0, 8), st.data())
def test_no_photo_is_trained_on_that_shows_the_scene_of_one_that_is_only_measured(
    files: pd.DataFrame, bits: int, draw: st.DataObject
) -> None:
    # Any photo may be the one that is only measured.
    chosen = draw.draw(st.lists(st.integers(0, max(len(files) - 1, 0)), max_size=3)) if len(files) else []
    files = files.reset_index(drop=True)
    files.loc[chosen, "path"] = [f"measured/{number}.jpg" for number in chosen]
    table = split_up(files, bits, data_of(SPLIT, test_only=["measured"]))
    measured = table["accepted"] & table.index.str.startswith("measured/")
    groups = set(table["group"][measured])
    split = table["split"][table["accepted"] & table["group"].isin(groups)]
    assert set(split.dropna()) == ({"test"} if groups else set())
    assert split.notna().sum() == len(groups)  # one photo a group is kept


def test_one_photo_in_test_only_pulls_its_group_into_test_and_one_photo_of_it_is_kept() -> None:
    table = scenes_of(300, 3)
    table.loc[table["path"].str.endswith("2.jpg"), "path"] = [f"extra/{number}.jpg" for number in range(300)]
    accepted = pd.Series(True, index=table.index)
    add_groups(table, accepted, 4, USUAL)
    _, same_scene = add_splits(table, accepted, data_of(USUAL, test_only=["extra/"]))
    assert set(table["split"].dropna()) == {"test"}
    assert (table.groupby("group")["split"].count() == 1).all() and same_scene.sum() == 600
    # One that is not accepted pulls nothing.
    accepted = ~table["path"].str.startswith("extra/")
    add_groups(table, accepted, 4, USUAL)
    add_splits(table, accepted, data_of(USUAL, test_only=["extra/"]))
    assert set(table["split"].dropna()) == NAMES


@pytest.mark.parametrize(
    ("trained", "line"),
    [
        ("own", "'seen/b.jpg' shows the same scene as 'own/a.jpg' of data.train_only"),
        ("seen", "'seen/b.jpg' is also in data.train_only"),
    ],
)
def test_a_scene_that_is_to_be_trained_on_and_measured_is_one_line_that_names_both(trained: str, line: str) -> None:
    near = "0000000000000000"
    table = table_of([("own/a.jpg", "a" * 64, near), ("seen/b.jpg", "b" * 64, near), ("c.jpg", "c" * 64, "f" * 16)])
    group_up(table)
    with pytest.raises(ChromascapeError) as caught:
        add_splits(table, pd.Series(True, index=table.index), data_of(SPLIT, [trained], ["seen"]))
    assert str(caught.value) == (
        f"data.test_only: {line}, and no scene may be both trained on and measured (1 such photos): "
        "remove such photos from one of the two"
    )


def test_a_missing_data_dir_is_told_as_such(tmp_path: Path) -> None:
    for key in ("train_only", "test_only"):
        with pytest.raises(ChromascapeError, match=r"^data\.dir: .* does not exist"):
            check_named_folders(tmp_path / "nowhere", data_of(SPLIT, **{key: ["extra"]}))
    check_named_folders(tmp_path / "nowhere", data_of(SPLIT))


@pytest.mark.parametrize("key", ["train_only", "test_only"])
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("extras", "does not exist"),
        ("landscape", "does not exist"),
        ("Extra", "does not exist"),
        ("extra/deeper", "does not exist"),
        ("extra/\0", "does not exist"),
        ("../extra", "has a '..' in it"),
        ("extra/..", "has a '..' in it"),
        ("photo.jpg", "is not a folder"),
        ("photo.jpg/extra", "is not a folder"),
        ("link", "is a link or behind one, and links are not followed"),
        ("link/in", "is a link or behind one, and links are not followed"),
        ("", "is data.dir itself"),
        ("./", "is data.dir itself"),
        ("/extra", "is an absolute path"),
    ],
)
def test_a_slip_in_a_folder_s_name_is_one_line_that_names_key_and_folder(
    tmp_path: Path, key: str, name: str, problem: str
) -> None:
    (tmp_path / "extra" / "in").mkdir(parents=True)
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "link").symlink_to("extra", target_is_directory=True)
    check_named_folders(tmp_path, data_of(SPLIT, **{key: ["extra", "extra/", "./extra", "extra/in", "extra//in/"]}))
    with pytest.raises(ChromascapeError) as caught:
        check_named_folders(tmp_path, data_of(SPLIT, **{key: ["extra", name]}))
    line = f"data.{key}: {name!r} {problem}: name folders inside data.dir ({tmp_path}), relative to it"
    assert str(caught.value) == line


def test_the_sample_s_own_folder_may_be_missing_from_the_measured_ones_alone(tmp_path: Path) -> None:
    check_named_folders(tmp_path, data_of(SPLIT, test_only=["sample-landscapes"]))
    with pytest.raises(ChromascapeError, match="'sample-landscapes' does not exist"):
        check_named_folders(tmp_path, data_of(SPLIT, train_only=["sample-landscapes"]))
    (tmp_path / "sample-landscapes").touch()
    with pytest.raises(ChromascapeError, match="'sample-landscapes' is not a folder"):
        check_named_folders(tmp_path, data_of(SPLIT, test_only=["sample-landscapes"]))


@UNMEASURED
def test_adding_real_photos_moves_only_those_whose_copies_came(tmp_path: Path, validate: Any) -> None:
    def splits() -> pd.DataFrame:
        table = inspection.inspect_folder(tmp_path, validate, 1)
        group_up(table)
        add_splits(table, pd.Series(True, index=table.index), data_of(SPLIT))
        assert (table.groupby("group")["split"].nunique() == 1).all()
        return table.set_index("path")[["split", "group"]]

    write_photos(tmp_path, 20)
    before = splits()["split"]
    assert len(before) == 20 and before.nunique() == 3
    write_photos(tmp_path / "0-first", 15, first_seed=100)
    for seed in range(0, 20, 2):  # near copies of what is there
        save(tmp_path / f"copy-{seed}.jpg", make_photo(seed))
    after = splits()
    single = [f"photo-{seed:03}.png" for seed in range(1, 20, 2)]
    assert (after.loc[single, "split"] == before[single]).all()
    for seed in range(0, 20, 2):
        pair = after.loc[[f"photo-{seed:03}.png", f"copy-{seed}.jpg"]]
        assert pair["group"].nunique() == 1
        assert pair["split"].isna().sum() == (set(pair["split"].dropna()) != {"train"})


def test_an_empty_split_is_reported_with_the_remedies() -> None:
    data = data_of(SPLIT)
    table = table_of([("a", "a" * 64, None), ("b", "b" * 64, None)])
    table["split"] = ["train", "train"]
    expected = "data.split: no photo fell into val and test (2 accepted): add photos, raise data.split.val (now 0.3) "
    assert empty_split(table, data) == expected + "or try another data.split.seed"
    # Where the reason is that all photos lie in a folder for testing, the line says so.
    table["path"], table["split"] = ["own/a", "own/b"], ["test", "test"]
    line = "another data.split.seed; note: 2 photos in own: for testing only (data.test_only)"
    assert (empty_split(table, data_of(SPLIT, test_only=["own"])) or "").endswith(line)
    table.loc[2] = table.loc[0]
    table["split"] = ["train", "val", "test"]
    assert empty_split(table, data) is None


def test_photos_that_are_only_trained_on_or_measured_are_counted_in_a_line_of_their_own() -> None:
    table = table_of([(path, path[-1] * 64, None) for path in ("own/a", "own/b", "seen/c", "seen/d", "e")])
    table["split"] = ["train", "train", "test", None, "val"]
    assert only_note(table, data_of(SPLIT)) == only_note(table, data_of(SPLIT, test_only=["sample-landscapes"])) == ""
    assert only_note(table, data_of(SPLIT, ["own"], ["seen", "other"])) == (
        "note: 2 photos in own: for training only (data.train_only)\n"
        "note: 1 photo in seen, other: for testing only (data.test_only)\n"
    )


def test_params_of_the_repository_name_a_usable_split() -> None:
    split = Params.model_validate(changed_params({})).data.split
    assert {split_of(source.sha256(str(number).encode()), split) for number in range(200)} == NAMES


def test_photos_of_train_only_folders_are_never_held_out() -> None:
    paths = [f"{folder}/{number}.jpg" for folder in ("extra", "extras", "own") for number in range(60)]
    manifest = pd.DataFrame({"path": paths, "sha256": [f"{n:064x}" for n in range(180)], "group": range(180)})
    accepted = pd.Series(True, index=manifest.index)
    split = Split(train=0.4, val=0.3, test=0.3, seed=0)
    add_splits(manifest, accepted, data_of(split, ["extra/"]))
    by_folder = manifest.groupby(manifest["path"].str.split("/").str[0])["split"].agg(set)
    assert by_folder["extra"] == {"train"}
    assert by_folder["extras"] == by_folder["own"] == {"train", "val", "test"}
