"""`params.yaml` as typed, validated objects. Every error names the key and its allowed values.

Defaults are the values that the project ships with: what differs is special about a recipe, in reports and names.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator, model_validator

from chromascape.errors import ChromascapeError, did_you_mean

# Keys that a file may lack, or their beginnings; it has to have all others. A loss that is not there has the weight 0.
OPTIONAL = (
    "data.split.seed",
    "data.split.burst_seconds",
    "data.split.same_scene",
    "engine.",
    "evaluate.damage",
    "register.min_scenes",
    "train.choose_by",
    "train.devices",
    "train.loss.",
)

Share = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _scene(value: Any) -> str | list[str]:
    """Refuse all but patterns that can match a relative path."""
    for pattern in value if isinstance(value, list) and value else [value]:
        if not isinstance(pattern, str):
            raise ValueError("must be a pattern of paths, or a list of them that show one scene together")
        parts = pattern.split("/")
        if not pattern or parts[0] in ("", ".") or ".." in parts:
            raise ValueError("must be a pattern of paths relative to data.dir, such as walk/*; no '/', './', '..'")
    return value  # type: ignore[no-any-return]


Scene = Annotated[str | list[str], PlainValidator(_scene)]


class Section(BaseModel):
    """A section of params.yaml: no unknown keys, and read-only after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(Section):
    """Shares of the accepted photos, and what counts as one scene."""

    train: Share = 0.8
    val: Share = 0.1
    test: Share = 0.1
    seed: int = 32
    burst_seconds: Seconds = 5.0
    same_scene: list[Scene] = [
        "mvtb-data/campus/*", "mvtb-data/building2-*", "mvtb-data/church.*", "mvtb-data/eiffel-*", "mvtb-data/flowers*",
        "mvtb-data/mosaic/aerial-*", "mvtb-data/rocks2-*", "mvtb-data/tomato_*", "scikit-image/motorcycle_*",
    ]  # fmt: skip

    @model_validator(mode="after")
    def sums_to_one(self) -> "Split":
        """Refuse shares that don't add up to 1."""
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, but is {total:g}")
        return self


class Data(Section):
    """Where the photos are, and how they are split."""

    dir: Annotated[str, Field(min_length=1)] = "data/sample"
    train_only: list[str] = []
    test_only: list[str] = ["sample-landscapes"]
    split: Split = Split()


class Sample(Section):
    """The sample that comes with the project."""

    max_side: Annotated[int, Field(ge=128, le=10_000)] = 1024


class Validate(Section):
    """Which photos are accepted, and when the pipeline stops."""

    min_side: Annotated[int, Field(ge=1)] = 128
    # Pillow itself opens at most 178,956,970 pixels.
    max_pixels: Annotated[int, Field(ge=1, le=178_000_000)] = 100_000_000
    max_file_mb: Positive = 200.0
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    min_colorfulness: Weight = 4.0
    near_duplicate_bits: Annotated[int, Field(ge=0, le=8)] = 4
    policy: dict[str, str] = {  # photos.rules has the keys and their choices, and checks them
        "cmyk": "reject",
        "palette": "reject",
        "alpha": "reject",
        "sixteen_bit": "reject",
        "rotated": "convert",
        "wrong_extension": "reject",
        "letterbox": "trim",
    }
    min_accepted: Annotated[int, Field(ge=3)] = 20
    max_rejected_share: Annotated[float, Field(ge=0, le=1)] = 0.8


class Preprocess(Section):
    """The Lab shards."""

    side: Annotated[int, Field(ge=64, le=2048, multiple_of=32)] = 256
    fit: Literal["crop", "squash"] = "crop"
    shard_mb: Positive = 48.0


class Train(Section):
    """Network, loss and schedule of the training."""

    # learning.checks.check_train compares networks, losses and choose_by with their tables.
    network: str = "efficientnet_lite2"
    init: Literal["scratch", "imagenet", "shipped"] = "shipped"
    input: Literal["lightness", "luma"] = "lightness"
    loss: dict[str, Weight] = {"mse": 1.0, "l1": 1.0, "ssim": 0.0}
    choose_by: str = "loss"
    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 16
    lr: Positive = 0.0002
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: Weight = 0.05
    schedule: Literal["constant", "onecycle", "cosine"] = "onecycle"
    flip: bool = True
    crop: Annotated[float, Field(gt=0, le=1)] = 0.4
    damage: Annotated[float, Field(ge=0, le=1)] = 0.0
    distill: Annotated[float, Field(ge=0, le=1)] = 0.0
    freeze_norm: bool = False
    side: Annotated[int, Field(ge=0, le=2048, multiple_of=32)] = 160
    working_size: Annotated[int, Field(ge=0, le=2048)] = 192
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    calibrate: bool = True
    vivid: Weight = 0.9
    photos: Literal["train", "all"] = "train"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    devices: Annotated[int, Field(ge=1, le=1024)] = 1
    precision: Literal["auto", "bf16", "float32"] = "auto"
    checkpoint_seconds: Positive = 60.0

    @property
    def uses_shipped(self) -> bool:
        """Whether the result depends on the shipped model's weights."""
        return self.init == "shipped" or self.distill > 0

    @field_validator("loss")
    @classmethod
    def absent_losses_have_no_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        """Fill in 0, so that leaving a loss out is the same training as giving it no weight."""
        return dict.fromkeys(cls.model_fields["loss"].default, 0.0) | weights

    @model_validator(mode="after")
    def working_size_is_large_enough(self) -> "Train":
        """Refuse sizes below 64 pixels, at which networks see next to nothing."""
        if 0 < self.working_size < 64:
            raise ValueError(f"working_size must be 0 or at least 64, but is {self.working_size}")
        return self


