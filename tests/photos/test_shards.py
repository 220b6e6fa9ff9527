"""The Lab cache: what a photo becomes, the shards on disk, and what happens when they are touched."""

import hashlib
import io
import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Clock, changed_params, make_photo, write_photos
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from chromascape.color import lab
from chromascape.color.quantised import rgb_to_quantised
from chromascape.errors import ChromascapeError
from chromascape.params import Params
from chromascape.photos import inspection, reading, source
from chromascape.photos import shards as shards_module
from chromascape.photos.inspection import inspect_folder
from chromascape.photos.shards import SPLITS as SPLITS_OF_ALL
from chromascape.photos.shards import Shards, photo_to_lab, write_shards
from chromascape.photos.shards import fingerprint as shards_fingerprint

pytestmark = pytest.mark.usefixtures("quick_workers")
SIZE = 64
PER_SHARD = 2
SHARD_MB = 2.5 * 3 * SIZE * SIZE / 1e6  # two photos and a half
SPLITS = ["train"] * 5 + ["val"] * 2 + ["test"] * 1


def quantised(rgb: np.ndarray) -> np.ndarray:
    """Planar quantised Lab of an RGB picture."""
    return rgb_to_quantised(rgb)


def colors_of(photo: np.ndarray) -> np.ndarray:
    """RGB of what photo_to_lab returns, (size, size, 3)."""
    return lab.lab_to_rgb(lab.dequantise(photo.transpose(1, 2, 0)))


def manifest_of(folder: Path, splits: list[str] = SPLITS) -> pd.DataFrame:
    """The manifest of a folder of photos, all accepted but the last, with the given splits."""
    params = Params.model_validate(changed_params({"validate.seconds": 0}))  # so that one job reads in this process
    table = inspect_folder(folder, params.validate_, 1)
    table["verdict"] = ["accepted"] * len(splits) + ["rejected"] * (len(table) - len(splits))
    table["split"] = splits + [None] * (len(table) - len(splits))
    return table


def write(folder: Path, photos_dir: Path, manifest: pd.DataFrame, jobs: int = 1) -> None:
    write_shards(folder, photos_dir, manifest, SIZE, "crop", SHARD_MB, jobs)


