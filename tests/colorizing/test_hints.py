"""Colors that a user names: where they go, and where they don't."""

import sys
import time
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from chromascape.color import kernel, lab
from chromascape.colorizing import hints
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.fullsize import resize
from chromascape.colorizing.hints import Hint, Painted, change, grid, marks, painted, spread
from chromascape.errors import ChromascapeError


def halves(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """L* of a dark and a light half with some grain, and the model's colors, which are a dull blue."""
    lightness = np.full((height, width), 30, np.float32)
    lightness[:, width // 2 :] = 75
    lightness += np.random.default_rng(0).normal(0, 0.3, lightness.shape).astype(np.float32)
    return lightness, np.broadcast_to(np.float32([-3, -12]), (height, width, 2)).copy()


def test_without_hints_nothing_changes() -> None:
    assert not change(*halves(), []).any()


def test_a_hint_colors_its_half_and_stops_at_the_edge() -> None:
    lightness, ab = halves()
    orange = Hint(0.2, 0.5, "#c26a2e")
    colors = ab + change(lightness, ab, [orange])
    np.testing.assert_allclose(colors[60, 32], orange.ab, atol=1)
    assert np.abs(colors[:, :70] - orange.ab).max() < 0.35 * np.abs(ab[0, 0] - orange.ab).max()
    assert np.abs(colors[:, 90:] - ab[:, 90:]).max() < 1


def test_no_color_makes_gray() -> None:
    lightness, ab = halves()
    colors = ab + change(lightness, ab, [Hint(0.8, 0.5, "none")])
    assert np.abs(colors[60, 128]).max() < 1


def test_two_hints_do_not_mix_and_their_order_is_irrelevant() -> None:
    lightness, ab = halves()
    pair = [Hint(0.2, 0.3, "#c26a2e"), Hint(0.8, 0.7, "green")]
    colors = ab + change(lightness, ab, pair)
    np.testing.assert_allclose(colors[36, 32], pair[0].ab, atol=1)
    np.testing.assert_allclose(colors[84, 128], pair[1].ab, atol=1)
    np.testing.assert_array_equal(change(lightness, ab, pair[::-1]), change(lightness, ab, pair))


def test_a_hint_means_the_same_at_any_size() -> None:
    small, large = (halves(*size) for size in ((96, 128), (288, 384)))
    hint = [Hint(0.25, 0.5, "#c26a2e", ((0.3, 0.9),), 0.05)]
    found = change(*large, hint)[1::3, 1::3]
    assert np.abs(found - change(*small, hint)).mean() < 1


def test_a_cell_with_two_colors_takes_their_mean() -> None:
    pair = [Hint(0.5, 0.5, "red"), Hint(0.5, 0.5, "blue")]
    known, wanted = marks(pair, 9, 9)
    assert known.sum() == 4
    np.testing.assert_allclose(wanted[4, 4], (pair[0].ab + pair[1].ab) / 2, rtol=1e-5)


def test_a_stroke_covers_what_it_goes_through() -> None:
    known, _ = marks([Hint(0.05, 0.05, "red", ((0.95, 0.95), (0.95, 0.05)))], 10, 10)
    assert known.diagonal().all() and known[:, 9].all() and not known[4:, :3].any() and not known[0, 2:8].any()
    wide, _ = marks([Hint(0.5, 0.5, "red", (), 0.25)], 10, 10)
    assert wide.sum() == 16, "a disc of radius 2.5 cells around a corner of cells"
    y, x = np.mgrid[:30, :40]
    for column, row, radius in ((-1, -1, 4.2), (39, 12, 7.0), (20, 29, 11.3), (7, 8, 1.2)):
        expected = (x - column - 0.5) ** 2 + (y - row - 0.5) ** 2 <= radius**2
        corners = np.zeros((31, 41), bool)
        corners[row + 1, column + 1] = True
        np.testing.assert_array_equal(hints._discs(corners, radius), expected)
    assert marks([Hint(1, 1, "red")], 10, 10)[0][9, 9], "the last cell holds the photo's edge"


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (7, 4), (4, 7)])
def test_the_solution_solves_the_system(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    lightness, known = rng.uniform(0, 30, shape), rng.random(shape) < 0.3
    known[0, 0] = True
    asked = rng.normal(0, 20, (*shape, 2)) * known[..., None]
    cells = [(y, x) for y in range(shape[0]) for x in range(shape[1])]
    matrix = np.diag([hints.EPSILON + hints.LAMBDA * known[cell] for cell in cells])
    for i, (y, x) in enumerate(cells):
        for j, (v, u) in enumerate(cells):
            if i != j and max(abs(y - v), abs(x - u)) == 1:
                weight = np.exp(-((lightness[y, x] - lightness[v, u]) ** 2) / (2 * hints.SIGMA**2))
                matrix[i, j] -= weight
                matrix[i, i] += weight
    expected = np.linalg.solve(matrix, hints.LAMBDA * asked.reshape(-1, 2)).reshape(*shape, 2)
    np.testing.assert_allclose(spread(lightness, known, asked), expected, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (192, 256), (256, 192), (48, 4000)])