class Evaluate(Section):
    """Photos and pictures of the report."""

    split: Literal["test", "val"] = "test"
    damage: bool = True
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    rows: Annotated[int, Field(ge=1, le=50)] = 4


class Register(Section):
    """The gate of the model registry."""

    model: Annotated[str, Field(pattern=r"^[\w-]+$")] = "chromascape"
    min_gain_db: Weight = 0.5
    min_scenes: Annotated[int, Field(ge=2)] = 5


class Track(Section):
    """MLflow."""

    experiment: Annotated[str, Field(min_length=1, max_length=500)] = "chromascape"


class Engine(Section):
    """Who works on photos in validate, preprocess and evaluate."""

    name: Literal["local", "dask"] = "local"
    scheduler: Annotated[str, Field(pattern=r"^(tcp|tls)://.+:[0-9]+$")] = "tcp://127.0.0.1:8786"
    chunk: Annotated[int, Field(ge=1, le=10_000)] = 64


class Params(Section):
    """All of params.yaml, a field for each section."""

    data: Data = Data()
    sample: Sample = Sample()
    validate_: Annotated[Validate, Field(alias="validate")] = Validate()  # pydantic reserves `validate`
    preprocess: Preprocess = Preprocess()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    register_: Annotated[Register, Field(alias="register")] = Register()  # as `validate`
    track: Track = Track()
    jobs: Annotated[int, Field(ge=0)] = 0
    engine: Engine = Engine()


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file, so that a mistake in the last section stops the first stage.

    Raises:
        ChromascapeError: the file is missing, is not YAML, or a key is unknown, missing or out of range.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ChromascapeError(f"{path}: expected sections such as 'data:' and 'train:'")
    missing = _missing_keys(values, Params().model_dump(by_alias=True))
    problems = [f"{key}: this key is missing" for key in missing if not key.startswith(OPTIONAL)]
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        problems += [_explain(problem) for problem in error.errors()]
    if problems:
        raise ChromascapeError(f"{path}: {'; '.join(problems)}")
    return params


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    The library reads YAML with ruamel.yaml alone, as DVC does: it reads YAML 1.2. PyYAML reads 1.1, where `on` is a
    boolean, `1e-3` a text and `010` the number eight.

    Raises:
        ChromascapeError: the file is missing, is not YAML or has a key twice.
    """
    from ruamel.yaml import YAML, YAMLError  # here: the base install, which only colorizes, reads no YAML

    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChromascapeError(f"{path}: no such file; run this in the project's folder") from None
    except (YAMLError, ValueError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ChromascapeError(f"{path}: not valid YAML: {line}{' '.join(str(problem or error).split())}") from None


def flatten(values: BaseModel | dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Params as one level of dotted keys, e.g. `{"train.lr": 0.002}`, each after the prefix."""
    flat: dict[str, Any] = {}
    for key, value in (values if isinstance(values, dict) else values.model_dump(by_alias=True)).items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def deciding(params: Params) -> dict[str, Any]:
    """Those that decide the figures, as `flatten`: not where the photos are or the number of workers."""
    sections = {"data", "validate", "preprocess", "train", "evaluate"}
    return {key: value for key, value in flatten(params).items() if key.split(".")[0] in sections and key != "data.dir"}


def non_default(params: dict[str, Any]) -> dict[str, Any]:
    """Those of the params, in the form of `flatten`, that differ from the defaults."""
    defaults = flatten(Params())
    return {key: value for key, value in params.items() if key not in defaults or defaults[key] != value}


def _missing_keys(values: dict[Any, Any], expected: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys of `expected` that the values lack; of a section that is missing, its name alone."""
    missing = []
    for key, value in expected.items():
        if key not in values:
            missing.append(f"{prefix}{key}")
        elif isinstance(value, dict) and isinstance(values[key], dict):
            missing += _missing_keys(values[key], value, f"{prefix}{key}.")
    return missing


def _explain(problem: Any) -> str:
    """One pydantic error as 'key: what is wrong (the value)'."""
    *sections, last = [str(part) for part in problem["loc"]]
    key = ".".join([*sections, last])
    if problem["type"] == "extra_forbidden":
        siblings = Params().model_dump(by_alias=True)
        for section in sections:
            siblings = siblings[section]
        return f"{key}: unknown key{did_you_mean(last, siblings, key.removesuffix(last))}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{key}: {message}" + ("" if isinstance(problem["input"], dict) else f" (it is {problem['input']!r})")
