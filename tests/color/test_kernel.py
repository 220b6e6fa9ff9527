"""The compiled kernel against NumPy and the formulas. Where it was not built, what takes its place is tested alone."""

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import make_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chromascape.color import kernel, lab, srgb
from chromascape.colorizing.fullsize import places, resize

built = pytest.mark.skipif(kernel.library() is None, reason="color/kernel.c was not compiled: pip install -e .")
sides, seeds = st.integers(1, 1100), st.integers(0, 2**32 - 1)
few = settings(max_examples=30, deadline=None)


def levels_of(light: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """sRGB of L* (h, W) and ab (2, h, W), by the formulas."""
    return lab.lab_to_rgb(lab.fit_to_srgb(lab.join(light, ab.transpose(1, 2, 0)))).astype(int)


def unenlarged(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Each row of planes for itself."""
    return np.arange(rows, dtype=np.int32), np.zeros(rows, np.float32)


@built
@few
@given(seeds, st.integers(1, 7), sides, st.sampled_from([3, 4]))
def test_luminance_is_that_of_numpy(seed: int, height: int, width: int, apart: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, apart), np.uint8)[..., :3]
    table = lab.steps_of_level()
    np.testing.assert_array_equal(kernel.luminance(rgb, table), lab.steps(rgb))
    np.testing.assert_array_equal(kernel.luminance(rgb[::-1, ::2], table), lab.steps(rgb[::-1, ::2]))


@built
@few
@given(seeds, st.integers(1, 40), sides, st.integers(1, 600), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_means_of_blocks_are_pillows(seed: int, height: int, width: int, side: int, dtype: type) -> None:
    top = 100 if dtype == np.float32 else np.iinfo(dtype).max
    values = np.random.default_rng(seed).integers(0, top, (height, width), endpoint=True).astype(dtype)
    table = None if dtype == np.float32 else np.sqrt(np.arange(top + 1, dtype=np.float32))
    expected = np.asarray(Image.fromarray(values if table is None else table[values]).reduce(side))
    np.testing.assert_allclose(kernel.block_means(values, table, side), expected, rtol=1e-4)


@built
@few
@given(seeds, st.integers(1, 50), st.integers(1, 3000))
def test_rows_are_widened_as_pillow_enlarges(seed: int, short: int, more: int) -> None:
    rows = np.random.default_rng(seed).normal(0, 50, (3, short)).astype(np.float32)
    width = short + more
    found = kernel.widen(rows, *places(short, width, 0, width))
    np.testing.assert_allclose(found, resize(rows, 3, width), atol=1e-3)


@built
@few
@given(seeds, st.integers(1, 5), sides, st.floats(0, 130))
def test_colors_are_within_a_level_of_the_formulas(seed: int, height: int, width: int, chroma: float) -> None:
    """Those within sRGB and those outside of it, however far."""
    random = np.random.default_rng(seed)
    light = random.uniform(0, 100, (height, width)).astype(np.float32)
    ab = random.uniform(-chroma, chroma, (2, height, width)).astype(np.float32)
    found = srgb.by_kernel(light, None, ab, unenlarged(height)).astype(int)
    assert found.shape == (height, width, 3)
    assert np.abs(found - levels_of(light, ab)).max() <= 1


@built
@few
@given(seeds, st.sampled_from([np.uint8, np.uint16]), st.integers(1, 9), st.booleans())
def test_colors_follow_the_planes_and_the_cover(seed: int, dtype: type, tall: int, covered: bool) -> None:
    random, height, width = np.random.default_rng(seed), tall + 5, 700
    table = np.linspace(0, 100, 256 ** np.dtype(dtype).itemsize, dtype=np.float32)
    values = random.integers(0, len(table), (height, width)).astype(dtype)
    planes = (
        random.normal(0, 1, (5, tall, width)).astype(np.float32) * np.float32([20, 20, 0.5, 0.5, 50])[:, None, None]
    )
    cover = random.uniform(0, 1, (height, width)).astype(np.float32) if covered else None
    before, share = places(tall, height, 0, height)
    found = srgb.by_kernel(values, table, planes, (before, share), cover)
    below = np.minimum(before + 1, tall - 1)
    full = planes[:, before] * (1 - share[:, None]) + planes[:, below] * share[:, None]
    light = table[values]
    ab = (full[:2] + full[2:4] * (light - full[4])) * (1 if cover is None else cover)
    assert np.abs(found.astype(int) - levels_of(light, ab.astype(np.float32))).max() <= 1
    middle = height // 2
    for rows in (slice(0, middle), slice(middle, height)):  # a part of the rows is what it is in the whole
        own = None if cover is None else cover[rows]
        part = srgb.by_kernel(values[rows], table, planes, (before[rows], share[rows]), own)
        np.testing.assert_array_equal(part, found[rows])


@built
def test_a_pixel_does_not_depend_on_its_place_in_a_row() -> None:
    """Neither on how many the processor computes at once."""
    random = np.random.default_rng(0)
    light = random.uniform(0, 100, (1, 1500)).astype(np.float32)
    ab = random.uniform(-60, 60, (2, 1, 1500)).astype(np.float32)
    whole = srgb.by_kernel(light, None, ab, unenlarged(1))
    for start in (1, 2, 7, 511, 513):
        part = srgb.by_kernel(light[:, start:], None, np.ascontiguousarray(ab[..., start:]), unenlarged(1))
        np.testing.assert_array_equal(part, whole[:, start:])


@built
def test_what_is_no_number_stays_within_the_table() -> None:
    odd = np.float32([[np.nan, np.inf, -np.inf, 1e30, -1e30, 50]])
    for light, ab in ((odd, np.stack([odd, odd])), (np.full_like(odd, 50), np.stack([odd, -odd]))):
        assert srgb.by_kernel(light, None, ab, unenlarged(1)).shape == (1, 6, 3)


@built
def test_rows_have_a_fourth_byte_as_pillow_wants_it() -> None:
    rows = srgb.by_kernel(np.full((2, 3), 50, np.float32), None, np.zeros((2, 2, 3), np.float32), unenlarged(2))
    assert (rows.base[..., 3] == 255).all() and (rows == 119).all()


@built
def test_arrays_of_other_shapes_and_types_are_not_given_to_c() -> None:
    light, planes = np.zeros((2, 4), np.float32), np.zeros((5, 3, 4), np.float32)
    good = {"values": light, "table": None, "planes": planes, "places": unenlarged(2)}
    srgb.by_kernel(**good)
    for wrong in (
        {"values": light.astype(np.float64)}, {"values": light[0]}, {"values": light.astype(np.uint8)},
        {"values": np.zeros((2, 4), np.uint16), "table": np.zeros(256, np.float32)},
        {"planes": planes.astype(np.float64)}, {"planes": planes[:4]}, {"planes": planes[..., :3]},
        {"planes": np.asfortranarray(planes)},
        {"places": unenlarged(3)}, {"places": (np.int32([0, 2]), np.zeros(2, np.float32))},
        {"places": (np.int32([-1, 0]), np.zeros(2, np.float32))}, {"places": (np.arange(2), np.zeros(2, np.float32))},
        {"cover": np.ones((1, 4), np.float32)},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            srgb.by_kernel(**(good | wrong))  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        kernel.block_means(light, None, 0)
    with pytest.raises(ValueError):
        kernel.luminance(np.zeros((2, 4, 3), np.uint16), lab.steps_of_level())  # type: ignore[arg-type]
    narrow = np.lib.stride_tricks.as_strided(np.zeros(9, np.uint8), (3, 1, 3), (3, 4, 1))  # not four bytes apart
    assert kernel.luminance(narrow, lab.steps_of_level()).tolist() == [[0]] * 3
    with pytest.raises(ValueError):
        kernel.widen(light, np.int32([3]), np.float32([0]))


def test_both_ways_measure_luminance(way: str) -> None:
    rgb = make_photo(1)
    np.testing.assert_array_equal(srgb.steps(rgb), lab.steps(rgb))


def test_the_version_in_c_is_that_in_python() -> None:
    text = Path(kernel.__file__).with_suffix(".c").read_text(encoding="utf-8")
    assert int(re.search(r"#define CHROMASCAPE_VERSION (\d+)", text)[1]) == kernel.VERSION  # type: ignore[index]


@built
def test_one_that_cannot_be_loaded_hides_none_that_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"_kernel{suffix}" for suffix in kernel.EXTENSION_SUFFIXES]
    built_here = next(file for name in names if (file := Path(kernel.__file__).with_name(name)).exists())
    (tmp_path / names[0]).write_bytes(b"no library")
    (tmp_path / names[-1]).write_bytes(built_here.read_bytes())
    monkeypatch.setattr(kernel, "__file__", str(tmp_path / "kernel.py"))
    assert kernel.library.__wrapped__() is not None


@pytest.mark.parametrize("case", ["damaged", "another version", "missing"])
def test_what_cannot_be_loaded_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.setattr(kernel, "__file__", str(tmp_path / "kernel.py"))
    if case != "missing":
        (tmp_path / f"_kernel{kernel.EXTENSION_SUFFIXES[0]}").write_bytes(b"no library")
    if case == "another version":
        other = type("Other", (), {"chromascape_version": staticmethod(lambda: kernel.VERSION + 1)})
        monkeypatch.setattr(ctypes, "CDLL", lambda _: other)
    assert kernel.library.__wrapped__() is None
