"""The rules that files are judged by: one record a rule, which stands for one reason to reject.

Everything else follows from the table: the closed list of reasons, the expectations that Great Expectations runs, the
keys of `validate.policy`, and what its policies convert. To add a rule, add a record; what it reads is a column of the
manifest, or a fact of `facts`.
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
    """A choice in `validate.policy`: its key, what may be chosen, and what the choice does to what a rule reads.

    `convert` takes the column that the rule reads, all facts and the choice, and returns the column as it is after
    the conversion. Several rules may name the same key, with the same options.
    """

    key: str
    options: tuple[str, ...]
    convert: Callable[["pd.Series", "pd.DataFrame", str], "pd.Series"]


@dataclass(frozen=True)
class Rule:
    """One reason to reject: the files for which an expectation on one column does not hold.

    Attributes:
        reason: as the manifest names it.
        description: what holds for accepted files, as Data Docs show it.
        reads: the column of `facts`, or for rules on the set one that `splits` finds.
        expectation: a class of `great_expectations.expectations`.
        arguments: its arguments, which may be limits of `validate`.
        policies: what may be converted before the expectation looks, one after the other.
        of_set: the rule looks at all files together, after the others have judged each file on its own.
    """

    reason: str
    description: str
    reads: str
    expectation: str
    arguments: Limits
    policies: tuple[Policy, ...] = ()
    of_set: bool = False


def _becomes(value: Any, column: str, of: list[Any] | None = None) -> Callable[..., "pd.Series"]:
    """Files whose `column` is one of `of` (or is known) are converted, and read as `value` from then on."""

    def convert(read: "pd.Series", facts: "pd.DataFrame", choice: str) -> "pd.Series":
        converted = facts[column].notna() if of is None else facts[column].isin(of)
        return read if choice == REJECT else read.mask(converted, value)

    return convert


def _shorter_side(read: "pd.Series", facts: "pd.DataFrame", choice: str) -> "pd.Series":
    """Of what is left where bars are trimmed."""
    return facts["inner_side"] if choice == "trim" else read


def _modes(value: Any) -> tuple[Policy, ...]:
    modes = {"cmyk": ["CMYK"], "palette": ["P", "PA"], "alpha": ["RGBA", "RGBa", "RGBX"]}
    return tuple(Policy(key, CONVERT, _becomes(value, "mode", of)) for key, of in modes.items())


def _in(*values: Any) -> Limits:
    return lambda validate: {"value_set": list(values)}


def _left_out(validate: Validate) -> dict[str, Any]:
    """Photos of which another shows the same are named and left out, and the set is fine without them."""
    return {"value_set": [False], "mostly": 0}


CONVERT = (REJECT, "convert")
BARS = (REJECT, "trim", "keep")
IN_SET, NOT_IN_SET = "ExpectColumnValuesToBeInSet", "ExpectColumnValuesToNotBeInSet"
BETWEEN = "ExpectColumnValuesToBeBetween"

# In the order in which the manifest names the reasons.
RULES = (
    Rule("unreadable", "Files can be read", "problem", NOT_IN_SET, _in("unreadable")),
    Rule("too_large", "Files are at most validate.max_file_mb", "problem", NOT_IN_SET, _in("too_large")),
    Rule("not_an_image", "Files are images in a known format", "problem", NOT_IN_SET, _in("not_an_image")),
    Rule("too_many_pixels", "Photos have at most validate.max_pixels", "problem", NOT_IN_SET, _in("too_many_pixels")),
    Rule("too_slow", "Photos are read within validate.seconds", "problem", NOT_IN_SET, _in("too_slow")),
    Rule("crashed", "Reading a photo ends no process", "problem", NOT_IN_SET, _in("crashed")),
    Rule("damaged", "Photos decode to their end", "problem", NOT_IN_SET, _in("damaged")),
    Rule(
        # Gray photos have no color to learn from; four channels are ink or transparency.
        "channels", "Photos have three channels (after what validate.policy converts)",
        "channels", IN_SET, _in(3), _modes(3),
    ),
    Rule("mode", "Photos are RGB (after what validate.policy converts)", "mode", IN_SET, _in("RGB"), _modes("RGB")),
    Rule(
        "bit_depth", "Photos have 8 bits a channel (after what validate.policy converts)",
        "bit_depth", IN_SET, _in(8), (Policy("sixteen_bit", CONVERT, _becomes(8, "bit_depth", [16])),),
    ),
    Rule("animated", "Files hold one picture: no animations", "frames", IN_SET, _in(1)),
    Rule(
        "rotated", "Photos are upright (after what validate.policy converts)",
        "orientation", IN_SET, _in(1), (Policy("rotated", CONVERT, _becomes(1, "orientation")),),
    ),
    Rule(
        "wrong_extension", "The file's extension names its format", "extension_matches", IN_SET, _in(True),
        (Policy("wrong_extension", (REJECT, "accept"), _becomes(True, "extension_matches")),),
    ),
    Rule(
        "too_small", "The shorter side, without the black bars that are trimmed, reaches validate.min_side",
        "shorter_side", BETWEEN, lambda validate: {"min_value": validate.min_side},
        (Policy("letterbox", BARS, _shorter_side),),
    ),
    Rule(
        "letterbox", "Photos have no black bars (after what validate.policy trims)",
        "letterboxed", IN_SET, _in(False), (Policy("letterbox", BARS, _becomes(False, "letterboxed")),),
    ),
    Rule(
        # Gray saved as RGB, and gray with a tint, is told by its colorfulness.
        "gray", "Photos show true color: their colorfulness reaches validate.min_colorfulness",
        "colorfulness", BETWEEN, lambda validate: {"min_value": validate.min_colorfulness},
    ),
    Rule("exact_duplicate", "No photo is there twice", "exact_duplicate", IN_SET, _left_out, of_set=True),
    Rule(
        # Of a held-out scene twenty photos measure hardly more than one, and would weigh as much as twenty scenes.
        "same_scene", "A held-out scene is measured by one photo", "same_scene", IN_SET, _left_out, of_set=True,
    ),
)  # fmt: skip

# What stops the pipeline, and rejects no file. They are named as the keys of `validate` that they read.
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


def reasons() -> list[str]:
    """The closed list of reasons, in the order in which the manifest names them."""
    return [rule.reason for rule in RULES]


def file_rules() -> list[Rule]:
    """The rules that judge each file on its own."""
    return [rule for rule in RULES if not rule.of_set]


def set_rules() -> list[Rule]:
    """The rules that look at all files together, and the gates."""
    return [rule for rule in RULES if rule.of_set] + list(GATES)


def policies() -> dict[str, tuple[str, ...]]:
    """What may be chosen for each key of `validate.policy`."""
    return {policy.key: policy.options for rule in RULES for policy in rule.policies}


def check_policy(policy: Mapping[str, str]) -> None:
    """Raises ChromascapeError, in one line, for keys that are unknown or missing and for choices that are none."""
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
    """The manifest with what follows from several of its columns.

    `letterboxed` (bool), `shorter_side` and `inner_side` (without black bars) in pixels; missing where unknown.
    """
    table = manifest.assign(across=manifest["right"] - manifest["left"], down=manifest["bottom"] - manifest["top"])
    return table.assign(
        letterboxed=(table["across"] < table["width"]) | (table["down"] < table["height"]),
        shorter_side=table[["width", "height"]].min(axis=1),
        inner_side=table[["across", "down"]].min(axis=1),
    )


def examined_columns(rules: list[Rule], facts: "pd.DataFrame", policy: Mapping[str, str]) -> "dict[str, pd.Series]":
    """What each rule looks at, by its reason: the column that it reads, after what the policies convert."""
    columns = {}
    for rule in rules:
        column = facts[rule.reads]
        for choice in rule.policies:
            column = choice.convert(column, facts, policy[choice.key])
        columns[rule.reason] = column
    return columns
