"""Metrics against scikit-image and against values computed by hand."""

import tracemalloc

import numpy as np
import pytest
from conftest import make_photo
from hypothesis import example, given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from chromascape.color import lab, measures
from chromascape.color.measures import PSNR_CAP_DB, colorfulness, psnr_db
from chromascape.color.metrics import METRICS, Picture, ciede2000, loss_mse_l1, ssim


def bootstrap_ci95(values: np.ndarray, resamples: int, seed: int) -> tuple[float, float] | None:
    """Of photos that are each a group of their own."""
    return measures.bootstrap_ci95(values, np.arange(len(values)), resamples, seed)


def noisy(picture: np.ndarray, by: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, by, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def flat(*color: int, size: int = 8) -> np.ndarray:
    return np.broadcast_to(np.array(color, np.uint8), (size, size, 3)).copy()


@pytest.mark.parametrize("by", [1, 10, 80])
def test_psnr_and_ssim_agree_with_scikit_image(by: float) -> None:
    truth = make_photo(1, width=67, height=50)
    picture = noisy(truth, by)
    assert psnr_db(truth, picture) == pytest.approx(peak_signal_noise_ratio(truth, picture, data_range=255))
    theirs = structural_similarity(truth, picture, channel_axis=2, data_range=255)
    assert ssim(truth, picture) == pytest.approx(theirs)
    assert 0 < ssim(truth, picture) < 1


def test_psnr_computed_by_hand() -> None:
    assert psnr_db(flat(0, 0, 0), flat(255, 255, 255)) == pytest.approx(0)
    assert psnr_db(flat(10, 20, 30), flat(10, 20, 33)) == pytest.approx(10 * np.log10(255**2 / 3))
    # uint8 wraps around; the difference of 200 and 100 is 100 either way.
    assert psnr_db(flat(200, 200, 200), flat(100, 100, 100)) == psnr_db(flat(100, 100, 100), flat(200, 200, 200))


def test_equal_pictures_have_100_db_and_ssim_1() -> None:
    truth = make_photo(2, width=40, height=30)
    assert psnr_db(truth, truth.copy()) == 100.0
    assert ssim(truth, truth.copy()) == pytest.approx(1)
    almost = truth.copy()
    almost[0, 0, 0] ^= 1
    assert psnr_db(truth, almost) < 100


def test_nothing_exceeds_the_psnr_of_equal_pictures() -> None:
    truth = make_photo(2, width=256, height=256)
    almost = truth.copy()
    almost[0, 0, 0] ^= 1  # 101.07 dB by the formula
    assert psnr_db(truth, almost) == psnr_db(truth, truth) == PSNR_CAP_DB == 100.0


def test_the_table_of_metrics_gives_what_the_functions_give() -> None:
    truth, picture = (Picture(lab.rgb_to_lab(rgb), rgb) for rgb in (make_photo(3), make_photo(4)))
    assert {key: metric.of(truth, picture) for key, metric in METRICS.items()} == {
        "psnr_db": psnr_db(truth.rgb, picture.rgb),
        "ssim": ssim(truth.rgb, picture.rgb),
        "ciede2000": ciede2000(truth.lab, picture.lab),
        "colorfulness": colorfulness(picture.rgb),
        "loss_mse_l1": loss_mse_l1(truth.lab, picture.lab),
    }


@pytest.mark.parametrize("key", METRICS)
def test_the_direction_of_a_metric_is_that_in_which_equal_pictures_lie(key: str) -> None:
    truth, picture = (Picture(lab.rgb_to_lab(rgb), rgb) for rgb in (make_photo(3), make_photo(4)))
    metric = METRICS[key]
    same, other = metric.of(truth, truth), metric.of(truth, picture)
    assert {"higher": same > other, "lower": same < other, "neither": True}[metric.direction]
    assert metric.heading == metric.label + {"higher": " ↑", "lower": " ↓", "neither": ""}[metric.direction]
    if metric.direction == "neither":
        assert metric.of(truth, picture) == metric.of(picture, picture)


def test_the_assignments_loss_computed_by_hand() -> None:
    truth, picture = np.zeros((2, 2, 3)), np.full((2, 2, 3), 51.0)  # 51 of 255 is 0.2; L* does not count
    assert loss_mse_l1(truth, picture) == pytest.approx(0.2**2 + 0.2, rel=1e-5)


def test_ciede2000_agrees_with_scikit_image_and_is_0_for_equal_colors() -> None:
    truth, picture = (rgb2lab(make_photo(seed, width=20, height=20)) for seed in (3, 4))
    assert ciede2000(truth, picture) == pytest.approx(deltaE_ciede2000(truth, picture).mean())
    assert ciede2000(truth, truth) == 0
    # The first pair of the table in Sharma et al. 2005.
    pair = np.array([[[50, 2.6772, -79.7751]]]), np.array([[[50, 0, -82.7485]]])
    assert ciede2000(*pair) == pytest.approx(2.0425, abs=1e-4)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        # One color: rg 255, yb 127.5, no deviation, so 0.3 · √(255² + 127.5²).
        ((255, 0, 0), (255, 0, 0), 0.3 * np.hypot(255, 127.5)),
        # Red and green: rg ±255 (mean 0, deviation 255), yb 127.5 throughout.
        ((255, 0, 0), (0, 255, 0), 255 + 0.3 * 127.5),
        # Blue and yellow: rg 0, yb ∓255.
        ((0, 0, 255), (255, 255, 0), 255.0),
        # rg 100 and 0, yb 50 and 0.
        ((100, 0, 0), (0, 0, 0), np.hypot(50, 25) + 0.3 * np.hypot(50, 25)),
    ],
)
def test_colorfulness_of_two_colors_computed_by_hand(
    left: tuple[int, int, int], right: tuple[int, int, int], expected: float
) -> None:
    picture = np.concatenate([flat(*left), flat(*right)], axis=1)
    assert colorfulness(picture) == pytest.approx(expected, rel=1e-5)


