"""Lab against scikit-image, and every way from Lab and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chromascape.color import lab

QUICK = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def random_rgb(seed: int, shape: tuple[int, ...] = (120, 130)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def random_lab(seed: int, count: int = 20_000) -> np.ndarray:
    """Lab colors of the whole range, most of them outside sRGB."""
    low, high = (0, -128, -128), (100, 127, 127)
    return np.random.default_rng(seed).uniform(low, high, (count, 3)).astype(np.float32)


def encoded(colors: np.ndarray) -> np.ndarray:
    """Lab to sRGB in levels of 0..255, neither rounded nor clipped; scikit-image's numbers, in double precision."""
    y = (colors[..., 0].astype(float) + 16) / 116
    f = np.stack([y + colors[..., 1] / 500, y, y - colors[..., 2] / 200], axis=-1)
    xyz = np.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * (0.95047, 1.0, 1.08883)
    from_xyz = np.linalg.inv(
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    )
    linear = xyz @ from_xyz.T
    bright = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return 255 * np.where(linear > 0.0031308, bright, 12.92 * linear)


@pytest.fixture(scope="module", params=["random", "photo"])
def pixels(request: pytest.FixtureRequest) -> np.ndarray:
    if request.param == "random":
        return random_rgb(1, (300, 300))
    return pytest.importorskip("skimage.data").astronaut()


def test_rgb_to_lab_agrees_with_scikit_image(pixels: np.ndarray) -> None:
    color = pytest.importorskip("skimage.color")
    ours = lab.rgb_to_lab(pixels)
    assert ours.dtype == np.float32
    assert np.abs(ours - color.rgb2lab(pixels)).max() < 1e-3


def test_quantised_lab_agrees_with_scikit_image(pixels: np.ndarray) -> None:
    color = pytest.importorskip("skimage.color")
    quantised = lab.quantise(lab.rgb_to_lab(pixels))
    assert quantised.dtype == np.uint8
    off = np.abs(lab.dequantise(quantised) - color.rgb2lab(pixels))
    assert off[..., 0].max() <= 0.2
    assert off[..., 1:].max() <= 0.5 + 1e-3


def test_lab_to_rgb_agrees_with_scikit_image(pixels: np.ndarray) -> None:
    color = pytest.importorskip("skimage.color")
    colors = color.rgb2lab(pixels[::5, ::5]) * (0.9, 0.5, 0.5)
    theirs = color.lab2rgb(colors) * 255
    assert np.abs(lab.lab_to_rgb(colors) - theirs).max() < 0.5 + 1e-2


def test_rgb_comes_back_exactly_through_lab(pixels: np.ndarray) -> None:
    back = lab.lab_to_rgb(lab.rgb_to_lab(pixels))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, pixels)


@QUICK
@given(arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(1, 9), st.just(3))))
def test_rgb_of_any_shape_comes_back_exactly(rgb: np.ndarray) -> None:
    np.testing.assert_array_equal(lab.lab_to_rgb(lab.rgb_to_lab(rgb)), rgb)