@pytest.fixture
def photos_dir(tmp_path: Path) -> Path:
    write_photos(tmp_path / "photos", len(SPLITS) + 1)
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that tests must not change; its photos lie beside it."""
    folder = tmp_path_factory.mktemp("cache")
    write_photos(folder / "photos", len(SPLITS) + 1)
    write(folder / "lab", folder / "photos", manifest_of(folder / "photos"))
    return folder / "lab"


@pytest.fixture
def lab_dir(tmp_path: Path, written: Path) -> Path:
    """A copy of the cache that a test may break."""
    (tmp_path / "lab").mkdir()
    for file in written.iterdir():
        (tmp_path / "lab" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "lab"


# One photo


def test_crop_takes_the_centre_square_and_squash_the_whole_photo(tmp_path: Path) -> None:
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, :100], picture[:, 100:200], picture[:, 200:] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    Image.fromarray(picture).save(tmp_path / "x.png")
    whole = (0, 0, 300, 100)
    crop = photo_to_lab((tmp_path / "x.png").read_bytes(), whole, (300, 100), SIZE, "crop")
    assert (crop.shape, crop.dtype, crop.flags.c_contiguous) == ((3, SIZE, SIZE), np.uint8, True)
    assert np.abs(colors_of(crop)[:, 5:-5].astype(int) - (0, 200, 0)).max() <= 1
    squash = colors_of(photo_to_lab((tmp_path / "x.png").read_bytes(), whole, (300, 100), SIZE, "squash"))
    for column, color in ((10, (200, 0, 0)), (32, (0, 200, 0)), (54, (0, 0, 200))):
        assert np.abs(squash[:, column].astype(int) - color).max() <= 2


def test_a_tall_photo_is_cropped_to_its_middle(tmp_path: Path) -> None:
    picture = np.full((300, 100, 3), (200, 0, 0), np.uint8)
    picture[100:200] = (0, 200, 0)
    Image.fromarray(picture).save(tmp_path / "x.png")
    crop = photo_to_lab((tmp_path / "x.png").read_bytes(), (0, 0, 100, 300), (100, 300), SIZE, "crop")
    assert np.abs(colors_of(crop)[5:-5].astype(int) - (0, 200, 0)).max() <= 1


def test_a_square_photo_of_just_the_size_is_its_own_lab(tmp_path: Path) -> None:
    picture = make_photo(0, SIZE, SIZE)
    Image.fromarray(picture).save(tmp_path / "x.png")
    for fit in ("crop", "squash"):
        photo = photo_to_lab((tmp_path / "x.png").read_bytes(), (0, 0, SIZE, SIZE), (SIZE, SIZE), SIZE, fit)  # type: ignore[arg-type]
        np.testing.assert_array_equal(photo, quantised(picture))


@pytest.mark.parametrize("fit", ["crop", "squash"])
def test_the_box_leaves_the_bars_out(tmp_path: Path, fit: Any) -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[50:130, 40:240] = (0, 150, 200)
    Image.fromarray(picture).save(tmp_path / "x.png")
    photo = photo_to_lab((tmp_path / "x.png").read_bytes(), (40, 50, 240, 130), (300, 200), SIZE, fit)
    expected = quantised(np.full((SIZE, SIZE, 3), (0, 150, 200), np.uint8))
    np.testing.assert_array_equal(photo, expected)


def test_a_pixel_of_a_small_decoding_that_is_partly_bar_is_left_out() -> None:
    picture = np.zeros((1200, 1200, 3), np.uint8)
    picture[101:1101, 99:1099] = (0, 150, 200)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95)
    lightness = photo_to_lab(stream.getvalue(), (99, 101, 1099, 1101), (1200, 1200), SIZE, "squash")[0].astype(int)
    assert np.abs(lightness - lightness[SIZE // 2, SIZE // 2]).max() <= 2


def test_the_crop_is_the_centre_of_the_box_not_of_the_photo(tmp_path: Path) -> None:
    picture = np.zeros((100, 400, 3), np.uint8)
    picture[:, 250:350] = (0, 150, 200)
    Image.fromarray(picture).save(tmp_path / "x.png")
    photo = photo_to_lab((tmp_path / "x.png").read_bytes(), (200, 0, 400, 100), (400, 100), SIZE, "crop")
    assert np.abs(colors_of(photo)[:, 5:-5].astype(int) - (0, 150, 200)).max() <= 5


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one large photo as x.jpg and as x.png."""
    folder = tmp_path_factory.mktemp("large")
    picture = Image.fromarray(make_photo(3, 160, 120)).resize((1600, 1200), Image.Resampling.BICUBIC)
    picture.save(folder / "x.jpg", quality=95)
    picture.save(folder / "x.png", compress_level=1)
    return folder