def test_colorfulness_of_gray_is_0_and_of_a_photo_is_not() -> None:
    gray = np.repeat(make_photo(5)[..., :1], 3, axis=2)
    assert colorfulness(gray) == 0
    assert colorfulness(make_photo(5)) > 40


def test_bootstrap_interval_of_known_deviation() -> None:
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = bootstrap_ci95(values, 4000, seed=0)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.04)
    assert high == pytest.approx(values.mean() + half, abs=0.04)


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-50, 50), min_size=2, max_size=30), seed=st.integers(0, 2**32 - 1))
@example(values=[-20.614889367258858] * 2, seed=0)  # whose lower end came out above the upper one
def test_bootstrap_interval_contains_the_mean(values: list[float], seed: int) -> None:
    low, high = bootstrap_ci95(np.array(values), 400, seed)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert low - 1e-9 <= np.mean(values) <= high + 1e-9  # rounding puts the mean of equal values a hair beside them


def test_bootstrap_interval_shrinks_with_more_photos() -> None:
    values = np.random.default_rng(1).normal(0, 1, 1600)
    widths = [np.subtract(*bootstrap_ci95(values[:count], 1000, seed=0)[::-1]) for count in (25, 100, 400, 1600)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] / widths[-1] == pytest.approx(8, rel=0.4)  # the root of 64


def test_bootstrap_interval_follows_from_its_seed() -> None:
    values = np.random.default_rng(2).normal(0, 1, 20)
    np.random.seed(1)  # noqa: NPY002, the global state must not matter
    first = bootstrap_ci95(values, 200, seed=7)
    np.random.seed(2)  # noqa: NPY002
    assert bootstrap_ci95(values, 200, seed=7) == first
    assert bootstrap_ci95(values, 200, seed=8) != first


def test_bootstrap_draws_whole_groups_and_weighs_photos_alike() -> None:
    """Three photos of 0 in one group and one of 4 in another: each draw has both, the first or the second twice."""
    values, groups = np.array([0.0, 0.0, 4.0, 0.0]), ["a", "a", "b", "a"]
    assert measures.bootstrap_ci95(values, groups, 1000, seed=0) == (0.0, 4.0)
    # Mean over the photos of the drawn groups: one draw in two has both, and their mean is 1, not 2.
    many = np.tile(values, 100)
    names = [f"{group}{number}" for number in range(100) for group in groups]
    low, high = measures.bootstrap_ci95(many, names, 4000, seed=0)
    assert low < 1 < high
    assert (low + high) / 2 == pytest.approx(1, abs=0.1)


def test_bootstrap_of_dependent_photos_is_as_wide_as_that_of_their_groups() -> None:
    scenes = np.random.default_rng(3).normal(0, 1, 40)
    photos, groups = np.repeat(scenes, 25), np.repeat(np.arange(40), 25)
    assert measures.bootstrap_ci95(photos, groups, 2000, seed=0) == pytest.approx(bootstrap_ci95(scenes, 2000, 0))
    low, high = bootstrap_ci95(photos, 2000, seed=0)
    wide = measures.bootstrap_ci95(photos, groups, 2000, seed=0)
    assert wide[1] - wide[0] > 4 * (high - low)


def test_bootstrap_of_many_photos_needs_little_memory() -> None:
    values = np.random.default_rng(4).normal(0, 1, 20_000)
    tracemalloc.start()
    measures.bootstrap_ci95(values, np.arange(len(values)), 2000, seed=0)  # 40 million draws
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize("values", [[], [3.0]])
def test_no_bootstrap_interval_for_fewer_than_two_photos(values: list[float]) -> None:
    assert bootstrap_ci95(np.array(values), 100, seed=0) is None


def test_no_bootstrap_interval_for_photos_of_one_group() -> None:
    assert measures.bootstrap_ci95(np.arange(5.0), ["scene"] * 5, 100, seed=0) is None
