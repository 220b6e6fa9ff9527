"""Colors at full size: between the cells of the network's grid they follow the photo's own lightness."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from conftest import make_photo
from PIL import Image

from chromascape.color import lab, srgb
from chromascape.colorizing import fullsize, laying
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.fullsize import FullSize, Light, interpolation, resize, slopes, strips
from chromascape.photos.pixels import Photo

pytestmark = pytest.mark.usefixtures("way")


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
    height, width = round(200 * enlarged), 20_000
    full = FullSize(np.zeros((200, 300, 2)), np.zeros((200, 300)), height, width, 4)
    for rows in full.rows():
        down, _ = interpolation(200, height, rows.start, rows.stop)
        assert all(down.size * (columns.stop - columns.start) < 2**18 for columns in full.columns(rows))
    assert 3 * 3 * srgb.AT_ONCE < 2**18


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
    assert all((rows.stop - rows.start - multiple) * width <= fullsize.READ_PIXELS for rows in found)


class Colors:
    """A network that predicts colors of two waves, and computes nothing else."""

    predicts, cell, multiple = "ab", 4, 1

    def __call__(self, lightness: np.ndarray) -> np.ndarray:
        wave = np.sin(np.arange(lightness.shape[3], dtype=np.float32) / 9)
        return np.broadcast_to(0.5 + 0.15 * wave, (1, 2, *lightness.shape[2:])).astype(np.float32)

    def share(self, jobs: int) -> None: ...


def colorize(photo: Any, side: int = 64) -> Any:
    return Colorizer(Colors(), "waves", side).colorize(photo)


def passes(monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> tuple[float, float]:
    """How often each pixel of a photo is read, and how often L* is taken of a color."""
    read, measured = [], []
    rows, steps = Photo.rows, srgb.steps
    monkeypatch.setattr(Photo, "rows", lambda self, part: (read.append(part.stop - part.start), rows(self, part))[1])
    monkeypatch.setattr(srgb, "steps", lambda rgb: (measured.append(rgb.shape[0]), steps(rgb))[1])
    colorize(Image.fromarray(photo))
    return (sum(read) - 1) / len(photo), sum(measured) / len(photo)  # a row is read to see whether there is color


def test_of_color_each_pixel_is_read_once_and_of_gray_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = make_photo(1, 640, 480)
    assert passes(monkeypatch, photo) == (1, 1)
    monkeypatch.undo()
    assert passes(monkeypatch, photo[..., 0]) == (2, 0)


@pytest.mark.parametrize(("color", "most"), [(True, 3.5), (False, 1.8)])
def test_bytes_a_pixel_beside_the_picture(color: bool, most: float) -> None:
    """Luminance of color has two; a plane of floats at full size would have four."""
    photo = make_photo(1, 500, 375).repeat(8, axis=0).repeat(8, axis=1)
    picture = Photo(photo if color else photo[..., 0].copy())
    colors = Colorizer(Colors(), "waves", 64)
    for _ in colors.strips(picture, "faithful"):  # tables are made once
        pass
    tracemalloc.start()
    for _ in colors.strips(picture, "faithful"):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / (picture.height * picture.width) < most


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 1), (3, 2), (40, 30), (1, 70_000), (70_000, 1), (3, 30_000)])
@pytest.mark.parametrize("color", [True, False])
def test_strips_of_a_row_and_photos_below_the_grid_keep_their_lightness(size: tuple[int, int], color: bool) -> None:
    levels = np.linspace(0, 255, size[0] * size[1]).astype(np.uint8).reshape(size)
    photo = np.stack([levels] * 3, axis=-1) if color else levels
    picture = colorize(photo)
    assert picture.shape == (*size, 3)
    assert np.abs(lab.lightness(picture) - lab.lightness(levels)).max() < 1


@pytest.mark.parametrize("size", [(300, 200), (50, 40)], ids=["enlarged", "not enlarged"])
def test_strips_of_any_height_give_the_same_picture(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    whole = colorize(make_photo(3, *size))
    monkeypatch.setattr(fullsize, "READ_PIXELS", 7 * size[0])
    np.testing.assert_array_equal(colorize(make_photo(3, *size)), whole)


def test_one_core_and_two_give_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, pictures = make_photo(3, 900, 601), []
    for cores in (1, 2, 5):
        monkeypatch.setattr(fullsize, "cpu_threads", lambda cores=cores: cores)
        monkeypatch.setattr(laying, "cpu_threads", lambda cores=cores: cores)
        pictures.append(colorize(photo))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])


def test_a_photo_of_178_megapixels_is_cut_into_tiles_that_fit() -> None:
    for height, width in ((13_341, 13_342), (1, 178_000_000), (178_000_000, 1), (2_718, 65_500)):
        full = FullSize.__new__(FullSize)
        full.height, full.width, full.planes = height, width, np.zeros((5, 192, 1))
        first = next(full.rows())
        assert (first.stop - first.start) * (next(full.columns(first)).stop) <= fullsize.TILE_PIXELS
        assert sum(part.stop - part.start for part in full.columns(first)) == width
        assert next(strips(height, width, 9)).stop <= max(9, fullsize.READ_PIXELS // width)


def test_pictures_are_those_of_the_formulas_within_a_level() -> None:
    """Luminance in steps, colors along it, and tables of levels, against `fit_to_srgb`."""
    rgb = make_photo(4, 1201, 803)
    picture = colorize(rgb).astype(int)
    colorizer = Colorizer(Colors(), "waves", 64)
    small = Light(Photo(rgb)).small(*colorizer.working_size(803, 1201))
    full = FullSize(colorizer.predict_ab(small), small, 803, 1201, 4)
    light = lab.rgb_to_lab(rgb)[..., 0]
    colors = lab.join(light, colors_of(full, light))
    exact = lab.lab_to_rgb(lab.fit_to_srgb(colors)).astype(int)
    apart = np.abs(picture - exact).max(axis=-1)
    outside = (lab.fit_to_srgb(colors) != colors).any(axis=-1)
    assert apart[~outside].max() <= 1 and np.percentile(apart, 99) <= 1
