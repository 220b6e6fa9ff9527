"""Which device and which precision to compute in."""

import platform
from pathlib import Path
from typing import Literal, get_args

from chromascape.errors import ChromascapeError

DEVICES = ("auto", "cuda", "mps", "cpu")
Precision = Literal["float32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def check_device(wanted: str, key: str) -> None:
    """Raises ChromascapeError if there is no device of this name; needs no torch."""
    if wanted not in DEVICES:
        raise ChromascapeError(f"{key}: no device {wanted!r}; choose one of {', '.join(DEVICES)}")


def pick_device(wanted: str, key: str) -> str:
    """cuda, mps or cpu. `auto` takes the first of these that is available.

    Args:
        key: to name in the error: a key of params.yaml or a flag.
    Raises:
        ChromascapeError: the device is unavailable or unknown.
    """
    import torch  # here: the base install lacks it

    check_device(wanted, key)
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, present in available.items() if present)
    if not available[wanted]:
        usable = ", ".join(name for name, present in available.items() if present)
        raise ChromascapeError(f"{key}: {wanted} is not available here; choose auto or one of: {usable}")
    return wanted


def pick_precision(wanted: str, device: str) -> Precision | None:
    """bf16 (for autocast; the weights stay float32) or float32; None where only time tells: `learning.precision`.

    `auto` takes bf16 on a GPU that computes in it, and float32 on a device that does not. CPUs may be slower with it.
    """
    if wanted != "auto":
        return "bf16" if wanted == "bf16" else "float32"
    if not has_bf16(device):
        return "float32"
    return None if device == "cpu" else "bf16"


def has_bf16(device: str) -> bool:
    """Whether the device computes in bfloat16, and does not only emulate it."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def cpu_name() -> str:
    """The model of this CPU, and the instructions that torch uses on it."""
    import torch

    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    found = [known[name] for name in ("model name", "cpu family", "model", "stepping") if name in known]
    return " ".join([*(found or [platform.processor()]), torch.backends.cpu.get_cpu_capability()])
