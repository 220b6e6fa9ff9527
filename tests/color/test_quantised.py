"""Quantised Lab by tables against Lab by floats."""

import tracemalloc

import numpy as np
import pytest

from chromascape.color import lab
from chromascape.color.quantised import rgb_to_quantised


@pytest.mark.parametrize(("top", "equal"), [(256, 0.98), (40, 0.96), (2, 0.96)])
def test_lab_by_tables_is_within_a_level_of_lab_by_floats(top: int, equal: float) -> None:
    rgb = np.random.default_rng(top).integers(0, top, (300, 200, 3), np.uint8)
    planes = rgb_to_quantised(rgb)
    assert (planes.shape, planes.dtype, planes.flags.c_contiguous) == ((3, 300, 200), np.uint8, True)
    off = np.abs(planes.transpose(1, 2, 0).astype(int) - lab.quantise(lab.rgb_to_lab(rgb)))
    assert off.max() <= 1
    assert (off == 0).mean(axis=(0, 1)).min() > equal


def test_lab_by_tables_takes_the_extreme_colors_and_every_gray() -> None:
    corners = np.array(np.meshgrid([0, 1, 254, 255], [0, 1, 254, 255], [0, 1, 254, 255]), np.uint8).T.reshape(8, 8, 3)
    off = rgb_to_quantised(corners).transpose(1, 2, 0).astype(int) - lab.quantise(lab.rgb_to_lab(corners))
    assert np.abs(off).max() <= 1
    grays = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    np.testing.assert_array_equal(rgb_to_quantised(grays).transpose(1, 2, 0), lab.quantise(lab.rgb_to_lab(grays)))
    turned = corners.transpose(1, 0, 2)  # not contiguous
    np.testing.assert_array_equal(rgb_to_quantised(turned), rgb_to_quantised(corners).transpose(0, 2, 1))


def test_lab_by_tables_makes_no_floats_of_a_photo_s_size() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (256, 256, 3), np.uint8)
    rgb_to_quantised(rgb)  # the tables are made once
    tracemalloc.start()
    rgb_to_quantised(rgb)
    peak = tracemalloc.get_traced_memory()[1] / (256 * 256)
    tracemalloc.stop()
    assert peak < 36  # bytes for each pixel: two of 8, steps that are added or taken, and the result
