"""Pictures on a page of paper: which are found, how exactly, and that no photo without a border loses its rim."""

from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, make_photo
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from chromascape.color import lab
from chromascape.colorizing.borders import Picture, find_pictures

Plane = NDArray[np.float32]
LANDSCAPES = sorted((REPOSITORY / "data/landscapes").glob("*.jpg"))
WIDE, HIGH = 200, 140  # of a picture on its page


def plane(image: Image.Image) -> Plane:
    return lab.lightness(np.asarray(image.convert("L")))


def page(paper: int = 235, margin: int = 14, angle: float = 0, seed: int = 1) -> Image.Image:
    """A dark picture on paper."""
    sheet = Image.new("L", (WIDE + 2 * margin, HIGH + 2 * margin), paper)
    sheet.paste(dark(seed), (margin, margin))
    return sheet.rotate(angle, Image.Resampling.BICUBIC, fillcolor=paper)


def dark(seed: int, width: int = WIDE, height: int = HIGH) -> Image.Image:
    """A picture that differs from white and black paper everywhere."""
    photo = Image.fromarray(make_photo(seed, width, height)).convert("L")
    return photo.point(lambda level: 40 + level // 2)


def sides(picture: Picture, height: int, width: int) -> list[float]:
    """Top, bottom, left and right in the middle of each side, in pixels."""
    shape = picture.scaled(height, width)
    return [
        start + slope * along
        for (start, slope), along in zip(
            (shape.top, shape.bottom, shape.left, shape.right), (width / 2,) * 2 + (height / 2,) * 2, strict=True
        )
    ]


@pytest.mark.parametrize("paper", [255, 235, 200, 5])
@pytest.mark.parametrize("angle", [0, 1, -1])
@pytest.mark.parametrize("margin", [8, 14, 40])
def test_a_picture_is_found_within_a_pixel(paper: int, angle: float, margin: int) -> None:
    sheet = page(paper, margin, angle)
    (found,) = find_pictures(plane(sheet))
    wanted = [margin, margin + HIGH, margin, margin + WIDE]
    np.testing.assert_allclose(sides(found, sheet.height, sheet.width), wanted, atol=1)
    assert found.top[1] * sheet.height / sheet.width == pytest.approx(-np.tan(np.radians(angle)), abs=0.006)


def test_noise_shade_and_a_caption_on_the_paper_do_no_harm() -> None:
    sheet = Image.new("L", (WIDE + 30, HIGH + 60), 225)
    sheet.paste(dark(2), (15, 15))
    ImageDraw.Draw(sheet).text((30, HIGH + 28), "View from the pass, 1931", 60)
    levels = np.asarray(sheet) + np.random.default_rng(0).normal(0, 2, (HIGH + 60, WIDE + 30))
    levels *= np.linspace(0.95, 1, WIDE + 30)
    (found,) = find_pictures(plane(Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))))
    np.testing.assert_allclose(sides(found, HIGH + 60, WIDE + 30), [15, 15 + HIGH, 15, 15 + WIDE], atol=1)


def test_two_photos_on_a_page_are_two_pictures() -> None:
    sheet = Image.new("L", (WIDE + 30, 2 * HIGH + 45), 240)
    for number in range(2):
        sheet.paste(dark(number), (15, 15 + number * (HIGH + 15)))
    found = find_pictures(plane(sheet))
    assert [round(sides(picture, *sheet.size[::-1])[0]) in (15, 16) for picture in found] == [True, False]
    assert sides(found[1], *sheet.size[::-1])[0] == pytest.approx(HIGH + 30, abs=1)


def test_a_white_border_on_a_black_card_is_left_out_too() -> None:
    sheet = Image.new("L", (WIDE + 80, HIGH + 80), 15)
    sheet.paste(page(235, 14), (26, 26))
    (found,) = find_pictures(plane(sheet))
    np.testing.assert_allclose(sides(found, HIGH + 80, WIDE + 80), [40, 40 + HIGH, 40, 40 + WIDE], atol=1)


def test_one_side_may_be_as_light_as_the_paper_but_not_two() -> None:
    sheet = page()
    pen = ImageDraw.Draw(sheet)
    pen.polygon([(0, 0), (WIDE + 28, 0), (WIDE + 28, 40), (WIDE // 2, 20), (0, 45)], fill=235)  # a white sky
    assert len(find_pictures(plane(sheet))) == 1
    pen.polygon([(0, 0), (50, 0), (18, HIGH // 2), (45, HIGH + 28), (0, HIGH + 28)], fill=235)
    assert find_pictures(plane(sheet)) == []


@pytest.mark.parametrize("photo", LANDSCAPES, ids=lambda photo: photo.stem)
def test_landscapes_without_a_border_have_none(photo: Path) -> None:
    with Image.open(photo) as image:
        small = image.convert("L").resize((288, 192))
    assert find_pictures(plane(small)) == []
    assert find_pictures(plane(small.point(lambda level: 255 - level))) == []


def test_what_is_no_picture_on_a_page_is_left_alone() -> None:
    shapes = Image.new("L", (200, 160), 240)
    pen = ImageDraw.Draw(shapes)
    pen.ellipse((20, 20, 180, 140), fill=90)
    assert find_pictures(plane(shapes)) == []
    assert find_pictures(np.full((192, 288), 93, np.float32)) == []
    assert find_pictures(np.zeros((1, 700), np.float32)) == []
    text = Image.new("L", (200, 160), 240)
    for row in range(20, 140, 12):
        ImageDraw.Draw(text).text((20, row), "a page of text and no photo", 30)
    assert find_pictures(plane(text)) == []


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), horizon=st.floats(0.1, 0.9), sky=st.integers(200, 255), rough=st.integers(0, 30),
    snow=st.booleans(),
)  # fmt: skip
def test_bright_skies_and_snow_are_no_border(seed: int, horizon: float, sky: int, rough: int, snow: bool) -> None:
    """Hills before an even sky, above snow or ground that reaches the lower edge."""
    random, (height, width) = np.random.default_rng(seed), (120, 180)
    ground = np.asarray(dark(seed, width, height))
    ridge = horizon * height + random.normal(0, 1 + rough, 7)
    across = np.interp(np.arange(width), np.linspace(0, width, 7), ridge)
    down = np.arange(height)[:, None]
    levels = np.where(down < across, sky, ground)
    if snow:
        levels = np.where(down > across + 30, sky - 4, levels)
    found = find_pictures(lab.lightness(np.clip(levels + random.normal(0, 1, levels.shape), 0, 255).astype(np.uint8)))
    assert found == []


def test_the_cover_follows_a_tilted_side() -> None:
    """The top rises from y = 0.2 at the left to 0.3 at the right."""
    picture = Picture(top=(0.2, 0.1), bottom=(0.8, 0.1), left=(0.1, 0.0), right=(0.9, 0.0))
    cover = picture.cover(np.array([0.15, 0.85]), np.array([0.23, 0.27, 0.83]), (0.001, 0.001))
    np.testing.assert_array_equal(cover, [[1, 0], [1, 0], [0, 1]])
