"""Where MLflow's page shows which figure: headlines on top, sections by slashes, constants as tags."""

from typing import Any

# Of the test photos, shown on top, without a section, beside the four metrics of each epoch.
HEADLINES = (
    "gain_over_gray_db",
    "gain_over_gray_ci95_low_db",
    "gain_over_gray_ci95_high_db",
    "win_rate_over_gray",
    "win_rate_over_gray_ciede2000",
    "psnr_db",
    "ssim",
    "ciede2000",
)


def metrics_of(figures: dict[str, Any], split: str) -> dict[str, float]:
    """The figures that become metrics of a run; the artifact `figures/{split}.json` has all of them.

    Args:
        figures: as `judging.evaluation.summarize` returns them.
        split: `test` gives the headlines, `test/…`, `gray/…` and `shipped/…`; `val` gives `val/…` alone.
    """
    model, gray, shipped = (_numbers(figures[name]) for name in ("model", "gray", "shipped"))
    flat = {name: value for name, value in {**model, **_overall(figures)}.items() if name in HEADLINES}
    beside = {"gain_over_shipped_db": over["gain_db"]} if (over := figures.get("over_shipped")) else {}
    if split == "test":
        sections = {"test": model | beside, "gray": gray, "shipped": shipped}
        return flat | {f"{part}/{name}": value for part, values in sections.items() for name, value in values.items()}
    parts = {"": model | flat | beside, "gray_": gray, "shipped_": shipped}
    return {f"{split}/{part}{name}": value for part, values in parts.items() for name, value in values.items()}


def constants_of(figures: dict[str, Any], split: str) -> dict[str, str]:
    """Counts, booleans and the id of the photos as tags such as `test.n_photos`: a chart would say nothing."""
    counts = {f"n_seen.{name}": value for name, value in (figures.get("n_seen") or {}).items()}
    return {
        f"{split}.{name}": str(value).lower()
        for name, value in {**figures, **counts}.items()
        if (isinstance(value, int) or name == "photos") and name not in HEADLINES
    }


def result_in_words(figures: dict[str, Any], split: str) -> str:
    """The result as Markdown for a run's description: the model's figures beside the shipped model's and gray's."""
    kind = {"test": "test", "val": "validation"}[split]
    interval = figures.get("gain_over_gray_ci95_db")
    between = f" (95 % interval {interval[0]:+z.2f} to {interval[1]:+z.2f})" if interval else ""
    model, gray, shipped = (figures[name] for name in ("model", "gray", "shipped"))
    beside = [
        f"{label} {model[name]:{form}} (shipped model {shipped[name]:{form}}, gray {gray[name]:{form}})"
        for name, label, form in (("psnr_db", "PSNR dB", ".2f"), ("ssim", "SSIM", ".3f"), ("ciede2000", "ΔE00", ".2f"))
        if name in model and name in gray
    ]
    seen = "" if figures.get("held_out", True) else " **The model was trained on these photos or chosen by them.**"
    return (
        f"On {figures['n_photos']} {kind} photos: gain over gray **{figures['gain_over_gray_db']:+z.2f} dB**{between}, "
        f"better than gray on {100 * figures['win_rate_over_gray']:.0f} %; {', '.join(beside)}.{seen}"
    )


def _overall(figures: dict[str, Any]) -> dict[str, float]:
    """Figures of the model against gray; the interval becomes two of them."""
    values = _numbers(figures)
    if figures.get("gain_over_gray_ci95_db"):
        low, high = figures["gain_over_gray_ci95_db"]
        values |= {"gain_over_gray_ci95_low_db": low, "gain_over_gray_ci95_high_db": high}
    return values


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    """The values that are numbers, not tables or booleans."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
