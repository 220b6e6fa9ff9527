"""params.yaml: which values are accepted, and that every error names the key and its allowed values."""

import io
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dvc.api
import pytest
from conftest import REPOSITORY, changed_params
from dvc.repo import Repo
from pydantic import ValidationError
from ruamel.yaml import YAML

from chromascape.errors import ChromascapeError
from chromascape.lockfile import locked_stages
from chromascape.params import Params, flatten, load_params, non_default, read_yaml


def load_changed(folder: Path, changes: dict[str, Any]) -> Params:
    """What load_params makes of the default params with some keys changed."""
    return load_values(folder, changed_params(changes))


def load_values(folder: Path, values: Any) -> Params:
    path = folder / "params.yaml"
    path.write_text(dump(values), encoding="utf-8")
    return load_params(path)


def dump(values: Any) -> str:
    """YAML as DVC writes it."""
    stream = io.StringIO()
    YAML().dump(values, stream)
    return stream.getvalue()


def load_with_line(folder: Path, old: str, new: str) -> Params:
    """What load_params makes of the default params with the text `old` replaced."""
    text = dump(changed_params({}))
    assert old in text
    (folder / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")
    return load_params(folder / "params.yaml")


def test_params_yaml_has_the_keys_of_the_defaults_in_their_order() -> None:
    """Its values may be a fork's own."""
    values = read_yaml(REPOSITORY / "params.yaml")
    Params.model_validate(values)
    assert keys(values) == keys(Params().model_dump(by_alias=True))


def keys(values: dict[str, Any], before: str = "") -> list[str]:
    """Dotted keys, in the order in which they stand."""
    return [
        inner
        for key, value in values.items()
        for inner in (keys(value, f"{before}{key}.") if isinstance(value, dict) else [f"{before}{key}"])
    ]


def test_only_what_differs_from_the_defaults_is_non_default() -> None:
    defaults = flatten(Params())
    assert non_default(defaults) == {}
    assert non_default(defaults | {"train.lr": 0.5, "train.new": None}) == {"train.lr": 0.5, "train.new": None}


def test_params_are_read_from_the_current_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_changed(tmp_path, {"train.epochs": 77})
    monkeypatch.chdir(tmp_path)
    assert load_params().train.epochs == 77


def test_params_cannot_be_changed_after_loading(make_params: Callable[..., Params]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make_params().train.lr = 1.0


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.epoch", 3, "train.epoch: unknown key; did you mean train.epochs?"),
        ("trian", {}, "trian: unknown key; did you mean train?"),
        ("validat", {}, "validat: unknown key; did you mean validate?"),
        ("data.split.tests", 0.1, "data.split.tests: unknown key; did you mean data.split.test?"),
    ],
)
def test_an_unknown_key_is_named_with_the_key_that_was_meant(
    tmp_path: Path, key: str, value: Any, expected: str
) -> None:
    with pytest.raises(ChromascapeError) as caught:
        load_changed(tmp_path, {key: value})
    assert str(caught.value) == f"{tmp_path / 'params.yaml'}: {expected}"


def test_an_unknown_key_like_no_other_gets_no_suggestion(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError) as caught:
        load_changed(tmp_path, {"data.zzzzzzzz": 1})
    assert str(caught.value) == f"{tmp_path / 'params.yaml'}: data.zzzzzzzz: unknown key"


