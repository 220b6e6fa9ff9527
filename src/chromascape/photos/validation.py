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

from chromascape.errors import ChromascapeError
from chromascape.params import Data, Policy, Validate
from chromascape.photos import inspection, splits
from chromascape.photos.manifest import summarize
from chromascape.photos.rules import REASONS, after_policy, file_expectations, set_expectations

logging.getLogger("great_expectations").setLevel(logging.ERROR)

import great_expectations as gx  # noqa: E402


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
        ChromascapeError: the folder or one of data.train_only can't be used, a gate on the set is broken, or a
            split stays empty.
    """
    splits.check_train_only(folder, data.train_only)
    manifest = inspection.inspect_folder(folder, validate, jobs)
    suites = Suites(docs)
    table = after_policy(manifest, validate.policy, validate)
    broken = suites.run("files", file_expectations(validate), table)
    reasons: list[list[str]] = [[] for _ in range(len(manifest))]
    _note(reasons, broken)
    accepted = pd.Series([not found for found in reasons], index=manifest.index)
    splits.add_groups(manifest, accepted, validate.near_duplicate_bits, data.split)
    exact, same_scene = splits.add_splits(manifest, accepted, data.split, data.train_only)
    table["exact_duplicate"], table["same_scene"] = exact, same_scene
    table["accepted"] = (accepted & ~exact & ~same_scene).astype(int)
    broken = suites.run("set", set_expectations(validate), table)
    _note(reasons, broken)
    manifest["reasons"] = [";".join(found) for found in reasons]
    manifest["verdict"] = ["rejected" if found else "accepted" for found in reasons]
    _keep_box(manifest, validate.policy)
    suites.write_docs()
    _check_gates(broken, manifest, folder, validate)
    splits.check_splits(manifest, data)
    return manifest


def counts_line(manifest: pd.DataFrame) -> str:
    """One line for people: how many files were accepted, and how many rejected for which reason."""
    summary = summarize(manifest)
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
