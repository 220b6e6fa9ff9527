"""The table of rules: what its policies convert, and what may be written in validate.policy."""

import subprocess
import sys
from typing import Any

import pandas as pd
import pytest
from conftest import changed_params

from chromascape.errors import ChromascapeError
from chromascape.photos import rules
from chromascape.photos.manifest import COLUMNS, TYPES

POLICY: dict[str, str] = changed_params({})["validate"]["policy"]


def kept(policy: dict[str, str], **row: Any) -> dict[str, Any]:
    """What the rules look at in one file, by reason, after the policies of params.yaml with some changed."""
    known: dict[str, Any] = {"path": "x.png", "mode": "RGB", "channels": 3, "bit_depth": 8, "orientation": 1}
    known |= {"extension_matches": True, "width": 200, "height": 100, "left": 0, "top": 0, "right": 200, "bottom": 100}
    table = pd.DataFrame([known | row]).reindex(columns=COLUMNS).astype(TYPES)
    single = [rule for rule in rules.RULES if not rule.of_set]
    columns = rules.examined_columns(single, rules.facts(table), POLICY | policy)
    return {reason: column.iloc[0] for reason, column in columns.items()}


@pytest.mark.parametrize(
    ("policy", "mode", "channels"),
    [("cmyk", "CMYK", 4), ("palette", "P", 1), ("palette", "PA", 2), ("alpha", "RGBA", 4), ("alpha", "RGBX", 4)],
)
def test_each_policy_converts_its_own_mode_alone(policy: str, mode: str, channels: int) -> None:
    others = {"cmyk", "palette", "alpha", "sixteen_bit"} - {policy}
    row = kept({policy: "convert"}, mode=mode, channels=channels)
    assert (row["mode"], row["channels"]) == ("RGB", 3)
    row = kept(dict.fromkeys(others, "convert"), mode=mode, channels=channels)
    assert (row["mode"], row["channels"]) == (mode, channels)


@pytest.mark.parametrize(("depth", "converted"), [(8, 8), (16, 8), (1, 1), (32, 32)])
def test_sixteen_bits_alone_are_converted(depth: int, converted: int) -> None:
    assert kept({"sixteen_bit": "convert"}, bit_depth=depth)["bit_depth"] == converted
    assert kept({"sixteen_bit": "reject"}, bit_depth=depth)["bit_depth"] == depth


@pytest.mark.parametrize(
    ("policy", "boxed_kept", "shorter"), [("reject", True, 100), ("trim", False, 60), ("keep", False, 100)]
)
def test_bars_are_rejected_trimmed_or_kept(policy: str, boxed_kept: bool, shorter: int) -> None:
    row = kept({"letterbox": policy}, top=20, bottom=80)
    assert (bool(row["letterbox"]), row["too_small"]) == (boxed_kept, shorter)


def test_orientation_and_extension_are_accepted_or_not() -> None:
    assert kept({"rotated": "convert"}, orientation=6)["rotated"] == 1
    assert kept({"rotated": "reject"}, orientation=6)["rotated"] == 6
    assert kept({"wrong_extension": "accept"}, extension_matches=False)["wrong_extension"]
    assert not kept({"wrong_extension": "reject"}, extension_matches=False)["wrong_extension"]
    assert pd.isna(kept({"wrong_extension": "accept"}, extension_matches=None)["wrong_extension"])


def test_a_file_of_which_nothing_is_known_stays_unknown() -> None:
    gone = dict.fromkeys(["mode", "channels", "bit_depth", "orientation", "extension_matches"])
    gone |= dict.fromkeys(["width", "height", "left", "top", "right", "bottom"])
    converts = {key: options[-1] for key, options in rules.policies().items()}
    for policy in (POLICY, converts):
        row = kept(policy, **gone, problem="unreadable")
        known = {reason for reason, value in row.items() if not pd.isna(value)}
        assert known == {rule.reason for rule in rules.RULES if rule.reads == "problem"}


def test_the_policy_of_params_yaml_is_whole() -> None:
    assert rules.check_policy(POLICY) is None
    assert list(POLICY) == list(rules.policies())


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"cmyk": "x"}, "validate.policy.cmyk: must be 'reject' or 'convert' (it is 'x')"),
        (
            {"wrong_extension": "convert"},
            "validate.policy.wrong_extension: must be 'reject' or 'accept' (it is 'convert')",
        ),
        ({"letterbox": "convert"}, "validate.policy.letterbox: must be 'reject', 'trim' or 'keep' (it is 'convert')"),
        ({"cymk": "reject"}, "validate.policy.cymk: unknown key; did you mean validate.policy.cmyk?"),
        ({"zzz": "reject"}, "validate.policy.zzz: unknown key"),
        (
            {"alpha": "y", "cmyk": "x"},
            "validate.policy.cmyk: must be 'reject' or 'convert' (it is 'x'); "
            "validate.policy.alpha: must be 'reject' or 'convert' (it is 'y')",
        ),
    ],
)
def test_a_slip_in_the_policy_is_one_line(changes: dict[str, str], line: str) -> None:
    with pytest.raises(ChromascapeError) as caught:
        rules.check_policy(POLICY | changes)
    assert str(caught.value) == f"params.yaml: {line}"


def test_a_missing_policy_is_named() -> None:
    with pytest.raises(ChromascapeError) as caught:
        rules.check_policy({key: choice for key, choice in POLICY.items() if key != "alpha"})
    assert str(caught.value) == "params.yaml: validate.policy.alpha: this key is missing"


def test_reasons_are_told_apart_and_a_key_has_one_set_of_options() -> None:
    assert len({rule.reason for rule in rules.RULES}) == len(rules.RULES)
    named = {(policy.key, policy.options) for rule in rules.RULES for policy in rule.policies}
    assert dict(named) == rules.policies() and len(named) == len(rules.policies())
    assert all(options[0] == "reject" for options in rules.policies().values())


def test_rules_are_light() -> None:
    script = (
        "import sys, chromascape.photos.rules; print(*{'great_expectations', 'pandas', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
