"""Colors at full size by tables: within a level of the formulas of lab.py."""

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from chromascape.color import kernel, lab, srgb
from chromascape.color.srgb import AT_ONCE, to_srgb
from chromascape.colorizing.colorizer import Colorizer


def photos_colors() -> np.ndarray:
    """Lab (64, 64, 3) as of a vivid photo: a third of the colors are outside sRGB."""
    rng = np.random.default_rng(7)
    return np.concatenate([rng.uniform(0, 100, (64, 64, 1)), rng.normal(0, 30, (64, 64, 2))], axis=-1).astype(
        np.float32
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_to_srgb_is_fit_to_srgb_in_one_pass(dtype: type) -> None:
    colors = photos_colors()
    exact = lab.lab_to_levels(lab.fit_to_srgb(colors)) * 255
    found = to_srgb(colors[..., 0], colors[..., 1:].transpose(2, 0, 1), np.dtype(dtype))
    assert found.dtype == dtype and found.shape == colors.shape
    levels = found * (255 / {"u1": 255, "u2": 65535, "f4": 1}[found.dtype.str[1:]])
    outside = (lab.fit_to_srgb(colors) != colors).any(axis=-1)
    assert 0.2 < outside.mean() < 0.8
    errors = np.abs(levels - exact).max(axis=-1)
    assert np.percentile(errors, 99.9) <= 1.01
    assert errors[~outside].max() < (0.8 if dtype == np.uint8 else 0.05)  # rounding, and half a step of the table


def test_to_srgb_keeps_gray_and_what_fits() -> None:
    grays = np.arange(256, dtype=np.uint8)[None]
    picture = to_srgb(lab.lightness(grays), np.zeros((2, 1, 256), np.float32), np.dtype(np.uint8))
    assert np.abs(picture[0].astype(int) - grays[0][:, None]).max() == 0
    rgb = np.random.default_rng(0).integers(0, 256, (1, 500, 3), np.uint8)
    known = lab.rgb_to_lab(rgb)
    again = to_srgb(known[..., 0], known[..., 1:].transpose(2, 0, 1), np.dtype(np.uint8))
    assert np.abs(again.astype(int) - rgb).max() <= 1


def test_to_srgb_keeps_lightness_and_hue_however_strong_the_colors_are() -> None:
    colors = photos_colors() * np.float32([1, 8, 8])
    levels = to_srgb(colors[..., 0], colors[..., 1:].transpose(2, 0, 1), np.dtype(np.float32))
    found = lab.rgb_to_lab(np.rint(levels * 255).astype(np.uint8))
    assert np.percentile(np.abs(found[..., 0] - colors[..., 0]), 99) < 1
    strong = np.hypot(found[..., 1], found[..., 2]) > 10
    turned = np.angle(
        np.exp(1j * (np.arctan2(found[..., 2], found[..., 1]) - np.arctan2(colors[..., 2], colors[..., 1])))
    )
    assert strong.mean() > 0.5 and np.percentile(np.abs(turned[strong]), 99) < 0.05


@pytest.mark.parametrize("name", ["bridge", "life", "sunset"])
def test_landscapes_in_both_styles_are_within_a_level_of_the_formulas(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of which a table alone misses most."""
    pairs = []

    def kept(lightness: np.ndarray, ab: np.ndarray, dtype: np.dtype) -> np.ndarray:
        found, colors = to_srgb(lightness, ab, dtype), lab.join(lightness, ab.transpose(1, 2, 0))
        outside = ~lab._fits(colors)
        pairs.append((found[outside], colors[outside]))
        return found

    monkeypatch.setattr(kernel, "library", lambda: None)
    monkeypatch.setattr(srgb, "to_srgb", kept)
    gray = Image.open(REPOSITORY / f"data/landscapes/{name}.jpg").convert("L")
    for style in ("faithful", "vivid"):
        Colorizer.load().colorize(gray, style)
    found, colors = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    exact = lab.lab_to_rgb(lab.fit_to_srgb(colors))
    assert len(colors) > 1_000 and np.abs(found.astype(int) - exact).max() <= 1


def test_a_light_yellow_whose_blue_goes_back_and_forth_does_not_become_gray() -> None:
    yellow = np.float32([95.1, -21.5, 110.7])
    levels = to_srgb(yellow[:1, None], yellow[1:, None, None], np.dtype(np.uint8))[0, 0]
    assert levels[2] < 200


def test_a_wide_row_is_what_its_parts_are() -> None:
    """Products with matrices are taken in parts of `AT_ONCE` colors."""
    random = np.random.default_rng(0)
    width = 2 * AT_ONCE + 7
    light = random.uniform(0, 100, (1, width)).astype(np.float32)
    ab = random.uniform(-40, 40, (2, 1, width)).astype(np.float32)
    whole = to_srgb(light, ab, np.dtype("u1")).astype(int)
    parts = [to_srgb(light[:, at : at + 100], ab[:, :, at : at + 100], np.dtype("u1")) for at in range(0, width, 100)]
    assert np.abs(whole - np.concatenate(parts, axis=1)).max() <= 1
