"""Which device and which precision to compute in."""

from typing import Literal

from chromascape.errors import ChromascapeError

DEVICES = ("auto", "cuda", "mps", "cpu")


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


def pick_precision(wanted: str, device: str) -> Literal["bf16", "float32"]:
    """bf16 (for autocast; the weights stay float32) or float32. `auto` takes bf16 if the hardware computes in it."""
    if wanted == "bf16" or (wanted == "auto" and has_bf16(device)):
        return "bf16"
    return "float32"


def has_bf16(device: str) -> bool:
    """Whether the device computes in bfloat16, and does not only emulate it."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