@pytest.mark.parametrize(
    "key", ["train", "train.lr", "train.loss", "validate", "validate.policy", "data.split.test", "jobs"]
)
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    values = changed_params({})
    *sections, last = key.split(".")
    section = values
    for name in sections:
        section = section[name]
    del section[last]
    with pytest.raises(ChromascapeError) as caught:
        load_values(tmp_path, values)
    assert str(caught.value) == f"{tmp_path / 'params.yaml'}: {key}: this key is missing"


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("train.lr", -0.1, "must be greater than 0"),
        ("train.lr", 0, "must be greater than 0"),
        ("train.lr", "fast", "must be a valid number"),
        ("train.network", 3, "must be a valid string"),
        ("train.init", "magic", "must be 'scratch', 'imagenet' or 'shipped'"),
        ("train.optimizer", "sgd", "must be 'adam' or 'adamw'"),
        ("train.schedule", "linear", "must be 'constant', 'onecycle' or 'cosine'"),
        ("train.photos", "test", "must be 'train' or 'all'"),
        ("train.device", "tpu", "must be 'auto', 'cuda', 'mps' or 'cpu'"),
        ("train.precision", "fp16", "must be 'auto', 'bf16' or 'float32'"),
        ("train.epochs", 0, "must be greater than or equal to 1"),
        ("train.epochs", 1.5, "must be a valid integer"),
        ("train.batch_size", 0, "must be greater than or equal to 1"),
        ("train.weight_decay", -1, "must be greater than or equal to 0"),
        ("train.seed", -1, "must be greater than or equal to 0"),
        ("train.seed", 2**32, "must be less than 4294967296"),
        ("train.flip", "sideways", "must be a valid boolean"),
        ("train.loss.mse", -1, "must be greater than or equal to 0"),
        ("train.loss.mse", "much", "must be a valid number"),
        ("train.loss.mse", float("inf"), "must be a finite number"),
        ("data.dir", "", "at least 1 character"),
        ("data.split.val", 0, "must be greater than 0"),
        ("data.split.val", 1, "must be less than 1"),
        ("data.split.burst_seconds", -1, "must be greater than or equal to 0"),
        ("data.split.burst_seconds", "long", "must be a valid number"),
        ("data.split.same_scene", "walk/*", "must be a valid list"),
        ("sample.max_side", 127, "must be greater than or equal to 128"),
        ("validate.min_side", 0, "must be greater than or equal to 1"),
        ("validate.max_pixels", 178_000_001, "must be less than or equal to 178000000"),
        ("validate.max_file_mb", 0, "must be greater than 0"),
        ("validate.min_colorfulness", -1, "must be greater than or equal to 0"),
        ("validate.near_duplicate_bits", 9, "must be less than or equal to 8"),
        ("validate.near_duplicate_bits", -1, "must be greater than or equal to 0"),
        ("validate.min_accepted", 2, "must be greater than or equal to 3"),
        ("validate.max_rejected_share", 1.1, "must be less than or equal to 1"),
        ("validate.policy.cmyk", False, "must be a valid string"),
        ("preprocess.side", 100, "must be a multiple of 32"),
        ("preprocess.side", 32, "must be greater than or equal to 64"),
        ("preprocess.fit", "stretch", "must be 'crop' or 'squash'"),
        ("preprocess.shard_mb", 0, "must be greater than 0"),
        ("evaluate.rows", 51, "must be less than or equal to 50"),
        ("register.model", "a/b", "should match pattern"),
        ("register.min_gain_db", -0.5, "must be greater than or equal to 0"),
        ("register.min_scenes", 1, "must be greater than or equal to 2"),
        ("track.experiment", "", "at least 1 character"),
        ("jobs", -1, "must be greater than or equal to 0"),
    ],
)
def test_a_bad_value_is_named_with_its_limit(tmp_path: Path, key: str, value: Any, limit: str) -> None:
    with pytest.raises(ChromascapeError) as caught:
        load_changed(tmp_path, {key: value})
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'params.yaml'}: {key}: ")
    assert limit in line
    assert line.endswith(f"(it is {value!r})")
    assert "\n" not in line


@pytest.mark.parametrize("written", [".inf", "-.inf", ".nan", "inf", "nan"])
@pytest.mark.parametrize(
    "key", ["data.split.burst_seconds", "train.lr", "validate.min_colorfulness", "validate.max_rejected_share"]
)
def test_what_is_no_finite_number_is_refused(tmp_path: Path, key: str, written: str) -> None:
    text = dump(changed_params({key: "HERE"})).replace("HERE", written)
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ChromascapeError) as caught:
        load_params(tmp_path / "params.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'params.yaml'}: {key}: must be ")
    shown = written.replace(".", "")  # as Python shows the number
    assert f"it is {shown}" in str(caught.value).replace("'", "")


def test_splits_that_do_not_sum_to_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError) as caught:
        load_changed(tmp_path, {"data.split.train": 0.7, "data.split.val": 0.1, "data.split.test": 0.1})
    assert str(caught.value) == f"{tmp_path / 'params.yaml'}: data.split: train + val + test must be 1, but is 0.9"


