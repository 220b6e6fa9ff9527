"""Validation: the verdict on every file, by Great Expectations suites over the manifest.

Each expectation on files stands for one reason to reject (a record of `rules`). A file is accepted where every
expectation on files holds for its row; the expectations on the set then look at all rows together. `reasons` in the
manifest come from what Great Expectations finds, so that Data Docs and manifest can't disagree.

Data Docs as Great Expectations writes them load styles, scripts and a logo from the network: without it their
`index.html` would be empty, and their pages are unstyled. So each suite's page of results is there once more, under a
name that stays (`files.html`, `set.html`), as a page that loads nothing, and `index.html` begins with links to both.
What does not work on them, with a network or without: showing failed expectations alone, folding, and the sorting of
tables.
"""

import html
import logging
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.files import atomic_folder
from chromascape.params import Data, Validate
from chromascape.photos import inspection, rules, splits
from chromascape.photos.manifest import summarize
from chromascape.photos.rules import Rule
from chromascape.photos.source import shown_name

logging.getLogger("great_expectations").setLevel(logging.ERROR)

import great_expectations as gx  # noqa: E402
import great_expectations.expectations as gxe  # noqa: E402
from great_expectations.core.run_identifier import RunIdentifier  # noqa: E402

# What a page loads from the network, and what is of no use without it.
_FROM_NETWORK = re.compile(
    r"""<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*["']https?:[^>]*>|<footer>.*?</footer>|url\(['"]?https?:[^)]*\)""",
    re.DOTALL,
)
_LINKS = (
    '<p>Results of the last validation: <a href="files.html">files</a>, <a href="set.html">set</a>. '
    "These two open without a network.</p>"
)
_STYLE = """<style>
body { font-family: sans-serif; margin: 1em auto; max-width: 75em; }
td, th { border: 1px solid #ccc; padding: .3em .5em; text-align: left; vertical-align: top; }
table { border-collapse: collapse; }
button, .modal { display: none; }
.fa-check-circle::before { color: green; content: "✓"; }
.fa-times::before { color: #b00; content: "✗"; }
</style></head>"""


def _raise_unwritten(record: logging.LogRecord) -> bool:
    """Great Expectations logs that a page could not be written, and leaves it half: that must stop us."""
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        raise error
    return True


logging.getLogger("great_expectations.render.renderer.site_builder").addFilter(_raise_unwritten)


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

    def run(self, name: str, expectations: list[Any], table: pd.DataFrame) -> dict[str, list[int] | bool]:
        """For each reason the row numbers that break its expectation, or for gates: does it hold."""
        suite = self.context.suites.add(gx.ExpectationSuite(name=name))
        for expectation in expectations:
            suite.add_expectation(expectation)
        definition = self.context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=self.batch, suite=suite)
        )
        result = definition.run(
            batch_parameters={"dataframe": table},
            run_id=RunIdentifier(run_name="validate"),
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
        """Write Data Docs; they appear whole. Their paths and pages carry the time, so they are no output of DVC."""
        with atomic_folder(self.docs) as temporary:
            site: Any = {
                "class_name": "SiteBuilder",
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(temporary.resolve()),
                },
            }
            self.context.add_data_docs_site("local", site)
            self.context.build_data_docs()
            for page in sorted(temporary.glob("validations/*/**/*.html")):
                text = _FROM_NETWORK.sub("", page.read_text(encoding="utf-8")).replace('href="../../../../', 'href="')
                suite = page.relative_to(temporary).parts[1]
                (temporary / f"{suite}.html").write_text(text.replace("</head>", _STYLE, 1), encoding="utf-8")
            index = temporary / "index.html"
            index.write_text(
                index.read_text(encoding="utf-8").replace("<body>", f"<body>{_LINKS}", 1), encoding="utf-8"
            )


def expectation_of(rule: Rule, validate: Validate) -> Any:
    """The rule as Great Expectations runs it, on the column that is named as its reason."""
    build = getattr(gxe, rule.expectation)
    meta = {"reason": rule.reason}
    return build(column=rule.reason, description=rule.description, meta=meta, **rule.arguments(validate))


