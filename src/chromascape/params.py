"""`params.yaml` as typed, validated objects. Every error names the key and what it may be."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from chromascape.errors import ChromascapeError, did_you_mean

Share = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _relative_pattern(pattern: str) -> str:
    """A pattern that can match; one that matches no photo of this folder is not known here."""
    parts = pattern.split("/")
    if not pattern or parts[0] in ("", ".") or ".." in parts:
        raise ValueError("must be a pattern of paths relative to data.dir, such as walk/*; no '/', './', '..'")
    return pattern


Pattern = Annotated[str, AfterValidator(_relative_pattern)]


class Section(BaseModel):
    """A part of params.yaml: no unknown keys, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(Section):
    """Shares of the accepted photos, and the seed that draws them."""

    train: Share
    val: Share
    test: Share
    seed: int = 0
    burst_seconds: Seconds = 5.0
    same_scene: list[Pattern] = []

    @model_validator(mode="after")
    def sums_to_one(self) -> "Split":
        """Shares that don't add up to 1 are a slip."""
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, but is {total:g}")
        return self


class Data(Section):
    """Where the photos are, and how they are split."""

    dir: Annotated[str, Field(min_length=1)]
    train_only: list[str]
    test_only: list[str]
    split: Split


class Sample(Section):
    """The sample that comes with the project."""

    max_side: Annotated[int, Field(ge=128, le=10_000)]


class Validate(Section):
    """What is accepted, and when the pipeline stops."""

    min_side: Annotated[int, Field(ge=1)]
    # Pillow itself refuses to open more than 178,956,970 pixels.
    max_pixels: Annotated[int, Field(ge=1, le=178_000_000)]
    max_file_mb: Positive
    seconds: Annotated[float, Field(ge=0, le=86_400)]
    min_colorfulness: Weight
    near_duplicate_bits: Annotated[int, Field(ge=0, le=8)]
    policy: dict[str, str]  # photos.rules knows the keys, and checks them
    min_accepted: Annotated[int, Field(ge=3)]
    max_rejected_share: Annotated[float, Field(ge=0, le=1)]


class Preprocess(Section):
    """The Lab cache."""

    side: Annotated[int, Field(ge=64, le=2048, multiple_of=32)]
    fit: Literal["crop", "squash"]
    shard_mb: Positive


class Train(Section):
    """Network, loss and course of the training."""

    # Which networks and losses there are, say their tables: learning.checks.check_train compares.
    network: str
    init: Literal["scratch", "imagenet", "shipped"]
    input: Literal["lightness", "luma"]
    loss: dict[str, Weight]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    lr: Positive
    optimizer: Literal["adam", "adamw"]
    weight_decay: Weight
    schedule: Literal["constant", "onecycle", "cosine"]
    flip: bool
    damage: Annotated[float, Field(ge=0, le=1)]
    side: Annotated[int, Field(ge=0, le=2048, multiple_of=32)]
    crop: Annotated[float, Field(gt=0, le=1)]
    working_size: Annotated[int, Field(ge=0, le=2048)]
    mirror_average: bool
    ema: Annotated[float, Field(ge=0, lt=1)]
    calibrate: bool
    vivid: Weight
    photos: Literal["train", "all"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    device: Literal["auto", "cuda", "mps", "cpu"]
    precision: Literal["auto", "bf16", "float32"]
    checkpoint_seconds: Positive

    @model_validator(mode="after")
    def working_size_is_large_enough(self) -> "Train":
        """Below 64 pixels the networks see next to nothing."""
        if 0 < self.working_size < 64:
            raise ValueError(f"working_size must be 0 or at least 64, but is {self.working_size}")
        return self


class Evaluate(Section):
    """Intervals and pictures of the report."""

    bootstrap: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    rows: Annotated[int, Field(ge=1, le=50)]


class Register(Section):
    """The gate of the model registry."""

    model: Annotated[str, Field(pattern=r"^[\w-]+$")]
    min_gain_db: Weight


class Track(Section):
    """MLflow."""

    experiment: Annotated[str, Field(min_length=1)]


class Params(Section):
    """All of params.yaml, one field a section."""

    data: Data
    sample: Sample
    validate_: Annotated[Validate, Field(alias="validate")]  # pydantic keeps `validate` for itself
    preprocess: Preprocess
    train: Train
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]  # pydantic's classes have a method of this name
    track: Track
    jobs: Annotated[int, Field(ge=0)]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file, so that a slip in the last section stops the first stage.

    Raises:
        ChromascapeError: the file is missing, is not YAML, or a key is unknown, missing or out of range.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ChromascapeError(f"{path}: expected sections such as 'data:' and 'train:'")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(problem) for problem in error.errors())
        raise ChromascapeError(f"{path}: {problems}") from None


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, read by the library and in the version (1.2) in which DVC reads it.

    YAML 1.1, PyYAML's, has other values for what 1.2 reads as the text `on` and the numbers 1e-3 and 10 (`010`).

    Raises:
        ChromascapeError: the file is missing, is not YAML or names a key twice.
    """
    from ruamel.yaml import YAML, YAMLError  # of the extra `pipeline`: colorizing alone reads no YAML

    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ChromascapeError(f"{path}: no such file; run this in the project's folder") from None
    except (YAMLError, ValueError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ChromascapeError(f"{path}: not valid YAML: {line}{' '.join(str(problem or error).split())}") from None


def flatten(params: BaseModel) -> dict[str, Any]:
    """Params as one level of dotted keys, e.g. `{"train.lr": 0.002}`."""
    return flatten_values(params.model_dump(by_alias=True))


def flatten_values(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as one level of dotted keys, each after the prefix."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten_values(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _explain(problem: Any) -> str:
    """One pydantic error as 'key: what is wrong (what it is now)'."""
    parts = [str(part) for part in problem["loc"]]
    key = ".".join(parts)
    if problem["type"] == "extra_forbidden":
        prefix = "".join(f"{part}." for part in parts[:-1])
        return f"{key}: unknown key{did_you_mean(parts[-1], _sibling_keys(parts), prefix)}"
    if problem["type"] == "missing":
        return f"{key}: this key is missing"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{key}: {message}" + ("" if isinstance(problem["input"], dict) else f" (it is {problem['input']!r})")


def _sibling_keys(parts: list[str]) -> list[str]:
    """The keys that may stand where the last of `parts` does."""
    model: Any = Params
    for part in parts[:-1]:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = fields[part].annotation
    return [field.alias or name for name, field in model.model_fields.items()]
