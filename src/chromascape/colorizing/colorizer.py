"""Weights and a photo of any size in, a color photo out."""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from chromascape import __version__
from chromascape.color import lab
from chromascape.colorizing import received
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import NETWORKS, build_network, predict
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.files import write_json
from chromascape.photos import reading

FORMAT = 2  # of the folder that `save` writes; raise it when older code can't read it any more
SHIPPED = Path(__file__).parent / "weights"  # the model that comes with the package
Rendering = Literal["faithful", "vivid"]
STRIP_PIXELS = 2_000_000  # full-size Lab is made in strips of about this many pixels, to bound the memory


class Colorizer:
    """A trained network and how to use it.

    The network sees a photo's L* at its working size (shorter side `size` pixels); the ab that it predicts is
    enlarged and joined to the photo's own L*, so that all detail stays and the output has the input's size.
    `renderings` are factors on the predicted ab, see `calibration`. With `luma` the network takes luma for L*, and
    so does the picture that is made of its ab.
    """

    def __init__(
        self,
        network: Network,
        name: str,
        size: int,
        device: str = "cpu",
        renderings: dict[str, float] | None = None,
        luma: bool = False,
    ):
        self.network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name, self.size, self.device = name, size, device
        self.renderings = renderings or {"faithful": 1.0, "vivid": 1.0}
        self.luma = luma

    @classmethod
    def load(cls, path: Path | str, device: str = "auto") -> "Colorizer":
        """Read weights.safetensors and config.json from a folder that `save` wrote.

        Raises:
            ChromascapeError: files are missing, damaged, or of another version.
        """
        config, network = load_network(Path(path))
        where = pick_device(device, "device")
        return cls(network, config["network"], config["size"], where, config["renderings"], config["input"] == "luma")

    def colorize(self, image: Image.Image | NDArray[np.uint8], rendering: Rendering = "faithful") -> Image.Image:
        """Color for a photo of any size and mode.

        Args:
            image: a Pillow image, turned upright by its EXIF orientation; or uint8 (H, W) or (H, W, 3). Of color
                input only L* is used.
            rendering: "faithful", closest to the truth on average, or "vivid", as colorful as photos are.
        Returns:
            8-bit RGB of the (upright) input's size.
        Raises:
            ChromascapeError: an array of another shape or type.
            source.PhotoError: the image can't be decoded.
        """
        rgb = np.asarray(reading.to_rgb(image)) if isinstance(image, Image.Image) else _rgb_array(image)
        lightness = np.empty(rgb.shape[:2], np.float32)
        for rows in _strips(*rgb.shape[:2]):
            lightness[rows] = self._lightness(lab.rgb_to_lab(rgb[rows]))
        ab = self.predict_ab(lightness, rendering)
        colors = np.empty(rgb.shape, np.uint8)
        for rows in _strips(*rgb.shape[:2]):
            colors[rows] = lab.lab_to_rgb(lab.fit_to_srgb(lab.join(lightness[rows], ab[rows])))
        return Image.fromarray(colors)

    def network_lab(self, photo: NDArray[np.floating]) -> NDArray[np.float32]:
        """The network's own picture of a photo, Lab (H, W, 3), made from its lightness: to be measured.

        A network that predicts RGB gives all of the picture; elsewhere its ab is joined to what it took for L*.
        """
        lightness = self._lightness(photo)
        if self.network.predicts == "rgb":
            picture = lab.rgb_to_lab(_levels(self._output(self._input(lightness))))
            return np.stack([_resize(picture[..., n], *lightness.shape) for n in range(3)], axis=-1)
        return lab.join(lightness, self.network_ab(lightness))

    def _lightness(self, photo: NDArray[np.floating]) -> NDArray[np.float32]:
        """What the network takes for the L* of Lab (H, W, 3): (H, W) in 0..100."""
        return lab.luma(photo) if self.luma else photo[..., 0].astype(np.float32)

    def predict_ab(self, lightness: NDArray[np.floating], rendering: Rendering = "faithful") -> NDArray[np.float32]:
        """Colors for L* (H, W) in 0..100: a* and b*, (H, W, 2), clamped to -128..127."""
        picture = lab.join(lightness, self.network_ab(lightness))
        return self.render(picture, rendering)[..., 1:]

    def render(self, picture: NDArray[np.floating], rendering: Rendering) -> NDArray[np.float32]:
        """What `network_lab` gave (H, W, 3), with its colors as strong as the rendering wants them."""
        return scale_chroma(picture, self.renderings[rendering])

    def network_ab(self, lightness: NDArray[np.floating]) -> NDArray[np.float32]:
        """The network's own a* and b* for L* (H, W) in 0..100, (H, W, 2) in -128..127."""
        colors = self._output(self._input(lightness))
        rgb = self.network.predicts == "rgb"
        ab = lab.rgb_to_lab(_levels(colors))[..., 1:] if rgb else lab.unscale_ab(colors)
        return np.stack([_resize(ab[..., channel], *lightness.shape) for channel in range(2)], axis=-1)

    def _input(self, lightness: NDArray[np.floating]) -> Tensor:
        """Scaled L* at working size on the device, (1, 1, H, W)."""
        height, width = lightness.shape
        scale = self.size / min(height, width)
        # A panorama is not enlarged beyond four times the working size along its longer side.
        scale = min(scale, 4 * self.size / max(height, width))
        small = _resize(lightness, max(1, round(height * scale)), max(1, round(width * scale)))
        return torch.from_numpy(lab.scale_lightness(small))[None, None].to(self.device)

    @torch.inference_mode()
    def _output(self, lightness: Tensor) -> NDArray[np.float32]:
        """The network's scaled colors at working size, (H, W, C) in 0..1."""
        colors = predict(self.network, lightness.contiguous(memory_format=torch.channels_last))[0]
        return colors.float().cpu().numpy().transpose(1, 2, 0)


