"""Validation: the verdict on every file, by Great Expectations suites over the manifest.

Each expectation on files stands for one reason to reject.

A file is accepted where every expectation on files holds for its row; the expectations on the set then look at all
rows together. `reasons` in the manifest come from what Great Expectations finds, so that Data Docs and manifest
can't disagree.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from chromascape import manifest as rows
from chromascape.errors import ChromascapeError
from chromascape.params import Data, Policy, Validate
from chromascape.photos import shown_name

logging.getLogger("great_expectations").setLevel(logging.ERROR)

import great_expectations as gx  # noqa: E402
import great_expectations.expectations as gxe  # noqa: E402


class ExpectThreeChannels(gxe.ExpectColumnValuesToBeInSet):
    """Gray photos have no color to learn from; four channels are ink or transparency."""

    column: str = "channels_kept"
    value_set: Any = [3]
    description: str = "Photos have three channels (after what validate.policy converts)"


class ExpectRgbMode(gxe.ExpectColumnValuesToBeInSet):
    column: str = "mode_kept"
    value_set: Any = ["RGB"]
    description: str = "Photos are RGB (after what validate.policy converts)"


class ExpectEightBits(gxe.ExpectColumnValuesToBeInSet):
    column: str = "bit_depth_kept"
    value_set: Any = [8]
    description: str = "Photos have 8 bits a channel (after what validate.policy converts)"


class ExpectTrueColor(gxe.ExpectColumnValuesToBeBetween):
    """Gray saved as RGB, and gray with a tint, is told by its colorfulness."""

    column: str = "colorfulness"
    description: str = "Photos show true color: their colorfulness reaches validate.min_colorfulness"


class ExpectUpright(gxe.ExpectColumnValuesToBeInSet):
    column: str = "orientation_kept"
    value_set: Any = [1]
    description: str = "Photos are upright (after what validate.policy converts)"


class ExpectOnePicture(gxe.ExpectColumnValuesToBeInSet):
    column: str = "frames"
    value_set: Any = [1]
    description: str = "Files hold one picture: no animations"


class ExpectMatchingExtension(gxe.ExpectColumnValuesToBeInSet):
    column: str = "extension_kept"
    value_set: Any = [True]
    description: str = "The file's extension names its format"


class ExpectMinimumSide(gxe.ExpectColumnValuesToBeBetween):
    column: str = "shorter_side"
    description: str = "The shorter side, without black bars, reaches validate.min_side"


class ExpectNoLetterbox(gxe.ExpectColumnValuesToBeInSet):
    column: str = "letterboxed_kept"
    value_set: Any = [False]
    description: str = "Photos have no black bars (after what validate.policy trims)"


class ExpectNoProblem(gxe.ExpectColumnValuesToNotBeInSet):
    column: str = "problem"


PROBLEMS = {
    "unreadable": "Files can be read",
    "too_large": "Files are at most validate.max_file_mb",
    "not_an_image": "Files are images in a known format",
    "too_many_pixels": "Photos have at most validate.max_pixels",
    "damaged": "Photos decode to their end",
}

# The closed list of reasons, in the order in which the manifest names them.
REASONS = [
    *PROBLEMS,
    "channels",
    "mode",
    "bit_depth",
    "animated",
    "rotated",
    "wrong_extension",
    "too_small",
    "letterbox",
    "gray",
    "exact_duplicate",
    "near_duplicate",
]


def file_expectations(validate: Validate) -> dict[str, Any]:
    """An expectation for each reason that a file can be rejected for on its own."""
    problems = {
        reason: ExpectNoProblem(value_set=[reason], description=description) for reason, description in PROBLEMS.items()
    }
    return problems | {
        "channels": ExpectThreeChannels(),
        "mode": ExpectRgbMode(),
        "bit_depth": ExpectEightBits(),
        "animated": ExpectOnePicture(),
        "rotated": ExpectUpright(),
        "wrong_extension": ExpectMatchingExtension(),
        "too_small": ExpectMinimumSide(min_value=validate.min_side),
        "letterbox": ExpectNoLetterbox(),
        "gray": ExpectTrueColor(min_value=validate.min_colorfulness),
    }


def set_expectations(validate: Validate) -> dict[str, Any]:
    """Expectations on the set as a whole: duplicates, and the gates that stop the pipeline."""
    return {
        "exact_duplicate": gxe.ExpectColumnValuesToBeInSet(
            column="exact_duplicate", value_set=[False], description="No photo is there twice"
        ),
        "near_duplicate": gxe.ExpectColumnValuesToBeInSet(
            column="near_duplicate", value_set=[False], description="No near copies lie in different splits"
        ),
        "min_accepted": gxe.ExpectColumnSumToBeBetween(
            column="accepted",
            min_value=validate.min_accepted,
            description="Enough photos are accepted (validate.min_accepted)",
        ),
        "max_rejected_share": gxe.ExpectColumnMeanToBeBetween(
            column="accepted",
            min_value=1 - validate.max_rejected_share,
            description="Not too many files are rejected (validate.max_rejected_share)",
        ),
    }


def after_policy(manifest: pd.DataFrame, policy: Policy, validate: Validate) -> pd.DataFrame:
    """The manifest with columns for what is left of each file's oddities once the policy has converted them."""
    table = manifest.copy()
    mode = manifest["mode"]
    converted = pd.Series(False, index=manifest.index)
    if policy.cmyk == "convert":
        converted |= mode == "CMYK"
    if policy.palette == "convert":
        converted |= mode.isin(["P", "PA"])
    if policy.alpha == "convert":
        converted |= mode.isin(["RGBA", "RGBa", "RGBX"])
    table["mode_kept"] = mode.mask(converted, "RGB")
    table["channels_kept"] = manifest["channels"].mask(converted, 3)
    deep = (manifest["bit_depth"] == 16) & (policy.sixteen_bit == "convert")
    table["bit_depth_kept"] = manifest["bit_depth"].mask(deep, 8)
    table["orientation_kept"] = (
        manifest["orientation"].mask(manifest["orientation"].notna(), 1)
        if policy.rotated == "convert"
        else manifest["orientation"]
    )
    matches = manifest["extension_matches"]
    table["extension_kept"] = matches.mask(matches.notna(), True) if policy.wrong_extension == "accept" else matches
    width, height = manifest["right"] - manifest["left"], manifest["bottom"] - manifest["top"]
    boxed = (width < manifest["width"]) | (height < manifest["height"])
    table["letterboxed_kept"] = boxed & (policy.letterbox == "reject")
    trimmed = boxed & (policy.letterbox == "trim")
    whole = manifest[["width", "height"]].min(axis=1)
    inside = pd.concat([width, height], axis=1).min(axis=1)
    table["shorter_side"] = inside.where(trimmed, whole)
    table["row"] = range(len(table))
    # Data Docs can't show names that are not UTF-8 as they are.
    table["file"] = [shown_name(path) for path in manifest["path"]]
    return table.drop(columns="path")


