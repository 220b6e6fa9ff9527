"""Weights and a photo of any size in, a color photo out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from chromascape import __version__, lab, photos
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.files import write_json
from chromascape.networks import build_network, predicts_rgb

FORMAT = 1  # of the folder that `save` writes; raise it when older code can't read it any more
STRIP_PIXELS = 2_000_000  # full-size Lab is made in strips of about this many pixels, to bound the memory


class Colorizer:
    """A trained network and how to use it.

    The network sees a photo's L* at its working size (shorter side `size` pixels); the ab that it predicts is
    enlarged and joined to the photo's own L*, so that all detail stays and the output has the input's size.
    """

    def __init__(self, network: torch.nn.Module, name: str, size: int, device: str = "cpu"):
        self.network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name, self.size, self.device = name, size, device

    @classmethod
    def load(cls, path: Path | str, device: str = "auto") -> "Colorizer":
        """Read weights.safetensors and config.json from a folder that `save` wrote.

        Raises:
            ChromascapeError: files are missing, damaged, or of another version.
        """
        folder = Path(path)
        config = _read_config(folder / "config.json")
        network = build_network(config["network"])
        file = folder / "weights.safetensors"
        try:
            network.load_state_dict(load_file(file))
        except FileNotFoundError:
            raise ChromascapeError(f"{file}: no such file: run `dvc repro` to train a model") from None
        except (SafetensorError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise ChromascapeError(f"{file}: no weights for network {config['network']}: {first}") from None
        return cls(network, config["network"], config["size"], pick_device(device, "device"))

    def colorize(self, image: Image.Image | NDArray[np.uint8]) -> Image.Image:
        """Color for a photo of any size and mode.

        Args:
            image: a Pillow image, turned upright by its EXIF orientation; or uint8 (H, W) or (H, W, 3). Of color
                input only L* is used.
        Returns:
            8-bit RGB of the (upright) input's size.
        Raises:
            ChromascapeError: an array of another shape or type.
            photos.PhotoError: the image can't be decoded.
        """
        rgb = np.asarray(photos.to_rgb(image)) if isinstance(image, Image.Image) else _rgb_array(image)
        lightness = np.empty(rgb.shape[:2], np.float32)
        for rows in _strips(*rgb.shape[:2]):
            lightness[rows] = lab.rgb_to_lab(rgb[rows])[..., 0]
        ab = self.predict_ab(lightness)
        colors = np.empty(rgb.shape, np.uint8)
        for rows in _strips(*rgb.shape[:2]):
            colors[rows] = lab.lab_to_rgb(lab.fit_to_srgb(lab.join(lightness[rows], ab[rows])))
        return Image.fromarray(colors)

    def predict_ab(self, lightness: NDArray[np.floating]) -> NDArray[np.float32]:
        """The network's colors for L* (H, W) in 0..100: a* and b*, (H, W, 2), clamped to -128..127."""
        height, width = lightness.shape
        scale = self.size / min(height, width)
        # A panorama is not enlarged beyond four times the working size along its longer side.
        scale = min(scale, 4 * self.size / max(height, width))
        small = _resize(lightness, max(1, round(height * scale)), max(1, round(width * scale)))
        scaled = torch.from_numpy(lab.scale_lightness(small))[None, None].to(self.device)
        ab = self._scaled_ab(scaled, small)
        return np.stack([_resize(ab[..., channel], height, width) for channel in range(2)], axis=-1)

    @torch.inference_mode()
    def _scaled_ab(self, lightness: Tensor, small: NDArray[np.float32]) -> NDArray[np.float32]:
        """a* and b* (H, W, 2) at working size. Of a network that predicts RGB, the ab of its colors is taken."""
        colors = self.network(lightness.contiguous(memory_format=torch.channels_last))[0].float().cpu().numpy()
        colors = colors.transpose(1, 2, 0)
        if predicts_rgb(self.name):
            return lab.rgb_to_lab(np.rint(colors * 255).astype(np.uint8))[..., 1:]
        return lab.unscale_ab(colors)


def save(folder: Path, weights: dict[str, Tensor], network: str, size: int) -> None:
    """Write weights.safetensors and config.json into an existing folder."""
    data = to_bytes({name: value.contiguous() for name, value in weights.items()})
    (folder / "weights.safetensors").write_bytes(data)
    write_json(
        {"format": FORMAT, "network": network, "size": size, "chromascape": __version__},
        folder / "config.json",
    )


def _read_config(file: Path) -> Any:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise ChromascapeError(
                f"{file}: format {config['format']}, but this version of Chromascape reads format {FORMAT}"
            )
        build_network(config["network"])
        if type(config["size"]) is not int or not 64 <= config["size"] <= 2048:
            raise ValueError("size")
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: name a folder with a trained model, or train one") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ChromascapeError(f"{file}: not the configuration of a Chromascape model ({error})") from None
    return config


def _resize(values: NDArray[np.floating], height: int, width: int) -> NDArray[np.float32]:
    """(H, W) to (height, width), smoothed when it gets smaller, bilinear when it gets larger."""
    if values.shape == (height, width):
        return values.astype(np.float32)
    picture = Image.fromarray(values.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def _strips(height: int, width: int) -> list[slice]:
    """Rows of the photo in strips of about STRIP_PIXELS."""
    rows = max(1, STRIP_PIXELS // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _rgb_array(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) uint8 as (H, W, 3)."""
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not shaped or not image.size:
        raise ChromascapeError(f"expected uint8 (H, W) or (H, W, 3), got {image.dtype} {image.shape}")
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
