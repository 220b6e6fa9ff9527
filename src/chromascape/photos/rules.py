"""The rules that files are judged by: each stands for one reason to reject."""

import logging
from typing import Any

import pandas as pd

from chromascape.params import Policy, Validate
from chromascape.photos.source import shown_name

logging.getLogger("great_expectations").setLevel(logging.ERROR)

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
    "same_scene",
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
    """Expectations on the set as a whole: duplicates, held-out scenes, and the gates that stop the pipeline."""
    return {
        "exact_duplicate": gxe.ExpectColumnValuesToBeInSet(
            column="exact_duplicate", value_set=[False], description="No photo is there twice"
        ),
        "same_scene": gxe.ExpectColumnValuesToBeInSet(
            column="same_scene", value_set=[False], description="A held-out scene is measured by one photo"
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
