"""What a training will take of memory and disk, estimated before it starts."""

import os
from pathlib import Path

import torch
from torch import Tensor

from chromascape.colorizing.networks import build_network
from chromascape.colorizing.padding import predict
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.learning.checkpoints import KEPT
from chromascape.params import Params, Train, read_yaml
from chromascape.room import check_disk, check_memory

FLOAT = 4  # bytes of a float32
# Measured: what the stage has taken once torch and MLflow are imported, and torch's own buffers of a first step.
PROCESS_BYTES = 500_000_000
WORKER_BYTES = 250_000_000  # of a process that measures predictions: it imports torch too, and shares its pages


def training_memory(params: Train, side: int) -> int:
    """Bytes of memory at the peak of a training on a CPU.

    The process, its weights (network, gradients, two moments of Adam, best epoch, moving average, and twice what a
    checkpoint packs), and what a step keeps: `step_bytes`. Of the measured peaks of 22 trainings (each network, batches
    of 2 to 16, sides of 64 to 256, with SSIM and moving average, photos of up to 512 pixels, bf16) it is 0.83 to 1.18.

    Args:
        side: of the cached photos, pixels; `train.side` may be smaller.
    """
    weights = weight_bytes(params.network)
    copies = 5 + bool(params.ema) + 2 * (4 + bool(params.ema))
    return PROCESS_BYTES + copies * weights + step_bytes(params, side)


def step_bytes(params: Train, side: int) -> int:
    """Bytes that a step of training, or of validation on whole photos, keeps at once; the arguments as above.

    In training that is what autograd saves for the way back. Without it only the layers that are being computed stay:
    a sixth of that, by measurement.
    """
    trained = params.batch_size * saved_per_photo(params.network, params.side or side)
    validated = params.batch_size * saved_per_photo(params.network, side) // 6
    return max(trained, validated)


def saved_per_photo(network: str, side: int) -> int:
    """Bytes that autograd saves for a photo of `side` pixels, in float32.

    Counted by its own hooks on a network of torch's device `meta`, which has shapes and no numbers: every network of
    the table is counted as it is, in no memory.
    """
    with torch.device("meta"):
        built = build_network(network).train()
        photos = torch.empty(2, 1, side, side)  # of one photo of 32 pixels, batch norm would have a single number
    own = {id(parameter) for parameter in built.parameters()}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if id(tensor) not in own:
            saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        predict(built, photos)
    return sum(tensor.numel() * tensor.element_size() for tensor in saved.values()) // len(photos)


def weight_bytes(network: str) -> int:
    """Bytes of a network's weights and buffers."""
    with torch.device("meta"):
        state = build_network(network).state_dict()
    return sum(value.numel() * value.element_size() for value in state.values())


def checkpoint_bytes(params: Train) -> int:
    """Bytes of a checkpoint: the network, its best epoch, two moments of Adam, and the moving average if there is."""
    return (4 + bool(params.ema)) * weight_bytes(params.network)


def training_disk(params: Train) -> int:
    """Bytes on the repository's disk at the most: the checkpoints that are kept and the one being written; the weights
    in the workspace, in DVC's cache and in MLflow's store."""
    return (KEPT + 1) * checkpoint_bytes(params) + 3 * weight_bytes(params.network)


def disk_to_come(params: Params) -> int:
    """`training_disk`, or nothing where the model of these params lies there, as far as dvc.lock says.

    Photos or code may have changed all the same: the stage asks again.
    """
    try:
        locked = read_yaml(Path("dvc.lock"))["stages"]["train"]["params"]["params.yaml"]["train"]
        there = Path("models/colorizer").is_dir() and Train.model_validate(locked) == params.train
    except (ChromascapeError, ValueError, KeyError, TypeError):
        there = False
    return 0 if there else training_disk(params.train)


def check_training_room(params: Train, side: int, root: Path, jobs: int) -> None:
    """Ask, before training, whether it fits into memory and disk.

    On a GPU or on Apple's MPS only the disk is asked: how much memory a step takes there, was not measured.

    Args:
        side: of the cached photos, pixels.
        root: of the repository, where checkpoints lie.
        jobs: worker processes that measure the model at the end, 0 for one a core.
    Raises:
        ChromascapeError: there is less room; names the param to lower.
    """
    home = root / ".checkpoints"
    has = sum(file.stat().st_size for file in home.rglob("*.safetensors"))  # of a training that is gone on with
    check_disk(
        home, max(0, training_disk(params) - has), "checkpoints and weights",
        f"free some, or choose a smaller train.network ({params.network})",
    )  # fmt: skip
    for what, (need, way_out) in memory_needs(params, side, jobs).items():
        check_memory(need, what, way_out)


def memory_needs(params: Train, side: int, jobs: int) -> dict[str, tuple[int, str]]:
    """What each part of the stage train takes of memory in bytes, and what lowers it; arguments as above."""
    sizes = f"train.side ({params.side or side}) or preprocess.side ({side})"
    workers = jobs or os.cpu_count() or 1
    needs = {
        "training": (training_memory(params, side), f"lower train.batch_size ({params.batch_size}), {sizes}"),
        "measuring": (PROCESS_BYTES + workers * WORKER_BYTES, f"lower jobs ({jobs or 'one a core'})"),
    }
    return needs if pick_device(params.device, "train.device") == "cpu" else {"measuring": needs["measuring"]}
