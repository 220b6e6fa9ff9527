"""`params.yaml` as typed, validated objects. Every error names the key and what it may be."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from chromascape.errors import ChromascapeError


class Yaml12Loader(yaml.SafeLoader):
    """PyYAML reads YAML 1.1, where `on` is true and `1e-3` a text; DVC writes and reads 1.2, so we do too."""


def _yaml12_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)  # 010 is ten


Yaml12Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile("^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _yaml12_int)
Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$"),
    list("-+.0123456789"),
)

Share = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of params.yaml: no unknown keys, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(Section):
    train: Share
    val: Share
    test: Share
    seed: int = 0

    @model_validator(mode="after")
    def sums_to_one(self) -> "Split":
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, but is {total:g}")
        return self


class Data(Section):
    dir: Annotated[str, Field(min_length=1)]
    train_only: list[str]
    split: Split


class Sample(Section):
    max_side: Annotated[int, Field(ge=128, le=10_000)]


class Validate(Section):
    min_side: Annotated[int, Field(ge=1)]
    # Pillow itself refuses to open more than 178,956,970 pixels.
    max_pixels: Annotated[int, Field(ge=1, le=178_000_000)]
    max_file_mb: Positive
    min_colorfulness: Weight
    near_duplicate_bits: Annotated[int, Field(ge=0, le=8)]
    policy: dict[str, str]  # photos.rules knows the keys, and checks them
    min_accepted: Annotated[int, Field(ge=3)]
    max_rejected_share: Annotated[float, Field(ge=0, le=1)]


class Preprocess(Section):
    side: Annotated[int, Field(ge=64, le=2048, multiple_of=32)]
    fit: Literal["crop", "squash"]
    shard_mb: Positive


class LossWeights(Section):
    mse: Weight
    l1: Weight
    ssim: Weight

    @model_validator(mode="after")
    def not_all_zero(self) -> "LossWeights":
        if self.mse + self.l1 + self.ssim == 0:
            raise ValueError("at least one of mse, l1 and ssim must be above 0")
        return self


class Train(Section):
    network: Literal["unet", "efficientnet", "assignment", "assignment_rgb"]
    init: Literal["scratch", "imagenet", "shipped"]
    input: Literal["lightness", "luma"]
    loss: LossWeights
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    lr: Positive
    optimizer: Literal["adam", "adamw"]
    weight_decay: Weight
    schedule: Literal["constant", "onecycle", "cosine"]
    flip: bool
    side: Annotated[int, Field(ge=0, le=2048, multiple_of=32)]
    crop: Annotated[float, Field(gt=0, le=1)]
    working_size: Annotated[int, Field(ge=0, le=2048)]
    ema: Annotated[float, Field(ge=0, lt=1)]
    calibrate: bool
    vivid: Weight
    photos: Literal["train", "all"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    device: Literal["auto", "cuda", "mps", "cpu"]
    precision: Literal["auto", "bf16", "float32"]

    @model_validator(mode="after")
    def working_size_is_large_enough(self) -> "Train":
        if 0 < self.working_size < 64:
            raise ValueError(f"working_size must be 0 or at least 64, but is {self.working_size}")
        return self


class Evaluate(Section):
    bootstrap: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    rows: Annotated[int, Field(ge=1, le=50)]


class Track(Section):
    experiment: Annotated[str, Field(min_length=1)]


class Params(Section):
    data: Data
    sample: Sample
    validate_: Annotated[Validate, Field(alias="validate")]  # pydantic keeps `validate` for itself
    preprocess: Preprocess
    train: Train
    evaluate: Evaluate
    track: Track
    jobs: Annotated[int, Field(ge=0)]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check the whole file, so that a slip in the last section stops the first stage.

    Raises:
        ChromascapeError: the file is missing, is not YAML, or a key is unknown, missing or out of range.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=Yaml12Loader)
    except FileNotFoundError:
        raise ChromascapeError(f"{path}: no such file; run this in the project's folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ChromascapeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ChromascapeError(f"{path}: expected sections such as 'data:' and 'train:'")
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(problem) for problem in error.errors())
        raise ChromascapeError(f"{path}: {problems}") from None


def flatten(params: BaseModel) -> dict[str, Any]:
    """Params as one level of dotted keys, e.g. `{"train.lr": 0.002}`."""

    def walk(values: dict[str, Any], prefix: str) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in values.items():
            flat |= walk(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        return flat

    return walk(params.model_dump(by_alias=True), "")


def _explain(problem: Any) -> str:
    """One pydantic error as 'key: what is wrong (what it is now)'."""
    parts = [str(part) for part in problem["loc"]]
    key = ".".join(parts)
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(parts[-1], _sibling_keys(parts), n=1)
        return f"{key}: unknown key" + (f"; did you mean {'.'.join([*parts[:-1], near[0]])}?" if near else "")
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
