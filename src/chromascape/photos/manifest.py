"""The manifest: one row for every file of the folder, accepted or rejected.

Photos with the same `group` show the same scene. They share a split, and intervals resample groups, not photos.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.files import write_table

COLUMNS = [
    "path", "verdict", "reasons", "format", "mode", "channels", "bit_depth", "frames", "width", "height",
    "orientation", "extension_matches", "left", "top", "right", "bottom", "colorfulness", "bytes", "sha256",
    "phash", "camera", "taken", "group", "split", "problem", "detail",
]  # fmt: skip

INTEGERS = ["channels", "bit_depth", "frames", "width", "height", "orientation", "left", "top", "right", "bottom",
            "bytes"]  # fmt: skip
OTHERS = {"colorfulness": "float64", "taken": "float64", "extension_matches": "boolean"}
# Nullable types, so that integers with missing values stay integers. All other columns are text.
TYPES = dict.fromkeys(COLUMNS, "object") | dict.fromkeys(INTEGERS, "Int64") | OTHERS


def summarize(manifest: pd.DataFrame) -> dict[str, Any]:
    """The counts of `metrics/validate.json`: files by verdict, reason, mode and split."""
    reasons = manifest["reasons"].str.split(";").explode()
    reasons = reasons[reasons.notna() & (reasons != "")]
    narrower = manifest["right"] - manifest["left"] < manifest["width"]
    lower = manifest["bottom"] - manifest["top"] < manifest["height"]

    def counts(values: pd.Series) -> dict[str, int]:
        return {str(key): int(count) for key, count in values.value_counts().sort_index().items()}

    return {
        "n_files": len(manifest),
        "n_accepted": int((manifest["verdict"] == "accepted").sum()),
        "n_rejected": int((manifest["verdict"] == "rejected").sum()),
        "n_letterboxed": int((narrower | lower).sum()),
        "n_duplicate_groups": int((manifest["group"].value_counts() > 1).sum()),
        "rejected_by_reason": counts(reasons),
        "by_mode": counts(manifest["mode"].dropna()),
        "by_split": counts(manifest["split"].dropna()),
    }


def headline(counts: dict[str, Any]) -> dict[str, int]:
    """The counts for tables of experiments; `counts` as `summarize` returns them."""
    return {"accepted": counts["n_accepted"]}


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Write the CSV; names that are not UTF-8 keep their bytes."""
    write_table(manifest[COLUMNS], path)


def read_manifest(path: Path) -> pd.DataFrame:
    """The manifest from its CSV; missing values are None or NaN."""
    return pd.read_csv(path, encoding_errors="surrogateescape", dtype=TYPES, keep_default_na=False, na_values=[""])
