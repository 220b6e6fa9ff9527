"""Validation: accepts or rejects every file, by two Great Expectations suites over the manifest.

The suite `files` has an expectation for each rule about single files, the suite `set` for each rule about all files
together. The manifest's `reasons` are Great Expectations' results, so Data Docs and the manifest always agree.

Great Expectations' own pages load styles and scripts from the network. So each suite's results are also written to a
page that loads nothing, under a fixed name (`files.html`, `set.html`), and `index.html` links to both. These pages
can't filter, fold or sort.
"""

import html
import logging
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.files import atomic_folder
from chromascape.parallel import Jobs
from chromascape.params import Data, Validate
from chromascape.photos import inspection, rules, splits
from chromascape.photos.manifest import summarize
from chromascape.photos.rules import Rule
from chromascape.photos.source import Source, shown_name, source_of

logging.getLogger("great_expectations").setLevel(logging.ERROR)

import great_expectations as gx  # noqa: E402
import great_expectations.expectations as gxe  # noqa: E402
from great_expectations.core.run_identifier import RunIdentifier  # noqa: E402

# Everything that a page loads from the network, or that needs what it loads.
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
    """Great Expectations only logs that it could not write a page; raise the error instead."""
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        raise error
    return True


logging.getLogger("great_expectations.render.renderer.site_builder").addFilter(_raise_unwritten)


class Suites:
    """The suites, run in one Great Expectations context, and their Data Docs."""

    def __init__(self, docs: Path):
        self.docs = docs
        self.context = gx.get_context(mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        source = self.context.data_sources.add_pandas("manifest")
        self.batch = source.add_dataframe_asset("files").add_batch_definition_whole_dataframe("all")
        for site in list(self.context.get_site_names()):
            self.context.delete_data_docs_site(site)

    def run(self, name: str, examined: list[Rule], facts: pd.DataFrame, validate: Validate) -> dict[str, list[int]]:
        """Run rules as one suite, each on a column that is named after its reason.

        Returns:
            For each reason whose expectation fails, the numbers of the rows that fail it; a gate has none.
        """
        # Great Expectations writes values into its pages unescaped.
        names = pd.Series([html.escape(shown_name(path)) for path in facts["path"]], index=facts.index, dtype=object)
        columns = rules.examined_columns(examined, facts, validate.policy)
        table = pd.DataFrame({"row": range(len(facts)), "file": names} | columns, index=facts.index)
        suite = self.context.suites.add(gx.ExpectationSuite(name=name))
        for rule in examined:
            of_rule = {"column": rule.reason, "description": rule.description, "meta": {"reason": rule.reason}}
            suite.add_expectation(getattr(gxe, rule.expectation)(**of_rule, **rule.arguments(validate)))
        definition = self.context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=self.batch, suite=suite)
        )
        result = definition.run(
            batch_parameters={"dataframe": table},
            run_id=RunIdentifier(run_name="validate"),
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row", "file"]},
        )
        failed: dict[str, list[int]] = {}
        for outcome in result.results:
            reason = outcome.expectation_config.meta["reason"]  # type: ignore[union-attr]
            _raise_failure(reason, outcome.exception_info)
            rows = [row["row"] for row in outcome.result.get("unexpected_index_list") or []]
            if rows or not outcome.success:
                failed[reason] = rows
        return failed

    def write_docs(self) -> None:
        """Write Data Docs, whole or not at all. They contain times, so they are not an output of DVC."""
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


def validate_folder(
    place: Path | Source, data: Data, validate: Validate, docs: Path, jobs: Jobs, kept: Path | None = None
) -> tuple[pd.DataFrame, str | None]:
    """The manifest of a folder: a row for each file. Data Docs go to `docs`.

    Args:
        kept: see `inspect_folder`.
    Returns:
        The manifest, and one line that says why the pipeline must stop, or None: a gate failed or a split is empty.
    Raises:
        ChromascapeError: data.dir, data.train_only or data.test_only is unusable, or both contain the same scene.
    """
    photos = source_of(place)
    splits.check_named_folders(photos, data)
    manifest = inspection.inspect_folder(photos, validate, jobs, kept)
    suites = Suites(docs)
    facts = rules.facts(manifest)
    failed = suites.run("files", [rule for rule in rules.RULES if not rule.of_set], facts, validate)
    accepted = pd.Series(True, index=manifest.index)
    accepted.iloc[sorted({row for rows in failed.values() for row in rows})] = False
    splits.add_groups(manifest, accepted, validate.near_duplicate_bits, data.split)
    exact, same_scene = splits.add_splits(manifest, accepted, data)
    used = (accepted & ~exact & ~same_scene).astype(int)
    facts = facts.assign(exact_duplicate=exact, same_scene=same_scene, accepted=used)
    set_rules = [rule for rule in rules.RULES if rule.of_set] + list(rules.GATES)
    failed |= suites.run("set", set_rules, facts, validate)
    reasons: list[list[str]] = [[] for _ in range(len(manifest))]
    for rule in rules.RULES:
        for row in failed.get(rule.reason, []):
            reasons[row].append(rule.reason)
    manifest["reasons"] = [";".join(found) for found in reasons]
    manifest["verdict"] = ["rejected" if found else "accepted" for found in reasons]
    if validate.policy["letterbox"] != "trim":  # then the picture is the whole photo
        known = manifest["left"].notna()
        manifest.loc[known, ["left", "top"]] = 0
        manifest.loc[known, "right"] = manifest.loc[known, "width"]
        manifest.loc[known, "bottom"] = manifest.loc[known, "height"]
    suites.write_docs()
    return manifest, _failed_gate(failed, manifest, photos, validate) or splits.empty_split(manifest, data)


def counts_line(manifest: pd.DataFrame) -> str:
    """One line for people: how many files were accepted, and how many rejected for each reason."""
    summary = summarize(manifest)
    counts, rejected = summary["rejected_by_reason"], summary["n_rejected"]
    line = f"{summary['n_accepted']:,} of {summary['n_files']:,} files accepted"
    if rejected:
        line += f"; rejected {rejected:,}: " + ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
    return line + " (a file may have several reasons)" * (sum(counts.values()) > rejected)


def _raise_failure(reason: str, info: dict[str, Any]) -> None:
    """Raises RuntimeError if an expectation could not be computed, because its files would pass otherwise.

    Great Expectations reports one failure directly, and several in a dictionary by metric.
    """
    for failure in [info, *(value for value in info.values() if isinstance(value, dict))]:
        if failure.get("raised_exception"):
            raise RuntimeError(f"expectation {reason}: {failure.get('exception_message')}")


def _failed_gate(
    failed: dict[str, list[int]], manifest: pd.DataFrame, photos: Source, validate: Validate
) -> str | None:
    if "min_accepted" in failed:
        problem = (
            f"At least validate.min_accepted = {validate.min_accepted} are needed: "
            "add color photos, or accept more of these by validate.policy"
        )
    elif "max_rejected_share" in failed:
        problem = (
            f"More than validate.max_rejected_share = {validate.max_rejected_share:g} of the files are rejected: "
            "is this the right folder? If so, raise the limit, or convert more files by validate.policy"
        )
    else:
        return None
    return f"data.dir: {photos}: {counts_line(manifest)}. {problem}"
