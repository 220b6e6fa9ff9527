"""`make compare`: experiments in a table, by their gain over gray on the validation photos, which choose.

    python experiments/compare.py                # those of this commit
    python experiments/compare.py --all-commits  # any options of `dvc exp show`

Only what was measured on the same photos stands together: a part of the table for each set of validation photos, with
the shipped model and gray as rows. Figures come from `metrics/evaluate.json` of each experiment, in DVC's cache.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from chromascape.color.metrics import METRICS
from chromascape.errors import ChromascapeError
from chromascape.judging.conclusions import signed
from chromascape.judging.predictions import PREDICTIONS
from chromascape.lockfile import locked_stages
from chromascape.params import flatten

EVALUATED, MODEL, CONFIG = "metrics/evaluate.json", "models/colorizer", "config.json"
BASELINES = ("shipped", "gray")


@dataclass
class Row:
    """The workspace, a commit or an experiment; the figures are None where there are none of just this model."""

    name: str
    state: str
    params: dict[str, Any]
    figures: dict[str, Any] | None


def main() -> None:
    """Print the table; arguments are those of `dvc exp show`."""
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json", *sys.argv[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip())
    with Repo() as repo:
        rows = list(read_rows(json.loads(done.stdout), repo))
    print("\n".join(table(rows)))


def read_rows(shown: list[dict[str, Any]], repo: Any) -> Iterator[Row]:
    """A row for all that `dvc exp show --json` names."""
    states = [entry["executor"] for commit in shown for entry in commit["experiments"] or [] if entry["executor"]]
    busy = any(state["state"] == "running" and state["name"] == "workspace" for state in states)
    for commit in shown:
        params = params_of(commit)
        if commit["rev"] == "workspace":
            figures = None if busy else workspace_figures(params)
            yield Row("workspace", "running" * busy or "not evaluated" * (figures is None), params, figures)
        else:
            yield Row(commit["name"] or commit["rev"][:9], "", params, committed_figures(commit, repo))
        for entry in commit["experiments"] or []:
            last, state = entry["revs"][0], (entry["executor"] or {}).get("state") or ""
            figures = None if state in ("queued", "running", "failed") else committed_figures(last, repo)
            yield Row(entry["name"] or last["rev"][:9], state if figures is None else "", params_of(last), figures)


def params_of(shown: dict[str, Any]) -> dict[str, Any]:
    """The params of a row by dotted key."""
    files = (shown.get("data") or {}).get("params") or {}
    return flatten((files.get("params.yaml") or {}).get("data") or {})


def committed_figures(shown: dict[str, Any], repo: Any) -> dict[str, Any] | None:
    """The figures that a commit names, from DVC's cache; None if they are not there or of another model."""
    outs = (shown.get("data") or {}).get("outs") or {}

    def cached(digest: str) -> bytes:
        return Path(repo.cache.local.oid_to_path(digest)).read_bytes()

    try:
        figures = json.loads(cached(outs[EVALUATED]["hash"]))
        files = {file["relpath"]: file["md5"] for file in json.loads(cached(outs[MODEL]["hash"]))}
        return figures if of_model(figures, cached(files[CONFIG])) else None
    except (OSError, ValueError, KeyError, TypeError):  # not evaluated, or removed from the cache
        return None


def workspace_figures(params: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of the workspace; None where they are of other params or another model than lie here now."""
    try:
        locked = flatten(locked_stages()["evaluate"]["params"]["params.yaml"])
        figures = json.loads(Path(EVALUATED).read_text(encoding="utf-8"))
        same = all(params.get(key) == value for key, value in locked.items())
        return figures if same and of_model(figures, (Path(MODEL) / CONFIG).read_bytes()) else None
    except (ChromascapeError, OSError, ValueError, KeyError, TypeError):
        return None


def of_model(figures: dict[str, Any], config: bytes) -> bool:
    """Whether figures are of the model with this configuration, which holds the checksum of its weights."""
    return bool(figures["model_sha256"] == hashlib.sha256(config).hexdigest())


def table(rows: list[Row]) -> list[str]:
    """Lines for a terminal: a part for each set of photos, the largest first; what has no figures stands last."""
    changed = differing([row.params for row in rows])
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(row.figures["val"]["photos"] if row.figures else "", []).append(row)
    waiting = sets.pop("", [])
    lines = []
    for photos, part in sorted(sets.items(), key=lambda item: -count(item[1])):
        lines += [f"On the {count(part):,} validation photos {photos}, gain over gray in dB PSNR:", ""]
        lines += [*columns([heads(changed), *ranked(part, changed)]), ""]
    if waiting:
        empty = [[row.name, row.state or "no figures", *cells(row, changed)] for row in waiting]
        lines += columns([["without figures", "", *changed], *empty])
    return lines


def count(part: list[Row]) -> int:
    """The number of validation photos of rows that have the same."""
    assert part[0].figures
    return int(part[0].figures["val"]["n_photos"])


def heads(changed: list[str]) -> list[str]:
    """The heads of the columns of a part."""
    return ["experiment", "gain", *(metric.heading for metric in METRICS.values()), "gain on test", *changed]


def ranked(part: list[Row], changed: list[str]) -> list[list[str]]:
    """The rows of a part, the shipped model and gray among them, from the highest gain to the lowest."""
    found = []
    for row in part:
        assert row.figures
        val, test = row.figures["val"], row.figures["split"] == "test"
        on_test = f"{signed(row.figures['gain_over_gray_db'], 2)} ({row.figures['n_photos']})" if test else ""
        found.append((val["gain_over_gray_db"], [row.name, *values(val, "model"), on_test, *cells(row, changed)]))
    for name in BASELINES:
        gain = val[name].get("gain_over_gray_db", 0.0)
        found.append((gain, [PREDICTIONS[name], *values(val, name), "", *("" for _ in changed)]))
    ordered = sorted(found, key=lambda pair: -pair[0])
    return [[line[0], signed(gain, 2), *line[1:]] for gain, line in ordered]


def values(figures: dict[str, Any], name: str) -> list[str]:
    """All metrics of one prediction; empty where an older experiment lacks one."""
    return [format(figures[name][key], its.format) if key in figures[name] else "" for key, its in METRICS.items()]


def cells(row: Row, changed: list[str]) -> list[str]:
    """The values of params."""
    return [str(row.params.get(key, "")) for key in changed]


def differing(params: list[dict[str, Any]]) -> list[str]:
    """Keys whose values are not the same everywhere."""
    keys = dict.fromkeys(key for values in params for key in values)
    return [key for key in keys if len({repr(values.get(key)) for values in params}) > 1]


def columns(lines: list[list[str]]) -> list[str]:
    """Lines of cells, each column as wide as its widest; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(pairs)).rstrip()
        for pairs in (zip(line, widths, strict=True) for line in lines)
    ]


if __name__ == "__main__":
    main()
