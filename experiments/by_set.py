"""What the shipped model is worth on each set of photos: `python experiments/by_set.py --splits test`.

Sets are the first folders of the photos' paths; photos that lie in none are one set. Run it where the pipeline's stages
`validate` and `preprocess` have run. The photos must not be among those that the model has seen: it says how many are.
"""

import argparse
from functools import partial
from pathlib import Path

import pandas as pd

from chromascape.color.measures import mean_ci95
from chromascape.color.metrics import METRICS
from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.training_photos import count_seen, hashes_of, read_seen
from chromascape.judging.evaluation import evaluate, in_workers, mean_ab
from chromascape.judging.figures import gain_over_gray
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import SPLITS, Shards

COLUMNS = (
    "set", "n", "gray, PSNR dB", "gain over gray, dB (95 %)", "beats gray by PSNR", "by CIEDE2000",
    "CIEDE2000, gray's", "colorfulness, truth's", "vivid: gain", "colorfulness",
)  # fmt: skip


def main() -> None:
    """Print a table, a row a set and one of all, and all metrics of all photos."""
    parser = argparse.ArgumentParser(description="Figures of the shipped model by set of photos.")
    parser.add_argument("--lab", type=Path, default=Path("data/lab"), help="folder of Lab shards")
    parser.add_argument("--manifest", type=Path, default=Path("data/manifest.csv"))
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=["test"])
    options = parser.parse_args()
    manifest = read_manifest(options.manifest)
    seen = count_seen(hashes_of(manifest, options.splits), read_seen(SHIPPED), bits=4)
    photos = Shards(options.lab, options.splits)
    measured = partial(in_workers, SHIPPED, options.lab, lambda: mean_ab(photos), 0)
    tables = evaluate(measured, {split: Shards(options.lab, (split,)) for split in options.splits}, manifest)
    table = pd.concat(tables.values(), ignore_index=True)
    sets = table["path"].str.split("/").map(lambda parts: parts[0] if len(parts) > 1 else ".")
    print(f"The model has seen {seen} of these {len(table)} photos.\n")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name, rows in table.groupby(sets):
        print(row(str(name), rows))
    if sets.nunique() > 1:
        print(row("all", table))
    headings = [metric.heading for metric in METRICS.values()]
    print("\n| all | " + " | ".join([*headings, *COLUMNS[4:6]]) + " |\n" + "|---" * (len(headings) + 3) + "|")
    for name, label in {"model": "faithful", "vivid": "vivid", "gray": "gray input"}.items():
        means = [format(table[f"{name}.{key}"].mean(), metric.format) for key, metric in METRICS.items()]
        print(f"| {label} | " + " | ".join([*means, *wins(name, table)]) + " |")


def row(name: str, table: pd.DataFrame) -> str:
    """A line of Markdown of means over photos; the interval is that of the mean over scenes."""
    gains = (table["model.psnr_db"] - table["gray.psnr_db"]).to_numpy()
    mean = table.drop(columns=["path", "group"]).mean()
    interval = mean_ci95(gains, table["group"])
    between = f" ({interval[0]:+.2f} to {interval[1]:+.2f})" if interval else ""
    cells = [
        name, str(len(table)), f"{mean['gray.psnr_db']:.2f}", f"{gains.mean():+.2f}{between}",
        *wins("model", table),
        f"{mean['model.ciede2000']:.2f}, {mean['gray.ciede2000']:.2f}",
        f"{mean['model.colorfulness']:.1f}, {mean['truth.colorfulness']:.1f}",
        f"{mean['vivid.psnr_db'] - mean['gray.psnr_db']:+.2f}", f"{mean['vivid.colorfulness']:.1f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def wins(name: str, table: pd.DataFrame) -> tuple[str, str]:
    """On how many photos a prediction is closer to the truth than gray is, by PSNR and by CIEDE2000."""
    gain = gain_over_gray(table, name)
    return f"{100 * gain['win_rate_over_gray']:.0f} %", f"{100 * gain['win_rate_over_gray_ciede2000']:.0f} %"


if __name__ == "__main__":
    main()
