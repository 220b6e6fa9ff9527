"""Run a list of experiments through `dvc exp` and write their figures as one Markdown table.

    python experiments/run.py experiments/assignment.yaml --data /path/to/photos -o docs/assignment.md

A list is a YAML file with a `title`, `common` params for all rows and `rows`: a label, and the params that the row
changes. Every row is an ordinary DVC experiment and MLflow run, made in a temporary copy of the repository: your
workspace stays as it is, and a run that was stopped goes on where it was.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dvc.api
import pandas as pd
import yaml

from chromascape.color.metrics import bootstrap_ci95
from chromascape.params import Yaml12Loader

HEAD = "| | PSNR dB | SSIM | CIEDE2000 | colorfulness | gain over gray, dB (95 %) | beats gray, PSNR | CIEDE2000 |"
RULE = "|---|---|---|---|---|---|---|---|"


def main() -> None:
    """Run the rows of a list one by one; the table is written anew after each."""
    parser = argparse.ArgumentParser(description="Experiments through DVC, as one Markdown table.")
    parser.add_argument("list", type=Path, help="YAML file with title, common and rows")
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="params for all rows")
    parser.add_argument("-o", "--output", type=Path, required=True, help="Markdown file to write")
    options = parser.parse_args()
    plan = yaml.load(options.list.read_text(encoding="utf-8"), Loader=Yaml12Loader)
    if _git("status", "--porcelain", "--untracked-files=no"):
        sys.exit("error: commit your changes first: each row is tied to a commit")
    common = [f"data.dir={options.data.resolve()}", *_settings(plan["common"]), *options.set]
    tables: dict[str, tuple[dict[str, Any], pd.DataFrame]] = {}
    for label, changes in plan["rows"].items():
        commit = _experiment([*common, *_settings(changes or {})])
        figures = json.loads(dvc.api.read("metrics/evaluate.json", rev=commit))
        tables[label] = figures, pd.read_csv(io.StringIO(dvc.api.read("reports/per_photo.csv", rev=commit)))
        options.output.write_text(_markdown(plan["title"], common[1:], tables), encoding="utf-8")  # whole so far
    print(f"{len(tables)} experiments in {options.output}")


def _settings(params: dict[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value) if not isinstance(value, str) else value}" for key, value in params.items()]


def _experiment(settings: list[str]) -> str:
    """The git commit of the experiment with these params at this commit; it is run where there is none yet."""
    name = f"row-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}"
    head = _git("rev-parse", "HEAD")
    reference = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
    if not _git("for-each-ref", reference):
        changes = [part for setting in settings for part in ("-S", setting)]
        subprocess.run(["dvc", "exp", "run", "--temp", "-n", name, *changes], check=False)
    if not _git("for-each-ref", reference):
        sys.exit(f"error: the experiment with {', '.join(settings)} failed: see above")
    return _git("rev-parse", reference)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _markdown(title: str, common: list[str], tables: dict[str, tuple[dict[str, Any], pd.DataFrame]]) -> str:
    """The rows so far: gray first, then every experiment, then each one's difference from the first."""
    first, photos = next(iter(tables.values()))
    lines = [f"# {title}", "", f"{first['n_photos']} held-out photos. All rows: {', '.join(common)}.", "", HEAD, RULE]
    lines.append(_row("gray", first["gray"], "0", "", ""))
    for label, (figures, _) in tables.items():
        low, high = figures["gain_over_gray_ci95_db"]
        gain = f"{figures['gain_over_gray_db']:+.2f} ({low:+.2f} to {high:+.2f})"
        wins = figures["win_rate_over_gray"], figures["win_rate_over_gray_ciede2000"]
        lines.append(_row(label, figures["model"], gain, *(f"{100 * share:.0f} %" for share in wins)))
    base = next(iter(tables))
    lines += ["", f"PSNR against the row *{base}*, photo by photo, dB (95 % interval):", ""]
    for label, (_, table) in list(tables.items())[1:]:
        difference = (table["model.psnr_db"] - photos["model.psnr_db"]).to_numpy()
        low, high = bootstrap_ci95(difference, 10_000, 0) or (float("nan"), float("nan"))
        lines.append(f"- {label}: {difference.mean():+.2f} ({low:+.2f} to {high:+.2f})")
    return "\n".join([*lines, ""])


def _row(label: str, row: dict[str, float], gain: str, *wins: str) -> str:
    numbers = f"{row['psnr_db']:.2f} | {row['ssim']:.4f} | {row['ciede2000']:.2f} | {row['colorfulness']:.1f}"
    return f"| {label} | {numbers} | {gain} | {' | '.join(wins)} |"


if __name__ == "__main__":
    main()
