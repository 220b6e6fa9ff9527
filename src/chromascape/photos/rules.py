"""The validation rules: one record for each reason to reject a file.

The closed list of reasons, the expectations that Great Expectations runs, and the keys and conversions of
`validate.policy` all come from this table. To add a rule, add a record; it reads a column of
the manifest or of `facts`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chromascape.errors import ChromascapeError, choices, did_you_mean
from chromascape.params import Validate

if TYPE_CHECKING:
    import pandas as pd

Limits = Callable[[Validate], dict[str, Any]]
REJECT = "reject"


@dataclass(frozen=True)
class Policy:
    """One key of `validate.policy` with its options.

    `convert` takes the column that a rule reads, all facts and the chosen option, and returns the converted column.
    Several rules may share a key, with the same options.
    """

    key: str
    options: tuple[str, ...]
    convert: Callable[["pd.Series", "pd.DataFrame", str], "pd.Series"]


@dataclass(frozen=True)
class Rule:
    """One reason to reject files: they fail an expectation on one column."""

    reason: str  # its name in the manifest
    description: str  # what is true of accepted files, for Data Docs
    reads: str  # a column of `facts`, or for rules on the whole set a column that `splits` computes
    expectation: str  # a class of `great_expectations.expectations`
    arguments: Limits  # of the expectation, from `validate`
    policies: tuple[Policy, ...] = ()  # conversions that are applied, in this order, before the expectation
    of_set: bool = False  # about all files together; it runs after the rules about single files


def _becomes(value: Any, column: str, of: list[Any] | None = None) -> Callable[..., "pd.Series"]:
    """A conversion to `value` of the files whose `column` is in `of` (None: is not missing)."""

    def convert(read: "pd.Series", facts: "pd.DataFrame", choice: str) -> "pd.Series":
        converted = facts[column].notna() if of is None else facts[column].isin(of)
        return read if choice == REJECT else read.mask(converted, value)

    return convert


def _modes(value: Any) -> tuple[Policy, ...]:
    modes = {"cmyk": ["CMYK"], "palette": ["P", "PA"], "alpha": ["RGBA", "RGBa", "RGBX"]}
    return tuple(Policy(key, CONVERT, _becomes(value, "mode", of)) for key, of in modes.items())


def _in(*values: Any) -> Limits:
    return lambda validate: {"value_set": list(values)}


def _left_out(validate: Validate) -> dict[str, Any]:
    """Duplicates are rejected but are no failure of the set."""
    return {"value_set": [False], "mostly": 0}


CONVERT = (REJECT, "convert")
BARS = (REJECT, "trim", "keep")
IN_SET, NOT_IN_SET = "ExpectColumnValuesToBeInSet", "ExpectColumnValuesToNotBeInSet"
BETWEEN = "ExpectColumnValuesToBeBetween"

# In the order of the manifest's reasons.
RULES = (
    Rule("unreadable", "Files can be read", "problem", NOT_IN_SET, _in("unreadable")),
    Rule("too_large", "Files are no larger than validate.max_file_mb", "problem", NOT_IN_SET, _in("too_large")),
    Rule("not_an_image", "Files are images in a known format", "problem", NOT_IN_SET, _in("not_an_image")),
    Rule("unsupported", "Photos are of a kind that is read right", "problem", NOT_IN_SET, _in("unsupported")),
    Rule("too_many_pixels", "Photos have at most validate.max_pixels", "problem", NOT_IN_SET, _in("too_many_pixels")),
    Rule("too_slow", "Photos are read within validate.seconds", "problem", NOT_IN_SET, _in("too_slow")),
    Rule("crashed", "Reading a photo does not crash", "problem", NOT_IN_SET, _in("crashed")),
    Rule("damaged", "Photos are complete: they decode without errors", "problem", NOT_IN_SET, _in("damaged")),
    Rule(
        # Gray photos have no color to learn from; a fourth channel is ink or transparency.
        "channels", "Photos have three channels (after what validate.policy converts)",
        "channels", IN_SET, _in(3), _modes(3),
    ),
    Rule("mode", "Photos are RGB (after what validate.policy converts)", "mode", IN_SET, _in("RGB"), _modes("RGB")),
    Rule(
        "bit_depth", "Photos have 8 bits a channel (after what validate.policy converts)",
        "bit_depth", IN_SET, _in(8), (Policy("sixteen_bit", CONVERT, _becomes(8, "bit_depth", [16])),),
    ),
    Rule("animated", "Files contain one picture: no animations", "frames", IN_SET, _in(1)),
    Rule(
        "rotated", "Photos are upright (after what validate.policy converts)",
        "orientation", IN_SET, _in(1), (Policy("rotated", CONVERT, _becomes(1, "orientation")),),
    ),
    Rule(
        "wrong_extension", "The file extension matches the format", "extension_matches", IN_SET, _in(True),
        (Policy("wrong_extension", (REJECT, "accept"), _becomes(True, "extension_matches")),),
    ),
    Rule(
        "too_small", "The shorter side, without trimmed black bars, is at least validate.min_side",
        "shorter_side", BETWEEN, lambda validate: {"min_value": validate.min_side},
        (Policy("letterbox", BARS, lambda read, facts, choice: facts["inner_side"] if choice == "trim" else read),),
    ),
    Rule(
        "letterbox", "Photos have no black bars (after what validate.policy trims)",
        "letterboxed", IN_SET, _in(False), (Policy("letterbox", BARS, _becomes(False, "letterboxed")),),
    ),
    Rule(
        # Finds gray photos that were saved as RGB or have a tint.
        "gray", "Photos are in color: their colorfulness is at least validate.min_colorfulness",
        "colorfulness", BETWEEN, lambda validate: {"min_value": validate.min_colorfulness},
    ),
    Rule("exact_duplicate", "No photo occurs twice", "exact_duplicate", IN_SET, _left_out, of_set=True),
    Rule(
        # Twenty photos of a held-out scene tell hardly more than one, and would weigh as much as twenty scenes.
        "same_scene", "Each scene in val or test has one photo", "same_scene", IN_SET, _left_out, of_set=True,
    ),
)  # fmt: skip

# Rules that stop the pipeline and reject no file, named after their keys in `validate`.
GATES = (
    Rule(
        "min_accepted", "Enough photos are accepted (validate.min_accepted)",
        "accepted", "ExpectColumnSumToBeBetween", lambda validate: {"min_value": validate.min_accepted}, of_set=True,
    ),
    Rule(
        "max_rejected_share", "Not too many files are rejected (validate.max_rejected_share)",
        "accepted", "ExpectColumnMeanToBeBetween",
        lambda validate: {"min_value": 1 - validate.max_rejected_share}, of_set=True,
    ),
)  # fmt: skip


def policies() -> dict[str, tuple[str, ...]]:
    """The options of each key of `validate.policy`."""
    return {policy.key: policy.options for rule in RULES for policy in rule.policies}


def check_policy(policy: Mapping[str, str]) -> None:
    """Raises ChromascapeError, in one line, for unknown or missing keys and unknown options."""
    known, problems = policies(), []
    for key, choice in policy.items():
        name = f"validate.policy.{key}"
        if key not in known:
            problems.append(f"{name}: unknown key{did_you_mean(key, known, 'validate.policy.')}")
        elif choice not in known[key]:
            problems.append(f"{name}: must be {choices(known[key])} (it is {choice!r})")
    problems += [f"validate.policy.{key}: this key is missing" for key in known if key not in policy]
    if problems:
        raise ChromascapeError(f"params.yaml: {'; '.join(problems)}")


def facts(manifest: "pd.DataFrame") -> "pd.DataFrame":
    """The manifest with derived columns: `letterboxed` (bool), `shorter_side` and `inner_side` (without black bars).

    Sides are in pixels; values are missing where unknown.
    """
    table = manifest.assign(across=manifest["right"] - manifest["left"], down=manifest["bottom"] - manifest["top"])
    return table.assign(
        letterboxed=(table["across"] < table["width"]) | (table["down"] < table["height"]),
        shorter_side=table[["width", "height"]].min(axis=1),
        inner_side=table[["across", "down"]].min(axis=1),
    )


def examined_columns(rules: list[Rule], facts: "pd.DataFrame", policy: Mapping[str, str]) -> "dict[str, pd.Series]":
    """The column that each rule reads, after the policies' conversions, by the rule's reason."""
    columns = {}
    for rule in rules:
        column = facts[rule.reads]
        for choice in rule.policies:
            column = choice.convert(column, facts, policy[choice.key])
        columns[rule.reason] = column
    return columns
