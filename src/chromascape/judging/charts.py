"""The report's charts as SVG; the same figures give the same bytes."""

import io
from typing import Any

import matplotlib
import pandas as pd

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GRAY = "#3b6ea8", "#c8662b", "#777777"


def curves_svg(curves: pd.DataFrame) -> str:
    """Loss by epoch beside gray's, from what `report.read_curves` returns; bars if there is only one epoch."""
    series = {"train_loss": ("train", BLUE), "val_loss": ("validation", ORANGE)}
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    if len(curves) == 1:
        for place, (column, (label, color)) in enumerate(series.items()):
            bars = axes.bar([place], curves[column], width=0.5, color=color, label=label)
            axes.bar_label(bars, fmt="%.4f", padding=2)
        gray = float(curves["gray_val_loss"].iloc[0])
        axes.axhline(gray, linestyle="--", color=GRAY, label="gray, validation")
        axes.annotate(f"{gray:.4f}", (1.6, gray), textcoords="offset points", xytext=(0, 3), color=GRAY, ha="right")
        axes.set(xlim=(-0.6, 1.6), xlabel=f"epoch {curves['epoch'].iloc[0]}", ylabel="loss")
        axes.set_xticks([0, 1], [label for label, _ in series.values()])
        axes.margins(y=0.15)
    else:
        for column, (label, color) in series.items():
            axes.plot(curves["epoch"], curves[column], marker="o", markersize=3, label=label, color=color)
        axes.plot(curves["epoch"], curves["gray_val_loss"], linestyle="--", label="gray, validation", color=GRAY)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, None)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=3, columnspacing=1.2)
    return _svg(figure)


def histogram_svg(histogram: pd.DataFrame) -> str:
    """Photos by gain over gray, as `evaluation.gain_histogram` counts them; negative gains in another color."""
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    colors = [ORANGE if gain < 0 else BLUE for gain in histogram["gain_db"]]
    axes.bar(histogram["gain_db"], histogram["photos"], width=0.45, color=colors)
    axes.axvline(0, color=GRAY, linestyle="--")
    axes.set(xlabel="gain over gray, dB PSNR", ylabel="photos")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return _svg(figure)


def _svg(figure: Any) -> str:
    axes = figure.axes[0]
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "chromascape", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    text = stream.getvalue()
    return text[text.index("<svg") :]