def test_the_grid_is_small_for_any_photo(height: int, width: int) -> None:
    rows, columns = grid(height, width)
    assert 1 <= min(rows, columns) <= hints.SIDE and max(rows, columns) <= hints.LONGEST
    assert rows <= height and columns <= width


def test_a_photo_of_one_color_and_a_stroke_over_everything() -> None:
    flat, ab = np.full((60, 80), 50, np.float32), np.zeros((60, 80, 2), np.float32)
    red = Hint(0.5, 0.5, "red", (), 0.5)
    colors = change(flat, ab, [red])
    np.testing.assert_allclose(colors, np.broadcast_to(red.ab, colors.shape), rtol=0.1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            (1.4, 0.2, "red"),
            "hint: (1.4, 0.2) is outside the photo: x and y are shares of its width and height, 0 to 1",
        ),
        ((0.1, float("nan"), "red"), "hint: (0.1, nan) is outside the photo"),
        ((0.1, 0.2, "red", ((0.5, 2.0),)), "hint: (0.5, 2) is outside the photo"),
        ((0.1, 0.2, "redish"), "hint: 'redish' is no color: write #rrggbb or a name that CSS knows, or none"),
        ((0.1, 0.2, None), "hint: None is no color"),
        (("0.1", 0.2, "red"), "hint: x, y and radius must be numbers, and path a list of pairs of them"),
        ((0.1, 0.2, "red", [0.5, 0.5]), "hint: x, y and radius must be numbers, and path a list of pairs of them"),
        ((0.1, 0.2, "red", (), None), "hint: x, y and radius must be numbers"),
        ((0.1, 0.2, "rgb(256,0,0)"), "hint: 'rgb(256,0,0)' is no color"),
        ((0.1, 0.2, "red", (), 2.0), "hint: radius 2 is not a share of the shorter side from 0 to 0.5"),
    ],
)
def test_a_wrong_hint_is_one_line(values: tuple, message: str) -> None:
    with pytest.raises(ChromascapeError) as caught:
        Hint(*values)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("wrong", [Hint(0.5, 0.5, "red"), [(0.5, 0.5, "red")], "red", 7])
def test_what_is_no_list_of_hints_is_one_line(wrong: Any) -> None:
    with pytest.raises(ChromascapeError, match=r"^hints: expected a list of Hint\(x, y, color\)$"):
        Colorizer.load().colorize(np.zeros((8, 8), np.uint8), hints=wrong)


@pytest.mark.parametrize("many", [[Hint(0.5, 0.5, "red")] * 1001, [Hint(0.5, 0.5, "red", ((0.5, 0.5),) * 100_000)]])
def test_too_many_hints_are_one_line(many: list[Hint]) -> None:
    with pytest.raises(ChromascapeError, match=r"^hints: at most 1,000 hints of 100,000 points together$"):
        change(*halves(), many)


