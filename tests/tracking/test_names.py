"""Names that say what a run is."""

from collections.abc import Callable
from pathlib import Path

from chromascape.params import Params, deciding, non_default
from chromascape.tracking import names


def test_what_differs_from_the_defaults_is_named_the_recipe_first(make_params: Callable[..., Params]) -> None:
    params = make_params(
        {
            "validate.min_side": 99, "data.test_only": [], "data.dir": "photos", "track.experiment": "other", "jobs": 3,
            "train.network": "unet", "train.init": "scratch", "train.lr": 0.0123,
        }
    )  # fmt: skip
    changed = names.changes(params)
    assert list(changed.items()) == [
        ("init", "scratch"), ("lr", 0.0123), ("data.test_only", []), ("validate.min_side", 99),
    ]  # fmt: skip
    assert names.changes(make_params()) == {}


def test_names_and_the_report_agree_on_what_differs(make_params: Callable[..., Params]) -> None:
    """Names looked at git's params.yaml, the report at the defaults: a committed recipe was special in one alone."""
    params = make_params({"train.loss.ssim": 0.25, "evaluate.rows": 2, "preprocess.side": 128})
    named = {key if "." in key and not key.startswith("loss") else f"train.{key}" for key in names.changes(params)}
    assert named == set(non_default(deciding(params)))


def test_a_name_is_a_few_differences_network_and_data(make_params: Callable[..., Params]) -> None:
    params = make_params({"data.dir": "/photos/my hills/"})
    assert names.run_name(params, {}) == "efficientnet_lite2 my hills"
    named = names.run_name(params, {"lr": 0.1, "epochs": 3}, "apt-owl")
    assert named == "lr=0.1 epochs=3 [apt-owl] efficientnet_lite2 my hills"
    many = names.run_name(params, {f"key{number}": number for number in range(7)})
    assert many.startswith("key0=0 ") and "key3=3 +3 more" in many and "key4" not in many
    assert len(names.run_name(params, {"same_scene": "x" * 900})) == 250
    assert names.model_name(params) == "efficientnet_lite2-my-hills"
    assert names.model_name(make_params({"data.dir": str(Path("a/b.c:d%"))})) == "efficientnet_lite2-b-c-d-"
