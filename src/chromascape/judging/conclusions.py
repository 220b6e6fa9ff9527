"""Conclusions from the figures, in sentences: does the model beat gray, and which baselines beat the model?"""

from collections.abc import Sequence
from typing import Any

from chromascape.color.metrics import METRICS
from chromascape.judging.predictions import PREDICTIONS

SPLIT_NAMES = {"val": "validation", "test": "test"}  # in sentences about photos
NAMES = {
    "vivid": "The model's own vivid rendering",
    "shipped": "The shipped model",
    "gray": "Gray, no color at all,",
    "mean_ab": "The mean training color",
}


def number(value: float, form: str) -> str:
    """A formatted number with a typographic minus sign, and no sign before zero."""
    text = format(value, form)
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def signed(value: float, digits: int) -> str:
    """A difference with its sign, e.g. +1.78; zero has none."""
    return number(value, f"{'+' if round(value, digits) else ''}.{digits}f")


def shown_interval(interval: Sequence[float] | None) -> str:
    """A 95 % interval in dB, in brackets and after a space; empty where there is none."""
    return f" (95 % interval {signed(interval[0], 2)} to {signed(interval[1], 2)})" if interval else ""


def best(figures: dict[str, Any]) -> dict[str, set[str]]:
    """The best predictions for each metric that has a better direction, compared as rounded for display."""
    found = {}
    for key, metric in METRICS.items():
        if metric.direction != "neither":
            values = {name: _shown(figures, name, key) for name in PREDICTIONS}
            target = (max if metric.direction == "higher" else min)(values.values())
            found[key] = {name for name, value in values.items() if value == target}
    return found


def conclusion(figures: dict[str, Any]) -> str:
    """The report's first sentence: is the model closer to the truth than gray, as far as these photos can show?"""
    gain, interval = figures["gain_over_gray_db"], figures["gain_over_gray_ci95_db"]
    amount = f"{signed(gain, 2)} dB PSNR{shown_interval(interval)}"
    if interval and interval[0] <= 0 <= interval[1]:
        return f"On {_photos(figures)} it is unclear whether the model is closer to the truth than gray: {amount}."
    closer = "closer to" if gain > 0 else "further from" if gain < 0 else "as far from"
    return f"On {_photos(figures)} the model is {closer} the truth {'as' if gain == 0 else 'than'} gray: {amount}."


def details(figures: dict[str, Any]) -> list[str]:
    """The sentences that follow: on how many photos the model wins, and what beats it by which metrics."""
    wins, by_color = figures["win_rate_over_gray"], figures["win_rate_over_gray_ciede2000"]
    sentences = [
        f"It beats gray on {100 * wins:.0f} % of the photos by PSNR and on {100 * by_color:.0f} % by CIEDE2000."
    ]
    beaten = [(name, metrics) for name in NAMES if (metrics := _beats_model(figures, name))]
    sentences += [
        f"{NAMES[name]} is closer to the truth than the model by {_list(metrics)}." for name, metrics in beaten
    ]
    if not beaten:
        sentences.append("Nothing that it is compared with is closer to the truth by any metric.")
    return sentences


def _beats_model(figures: dict[str, Any], name: str) -> list[str]:
    """Labels of the metrics by which a prediction beats the model, compared as rounded for display."""
    signs = {"higher": 1, "lower": -1, "neither": 0}
    return [
        metric.label.split(",")[0]
        for key, metric in METRICS.items()
        if signs[metric.direction] * (_shown(figures, name, key) - _shown(figures, "model", key)) > 0
    ]


def _shown(figures: dict[str, Any], name: str, key: str) -> float:
    return float(format(figures[name][key], METRICS[key].format))


def _photos(figures: dict[str, Any]) -> str:
    """The number of photos, and how many of them the model was trained on or chosen by."""
    count, seen = figures["n_photos"], figures["n_seen"]["model"]
    text = f"{count:,} {figures.get('split', 'test')} photo{'s' if count != 1 else ''}"
    return text + (f", {seen:,} of which it was trained on or chosen by," if seen else "")


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