def test_paint_is_a_hint_for_the_cells_that_it_covers() -> None:
    layer = Image.new("RGBA", (600, 400))
    layer.paste((0xC2, 0x6A, 0x2E, 255), (0, 0, 100, 50))
    layer.paste((90, 90, 90, 255), (500, 0, 600, 400))  # gray paint
    layer.putpixel((300, 200), (0, 0, 255, 255))  # a speck
    known, wanted = painted(Painted(layer), 48, 72)
    assert known[:6, :12].all() and known[:, 60:].all() and not known[8:, :58].any()
    np.testing.assert_allclose(wanted[2, 3], Hint(0, 0, "#c26a2e").ab, atol=0.5)
    assert np.abs(wanted[:, 62:]).max() < 0.5


def test_paint_does_what_hints_do() -> None:
    lightness, ab = halves()
    layer = Image.new("RGBA", (160, 120))
    layer.paste((0xC2, 0x6A, 0x2E, 255), (10, 10, 60, 110))
    colors = ab + change(lightness, ab, Painted(layer))
    np.testing.assert_allclose(colors[60, 32], Hint(0, 0, "#c26a2e").ab, atol=1)
    assert np.abs(colors[:, 90:] - ab[:, 90:]).max() < 1
    assert not change(lightness, ab, Painted(Image.new("RGBA", (160, 120)))).any()


def test_a_colorized_photo_has_the_hints_color_there() -> None:
    colorizer, gray = Colorizer.load(), np.full((90, 120), 150, np.uint8)
    gray[:, 60:] = 220
    plain, hinted = (colorizer.colorize(gray, hints=hints) for hints in ((), [Hint(0.25, 0.5, "#c26a2e")]))
    np.testing.assert_array_equal(plain, colorizer.colorize(gray))
    found = lab.rgb_to_lab(hinted)
    np.testing.assert_allclose(found[45, 30, 1:], Hint(0, 0, "#c26a2e").ab, atol=1.5)
    assert np.abs(hinted[:, 80:].astype(int) - plain[:, 80:]).max() <= 3


def test_a_hints_color_is_that_of_its_rgb() -> None:
    np.testing.assert_allclose(Hint(0, 0, "#c26a2e").ab, lab.rgb_to_lab(np.uint8([0xC2, 0x6A, 0x2E]))[1:])


def scene(height: int, width: int, seed: int = 3) -> np.ndarray:
    """L* of a hilly scene with soft textures, the same at any size."""
    coarse = np.random.default_rng(seed).uniform(15, 90, (6, 8))
    return resize(coarse, height, width)


@pytest.mark.parametrize("seed", range(6))
def test_a_hint_s_own_place_gets_its_color_within_a_unit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lightness = scene(96, 128, seed) + rng.normal(0, 2, (96, 128)).astype(np.float32)
    ab = rng.uniform(-20, 20, (2,)).astype(np.float32) + np.zeros((96, 128, 2), np.float32)
    x, y = rng.uniform(0.05, 0.95, 2)
    hint = Hint(x, y, f"rgb({','.join(str(level) for level in rng.integers(0, 256, 3))})")
    colors = ab + change(lightness, ab, [hint])
    np.testing.assert_allclose(colors[int(y * 96), int(x * 128)], hint.ab, atol=1)


@pytest.mark.parametrize("place", [(0.12, 0.5), (0.4, 0.1), (0.42, 0.9)])
def test_what_an_edge_cuts_off_does_not_change(place: tuple[float, float]) -> None:
    lightness, ab = halves()
    found = change(lightness, ab, [Hint(*place, "#d03020", (), 0.02)])
    assert np.abs(found[:, :70]).max() > 20
    assert np.abs(found[:, 84:]).max() < 1, "the grid's cell over the edge has 2.5 pixels"


