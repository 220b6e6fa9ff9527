"""The figures of a model in a few lines for the terminal, beside those of gray and of the shipped model."""

import json
from pathlib import Path
from typing import Any

from chromascape.color.metrics import METRICS
from chromascape.files import sha256_of_file
from chromascape.judging.conclusions import SPLIT_NAMES, shown_interval, signed
from chromascape.judging.predictions import caveats, labels


def summary_lines(figures: dict[str, Any]) -> list[str]:
    """A table of the model beside gray, and the gain in a sentence; `figures` as in metrics/evaluate.json."""
    names = labels(figures)
    columns = {
        key: [metric.label, *(format(figures[name][key], metric.format) for name in names)]
        for key, metric in METRICS.items()
    }
    table = [["", *names.values()], *columns.values()]
    widths = [max(map(len, column)) for column in table]
    lines = [
        "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in zip(*table, strict=True))
    ]
    interval = figures["gain_over_gray_ci95_db"]
    between = f" (95 % interval {interval[0]:+z.2f} to {interval[1]:+z.2f})" if interval else ""
    photos = f"{figures['n_photos']} {figures.get('split', 'test')} photos"
    lines.append(
        f"gain over gray {figures['gain_over_gray_db']:+z.2f} dB{between} on {photos}, "
        f"better than gray on {100 * figures['win_rate_over_gray']:.0f} %"
    )
    return lines + caveats(figures) + shipped_is_better(figures)


def short_lines(figures: dict[str, Any]) -> list[str]:
    """PSNR of the model, the shipped model and gray, a line for each split."""
    by_split = {figures["split"]: figures, "val": figures["val"]}
    lines = [
        f"PSNR on {its['n_photos']:,} {SPLIT_NAMES[split]} photos: model {its['model']['psnr_db']:.2f} dB, "
        f"shipped model {its['shipped']['psnr_db']:.2f}, gray {its['gray']['psnr_db']:.2f}"
        for split, its in by_split.items()
    ]
    return lines + caveats(figures)


def shipped_is_better(figures: dict[str, Any]) -> list[str]:
    """A line where the shipped model is closer to the truth on the validation photos, which choose; else none."""
    over = figures["val"]["over_shipped"]
    if not over or over["gain_db"] >= 0:
        return []
    interval = shown_interval(over["ci95_db"])
    return [
        f"note: worse than the shipped model: {signed(over['gain_db'], 2)} dB PSNR{interval} beside it on the same "
        f"{over['n_photos']:,} validation photos (`--model shipped` uses that one)"
    ]


def of_another_model(figures: dict[str, Any], folder: Path) -> list[str]:
    """A line where figures are not of the model in the folder, as while another one is trained; else none."""
    digest, file = figures.get("model_sha256"), folder / "config.json"
    if digest is None or (file.exists() and sha256_of_file(file) == digest):
        return []
    return [f"note: these figures are of an earlier model, not of {folder} as it is now: `dvc repro` measures that one"]


def note_on_model(folder: Path) -> str:
    """What `colorize` says of the model in a folder: that the shipped one is better; empty where nothing says so.

    It reads `metrics/evaluate.json` beside the folder's parent, as `models/colorizer` has it, where those figures are
    of this very model. It needs neither MLflow nor pandas.
    """
    try:
        figures = json.loads((folder.parent.parent / "metrics/evaluate.json").read_text(encoding="utf-8"))
        if figures["model_sha256"] != sha256_of_file(folder / "config.json"):
            return ""
        return "".join(shipped_is_better(figures)).removeprefix("note: ")
    except (OSError, ValueError, KeyError, TypeError):  # no figures, or damaged ones: colorizing goes on
        return ""