class Suites:
    """The two suites, run one after the other in one Great Expectations context, and their Data Docs."""

    def __init__(self, docs: Path):
        self.docs = docs
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        source = self.context.data_sources.add_pandas("manifest")
        self.batch = source.add_dataframe_asset("files").add_batch_definition_whole_dataframe("all")
        for site in list(self.context.get_site_names()):
            self.context.delete_data_docs_site(site)
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
        site_config: Any = {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": backend,
        }
        self.context.add_data_docs_site("local", site_config)

    def run(self, name: str, expectations: dict[str, Any], table: pd.DataFrame) -> dict[str, list[int] | bool]:
        """For each expectation the row numbers that break it, or for expectations on the whole: does it hold."""
        suite = self.context.suites.add(gx.ExpectationSuite(name=name))
        for reason, expectation in expectations.items():
            expectation.meta = {"reason": reason}
            suite.add_expectation(expectation)
        definition = self.context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=self.batch, suite=suite)
        )
        result = definition.run(
            batch_parameters={"dataframe": table},
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row", "file"]},
        )
        found: dict[str, list[int] | bool] = {}
        for outcome in result.results:
            reason = outcome.expectation_config.meta["reason"]  # type: ignore[union-attr]
            _raise_failure(reason, outcome.exception_info)
            rows = outcome.result.get("unexpected_index_list")
            found[reason] = bool(outcome.success) if rows is None else [row["row"] for row in rows]
        return found

    def write_docs(self) -> None:
        """Write Data Docs. Their paths and pages carry the time, so they stay out of DVC's outputs."""
        shutil.rmtree(self.docs, ignore_errors=True)  # pages of older validations
        self.context.build_data_docs()


