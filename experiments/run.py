"""Run a list of experiments through `dvc exp` and write their figures as one Markdown table.

    python experiments/run.py experiments/assignment.yaml --data /path/to/photos -o docs/assignment.md

A list is a YAML file with a `title`, `common` params for all rows and `rows`: a label, and the params that the row
changes, where `{data}` stands for the folder of photos; `notes`, if there are any, end the file. Every row is an
ordinary DVC experiment and MLflow run, made in a temporary copy of the repository: your workspace stays as it is, and a
run that was stopped resumes.

Rows are compared on the validation photos, and run with `evaluate.split=val`: the test photos are for the model that is
reported, and must not have chosen it.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import dvc.api
import pandas as pd
from dvc.repo import Repo

from chromascape.color.measures import mean_ci95
from chromascape.color.metrics import METRICS
from chromascape.files import atomic_write
from chromascape.judging.predictions import PREDICTIONS
from chromascape.params import read_yaml
from chromascape.photos.source import Source

COMPARED, PER_PHOTO = "metrics/evaluate.json", "reports/per_photo_val.csv"
Row = tuple[dict[str, Any], pd.DataFrame]  # figures on the validation photos, and the table of each photo's


def main() -> None:
    """Run the rows of a list one by one; the table is written anew after each."""
    parser = argparse.ArgumentParser(description="Experiments through DVC, as one Markdown table.")
    parser.add_argument("list", type=Path, help="YAML file with title, common and rows")
    parser.add_argument("--data", required=True, help="folder of photos")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="params for all rows")
    parser.add_argument("-o", "--output", type=Path, required=True, help="Markdown file to write")
    options = parser.parse_args()
    plan, data = read_yaml(options.list), Source(options.data).absolute().location
    if files := changed():
        sys.exit(f"error: commit your changes first ({', '.join(files[:5])}): each row is tied to a commit")
    common = [f"data.dir={data}", "evaluate.split=val", *settings(plan["common"]), *options.set]
    tables: dict[str, Row] = {}
    for label, changes in plan["rows"].items():
        commit = _experiment([*common, *(setting.replace("{data}", data) for setting in settings(changes or {}))])
        tables[label] = _read(commit)
        with atomic_write(options.output) as file:  # whole so far
            notes = f"\n{plan['notes']}" if "notes" in plan else ""
            file.write_text(_markdown(plan["title"], common[2:], tables) + notes, encoding="utf-8")
    print(f"{len(tables)} experiments in {options.output}")


def changed() -> list[str]:
    """Files that differ from the commit, without those that `dvc repro` itself writes."""
    with Repo() as repo:
        written = {"dvc.lock", *(out.def_path for out in repo.index.outs)}
    differ = set(filter(None, git("diff", "--name-only", "-z", "HEAD").split("\0")))
    return sorted(name for name in differ if not {name, *map(str, PurePosixPath(name).parents)} & written)


def settings(params: dict[str, Any]) -> list[str]:
    """Params as `-S` of `dvc exp run` takes them."""
    return [f"{key}={json.dumps(value) if not isinstance(value, str) else value}" for key, value in params.items()]


def _experiment(settings: list[str]) -> str:
    """The git commit of the experiment with these params at this commit; it is run where there is none yet."""
    name = f"row-{hashlib.sha256(repr(settings).encode()).hexdigest()[:12]}"
    head = git("rev-parse", "HEAD")
    reference = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
    if not git("for-each-ref", reference):
        changes = [part for setting in settings for part in ("-S", setting)]
        subprocess.run(["dvc", "exp", "run", "--temp", "-n", name, *changes, "evaluate"], check=False)
    if not git("for-each-ref", reference):
        sys.exit(f"error: the experiment with {', '.join(settings)} failed: see above")
    return git("rev-parse", reference)


def _read(commit: str) -> Row:
    """Figures and per-photo table of the validation photos at a commit."""
    figures = json.loads(dvc.api.read(COMPARED, rev=commit))["val"]
    text = io.StringIO(dvc.api.read(PER_PHOTO, rev=commit))
    return figures, pd.read_csv(text, dtype={"path": str, "group": str}, keep_default_na=False, na_values=[""])


def git(*arguments: str) -> str:
    """What a command of git prints.

    Raises:
        CalledProcessError: it failed.
    """
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _markdown(title: str, common: list[str], tables: dict[str, Row]) -> str:
    """The rows so far: gray and the shipped model, every experiment, then each one's difference from the first."""
    gains = ["gain over gray, dB (95 %)", "beats gray, PSNR", "CIEDE2000"]
    columns = ["", "n", *(metric.heading for metric in METRICS.values()), *gains]
    first = next(iter(tables.values()))[0]
    lines = [f"# {title}", "", f"Figures on the validation photos (val). All rows: {', '.join(common)}.", ""]
    lines += [_line(columns), "|---" * len(columns) + "|"]
    lines.append(_line([PREDICTIONS["gray"], first["n_photos"], *_values(first["gray"]), "0", "", ""]))
    shipped = first["shipped"]
    beside = _with_interval(shipped["gain_over_gray_db"], None)
    lines.append(_line([PREDICTIONS["shipped"], first["n_photos"], *_values(shipped), beside, *_wins(shipped)]))
    for label, (figures, _) in tables.items():
        gain = _with_interval(figures["gain_over_gray_db"], figures["gain_over_gray_ci95_db"])
        lines.append(_line([label, figures["n_photos"], *_values(figures["model"]), gain, *_wins(figures)]))
    lines += ["", f"PSNR against the row *{next(iter(tables))}*, photo by photo, dB (95 % interval):", ""]
    return "\n".join([*lines, *_differences(tables), ""])


def _differences(tables: dict[str, Row]) -> list[str]:
    """Each row's PSNR minus the first row's on the photos that both have, which are paired by path."""
    (_, base), *others = tables.values()
    lines = []
    for label, (_, table) in zip(list(tables)[1:], others, strict=True):
        pairs = table.merge(base, on="path", suffixes=("", ".base"), validate="one_to_one")
        difference = (pairs["model.psnr_db"] - pairs["model.psnr_db.base"]).to_numpy()
        if not len(pairs):
            lines.append(f"- {label}: no photo in common")
            continue
        interval = mean_ci95(difference, pairs["group"])
        lines.append(f"- {label}: {_with_interval(difference.mean(), interval)}, n = {len(pairs)}")
    return lines


def _with_interval(value: float, interval: Sequence[float] | None) -> str:
    return f"{value:+.2f}" + (f" ({interval[0]:+.2f} to {interval[1]:+.2f})" if interval else "")


def _wins(figures: dict[str, Any]) -> list[str]:
    """On how many photos gray is beaten, by PSNR and by CIEDE2000."""
    return [f"{100 * figures[name]:.0f} %" for name in ("win_rate_over_gray", "win_rate_over_gray_ciede2000")]


def _values(row: dict[str, float]) -> list[str]:
    """All metrics of one prediction."""
    return [format(row[key], metric.format) for key, metric in METRICS.items()]


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()