@pytest.mark.parametrize("box", [(0, 0, 1600, 1200), (0, 500, 1600, 700), (300, 100, 500, 1100)])
def test_a_jpeg_decoded_at_a_fraction_has_enough_pixels_and_looks_the_same(
    large: Path, box: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    to_rgb = reading.to_rgb

    def watched(*arguments: Any, **options: Any) -> Image.Image:
        rgb = to_rgb(*arguments, **options)
        sizes.append(rgb.size)
        return rgb

    monkeypatch.setattr(reading, "to_rgb", watched)
    small = photo_to_lab((large / "x.jpg").read_bytes(), box, (1600, 1200), SIZE, "crop")
    full = photo_to_lab((large / "x.png").read_bytes(), box, (1600, 1200), SIZE, "crop")
    (width, height), whole = sizes
    assert whole == (1600, 1200)
    assert width < 1600  # the point of it
    assert min((box[2] - box[0]) * width / 1600, (box[3] - box[1]) * height / 1200) >= SIZE
    difference = np.abs(small.astype(int) - full)
    assert difference.mean() < 2


@pytest.mark.parametrize(("size", "scale"), [((2600, 2100), 8), ((1920, 1280), 4), ((640, 512), 2), ((640, 427), 1)])
def test_each_stage_decodes_a_photo_once_at_the_smallest_scale_that_serves_both(
    tmp_path: Path, size: tuple[int, int], scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    original = Image._getdecoder  # type: ignore[attr-defined]

    def counted(mode: str, name: str, arguments: Any, extra: Any = ()) -> Any:
        decoded.append((name, mode, extra))
        return original(mode, name, arguments, extra)

    Image.new("RGB", size, (90, 120, 200)).save(tmp_path / "x.jpg")
    data = (tmp_path / "x.jpg").read_bytes()
    monkeypatch.setattr(Image, "_getdecoder", counted)
    photo_to_lab(data, (0, 0, *size), size, 256, "crop")
    inspection.inspect(tmp_path, "x.jpg", source.Limits())
    assert decoded == [("jpeg", "RGB", (scale, 0))] * 2


@pytest.mark.parametrize(("name", "most"), [("x.png", 80), ("x.jpg", 80)])
def test_no_array_of_a_photo_s_own_size_is_made(large: Path, name: str, most: int) -> None:
    """Bytes for each pixel of the result; Pillow's own memory is not counted."""
    data, side = (large / name).read_bytes(), 96
    photo_to_lab(data, (0, 0, 1600, 1200), (1600, 1200), side, "crop")  # tables are made once
    tracemalloc.start()
    photo_to_lab(data, (0, 0, 1600, 1200), (1600, 1200), side, "crop")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most * side**2


def test_the_filter_neither_blurs_nor_aliases_much() -> None:
    """Against LANCZOS, on rings down to four pixels: BILINEAR keeps 88 % of the contrast, BOX is 8.2 levels off."""
    down, across = np.mgrid[:600, :600] - 300.0
    levels = 127.5 + 100 * np.cos(np.pi * (down**2 + across**2) / 3000)
    picture = Image.fromarray(np.repeat(levels.astype(np.uint8)[..., None], 3, axis=2))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    ours = photo_to_lab(stream.getvalue(), (0, 0, 600, 600), (600, 600), 256, "crop")[0].astype(float)
    best = quantised(np.asarray(picture.resize((256, 256), Image.Resampling.LANCZOS)))[0].astype(float)
    assert ours.std() > 0.9 * best.std()
    assert np.sqrt(np.mean((ours - best) ** 2)) < 7.5


def test_a_photo_on_its_side_is_cached_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = make_photo(2, 160, 200)
    Image.fromarray(upright).save(tmp_path / "upright.png")
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))
    box, whole = (10, 20, 150, 190), (160, 200)
    expected = photo_to_lab((tmp_path / "upright.png").read_bytes(), box, whole, SIZE, "crop")
    for name in ("turned.png", "turned.tif"):
        turned.save(tmp_path / name, exif=exif)
        np.testing.assert_array_equal(photo_to_lab((tmp_path / name).read_bytes(), box, whole, SIZE, "crop"), expected)


# Shards


def test_shards_hold_every_accepted_photo_in_the_manifest_s_order(written: Path) -> None:
    index = json.loads((written / "index.json").read_text())
    assert (index["side"], index["fit"]) == (SIZE, "crop")
    shards = [(shard["file"], shard["split"], shard["photos"]) for shard in index["shards"]]
    names = [f"photo-{number:03}.png" for number in range(len(SPLITS))]
    assert shards == [
        ("train-00000.npy", "train", names[0:2]),
        ("train-00001.npy", "train", names[2:4]),
        ("train-00002.npy", "train", names[4:5]),
        ("val-00000.npy", "val", names[5:7]),
        ("test-00000.npy", "test", names[7:8]),
    ]
    files = {file.name for file in written.iterdir()}
    assert files == {"index.json"} | {name for name, _, _ in shards}
    for shard in index["shards"]:
        assert shard["sha256"] == hashlib.sha256((written / shard["file"]).read_bytes()).hexdigest()
        array = np.load(written / shard["file"])
        for photo, name in zip(array, shard["photos"], strict=True):
            path = written.parent / "photos" / name
            expected = photo_to_lab(path.read_bytes(), (0, 0, 160, 144), (160, 144), SIZE, "crop")
            np.testing.assert_array_equal(photo, expected, err_msg=name)


@pytest.mark.parametrize(("shard_mb", "shards"), [(1e-6, 8), (48, 3)])
def test_shards_are_of_about_the_wanted_size(tmp_path: Path, written: Path, shard_mb: float, shards: int) -> None:
    photos_dir = written.parent / "photos"
    write_shards(tmp_path / "lab", photos_dir, manifest_of(photos_dir), SIZE, "crop", shard_mb, 1)
    assert len(list((tmp_path / "lab").glob("*.npy"))) == shards


