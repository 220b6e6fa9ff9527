"""Metrics against scikit-image and against values computed by hand."""

import numpy as np
import pytest
from conftest import make_photo
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from chromascape.color import lab, measures
from chromascape.color.measures import PSNR_CAP_DB, STRIP, colorfulness, psnr_db
from chromascape.color.metrics import METRICS, Picture, ciede2000, loss_mse_l1, ssim


def mean_ci95(values: np.ndarray) -> tuple[float, float] | None:
    """Of photos that are each a group of their own."""
    return measures.mean_ci95(values, np.arange(len(values)))


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


def test_colorfulness_of_a_picture_of_many_strips_is_that_of_the_whole() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2 * STRIP + 5, 70, 3), np.uint8)
    red, green, blue = picture.astype(float).transpose(2, 0, 1)
    rg, yb = red - green, (red + green) / 2 - blue
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert colorfulness(picture) == pytest.approx(expected, rel=1e-12)


def test_colorfulness_of_gray_is_0_and_of_a_photo_is_not() -> None:
    gray = np.repeat(make_photo(5)[..., :1], 3, axis=2)
    assert colorfulness(gray) == 0
    assert colorfulness(make_photo(5)) > 40


def test_the_interval_is_students_t() -> None:
    """Against SciPy's own; a normal's would be two thirds as wide for five photos."""
    values = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    expected = stats.t.interval(0.95, 4, loc=5, scale=stats.sem(values))
    assert mean_ci95(values) == pytest.approx(expected)
    assert mean_ci95(np.array([1.0, 3.0])) == pytest.approx((2 - 12.706205, 2 + 12.706205))


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-50, 50), min_size=2, max_size=30))
@example(values=[-20.614889367258858] * 2)
def test_the_interval_lies_around_the_mean(values: list[float]) -> None:
    low, high = mean_ci95(np.array(values))
    assert low <= high and (low + high) / 2 == pytest.approx(np.mean(values), abs=1e-9)


def test_few_photos_that_gain_nothing_seldom_seem_to() -> None:
    """The bootstrap's interval was above 0 in 9 % of the trials with five photos, not in 2.5 %."""
    trials = np.random.default_rng(0).normal(0, 1, (4000, 5))
    above = np.mean([mean_ci95(values)[0] > 0 for values in trials])
    assert 0.018 < above < 0.032


def test_groups_count_and_photos_weigh_alike() -> None:
    """Three photos of 0 in each first group and one of 4 in each second: the mean over photos is 1, not 2."""
    values = np.tile([0.0, 0.0, 4.0, 0.0], 100)
    names = [f"{group}{number}" for number in range(100) for group in "aaba"]
    low, high = measures.mean_ci95(values, names)
    assert low < 1 < high and (low + high) / 2 == pytest.approx(1)


def test_dependent_photos_are_worth_their_groups() -> None:
    scenes = np.random.default_rng(3).normal(0, 1, 40)
    photos, groups = np.repeat(scenes, 25), np.repeat(np.arange(40), 25)
    assert measures.mean_ci95(photos, groups) == pytest.approx(mean_ci95(scenes))
    low, high = mean_ci95(photos)
    wide = measures.mean_ci95(photos, groups)
    assert wide[1] - wide[0] > 4 * (high - low)


@pytest.mark.parametrize("values", [[], [3.0]])
def test_no_interval_for_fewer_than_two_photos(values: list[float]) -> None:
    assert mean_ci95(np.array(values)) is None


def test_no_interval_for_photos_of_one_group() -> None:
    assert measures.mean_ci95(np.arange(5.0), ["scene"] * 5) is None