@pytest.mark.parametrize(
    "pattern", ["", "/photos/*", "./walk/*", "../*", "walk/../*", ["a.jpg", "./b.jpg"], 7, [], [7]]
)
def test_a_pattern_that_can_match_no_path_is_refused(tmp_path: Path, pattern: Any) -> None:
    with pytest.raises(ChromascapeError) as caught:
        load_changed(tmp_path, {"data.split.same_scene": ["walk/*", ["a.jpg", "b.jpg"], pattern]})
    assert str(caught.value).startswith(
        f"{tmp_path / 'params.yaml'}: data.split.same_scene.2: must be a pattern of paths"
    )
    assert str(caught.value).endswith(f"(it is {pattern!r})") and "same_scene.1" not in str(caught.value)


def test_bursts_scenes_and_the_seed_of_the_split_may_be_left_out(tmp_path: Path) -> None:
    split = load_changed(tmp_path, {"data.split": {"train": 0.8, "val": 0.1, "test": 0.1}}).data.split
    assert split == Params().data.split


def test_splits_of_a_third_each_are_close_enough_to_one(make_params: Callable[..., Params]) -> None:
    third = 0.3333333
    params = make_params({"data.split.train": third, "data.split.val": third, "data.split.test": third})
    assert params.data.split.val == third


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    values = changed_params({"train.lr": -1, "jobs": -1, "data.dri": "x"})
    del values["track"]
    with pytest.raises(ChromascapeError) as caught:
        load_values(tmp_path, values)
    line = str(caught.value)
    assert line.count("; ") >= 2
    assert all(
        key in line
        for key in ("train.lr: ", "jobs: ", "track: this key is", "data.dri: unknown key; did you mean data.dir?")
    )


def test_an_empty_section_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError, match=r"params\.yaml: train: .*\(it is None\)"):
        load_changed(tmp_path, {"train": None})


@pytest.mark.parametrize("written", ["on", "off", "yes", "no", "y", "n"])
def test_words_that_yaml_1_1_reads_as_booleans_stay_texts(tmp_path: Path, written: str) -> None:
    params = load_with_line(tmp_path, "experiment: chromascape", f"experiment: {written}")
    assert params.track.experiment == written


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 1e-3),
        ("1E-3", 1e-3),
        ("2.5e+1", 25.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("3", 3.0),
        ("+1e1", 10.0),
        ("010", 10.0),
    ],
)
def test_numbers_are_read_as_yaml_1_2_reads_them(tmp_path: Path, written: str, value: float) -> None:
    loaded = load_with_line(tmp_path, "lr: 0.0002", f"lr: {written}").train.lr
    assert isinstance(loaded, float)
    assert loaded == value


def test_a_time_of_yaml_1_1_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError, match=r"train\.batch_size: must be a valid integer.*'1:30'"):
        load_with_line(tmp_path, "batch_size: 16", "batch_size: 1:30")


@pytest.mark.parametrize(("written", "value"), [("true", True), ("False", False), ("TRUE", True)])
def test_booleans_are_read(tmp_path: Path, written: str, value: bool) -> None:
    assert load_with_line(tmp_path, "flip: true", f"flip: {written}").train.flip is value


@pytest.mark.parametrize("text", ["train: [1, 2", "a: b: c", "\tx: 1", "x: !!python/object/apply:os.getcwd []"])
def test_text_that_is_not_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ChromascapeError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}: not valid YAML: ")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_not_utf8_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"data: \xff\xfe")
    with pytest.raises(ChromascapeError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}: not valid YAML: ")


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(ChromascapeError) as caught:
        load_params(path)
    assert str(caught.value) == f"{path}: no such file; run this in the project's folder"


@pytest.mark.parametrize("text", ["", "just words", "- data\n- train\n", "42"])
def test_a_file_without_sections_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ChromascapeError) as caught:
        load_params(path)
    assert str(caught.value) == f"{path}: expected sections such as 'data:' and 'train:'"


def test_a_key_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    values = changed_params({})
    values["train"][7] = "x"
    with pytest.raises(ChromascapeError, match=r"params\.yaml: train\.7"):
        load_values(tmp_path, values)


