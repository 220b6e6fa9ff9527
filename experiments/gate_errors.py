"""How often the gate would promote a model that is no better: the tables of docs/promoting.md.

    python experiments/gate_errors.py                         # by the photos of the last `dvc repro`
    python experiments/gate_errors.py other/per_photo.csv ...

Trials draw scenes from real photos, whose gains have a real spread and skew, shifted to a mean of 0: nothing is gained.
An interval that holds lies above 0 in 2.5 % of the trials.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

Values = NDArray[np.float64]
TABLES = ("reports/per_photo.csv", "reports/per_photo_val.csv")
SCENES = (2, 3, 5, 8, 15, 30, 60, 337)
TRIALS, RESAMPLES, CHALLENGERS = 4000, 1000, 20


def percentile(trials: Values, rng: np.random.Generator) -> Values:
    """Lower ends of the percentile bootstrap (Efron 1979), which the gate used before; trials are (T, N)."""
    return np.quantile(resampled(trials, rng), 0.025, axis=1)


def bca(trials: Values, rng: np.random.Generator) -> Values:
    """Lower ends of the bias-corrected and accelerated bootstrap (Efron 1987)."""
    means, own = resampled(trials, rng), trials.mean(axis=1, keepdims=True)
    bias = ndtri(np.clip(((means < own).mean(axis=1) + (means <= own).mean(axis=1)) / 2, 1e-4, 1 - 1e-4))
    off = own - trials  # of the jackknife's means, but for a factor
    acceleration = -(off**3).sum(axis=1) / (6 * np.maximum((off**2).sum(axis=1), 1e-12) ** 1.5)
    reach = bias + ndtri(0.025)
    shares = ndtr(bias + reach / (1 - acceleration * reach))
    return np.array([np.quantile(row, share) for row, share in zip(means, shares, strict=True)])


def student(trials: Values, rng: np.random.Generator) -> Values:
    """Lower ends of Student's t, as `color.measures.mean_ci95` has them for scenes of one photo."""
    count = trials.shape[1]
    return trials.mean(axis=1) - stdtrit(count - 1, 0.975) * trials.std(axis=1, ddof=1) / np.sqrt(count)


def resampled(trials: Values, rng: np.random.Generator) -> Values:
    """Means of bootstrap resamples, (T, RESAMPLES)."""
    count = trials.shape[1]
    weights = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES) / count
    return np.asarray(trials @ weights.T)


def errors(values: Values, lower: Callable[[Values, np.random.Generator], Values], count: int) -> float:
    """The share of the trials with `count` scenes in which the interval lies above 0."""
    rng = np.random.default_rng(count)
    trials = rng.choice(values - values.mean(), (TRIALS, count))
    return float((lower(trials, rng) > 0).mean())


def dethroned(values: Values, count: int, confirmed: bool) -> float:
    """The share of the trials in which one of the challengers, all as good as the champion, takes its place.

    Scores of a photo are of the photo and of the model: all challengers are compared with the same champion.

    Args:
        count: scenes of val, and of test.
        confirmed: by t on val and then on test; otherwise by the percentile bootstrap on test alone.
    """
    rng, found = np.random.default_rng(0), 0
    own = (values - values.mean()) / np.sqrt(2)
    for _ in range(TRIALS // 10):
        scores = rng.choice(own, (2, CHALLENGERS + 1, count))
        val, test = scores[:, 1:] - scores[:, :1]
        won = (student(val, rng) > 0) & (student(test, rng) > 0) if confirmed else percentile(test, rng) > 0
        found += bool(won.any())
    return found / (TRIALS // 10)


def main() -> None:
    """Print both tables as Markdown."""
    table = pd.concat([pd.read_csv(Path(path)) for path in sys.argv[1:] or TABLES])
    over_gray = (table["model.psnr_db"] - table["gray.psnr_db"]).to_numpy()
    over_shipped = (table["model.psnr_db"] - table["shipped.psnr_db"]).to_numpy()
    methods = {"percentile bootstrap (before)": percentile, "BCa bootstrap": bca, "Student's t (now)": student}
    print(f"Of {len(table)} photos. In brackets: for differences from another model.\n")
    print("| scenes | " + " | ".join(methods) + " |\n|---" + "|---" * len(methods) + "|")
    for count in SCENES:
        shares = [
            f"{errors(over_gray, of, count):.1%} ({errors(over_shipped, of, count):.1%})" for of in methods.values()
        ]
        print(f"| {count} | " + " | ".join(share.replace("%", " %") for share in shares) + " |")
    print(f"\n| scenes | one of {CHALLENGERS} equal challengers on test (before) | on val, then on test (now) |")
    print("|---|---|---|")
    for count in (15, 60, 337):
        before, now = (f"{dethroned(over_shipped, count, confirmed):.1%}" for confirmed in (False, True))
        print(f"| {count} | {before} | {now} |".replace("%", " %"))


if __name__ == "__main__":
    main()