def validate_folder(
    folder: Path, data: Data, validate: Validate, docs: Path, jobs: int, kept: Path | None = None
) -> tuple[pd.DataFrame, str | None]:
    """The manifest of a folder: a row a file with verdict, reasons, group and split. Data Docs go to `docs`.

    Args:
        kept: see `inspect_folder`.
    Returns:
        The manifest, and why the pipeline has to stop (one line) where a gate is broken or a split stays empty.
    Raises:
        ChromascapeError: the folder, or one of data.train_only or data.test_only, can't be used, or a scene is in both.
    """
    splits.check_named_folders(folder, data)
    manifest = inspection.inspect_folder(folder, validate, jobs, kept)
    suites = Suites(docs)
    facts = rules.facts(manifest)
    reasons: list[list[str]] = [[] for _ in range(len(manifest))]
    _note(reasons, _examine(suites, "files", rules.file_rules(), facts, validate))
    accepted = pd.Series([not found for found in reasons], index=manifest.index)
    facts = facts.assign(**_set_facts(manifest, accepted, data, validate))
    broken = _examine(suites, "set", rules.set_rules(), facts, validate)
    _note(reasons, broken)
    manifest["reasons"] = [";".join(found) for found in reasons]
    manifest["verdict"] = ["rejected" if found else "accepted" for found in reasons]
    _keep_box(manifest, validate.policy)
    suites.write_docs()
    return manifest, _broken_gate(broken, manifest, folder, validate) or splits.empty_split(manifest, data)


def _set_facts(manifest: pd.DataFrame, accepted: pd.Series, data: Data, validate: Validate) -> dict[str, pd.Series]:
    """Give the manifest its groups and splits; returns what the rules on the set read."""
    splits.add_groups(manifest, accepted, validate.near_duplicate_bits, data.split)
    exact, same_scene = splits.add_splits(manifest, accepted, data)
    return {
        "exact_duplicate": exact,
        "same_scene": same_scene,
        "accepted": (accepted & ~exact & ~same_scene).astype(int),
    }


def _examine(
    suites: Suites, name: str, examined: list[Rule], facts: pd.DataFrame, validate: Validate
) -> dict[str, list[int] | bool]:
    """Run the rules as one suite over a table of what they look at: a column a rule, named as its reason.

    Great Expectations writes values into its pages as they are: names of files would be HTML.
    """
    names = pd.Series([html.escape(shown_name(path)) for path in facts["path"]], index=facts.index, dtype=object)
    columns = rules.examined_columns(examined, facts, validate.policy)
    table = pd.DataFrame({"row": range(len(facts)), "file": names} | columns, index=facts.index)
    return suites.run(name, [expectation_of(rule, validate) for rule in examined], table)


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
    for reason in rules.reasons():
        found = broken.get(reason, [])
        for row in found if isinstance(found, list) else []:
            reasons[row].append(reason)


def _keep_box(manifest: pd.DataFrame, policy: dict[str, str]) -> None:
    """Without trimming, the picture is the whole photo."""
    if policy["letterbox"] != "trim":
        known = manifest["left"].notna()
        manifest.loc[known, ["left", "top"]] = 0
        manifest.loc[known, "right"] = manifest.loc[known, "width"]
        manifest.loc[known, "bottom"] = manifest.loc[known, "height"]


def _broken_gate(
    broken: dict[str, list[int] | bool], manifest: pd.DataFrame, folder: Path, validate: Validate
) -> str | None:
    count = counts_line(manifest)
    if broken["min_accepted"] is False:
        return (
            f"data.dir: {folder}: {count}. At least validate.min_accepted = {validate.min_accepted} are needed: "
            "add color photos, or allow more by validate.policy"
        )
    if broken["max_rejected_share"] is False:
        return (
            f"data.dir: {folder}: {count}. More than validate.max_rejected_share = {validate.max_rejected_share:g} "
            "of the files are rejected: is this the right folder? Else raise it, or convert by validate.policy"
        )
    return None