def test_flatten_names_every_value_by_its_dotted_key(make_params: Callable[..., Params]) -> None:
    params = make_params({"train.lr": 0.25, "validate.policy.cmyk": "convert", "jobs": 3})
    flat = flatten(params)
    assert flat["train.lr"] == 0.25
    assert flat["validate.policy.cmyk"] == "convert"
    assert flat["jobs"] == 3
    assert not any(isinstance(value, dict) for value in flat.values())
    assert not any(key.startswith("validate_") for key in flat)


def test_flatten_works_on_one_section_and_loses_no_key(make_params: Callable[..., Params]) -> None:
    params = make_params()
    assert flatten(params.train)["loss.l1"] == params.train.loss["l1"]
    values = changed_params({})

    def count(node: Any) -> int:
        return sum(map(count, node.values())) if isinstance(node, dict) else 1

    assert len(flatten(params)) == count(values)


@pytest.mark.parametrize("size", [1, 32, 63])
def test_a_working_size_that_no_model_may_have_is_named(make_params: Callable[..., Params], size: int) -> None:
    with pytest.raises(ValidationError, match=f"must be 0 or at least 64, but is {size}"):
        make_params({"train.working_size": size})
    assert make_params({"train.working_size": 64}).train.working_size == 64


# Of all these YAML 1.1, or PyYAML, or both read something else.
WRITTEN = "1e-3 1E-3 2.5e+1 5. .5 +1e1 010 08 0o10 0x1F 1_000 1:30 on off yes no y n True TRUE ~ null .inf -.INF 'on'"


def test_values_are_what_dvc_reads_of_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("\n".join(f"key{n}: {text}" for n, text in enumerate(WRITTEN.split())) + "\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    Repo.init(str(tmp_path)).close()
    theirs = dvc.api.params_show("params.yaml", repo=str(tmp_path))
    ours = read_yaml(file)
    assert [(key, type(value), value) for key, value in ours.items()] == [
        (key, type(value), value) for key, value in theirs.items()
    ]
    values = dict(zip(WRITTEN.split(), ours.values(), strict=True))
    assert (values["1e-3"], values["on"], values["010"]) == (0.001, "on", 10)
    assert values[".inf"] == math.inf and values["True"] is True and values["~"] is None


def test_a_key_that_is_there_twice_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError) as caught:
        load_with_line(tmp_path, "  lr: 0.0002", "  lr: 0.1\n  lr: 0.0002")
    text = (tmp_path / "params.yaml").read_text(encoding="utf-8").splitlines()
    number = 1 + next(n for n, line in enumerate(text) if line.startswith("  lr: 0.0002"))
    assert str(caught.value) == (
        f'{tmp_path / "params.yaml"}: not valid YAML: line {number}: found duplicate key "lr" with value "0.0002" '
        '(original value: "0.1")'
    )


@pytest.mark.parametrize("text", ["a: 2001-99-99", "a: !!int x", "- " * 3000, "a: 1\n---\nb: 2", "a: *b"])
def test_what_the_parser_chokes_on_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ChromascapeError) as caught:
        load_params(path)
    assert str(caught.value).startswith(f"{path}: not valid YAML: ")
    assert "\n" not in str(caught.value)


def test_the_stages_of_dvc_lock_keep_paths_that_yaml_1_1_reads_as_booleans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = {"cmd": "x", "deps": [{"path": "yes", "md5": "0123", "size": 3}]}
    Path("dvc.lock").write_text(dump({"schema": "2.0", "stages": {"validate": stage}}), encoding="utf-8")
    assert locked_stages() == {"validate": stage}


@pytest.mark.parametrize("text", ["", "stages: [1]", "stages: {train: 1}", "a: [", "schema: 1"])
def test_a_damaged_dvc_lock_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text(text, encoding="utf-8")
    with pytest.raises(ChromascapeError, match=r"^dvc\.lock"):
        locked_stages()


def test_colorizing_needs_no_yaml_library() -> None:
    """`ruamel.yaml` comes with the extra `pipeline` alone."""
    code = "import sys; sys.modules['ruamel'] = sys.modules['yaml'] = None; import chromascape.params, chromascape.cli"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