def validate_folder(folder: Path, data: Data, validate: Validate, docs: Path, jobs: int) -> pd.DataFrame:
    """The manifest of a folder: a row a file with verdict, reasons, group and split. Data Docs go to `docs`.

    Raises:
        ChromascapeError: the folder can't be used, a gate on the set is broken, or a split stays empty.
    """
    manifest = rows.inspect_folder(folder, validate, jobs)
    suites = Suites(docs)
    table = after_policy(manifest, validate.policy, validate)
    broken = suites.run("files", file_expectations(validate), table)
    reasons: list[list[str]] = [[] for _ in range(len(manifest))]
    _note(reasons, broken)
    accepted = pd.Series([not found for found in reasons], index=manifest.index)
    rows.add_groups(manifest, validate.near_duplicate_bits)
    exact, near = rows.add_splits(manifest, accepted, data.split, data.train_only)
    table["exact_duplicate"], table["near_duplicate"] = exact, near
    table["accepted"] = (accepted & ~exact & ~near).astype(int)
    broken = suites.run("set", set_expectations(validate), table)
    _note(reasons, broken)
    manifest["reasons"] = [";".join(found) for found in reasons]
    manifest["verdict"] = ["rejected" if found else "accepted" for found in reasons]
    _keep_box(manifest, validate.policy)
    suites.write_docs()
    _check_gates(broken, manifest, folder, validate)
    rows.check_splits(manifest, data)
    return manifest


def counts_line(manifest: pd.DataFrame) -> str:
    """One line for people: how many files were accepted, and how many rejected for which reason."""
    summary = rows.summarize(manifest)
    reasons = ", ".join(f"{reason} {count}" for reason, count in summary["rejected_by_reason"].items())
    return f"{summary['n_accepted']:,} of {summary['n_files']:,} files accepted" + (
        f"; rejected {summary['n_rejected']:,}: {reasons}" if reasons else ""
    )


def _raise_failure(reason: str, info: dict[str, Any]) -> None:
    """An expectation that could not be computed must stop us: else its files would pass.

    Great Expectations tells of one failure as it is, and of several by the metric that failed.
    """
    for failure in [info, *(value for value in info.values() if isinstance(value, dict))]:
        if failure.get("raised_exception"):
            raise RuntimeError(f"expectation {reason}: {failure.get('exception_message')}")


def _note(reasons: list[list[str]], broken: dict[str, list[int] | bool]) -> None:
    for reason in REASONS:
        found = broken.get(reason, [])
        for row in found if isinstance(found, list) else []:
            reasons[row].append(reason)


def _keep_box(manifest: pd.DataFrame, policy: Policy) -> None:
    """Without trimming, the picture is the whole photo."""
    if policy.letterbox != "trim":
        known = manifest["left"].notna()
        manifest.loc[known, ["left", "top"]] = 0
        manifest.loc[known, "right"] = manifest.loc[known, "width"]
        manifest.loc[known, "bottom"] = manifest.loc[known, "height"]


def _check_gates(broken: dict[str, list[int] | bool], manifest: pd.DataFrame, folder: Path, validate: Validate) -> None:
    count = counts_line(manifest)
    if broken["min_accepted"] is False:
        raise ChromascapeError(
            f"data.dir: {folder}: {count}. At least validate.min_accepted = {validate.min_accepted} are needed: "
            "add color photos, or allow more by validate.policy"
        )
    if broken["max_rejected_share"] is False:
        raise ChromascapeError(
            f"data.dir: {folder}: {count}. More than validate.max_rejected_share = {validate.max_rejected_share:g} "
            "of the files are rejected: is this the right folder? Else raise it, or convert by validate.policy"
        )
