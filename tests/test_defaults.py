"""The defaults that recipes are compared with are those of params.yaml."""

from conftest import REPOSITORY

from chromascape.defaults import DEFAULTS, changes
from chromascape.params import flatten, load_params


def test_defaults_are_what_params_yaml_comes_with() -> None:
    """A new key or another default goes into both."""
    assert flatten(load_params(REPOSITORY / "params.yaml")) == DEFAULTS


def test_only_what_differs_is_a_change() -> None:
    assert changes(DEFAULTS) == {}
    changed = DEFAULTS | {"train.lr": 0.5, "train.new": None}
    assert changes(changed) == {"train.lr": 0.5, "train.new": None}
