"""Names that say what a run is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY

from chromascape.params import Params
from chromascape.tracking import names

COMMITTED = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")


def test_only_what_differs_from_the_committed_params_is_named(make_params: Callable[..., Params]) -> None:
    params = make_params(
        {"train.lr": 0.0123, "validate.min_side": 99, "train.network": "unet", "train.init": "scratch"}
    )
    changed = names.changes(params, COMMITTED)
    assert changed.items() >= {"lr": 0.0123, "init": "scratch", "validate.min_side": 99}.items()
    assert not {"network", "train.network", "data.dir", "track.experiment", "jobs"} & set(changed)
    # Numbers are compared as numbers: the model of params makes 200 to 200.0.
    assert "validate.max_file_mb" not in changed and "preprocess.shard_mb" not in changed


@pytest.mark.parametrize("committed", ["", "{", "- a", "other: 1"])
def test_without_defaults_nothing_is_known_to_differ(make_params: Callable[..., Params], committed: str) -> None:
    assert names.changes(make_params({"train.lr": 0.5}), committed) == {}


def test_a_name_is_a_few_differences_network_and_data(make_params: Callable[..., Params]) -> None:
    params = make_params({"data.dir": "/photos/my hills/"})
    assert names.run_name(params, {}) == "efficientnet my hills"
    assert (
        names.run_name(params, {"lr": 0.1, "epochs": 3}, "apt-owl") == "lr=0.1 epochs=3 [apt-owl] efficientnet my hills"
    )
    many = names.run_name(params, {f"key{number}": number for number in range(7)})
    assert many.startswith("key0=0 ") and "key3=3 +3 more" in many and "key4" not in many
    assert len(names.run_name(params, {"same_scene": "x" * 900})) == 250
    assert names.model_name(params) == "efficientnet-my-hills"
    assert names.model_name(make_params({"data.dir": str(Path("a/b.c:d%"))})) == "efficientnet-b-c-d-"
