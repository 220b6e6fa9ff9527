"""Colors of another photo: taken where it looks alike, refused where it does not."""

from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from chromascape.color import lab
from chromascape.color.measures import psnr_db
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.like import Reference, cells, colors_of, compare, looks
from chromascape.errors import ChromascapeError
from chromascape.photos.pixels import Photo


def landscape(name: str) -> Image.Image:
    return Image.open(REPOSITORY / f"data/landscapes/{name}.jpg").convert("RGB")


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load()


def test_colors_of_the_same_place_come_nearer_to_the_truth(colorizer: Colorizer) -> None:
    gains = []
    for name in ("summer-1am", "aitzgorri", "this-is-not-windows"):
        photo = landscape(name)
        wide, high = photo.size
        part, other = photo.crop((0, 0, wide * 7 // 10, high)), photo.crop((wide * 3 // 10, 0, wide, high))
        other = other.resize((other.width * 4 // 5, other.height * 4 // 5))
        plain, alike = (colorizer.colorize(part.convert("L"), like=like) for like in (None, other))
        truth = np.asarray(part)
        gains.append(psnr_db(truth, np.asarray(alike)) - psnr_db(truth, np.asarray(plain)))
    assert min(gains) > 1 and np.mean(gains) > 4


@pytest.mark.parametrize(("gray", "other"), [("storm", "picos-de-europa"), ("path", "maldives"), ("dune", "life")])
def test_a_photo_of_something_else_is_refused_in_one_line(colorizer: Colorizer, gray: str, other: str) -> None:
    with pytest.raises(
        ChromascapeError, match=r"^like: does not look alike, its colors would be wrong: name another photo$"
    ):
        colorizer.colorize(landscape(gray).convert("L"), like=landscape(other))


@pytest.mark.parametrize(
    "gray", [Image.new("L", (60, 40), 90), np.full((40, 60), 0.5), Image.new("RGB", (9, 9), "gray")]
)
def test_a_gray_photo_has_no_colors_to_take(colorizer: Colorizer, gray: Any) -> None:
    with pytest.raises(ChromascapeError, match=r"^like: has no colors to take: name a color photo$"):
        colorizer.colorize(np.full((40, 60), 0.5), like=gray)


def test_a_photo_is_the_same_in_any_kind_of_numbers() -> None:
    levels = np.asarray(landscape("maldives"))
    kinds = [levels, levels.astype(np.uint16) * 257, levels / np.float32(255), Image.fromarray(levels)]
    first, *others = (Reference(Photo(kind)) for kind in kinds)
    for other in others:
        np.testing.assert_allclose(other.looks, first.looks, atol=0.01)
        np.testing.assert_allclose(other.ab, first.ab, atol=0.2)


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (200, 7)])
def test_photos_of_odd_shapes_are_compared(shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), (200, 90, 30), np.uint8)
    reference = Reference(Photo(picture))
    lightness = lab.lightness(picture)
    assert looks(lightness).shape == (np.prod(cells(*shape)), 5)
    distance, nearest = compare(reference, lightness)
    assert distance.max() < 0.05 and nearest.max() < len(reference.ab)
    colors = colors_of(reference, lightness, np.zeros((*shape, 2), np.float32))
    np.testing.assert_allclose(colors, np.broadcast_to(reference.ab[0], colors.shape), rtol=0.1)


def test_hints_have_the_last_word(colorizer: Colorizer) -> None:
    from chromascape import Hint

    gray = landscape("summer-1am").convert("L")
    pink = Hint(0.5, 0.2, "#c05090")
    found = lab.rgb_to_lab(np.asarray(colorizer.colorize(gray, like=landscape("summer-1am"), hints=[pink])))
    at = found[int(0.2 * gray.height), int(0.5 * gray.width), 1:]
    np.testing.assert_allclose(at, pink.ab, atol=2.5)
