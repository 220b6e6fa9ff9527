"""The figures of a model in a few lines for the terminal."""

from typing import Any

from chromascape.color.metrics import METRICS
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
    return lines + caveats(figures)
