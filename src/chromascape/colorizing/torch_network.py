"""Networks that torch computes: models that were trained, and all models on a GPU."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from chromascape import __version__
from chromascape.colorizing import model_files
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.errors import ChromascapeError
from chromascape.files import write_json


class TorchNetwork:
    """A torch network, its `module`, with the interface that a `Colorizer` calls, see `colorizer.Network`."""

    def __init__(self, module: Network, device: str = "cpu"):
        """Move a trained network to the device."""
        self.module = module.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device
        self.predicts: str = module.predicts
        self.cell, self.multiple = module.cell, module.multiple

    @torch.inference_mode()
    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, H, W) to (N, C, H, W), each in 0..1; H and W are multiples of `multiple`."""
        photos = torch.from_numpy(lightness).to(self.device, memory_format=torch.channels_last)
        colors: NDArray[np.float32] = self.module(photos).float().cpu().numpy()
        return colors

    def share(self, jobs: int) -> None:
        """Divide torch's threads among `jobs` callers: each caller has a pool of its own."""
        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))


def load_network(folder: Path) -> tuple[dict[str, Any], Network]:
    """The configuration and the network with its weights, from a folder that `save` wrote.

    Raises:
        ChromascapeError: files are missing, damaged, or of another version.
    """
    config = model_files.read_config(folder)
    if config["network"] not in NETWORKS:
        raise model_files.wrong_config(folder / model_files.CONFIG, f"unknown network {config['network']!r}")
    network = build_network(config["network"])
    file = folder / model_files.WEIGHTS
    try:
        model_files.check_tensors(file, {name: tuple(value.shape) for name, value in network.state_dict().items()})
        data = file.read_bytes()
        weights = from_bytes(data)
        if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
            raise ValueError("weights that are not numbers")
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: run `dvc repro` to train a model") from None
    except (SafetensorError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ChromascapeError(f"{file}: no weights for network {config['network']}: {first}") from None
    model_files.check_checksum(file, data, config)
    return config, network


def save(
    folder: Path, weights: dict[str, Tensor], network: str, size: int, renderings: dict[str, float], luma: bool = False
) -> None:
    """Write weights.safetensors and config.json, which has their checksum, into an existing folder.

    Kernels and matrices are stored as float16, which halves the file and changes colors by less than one 8-bit level.
    Tensors of one dimension (biases, batch statistics) may exceed float16's range and are stored as float32.
    """
    stored = {name: value.half() if value.ndim > 1 else value for name, value in weights.items()}
    data = to_bytes({name: v.contiguous() for name, v in stored.items()})
    (folder / model_files.WEIGHTS).write_bytes(data)
    config = {
        "format": model_files.FORMAT,
        "network": network,
        "input": "luma" if luma else "lightness",
        "size": size,
        "renderings": renderings,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        "chromascape": __version__,
    }
    write_json(config, folder / model_files.CONFIG)
