"""Lines of a summary that compare with the shipped model; its table is in test_cli."""

import json
from pathlib import Path
from typing import Any

import pytest
from registered import FIGURES

from chromascape.files import sha256_of_file
from chromascape.judging.summary import note_on_model, shipped_is_better, short_lines

# A fine-tune at 25.80 dB where the shipped model has 25.93.
WORSE = {"gain_db": -0.13, "ci95_db": [-0.3, 0.04], "win_rate": 0.4, "n_photos": 60, "n_scenes": 58}
SAID = (
    "worse than the shipped model: −0.13 dB PSNR (95 % interval −0.30 to +0.04) beside it on the same 60 validation "
    "photos (`--model shipped` uses that one)"
)


def with_over(over: dict[str, Any] | None) -> dict[str, Any]:
    return FIGURES | {"val": FIGURES["val"] | {"over_shipped": over}}


def test_a_model_that_is_worse_than_the_shipped_one_is_told_so() -> None:
    assert shipped_is_better(with_over(WORSE)) == [f"note: {SAID}"]
    assert shipped_is_better(with_over(None)) == shipped_is_better(FIGURES) == []


def test_figures_stand_beside_the_shipped_models_and_grays() -> None:
    assert short_lines(FIGURES | {"n_left_out": 2}) == [
        "PSNR on 4 test photos: model 24.00 dB, shipped model 23.80, gray 22.50",
        "PSNR on 3 validation photos: model 24.00 dB, shipped model 23.80, gray 22.50",
        "2 more are left out: the model was trained on them.",
    ]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"], ids=["none", "damaged", "a list", "empty"])
def test_a_model_without_figures_of_its_own_is_used_in_silence(tmp_path: Path, content: str | None) -> None:
    model = tmp_path / "models/colorizer"
    model.mkdir(parents=True)
    (tmp_path / "metrics").mkdir()
    assert note_on_model(model) == ""
    (model / "config.json").write_text("{}")
    if content:
        (tmp_path / "metrics/evaluate.json").write_text(content)
    assert note_on_model(model) == ""


def test_what_colorizes_says_that_the_shipped_model_is_better_only_of_the_model_that_was_measured(
    tmp_path: Path,
) -> None:
    config = tmp_path / "models/colorizer/config.json"
    for folder in (config.parent, tmp_path / "metrics"):
        folder.mkdir(parents=True)
    config.write_text("{}")
    figures = with_over(WORSE) | {"model_sha256": sha256_of_file(config)}
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps(figures))
    assert note_on_model(config.parent) == SAID
    config.write_text("{ }")  # trained anew, not measured
    assert note_on_model(config.parent) == ""
