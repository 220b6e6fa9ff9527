"""Colors at full size: between the cells of the network's grid they follow the photo's own lightness."""

import numpy as np
import pytest
from conftest import make_photo
from PIL import Image

from chromascape.color import lab
from chromascape.colorizing import fullsize
from chromascape.colorizing.fullsize import FullSize, Light, interpolation, resize, slopes, strips
from chromascape.photos.pixels import Photo


def tower(side: int = 768) -> np.ndarray:
    """A white tower in a blue sky and a dark green hill, Lab (side, side, 3), with edges of one pixel."""
    picture = np.empty((side, side, 3), np.float32)
    picture[:] = (55, -5, -35)
    picture[round(side * 0.7) :] = (30, -25, 20)
    picture[side // 6 :, round(side * 0.45) : round(side * 0.55)] = (90, 0, 3)
    return picture


def at_working_size(picture: np.ndarray, side: int, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """ab as a network knows it that is right on its grid, and L*; both at working size."""
    grid = resize(picture[..., 1:], side // cell, side // cell)
    return resize(grid, side, side), resize(picture[..., 0], side, side)


def colors_of(full: FullSize, lightness: np.ndarray) -> np.ndarray:
    """ab (H, W, 2) of a whole photo, tile by tile."""
    ab = np.full((2, full.height, full.width), np.nan, np.float32)
    for rows in full.rows():
        for columns in full.columns(rows):
            ab[:, rows, columns] = full.ab(rows, columns, lightness[rows, columns])
    return ab.transpose(1, 2, 0)


def whole(picture: np.ndarray, ab: np.ndarray, lightness: np.ndarray, cell: int = 4) -> np.ndarray:
    return colors_of(FullSize(ab, lightness, *picture.shape[:2], cell), picture[..., 0])


def halo(picture: np.ndarray, ab: np.ndarray) -> float:
    """Mean error of ab in the sky within 2 % of the side of the tower."""
    side = len(picture)
    left = round(side * 0.45)
    near = np.s_[side // 4 : side // 2, left - side // 50 : left]
    return float(np.abs(ab[near] - picture[near][..., 1:]).mean())


def test_colors_stop_where_lightness_does() -> None:
    picture = tower()
    ab, lightness = at_working_size(picture, 192, 4)
    guided, plain = whole(picture, ab, lightness), resize(ab, 768, 768)
    assert halo(picture, plain) > 4, "without the halo this shows nothing"
    assert halo(picture, guided) < 0.45 * halo(picture, plain)
    errors = [np.abs(colors - picture[..., 1:]).mean() for colors in (guided, plain)]
    assert errors[0] < 0.6 * errors[1]


def test_where_lightness_tells_nothing_colors_are_interpolated() -> None:
    flat = np.full((300, 400), 50, np.float32)
    ab = np.random.default_rng(0).normal(0, 20, (48, 64, 2)).astype(np.float32)
    guided = colors_of(FullSize(ab, np.full((48, 64), 50, np.float32), 300, 400, 4), flat)
    np.testing.assert_allclose(guided, resize(ab, 300, 400), atol=1e-3)


def test_on_the_scale_of_the_grid_colors_stay_what_the_network_gave() -> None:
    photo = lab.rgb_to_lab(make_photo(1, 960, 768))
    ab, lightness = at_working_size(photo[:768, :768], 96, 4)
    guided = whole(photo[:768, :768], ab, lightness)
    assert np.abs(resize(guided, 24, 24) - resize(ab, 24, 24)).mean() < 0.5


@pytest.mark.parametrize(("tall", "pixels"), [(1, 1), (7, 1000), (32, 5000), (300, 90_000)])
def test_tiles_of_any_size_give_the_same_colors(monkeypatch: pytest.MonkeyPatch, tall: int, pixels: int) -> None:
    picture = tower(300)[:, :211]
    full = FullSize(*at_working_size(picture, 96, 4), *picture.shape[:2], 4)
    expected = colors_of(full, picture[..., 0])
    monkeypatch.setattr(fullsize, "TILE_ROWS", tall)
    monkeypatch.setattr(fullsize, "TILE_PIXELS", pixels)
    np.testing.assert_allclose(colors_of(full, picture[..., 0]), expected, atol=1e-3)


@pytest.mark.parametrize(("short", "long"), [(1, 1), (1, 7), (2, 3), (3, 50), (12, 13)])
def test_interpolation_is_that_of_resizing(short: int, long: int) -> None:
    values = np.random.default_rng(0).normal(size=(1, short)).astype(np.float32)
    parts = [interpolation(short, long, start, min(start + 4, long)) for start in range(0, long, 4)]
    found = np.concatenate([weights @ values[0, places] for weights, places in parts])
    np.testing.assert_allclose(found, resize(values, 1, long)[0], atol=1e-5)


@pytest.mark.parametrize("enlarged", [1.01, 2, 15])
def test_products_of_a_tile_are_too_small_for_threads(enlarged: float) -> None:
    """OpenBLAS divides a product between threads from 2**18 multiplications on, and they wait for each other."""
    down, _ = interpolation(200, round(200 * enlarged), 0, fullsize.TILE_ROWS)
    assert down.size * fullsize.TILE_PIXELS // fullsize.TILE_ROWS < 2**18
    assert 3 * 3 * fullsize.TILE_PIXELS < 2**18


@pytest.mark.parametrize("size", [(40, 30), (96, 200), (3, 96), (1, 1)])
def test_photos_below_the_working_size_take_the_networks_colors(size: tuple[int, int]) -> None:
    ab = np.random.default_rng(0).normal(0, 20, (96, 200, 2)).astype(np.float32)
    colors = colors_of(FullSize(ab, np.zeros((96, 200), np.float32), *size, 4), np.zeros(size))
    np.testing.assert_array_equal(colors, resize(ab, *size))


def test_the_slope_is_that_of_least_squares_where_lightness_varies() -> None:
    light = np.random.default_rng(0).normal(50, 1000, (9, 9))
    ab = np.stack([0.5 * light + 3, -0.25 * light], axis=-1)
    np.testing.assert_allclose(slopes(light, ab)[4, 4], (0.5, -0.25), rtol=1e-2)
    assert np.abs(slopes(light / 1e4, ab)).max() < 10, "hardly any: it is noise"


@pytest.mark.parametrize(("height", "width"), [(60, 80), (301, 407), (1500, 1999)])
def test_the_small_lightness_is_the_photos(monkeypatch: pytest.MonkeyPatch, height: int, width: int) -> None:
    """Blocks, also cut ones, and strips move nothing."""
    rgb = make_photo(2, width, height)
    monkeypatch.setattr(fullsize, "READ_PIXELS", 7 * width)
    small = Light(Photo(rgb)).small(48, 64)
    expected = resize(lab.rgb_to_lab(rgb)[..., 0], 48, 64)
    assert np.abs(small - expected).max() < (0.8 if height > 150 else 0.01)
    assert np.abs(small - expected).mean() < 0.1


def test_transparent_parts_are_seen_on_white() -> None:
    picture = Image.new("RGBA", (40, 40), (10, 20, 30, 0))
    picture.paste((10, 20, 30, 255), (0, 0, 20, 40))
    small = Light(Photo(picture)).small(40, 40)
    assert small[:, 25:].min() > 99.9 and small[:, :15].max() < 10


@pytest.mark.parametrize(
    ("height", "width", "multiple"), [(1, 1, 1), (7, 300_000, 3), (1000, 1300, 4), (5, 2_000_000, 2)]
)
def test_strips_cover_each_row_once(height: int, width: int, multiple: int) -> None:
    found = list(strips(height, width, multiple))
    assert [row for rows in found for row in range(rows.start, rows.stop)] == list(range(height))
    assert all((rows.stop - rows.start) % multiple == 0 for rows in found[:-1])
    assert all((rows.stop - rows.start - multiple) * width <= fullsize.STRIP_PIXELS for rows in found)