def test_the_order_of_many_hints_is_irrelevant() -> None:
    rng = np.random.default_rng(0)
    many = [Hint(*rng.random(2), color, (tuple(rng.random(2)),), 0.02) for color in ("red", "teal", "none", "#808a20")]
    lightness, ab = scene(60, 80), np.zeros((60, 80, 2), np.float32)
    expected = change(lightness, ab, many)
    for _ in range(4):
        np.testing.assert_allclose(
            change(lightness, ab, list(rng.permutation(np.array(many, object)))), expected, atol=1e-4
        )


def test_a_photo_of_half_the_size_gets_the_same_picture() -> None:
    gray = np.rint(scene(480, 640) * 2.5).astype(np.uint8)
    half = np.asarray(Image.fromarray(gray).reduce(2))
    named = [Hint(0.3, 0.3, "#c26a2e"), Hint(0.7, 0.6, "#4a7a9c", ((0.9, 0.7),), 0.03)]
    large, small = (Colorizer.load().colorize(values, hints=named) for values in (gray, half))
    reduced = np.asarray(Image.fromarray(large).reduce(2)).astype(int)
    assert np.abs(reduced - small).mean() < 1


def test_a_photo_of_24_megapixels_is_solved_once_and_at_the_size_of_a_small_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solved: list[tuple[int, ...]] = []
    blocks = hints._blocks

    def counted(lightness: np.ndarray, known: np.ndarray) -> Any:
        solved.append(lightness.shape)
        return blocks(lightness, known)

    monkeypatch.setattr(hints, "_blocks", counted)
    monkeypatch.setattr(kernel, "library", lambda: None)
    monkeypatch.setattr("chromascape.color.srgb.to_srgb", lambda light, ab, dtype: np.zeros((*light.shape, 3), dtype))
    for shape in ((400, 600), (4000, 6000)):
        Colorizer.load().colorize(np.full(shape, 128, np.uint8), hints=[Hint(0.5, 0.5, "red")])
    assert solved == [(72, 48)] * 2


@pytest.mark.parametrize("color", ["none", "#c26a2e"])
def test_a_photo_of_one_color_is_colored_by_a_hint_and_holds_no_nan(color: str) -> None:
    for level in (0, 128, 255):
        found = Colorizer.load().colorize(np.full((40, 60), level / 255), hints=[Hint(0.5, 0.5, color, (), 0.5)])
        assert np.isfinite(found).all()
        assert (np.ptp(found.mean((0, 1))) > 0.1) == (level == 128 and color != "none")


def test_the_most_that_is_allowed_takes_a_moment() -> None:
    """A wild stroke, and large dots, all over each other: as many as a file holds take five times as long."""
    rng = np.random.default_rng(0)
    path = Hint(0.5, 0.5, "red", tuple(map(tuple, rng.random((20_000, 2)))), 0.5)
    dots = [Hint(x, y, "blue", (), 0.5) for x, y in rng.random((199, 2))]
    start = time.perf_counter()
    known, _ = marks([path, *dots], 48, 72)
    assert known.all() and time.perf_counter() - start < 10, "s"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_radius_or_color_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ChromascapeError, match="hint: radius"):
        Hint(0.5, 0.5, "red", (), bad)
    with pytest.raises(ChromascapeError, match="outside the photo"):
        Hint(bad, 0.5, "red")


def test_five_random_hints_are_worth_decibels_on_landscapes_that_the_model_has_not_seen() -> None:
    sys.path.insert(0, str(REPOSITORY / "experiments"))
    from hints_table import gain, psnr  # type: ignore[import-not-found]

    colorizer, gains = Colorizer.load(), []
    for number, file in enumerate(sorted((REPOSITORY / "data/landscapes").glob("*.jpg"))):
        photo = lab.rgb_to_lab(np.asarray(Image.open(file).convert("RGB").resize((128, 96))))
        ab = colorizer.predict_ab(photo[..., 0])
        places = [tuple(place) for place in np.random.default_rng(number).random((5, 2))]
        gains.append(gain(photo, photo[..., 0], ab, places) - psnr(photo, ab))
    assert len(gains) == 15
    assert np.mean(gains) > 2.5
