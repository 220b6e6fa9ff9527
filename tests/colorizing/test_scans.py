"""Scans: paper around pictures is not seen by the network and stays gray, and negatives are inverted."""

from pathlib import Path

import numpy as np
import pytest
from conftest import make_photo
from numpy.typing import NDArray
from PIL import Image

from chromascape.cli import main
from chromascape.color import lab
from chromascape.colorizing import fullsize, scans
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.hints import Hint
from chromascape.colorizing.like import Reference
from chromascape.photos.pixels import Photo

Rgb = NDArray[np.uint8]
SEPIA = (1, 0.89, 0.69)
MARGIN, WIDE, HIGH = 40, 300, 210
PICTURE = (slice(MARGIN, MARGIN + HIGH), slice(MARGIN, MARGIN + WIDE))


class Seeing:
    """A network that keeps what it sees, and makes the left half blue, the right half orange."""

    predicts, cell, multiple = "ab", 4, 4

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen.append(lightness[0, 0] * 100)
        ab = np.full((1, 2, *lightness.shape[2:]), 0.5, np.float32)
        ab[:, 1, :, : lightness.shape[3] // 2] = 0.35
        ab[:, 1, :, lightness.shape[3] // 2 :] = 0.65
        return ab

    def share(self, jobs: int) -> None: ...


@pytest.fixture
def network() -> Seeing:
    return Seeing()


@pytest.fixture
def colorizer(network: Seeing) -> Colorizer:
    return Colorizer(network, "unet", 64)


def picture(seed: int = 1) -> NDArray[np.uint8]:
    """Gray (HIGH, WIDE), darker than paper."""
    return 40 + np.asarray(Image.fromarray(make_photo(seed, WIDE, HIGH)).convert("L")) // 2


def full() -> NDArray[np.uint8]:
    """Gray (90, 120), from black to white."""
    gray = np.asarray(Image.fromarray(make_photo(4, 120, 90)).convert("L")).astype(float)
    return np.rint(255 * (gray - gray.min()) / np.ptp(gray)).astype(np.uint8)


def page(paper: int = 235) -> NDArray[np.uint8]:
    sheet = np.full((HIGH + 2 * MARGIN, WIDE + 2 * MARGIN), paper, np.uint8)
    sheet[PICTURE] = picture()
    return sheet


def toned(gray: NDArray[np.uint8]) -> Rgb:
    return np.rint(gray[..., None] * np.array(SEPIA)).astype(np.uint8)


def chroma(rgb: Rgb) -> NDArray[np.floating]:
    return np.asarray(np.linalg.norm(lab.rgb_to_lab(rgb)[..., 1:], axis=-1))


def test_the_network_sees_the_picture_at_its_working_size_and_no_paper(colorizer: Colorizer, network: Seeing) -> None:
    colorizer.colorize(page())
    (seen,) = network.seen
    assert seen.max() < lab.lightness(picture()).max() + 1  # paper has 93
    assert min(seen.shape) == 64


@pytest.mark.parametrize("paper", [235, 12])
def test_paper_is_gray_whatever_its_tint_and_the_picture_has_its_colors(colorizer: Colorizer, paper: int) -> None:
    scan = toned(page(paper))
    colors = colorizer.colorize(scan)
    inner = (slice(MARGIN + 8, MARGIN + HIGH - 8), slice(MARGIN + 8, MARGIN + WIDE - 8))
    outside = np.ones(colors.shape[:2], bool)
    outside[MARGIN - 2 : MARGIN + HIGH + 2, MARGIN - 2 : MARGIN + WIDE + 2] = False
    assert chroma(colors)[outside].max() < 0.5
    assert np.quantile(chroma(colors)[inner], 0.05) > 10
    np.testing.assert_allclose(lab.lightness(colors), lab.lightness(scan), atol=0.6)  # paper and picture keep their own
    blue, orange = (lab.rgb_to_lab(colors)[inner][:, part, 2].mean() for part in (slice(0, 100), slice(-100, None)))
    assert blue < -30 and orange > 30


def test_paper_is_where_it_is_whatever_the_height_of_strips(
    colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    whole = colorizer.colorize(page())
    monkeypatch.setattr(fullsize, "READ_PIXELS", 9 * (WIDE + 2 * MARGIN))
    np.testing.assert_array_equal(colorizer.colorize(page()), whole)


def test_the_picture_has_the_colors_that_it_has_alone(colorizer: Colorizer) -> None:
    alone, on_paper = colorizer.colorize(picture()), colorizer.colorize(page())[PICTURE]
    inner = (slice(8, -8), slice(8, -8))
    differ = np.abs(lab.rgb_to_lab(alone)[inner] - lab.rgb_to_lab(on_paper)[inner])
    assert np.quantile(differ, 0.95) < 4


@pytest.mark.parametrize("by", ["colorize", "batch"])
def test_a_photo_is_colorized_as_a_whole_where_one_says_so(colorizer: Colorizer, network: Seeing, by: str) -> None:
    """As before borders were found: a white frame of a picture, or a mistake of the search."""
    if by == "colorize":
        colors = colorizer.colorize(page(), whole=True)
    else:
        (colors,) = colorizer.colorize_batch([page()], whole=True)
    (seen,) = network.seen
    assert seen.max() > 92, "paper too"
    inner = slice(6, MARGIN - 6)
    assert np.median(chroma(colors)[inner]) > 10 and np.median(chroma(colorizer.colorize(page()))[inner]) < 0.5


def test_two_photos_on_a_page_are_seen_one_by_one(colorizer: Colorizer, network: Seeing) -> None:
    both = np.concatenate([page(), page()[MARGIN:]])
    colors = lab.rgb_to_lab(colorizer.colorize(both))
    assert len(network.seen) == 2
    for top in (MARGIN, 2 * MARGIN + HIGH):
        row = colors[top + HIGH // 2, MARGIN + 10 : MARGIN + WIDE - 10, 2]
        assert row[:90].max() < -10 and row[-90:].min() > 10
    assert np.abs(colors[MARGIN + HIGH + 4 : 2 * MARGIN + HIGH - 4, :, 1:]).max() < 0.5


def test_hints_land_where_they_were_put_and_not_on_paper(colorizer: Colorizer) -> None:
    height, width = page().shape
    at = Hint((MARGIN + 250) / width, (MARGIN + 100) / height, "#c03030")
    plain, hinted = (lab.rgb_to_lab(colorizer.colorize(page(), hints=hints)) for hints in ((), [at]))
    change = np.linalg.norm(hinted - plain, axis=-1)
    assert change[MARGIN + 100, MARGIN + 250] > 20
    np.testing.assert_allclose(hinted[MARGIN + 100, MARGIN + 250, 1:], at.ab, atol=12)
    on_paper = colorizer.colorize(page(), hints=[Hint(0.02, 0.02, "#ff0000")])
    assert chroma(on_paper)[: MARGIN - 2].max() < 0.5


def test_colors_of_another_photo_are_for_the_picture_alone(colorizer: Colorizer) -> None:
    red = lab.join(lab.lightness(picture()), np.broadcast_to([30.0, 20.0], (HIGH, WIDE, 2)))
    other = Reference(Photo(lab.lab_to_rgb(lab.fit_to_srgb(red))))
    alone = lab.rgb_to_lab(colorizer.colorize(picture(), like=other))[20:-20, 20:-20, 1].mean()
    on_page = lab.rgb_to_lab(colorizer.colorize(page(), like=other))
    assert on_page[PICTURE][20:-20, 20:-20, 1].mean() == pytest.approx(alone, abs=2)
    assert np.abs(on_page[: MARGIN - 2, :, 1:]).max() < 0.5


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float", "rgb", "image", "gray image", "sixteen"])
def test_a_negative_gets_the_colors_and_the_lightness_of_its_positive(colorizer: Colorizer, kind: str) -> None:
    gray = full()
    inverted = 255 - gray
    kinds = {
        "uint8": (gray, inverted), "uint16": (gray * np.uint16(257), inverted * np.uint16(257)),
        "float": (gray / 255, inverted / 255), "rgb": (np.stack([gray] * 3, -1), np.stack([inverted] * 3, -1)),
        "image": (Image.fromarray(gray).convert("RGB"), Image.fromarray(inverted).convert("RGB")),
        "gray image": (Image.fromarray(gray), Image.fromarray(inverted)),
        "sixteen": (Image.fromarray(gray * np.uint16(257)), Image.fromarray(inverted * np.uint16(257))),
    }  # fmt: skip
    positive, negative = kinds[kind]
    wanted, got = colorizer.colorize(positive), colorizer.colorize(negative, negative=True)
    np.testing.assert_allclose(np.asarray(got, np.float64), np.asarray(wanted, np.float64), atol=1e-5)


def test_a_negative_on_film_whose_clear_parts_are_not_white_is_stretched(colorizer: Colorizer) -> None:
    gray = full().astype(float)
    film = np.rint((40 + 0.45 * (255 - gray))[..., None] * np.array([1, 0.66, 0.42])).astype(np.uint8)
    shown = lab.lightness(colorizer.colorize(film, negative=True))
    assert shown.min() < 2 and shown.max() > 98
    assert np.corrcoef(shown.ravel(), lab.lightness(gray / 255).ravel())[0, 1] > 0.99


def test_all_photos_of_a_batch_are_negatives_and_have_their_own_hints(colorizer: Colorizer) -> None:
    gray, hint = full(), Hint(0.5, 0.5, "#c03030")
    got = colorizer.colorize_batch([255 - gray, 255 - gray.T], hints=[[hint], None], negative=True)
    for picture, wanted in zip(got, (colorizer.colorize(gray, hints=[hint]), colorizer.colorize(gray.T)), strict=True):
        np.testing.assert_array_equal(picture, wanted)


def test_an_even_negative_is_left_as_it_is(colorizer: Colorizer) -> None:
    gray = np.full((90, 120), 200, np.uint8)
    shown = lab.lightness(colorizer.colorize(gray, negative=True))
    assert shown.mean() == pytest.approx(float(lab.lightness(np.uint8([[55]]))[0, 0]), abs=1)


def test_the_models_own_colors_leave_paper_out_too(colorizer: Colorizer) -> None:
    lightness, ab, _ = colorizer.small(Photo(page()))
    assert np.abs(ab[:4]).max() == 0
    assert np.linalg.norm(ab[lightness.shape[0] // 2, lightness.shape[1] // 4]) > 30


def test_a_page_is_measured_twice_and_a_photo_once(colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    small = scans.Light.small

    def counted(light: scans.Light, height: int, width: int) -> NDArray[np.float32]:
        sizes.append((height, width))
        return small(light, height, width)

    monkeypatch.setattr(scans.Light, "small", counted)
    colorizer.colorize(picture())
    assert len(sizes) == 1
    colorizer.colorize(toned(page()))
    assert len(sizes) == 3 and sizes[2] > sizes[1]


def test_the_command_line_colorizes_the_whole_into_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(page()).save("page.png")
    assert main(["colorize", "page.png"]) == main(["colorize", "page.png", "--whole"]) == 0
    gray, colored = (
        chroma(np.asarray(Image.open(f"{folder}/page.png"))) for folder in ("colorized", "colorized-whole")
    )
    assert gray[: MARGIN - 2].max() < 0.5 < colored[: MARGIN - 2].max()


def test_the_command_line_inverts_negatives_into_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gray = full()
    monkeypatch.chdir(tmp_path)
    Image.fromarray(gray).save("positive.png")
    Image.fromarray(255 - gray).save("negative.png")
    assert main(["colorize", "positive.png"]) == 0
    assert main(["colorize", "negative.png", "--negative"]) == 0
    wanted, got = (
        np.asarray(Image.open(name)) for name in ("colorized/positive.png", "colorized-negative/negative.png")
    )
    np.testing.assert_array_equal(got, wanted)