def test_splits_of_photos_in_any_order_are_kept_apart(tmp_path: Path, photos_dir: Path) -> None:
    splits = ["test", "train", "val", "train", "test", "val", "train", "test"]
    write(tmp_path / "lab", photos_dir, manifest_of(photos_dir, splits))
    for split in ("train", "val", "test"):
        shards = Shards(tmp_path / "lab", [split])
        expected = [f"photo-{number:03}.png" for number, name in enumerate(splits) if name == split]
        assert shards.paths == expected
        for row, name in enumerate(expected):
            picture = photo_to_lab((photos_dir / name).read_bytes(), (0, 0, 160, 144), (160, 144), SIZE, "crop")
            np.testing.assert_array_equal(shards.read(np.array([row]))[0], picture)


@pytest.mark.scale
def test_manifest_and_shards_are_the_same_bytes_for_any_number_of_jobs(
    tmp_path: Path, photos_dir: Path, written: Path
) -> None:
    validate = Params.model_validate(changed_params({})).validate_
    one, two = (inspect_folder(photos_dir, validate, jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    write(tmp_path / "lab", photos_dir, manifest_of(photos_dir), jobs=2)
    assert sorted(file.name for file in (tmp_path / "lab").iterdir()) == sorted(file.name for file in written.iterdir())
    for file in written.iterdir():
        assert (tmp_path / "lab" / file.name).read_bytes() == file.read_bytes(), file.name


def test_writing_again_replaces_the_old_cache_whole(tmp_path: Path, photos_dir: Path) -> None:
    write(tmp_path / "lab", photos_dir, manifest_of(photos_dir))
    (tmp_path / "lab" / "stale.npy").write_text("x")
    write(tmp_path / "lab", photos_dir, manifest_of(photos_dir, ["train", "val", "test"]))
    names = sorted(file.name for file in (tmp_path / "lab").iterdir())
    assert names == ["index.json", "test-00000.npy", "train-00000.npy", "val-00000.npy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab", "photos"]


def test_a_photo_that_vanished_is_named_and_leaves_no_folder(tmp_path: Path, photos_dir: Path) -> None:
    manifest = manifest_of(photos_dir)
    (photos_dir / "photo-003.png").unlink()
    with pytest.raises(ChromascapeError) as caught:
        write(tmp_path / "lab", photos_dir, manifest)
    expected = f"{photos_dir / 'photo-003.png'}: No such file or directory, but it was accepted earlier: "
    assert str(caught.value) == expected + "run `dvc repro` to validate again"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_a_photo_that_was_cut_short_is_named_and_the_old_cache_stays(tmp_path: Path, photos_dir: Path) -> None:
    manifest = manifest_of(photos_dir)
    write(tmp_path / "lab", photos_dir, manifest)
    before = (tmp_path / "lab" / "index.json").read_bytes()
    path = photos_dir / "photo-006.png"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(
        ChromascapeError, match=r"photo-006\.png: changed since it was validated, but it was accepted earlier"
    ):
        write(tmp_path / "lab", photos_dir, manifest)
    assert (tmp_path / "lab" / "index.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab", "photos"]


@pytest.mark.parametrize(("width", "height"), [(160, 144), (300, 150)])
def test_a_photo_that_was_exchanged_for_another_is_named(
    tmp_path: Path, photos_dir: Path, width: int, height: int
) -> None:
    manifest = manifest_of(photos_dir)
    Image.fromarray(make_photo(99, width, height)).save(photos_dir / "photo-002.png")
    with pytest.raises(ChromascapeError, match=r"photo-002\.png: .*run `dvc repro` to validate again"):
        write(tmp_path / "lab", photos_dir, manifest)
    assert not (tmp_path / "lab").exists()


# Reading


def test_checking_a_large_cache_is_not_silent_in_a_log(
    written: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Gigabytes are read to compare their checksums, three times in the stage train."""
    monkeypatch.setattr(shards_module, "sha256_of_file", clock.slow(shards_module.sha256_of_file, 20))
    Shards(written, SPLITS)
    assert clock.lines == [(40, "check the Lab cache: 4 of 8 photos"), (80, "check the Lab cache: 7 of 8 photos")]


def test_shards_of_several_splits_are_numbered_through(written: Path) -> None:
    shards = Shards(written, ["train", "val"])
    assert len(shards) == 7
    assert shards.side == SIZE
    assert shards.paths == [f"photo-{number:03}.png" for number in range(7)]
    assert len(Shards(written, ["test"])) == 1
    assert len(Shards(written, [])) == 0


@settings(max_examples=40, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(st.integers(0, 7), max_size=12))
def test_photos_are_read_in_the_order_asked_for(written: Path, rows: list[int]) -> None:
    shards = Shards(written, ["train", "val", "test"], verify=False)
    everything = np.concatenate([np.load(written / entry["file"]) for entry in shards_in(written)])
    photos_read = shards.read(np.array(rows, dtype=np.int64))
    assert photos_read.shape == (len(rows), 3, SIZE, SIZE)
    assert photos_read.dtype == np.uint8
    np.testing.assert_array_equal(photos_read, everything[rows])


def shards_in(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "index.json").read_text())["shards"]


def test_what_is_read_may_be_changed_and_what_is_mapped_not(written: Path) -> None:
    shards = Shards(written, ["val"])
    photos_read = shards.read(np.array([0]))
    photos_read[:] = 0
    assert shards.read(np.array([0])).any()
    with pytest.raises(ValueError, match="read-only"):
        shards.arrays[0][:] = 0


def test_a_missing_cache_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError) as caught:
        Shards(tmp_path / "lab", ["train"])
    assert str(caught.value) == f"{tmp_path / 'lab'}: no Lab cache here: run `dvc repro`"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b"{}", b"[]", b'{"side": 64}', b'{"side": 64, "shards": [{}]}']
)
def test_a_damaged_index_is_named(lab_dir: Path, text: bytes) -> None:
    (lab_dir / "index.json").write_bytes(text)
    with pytest.raises(ChromascapeError) as caught:
        Shards(lab_dir, ["train"])
    assert str(caught.value) == f"{lab_dir / 'index.json'}: damaged: run `dvc repro -f preprocess`"


def test_an_altered_shard_is_named(lab_dir: Path) -> None:
    data = bytearray((lab_dir / "train-00001.npy").read_bytes())
    data[-1] ^= 1
    (lab_dir / "train-00001.npy").write_bytes(data)
    with pytest.raises(ChromascapeError) as caught:
        Shards(lab_dir, ["train"])
    expected = f"{lab_dir / 'train-00001.npy'}: its checksum differs from index.json, so it was altered: "
    assert str(caught.value) == expected + "run `dvc repro -f preprocess`"
    assert len(Shards(lab_dir, ["val"])) == 2  # the others are still good
    assert len(Shards(lab_dir, ["train"], verify=False)) == 5


@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_shard_is_named(lab_dir: Path, verify: bool) -> None:
    (lab_dir / "val-00000.npy").unlink()
    with pytest.raises(ChromascapeError) as caught:
        Shards(lab_dir, ["val"], verify)
    assert str(caught.value) == f"{lab_dir / 'val-00000.npy'}: this shard is missing: run `dvc repro -f preprocess`"


@pytest.mark.parametrize("length", [0, 5, 100, 5000])
def test_a_shard_cut_short_is_named_also_without_checksums(lab_dir: Path, length: int) -> None:
    path = lab_dir / "val-00000.npy"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ChromascapeError) as caught:
        Shards(lab_dir, ["val"], verify=False)
    assert str(caught.value) == f"{path}: this shard is damaged: run `dvc repro -f preprocess`"
    with pytest.raises(ChromascapeError, match="checksum"):
        Shards(lab_dir, ["val"])


@pytest.mark.parametrize(
    "array", [np.zeros((3, 3, SIZE, SIZE), np.uint8), np.zeros((2, 3, SIZE, SIZE), np.float32), np.zeros(5, np.uint8)]
)
def test_a_shard_of_another_shape_or_type_is_named(lab_dir: Path, array: np.ndarray) -> None:
    np.save(lab_dir / "val-00000.npy", array)
    with pytest.raises(ChromascapeError) as caught:
        Shards(lab_dir, ["val"], verify=False)
    expected = f"{lab_dir / 'val-00000.npy'}: contains {array.dtype} {array.shape}, which differs from index.json: "
    assert str(caught.value) == expected + "run `dvc repro -f preprocess`"


def test_a_shard_with_pickled_objects_is_refused(lab_dir: Path) -> None:
    np.save(lab_dir / "val-00000.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ChromascapeError, match="this shard is damaged"):
        Shards(lab_dir, ["val"], verify=False)


# Going on after a kill

KILLED_SPLITS = ["train"] * 7 + ["val"] * 2 + ["test"]


class Killed(Exception):
    """Ends a preprocessing where a process would have been killed."""


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the photos that were converted, in order."""
    paths: list[str] = []
    convert = shards_module._convert

    def noted(photos_dir: Path, row: dict[str, Any], *rest: Any) -> Any:
        paths.append(row["path"])
        return convert(photos_dir, row, *rest)

    monkeypatch.setattr(shards_module, "_convert", noted)
    return paths


def write_pairs(folder: Path, photos_dir: Path, kept: Path | None) -> None:
    """Shards of two photos."""
    manifest = manifest_of(photos_dir, KILLED_SPLITS)
    write_shards(folder, photos_dir, manifest, SIZE, "crop", 2 * 3 * SIZE**2 / 1e6, 1, kept)


@pytest.fixture
def kept(tmp_path: Path, converted: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a preprocessing of ten photos keeps that was killed in the third of six shards."""
    kept, write_shard = tmp_path / "kept", shards_module._write_shard

    def killed(file: Path, *rest: Any) -> str:
        if file.name == "train-00002.npy":
            raise Killed
        return write_shard(file, *rest)

    kept.mkdir()
    write_photos(tmp_path / "ten", 10)
    with monkeypatch.context() as patched:
        patched.setattr(shards_module, "_write_shard", killed)
        with pytest.raises(Killed):
            write_pairs(tmp_path / "lab", tmp_path / "ten", kept)
    assert not (tmp_path / "lab").exists()
    converted.clear()
    return kept


def assert_same_folders(one: Path, other: Path) -> None:
    assert {file.name: file.read_bytes() for file in one.iterdir()} == {
        file.name: file.read_bytes() for file in other.iterdir()
    }


def test_a_preprocessing_goes_on_from_its_last_whole_shard(
    kept: Path, tmp_path: Path, converted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(file.name for file in kept.glob("*.npy")) == ["train-00000.npy", "train-00001.npy"]
    write_pairs(tmp_path / "lab", tmp_path / "ten", kept)
    assert converted == [f"photo-{number:03}.png" for number in range(4, 10)]
    assert capsys.readouterr().err == "preprocessing resumes at photo 4 of 10\n"
    write_pairs(tmp_path / "alone", tmp_path / "ten", None)
    assert_same_folders(tmp_path / "lab", tmp_path / "alone")
    assert Shards(tmp_path / "lab", SPLITS_OF_ALL).paths == [f"photo-{number:03}.png" for number in range(10)]


def test_a_kept_shard_with_flipped_bits_is_told_and_made_again(
    kept: Path, tmp_path: Path, converted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((kept / "train-00000.npy").read_bytes())
    data[-9] ^= 16
    (kept / "train-00000.npy").write_bytes(data)
    write_pairs(tmp_path / "lab", tmp_path / "ten", kept)
    assert converted[:3] == ["photo-000.png", "photo-001.png", "photo-004.png"]
    said = capsys.readouterr().err.splitlines()
    reason = "damaged (its checksum is not the recorded one): it is made again"
    assert said == [f"warning: {kept / 'train-00000.npy'}: {reason}", "preprocessing resumes at photo 2 of 10"]
    write_pairs(tmp_path / "alone", tmp_path / "ten", None)
    assert_same_folders(tmp_path / "lab", tmp_path / "alone")


def test_a_kept_shard_stays_whole_where_the_cache_that_was_made_of_it_is_replaced(kept: Path, tmp_path: Path) -> None:
    before = (kept / "train-00000.npy").read_bytes()
    write_pairs(tmp_path / "lab", tmp_path / "ten", kept)
    shutil.rmtree(tmp_path / "lab")  # as DVC does before it runs a stage
    assert (kept / "train-00000.npy").read_bytes() == before


def test_what_shards_follow_from_is_in_the_fingerprint(tmp_path: Path, photos_dir: Path) -> None:
    manifest = manifest_of(photos_dir)
    found = [
        shards_fingerprint(manifest, 64, "crop", 1),
        shards_fingerprint(manifest, 96, "crop", 1),
        shards_fingerprint(manifest, 64, "squash", 1),
        shards_fingerprint(manifest, 64, "crop", 2),
        shards_fingerprint(manifest[::-1], 64, "crop", 1),
    ]
    for column, value in {"sha256": "0" * 64, "left": 1, "split": "none", "path": "x", "verdict": "rejected"}.items():
        changed = manifest.copy()
        changed.loc[changed.index[0], column] = value
        found.append(shards_fingerprint(changed, 64, "crop", 1))
    assert len(set(found)) == len(found)
    reasons = manifest.assign(group="another")  # no part of the shards
    assert shards_fingerprint(reasons, 64, "crop", 1) == found[0]
