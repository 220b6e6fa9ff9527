"""What a table of figures says, in words: whether the model beats gray, and which baselines beat the model."""

from typing import Any

from chromascape.color.metrics import METRICS
from chromascape.judging.predictions import PREDICTIONS

NAMES = {
    "vivid": "The model's own vivid rendering",
    "shipped": "The shipped model",
    "gray": "Gray, no color at all,",
    "mean_ab": "The mean training color",
}


def number(value: float, form: str) -> str:
    """A number as `format` writes it, without a minus before zeros, and with a true minus sign elsewhere."""
    text = format(value, form)
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def signed(value: float, digits: int) -> str:
    """A difference with its sign, e.g. +1.78; zeros have none."""
    return number(value, f"{'+' if round(value, digits) else ''}.{digits}f")


def best(figures: dict[str, Any]) -> dict[str, set[str]]:
    """For each metric that has a better direction the predictions that are best by the digits that are shown.

    Args:
        figures: as `evaluation.summarize` returns them.
    """
    found = {}
    for key, metric in METRICS.items():
        if metric.direction != "neither":
            values = {name: _shown(figures, name, key) for name in PREDICTIONS}
            target = (max if metric.direction == "higher" else min)(values.values())
            found[key] = {name for name, value in values.items() if value == target}
    return found


def verdict(figures: dict[str, Any]) -> str:
    """The one sentence on top: is the model closer to the truth than gray, and can one know it from these photos?"""
    gain, interval = figures["gain_over_gray_db"], figures["gain_over_gray_ci95_db"]
    amount = f"{signed(gain, 2)} dB PSNR"
    if interval:
        amount += f" (95 % interval {signed(interval[0], 2)} to {signed(interval[1], 2)})"
    if interval and interval[0] <= 0 <= interval[1]:
        return f"On {_photos(figures)} it is open whether the model is closer to the truth than gray: {amount}."
    closer = "closer to" if gain > 0 else "further from" if gain < 0 else "as far from"
    return f"On {_photos(figures)} the model is {closer} the truth {'as' if gain == 0 else 'than'} gray: {amount}."


def details(figures: dict[str, Any]) -> list[str]:
    """Sentences below the verdict: on how many photos it wins, and what beats it by which metrics."""
    wins, by_color = figures["win_rate_over_gray"], figures["win_rate_over_gray_ciede2000"]
    sentences = [
        f"It beats gray on {100 * wins:.0f} % of the photos by PSNR and on {100 * by_color:.0f} % by CIEDE2000."
    ]
    beaten = [(name, metrics) for name in NAMES if (metrics := _beats_model(figures, name))]
    sentences += [
        f"{NAMES[name]} is closer to the truth than the model by {_list(metrics)}." for name, metrics in beaten
    ]
    if not beaten:
        sentences.append("By no metric is anything that it is compared with closer to the truth.")
    return sentences


def _beats_model(figures: dict[str, Any], name: str) -> list[str]:
    """Labels of the metrics by which a prediction is better than the model, by the digits that are shown."""
    signs = {"higher": 1, "lower": -1, "neither": 0}
    return [
        metric.label.split(",")[0]
        for key, metric in METRICS.items()
        if signs[metric.direction] * (_shown(figures, name, key) - _shown(figures, "model", key)) > 0
    ]


def _shown(figures: dict[str, Any], name: str, key: str) -> float:
    return float(format(figures[name][key], METRICS[key].format))


def _photos(figures: dict[str, Any]) -> str:
    """How many photos were measured, and how many of them the model has seen."""
    count, seen = figures["n_photos"], figures["n_seen"]["model"]
    text = f"{count:,} {figures.get('split', 'test')} photo{'s' if count != 1 else ''}"
    return text + (f", {seen:,} of which it has seen in its training," if seen else "")


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