def scale_chroma(picture: NDArray[np.floating], factor: float) -> NDArray[np.float32]:
    """Lab (..., 3) with a* and b* times `factor`, clamped to -128..127."""
    return lab.join(picture[..., 0], np.clip(picture[..., 1:] * np.float32(factor), -128, 127))


def load_network(folder: Path) -> tuple[Any, Network]:
    """The configuration and the network with its weights, from a folder that `save` wrote.

    Raises:
        ChromascapeError: files are missing, damaged, or of another version.
    """
    received.refuse_pickles(folder, "weights.safetensors")
    config = read_config(folder / "config.json")
    network = build_network(config["network"])
    file = folder / "weights.safetensors"
    try:
        received.check_tensors(file, {name: tuple(value.shape) for name, value in network.state_dict().items()})
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
    if config.get("weights_sha256", checksum := hashlib.sha256(data).hexdigest()) != checksum:
        raise ChromascapeError(
            f"{file}: its checksum is not the one in config.json, it was altered: train again by "
            "`dvc repro -f train`, or take the model anew from where you have it"
        )
    return config, network


def save(
    folder: Path, weights: dict[str, Tensor], network: str, size: int, renderings: dict[str, float], luma: bool = False
) -> None:
    """Write weights.safetensors and config.json, which has their checksum, into an existing folder.

    Kernels and matrices are stored as float16, which halves the file and moves colors by less than a level of 8
    bits; what has one dimension (biases, batch statistics, whose range may be wider) as float32.
    """
    stored = {name: value.half() if value.ndim > 1 else value for name, value in weights.items()}
    data = to_bytes({name: v.contiguous() for name, v in stored.items()})
    (folder / "weights.safetensors").write_bytes(data)
    config = {
        "format": FORMAT,
        "network": network,
        "input": "luma" if luma else "lightness",
        "size": size,
        "renderings": renderings,
        "weights_sha256": hashlib.sha256(data).hexdigest(),
        "chromascape": __version__,
    }
    write_json(config, folder / "config.json")


def read_config(file: Path) -> Any:
    """A model's config.json, checked; its weights are not read.

    Raises:
        ChromascapeError: the file is missing, damaged or of another format.
    """
    try:
        config = received.read_config(file)
        if config["format"] != FORMAT:
            raise ChromascapeError(
                f"{file}: format {config['format']}, but this version of Chromascape reads format {FORMAT}"
            )
        if str(config["network"]) not in NETWORKS:
            raise ValueError(f"unknown network {config['network']!r}")
        if type(config["size"]) is not int or not 64 <= config["size"] <= 2048:
            raise ValueError("size")
        if config["input"] not in ("lightness", "luma"):
            raise ValueError("input")
        if not all(0 <= float(config["renderings"][name]) <= 10 for name in ("faithful", "vivid")):
            raise ValueError("renderings")
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: name a folder with a trained model, or train one") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ChromascapeError(f"{file}: not the configuration of a Chromascape model ({error})") from None
    return config


def _levels(rgb: NDArray[np.floating]) -> NDArray[np.uint8]:
    """RGB in 0..1 as 8-bit levels."""
    return np.rint(rgb * 255).astype(np.uint8)


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