def test_one_pixel_and_a_batch_are_converted_alike() -> None:
    batch = random_rgb(2, (2, 5, 4))
    colors = lab.rgb_to_lab(batch)
    assert colors.shape == (2, 5, 4, 3)
    np.testing.assert_allclose(lab.rgb_to_lab(batch[1, 2, 3]), colors[1, 2, 3], atol=1e-4)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_known_colors_have_their_published_lab(rgb: tuple[int, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(lab.rgb_to_lab(np.array(rgb, np.uint8)), expected, atol=0.02)


def test_grays_are_neutral_to_the_quantised_level() -> None:
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    quantised = lab.quantise(lab.rgb_to_lab(grays))
    assert (quantised[:, 1:] == lab.NEUTRAL).all()
    assert (np.diff(quantised[:, 0].astype(int)) >= 0).all()
    assert (quantised[0, 0], quantised[255, 0]) == (0, 255)


def test_colors_outside_srgb_are_clipped_by_lab_to_rgb() -> None:
    beyond = np.array([[150, 0, 0], [-20, 0, 0], [53, 127, 127], [0, -128, -128]], np.float32)
    rgb = lab.lab_to_rgb(beyond)
    assert rgb[0].tolist() == [255, 255, 255]
    assert rgb[1].tolist() == [0, 0, 0]
    assert rgb[2, 0] == 255


def test_fit_to_srgb_never_leaves_srgb_by_more_than_rounding() -> None:
    levels = encoded(lab.fit_to_srgb(random_lab(3)))
    assert levels.min() > -0.5
    assert levels.max() < 255.5


def test_fit_to_srgb_keeps_lightness_and_hue() -> None:
    colors = random_lab(4)
    fitted = lab.fit_to_srgb(colors)
    np.testing.assert_array_equal(fitted[:, 0], colors[:, 0])
    chroma, wanted = np.hypot(*fitted[:, 1:].T), np.hypot(*colors[:, 1:].T)
    assert (chroma <= wanted).all()
    # The same direction: the cross product of both is nothing beside their lengths.
    cross = fitted[:, 1] * colors[:, 2] - fitted[:, 2] * colors[:, 1]
    assert (np.abs(cross) <= 1e-5 * np.maximum(wanted**2, 1)).all()
    assert (np.sum(fitted[:, 1:] * colors[:, 1:], axis=1) >= 0).all()


def test_fit_to_srgb_lowers_chroma_no_more_than_needed() -> None:
    colors = random_lab(5)
    fitted = lab.fit_to_srgb(colors)
    lowered = np.any(fitted != colors, axis=1)
    assert 0.5 < lowered.mean() < 1  # most of the range lies outside sRGB
    more = fitted[lowered] + (0, 1, 1) * colors[lowered] * np.float32(0.002)
    levels = encoded(more)
    assert ((levels < -0.25) | (levels > 255.2)).any(axis=1).mean() > 0.99


def test_fit_to_srgb_leaves_colors_inside_srgb_alone() -> None:
    step = np.arange(0, 256, 15, dtype=np.uint8)
    colors = lab.rgb_to_lab(np.stack(np.meshgrid(step, step, step), axis=-1))
    np.testing.assert_array_equal(lab.fit_to_srgb(colors), colors)


def test_fit_to_srgb_shows_as_the_color_it_returns() -> None:
    fitted = lab.fit_to_srgb(random_lab(6))
    shown = lab.rgb_to_lab(lab.lab_to_rgb(fitted))
    assert np.abs(shown[:, 0] - fitted[:, 0]).max() < 0.5


def test_fit_to_srgb_clips_lightness_and_does_not_change_its_argument() -> None:
    colors = np.array([[120, 30, 0], [-5, 30, 0]], np.float32)
    before = colors.copy()
    fitted = lab.fit_to_srgb(colors)
    assert fitted[:, 0].tolist() == [100, 0]
    np.testing.assert_array_equal(colors, before)


def test_fit_to_srgb_takes_any_shape() -> None:
    colors = random_lab(7, 24)
    together = lab.fit_to_srgb(colors)
    np.testing.assert_array_equal(lab.fit_to_srgb(colors.reshape(2, 3, 4, 3)), together.reshape(2, 3, 4, 3))
    np.testing.assert_array_equal(lab.fit_to_srgb(colors[0]), together[0])
    assert lab.fit_to_srgb(colors[:0]).shape == (0, 3)


@QUICK
@given(arrays(np.uint8, st.tuples(st.integers(1, 50), st.just(3))))
def test_quantised_values_come_back_exactly(quantised: np.ndarray) -> None:
    before = quantised.copy()
    back = lab.quantise(lab.dequantise(quantised))
    np.testing.assert_array_equal(back, quantised)
    np.testing.assert_array_equal(quantised, before)


def test_quantise_clips_what_is_out_of_range() -> None:
    wide = np.array([[-3, -200, 200], [130, 127.4, -128.4]], np.float32)
    assert lab.quantise(wide).tolist() == [[0, 0, 255], [255, 255, 0]]


@QUICK
@given(
    arrays(np.float32, 20, elements=st.floats(0, 100, width=32)),
    arrays(np.float32, (20, 2), elements=st.floats(-128, 127, width=32)),
)
def test_scaling_comes_back_and_stays_within_0_and_1(lightness: np.ndarray, ab: np.ndarray) -> None:
    scaled_lightness, scaled = lab.scale_lightness(lightness), lab.scale_ab(ab)
    for values in (scaled_lightness, scaled):
        assert values.dtype == np.float32
        assert values.min() >= 0 and values.max() <= 1
    np.testing.assert_allclose(scaled_lightness * 100, lightness, atol=1e-4)
    np.testing.assert_allclose(lab.unscale_ab(scaled), ab, atol=1e-4)


@QUICK
@given(arrays(np.uint8, st.tuples(st.integers(1, 50), st.just(3))))
def test_quantised_by_levels_is_scaled(quantised: np.ndarray) -> None:
    colors = lab.dequantise(quantised)
    np.testing.assert_allclose(lab.scale_lightness(colors[:, 0]), quantised[:, 0] / lab.LEVELS, atol=1e-6)
    np.testing.assert_allclose(lab.scale_ab(colors[:, 1:]), quantised[:, 1:] / lab.LEVELS, atol=1e-6)


@QUICK
@given(arrays(np.float32, (8, 2), elements=st.floats(-10, 10, width=32)))
def test_unscaled_ab_is_clamped_to_its_range(scaled: np.ndarray) -> None:
    ab = lab.unscale_ab(scaled)
    assert ab.min() >= -128 and ab.max() <= 127
    inside = (scaled >= 0) & (scaled <= 1)
    np.testing.assert_allclose(ab[inside], scaled[inside] * 255 - 128, atol=1e-3)


def test_neutral_ab_is_the_scaled_ab_of_gray() -> None:
    assert lab.scale_ab(np.zeros(2, np.float32)) == pytest.approx(lab.NEUTRAL_AB, abs=1e-7)


def test_join_puts_lightness_before_ab() -> None:
    colors = random_lab(8, 12).reshape(3, 4, 3)
    joined = lab.join(colors[..., 0].astype(np.float64), colors[..., 1:])
    assert joined.dtype == np.float32
    np.testing.assert_array_equal(joined, colors)


def test_luma_is_scikit_images_and_not_lightness(photo: np.ndarray) -> None:
    import skimage.color

    exact = lab.rgb_to_lab(photo)
    np.testing.assert_allclose(lab.luma(exact), 100 * skimage.color.rgb2gray(photo), atol=0.5)
    assert np.abs(lab.luma(exact) - exact[..., 0]).mean() > 2


def test_lightness_of_every_kind_of_array_is_that_of_lab() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    expected = lab.rgb_to_lab(pixels)
    for values in (pixels, pixels.astype(np.uint16) * 257, pixels / 255, (pixels / 255).astype(np.float32)):
        # Of 8-bit colors it comes from a table: a twentieth of a level.
        np.testing.assert_allclose(
            lab.lightness(values), expected[..., 0], atol=0.02 if values.dtype == np.uint8 else 1e-3
        )
        np.testing.assert_allclose(lab.luma_of_levels(values), lab.luma(expected), atol=1e-3)
        gray = np.stack([pixels[..., 1]] * 3, axis=-1)
        np.testing.assert_allclose(lab.lightness(values[..., 1]), lab.rgb_to_lab(gray)[..., 0], atol=1e-3)
        np.testing.assert_allclose(lab.luma_of_levels(values[..., 1]), lab.luma(lab.rgb_to_lab(gray)), atol=1e-3)
        assert lab.lightness(values).dtype == lab.luma_of_levels(values).dtype == np.float32


def test_lightness_of_16_bits_tells_neighbours_apart() -> None:
    levels = np.arange(65536, dtype=np.uint16)[None]
    assert (np.diff(lab.lightness(levels)[0]) > 0).mean() > 0.99
    assert lab.lightness(levels)[0, [0, -1]] == pytest.approx([0, 100], abs=1e-4)


def test_levels_are_those_of_rgb_before_rounding() -> None:
    colors = np.random.default_rng(0).uniform((0, -60, -60), (100, 60, 60), (50, 3))
    levels = lab.lab_to_levels(colors)
    assert levels.min() >= 0 and levels.max() <= 1
    np.testing.assert_array_equal(np.rint(levels * 255), lab.lab_to_rgb(colors))
