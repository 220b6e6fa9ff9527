"""Weights and a photo of any size in, a color photo out."""

import hashlib
from collections.abc import Iterable, Iterator
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
from chromascape.colorizing.fullsize import FullSize, resize, small_lightness, strips
from chromascape.colorizing.layers import MirrorAverage, Network
from chromascape.colorizing.networks import NETWORKS, build_network, predict
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.files import write_json
from chromascape.photos.pixels import Pixels, Strip, assemble

FORMAT = 2  # of the folder that `save` writes; raise it when older code can't read it any more
SHIPPED = Path(__file__).parent / "weights"  # the model that comes with the package
Rendering = Literal["faithful", "vivid"]
Picture = Image.Image | NDArray[Any]


class Colorizer:
    """A trained network and how to use it.

    The network sees a photo's L* at its working size (shorter side `size` pixels); the ab that it predicts is
    enlarged along the photo's own L* (see `fullsize`) and joined to it, so that all detail stays and the output has
    the input's size. Where a network is measured (`network_lab`), its ab is enlarged by interpolation alone.
    `renderings` are factors on the predicted ab, see `calibration`. With `mirror_average` the network's colors are
    averaged with those of the mirrored photo. With `luma` the network takes luma for L*, and
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
        mirror_average: bool = False,
    ):
        network = MirrorAverage(network) if mirror_average else network
        self.network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name, self.size, self.device = name, size, device
        self.renderings = renderings or {"faithful": 1.0, "vivid": 1.0}
        self.luma, self.mirror_average = luma, mirror_average

    @classmethod
    def load(cls, path: Path | str = SHIPPED, device: str = "auto") -> "Colorizer":
        """Read weights.safetensors and config.json from a folder that `save` wrote.

        Args:
            path: such a folder; without it, the model that comes with Chromascape.
            device: "cuda", "mps", "cpu", or "auto" for the first of these that is there.
        Raises:
            ChromascapeError: files are missing, damaged, or of another version; or there is no such device.
        """
        config, network = load_network(Path(path))
        where = pick_device(device, "device")
        luma, mirror_average = config["input"] == "luma", config.get("mirror_average", False)
        return cls(network, config["network"], config["size"], where, config["renderings"], luma, mirror_average)

    def colorize(self, image: Picture, rendering: Rendering = "faithful", saturation: float = 1.0) -> Any:
        """Color for a photo of any size.

        Args:
            image: a Pillow image of any mode, which is turned upright by its EXIF orientation and converted to sRGB
                by its color profile; or an array (H, W) or (H, W, 3), sRGB of uint8 (0..255), uint16 (0..65535) or
                floats (0..1). Of color input only L* is used.
            rendering: "faithful", closest to the truth on average, or "vivid", as colorful as photos are.
            saturation: a further factor on the colors' strength, 0 (gray) to 10.
        Returns:
            Of a Pillow image an image of the upright input's size, 8-bit RGB, or RGBA where it has transparency. Of
            an array an array (H, W, 3) of its type (floats: float32).
        Raises:
            ChromascapeError: an array of another shape, type or range; an unknown rendering or saturation.
            source.PhotoError: the image can't be decoded.

        >>> from PIL import Image
        >>> colorizer = Colorizer.load()
        >>> colorizer.colorize(Image.new("L", (640, 480), 128))  # doctest: +ELLIPSIS
        <PIL.Image.Image image mode=RGB size=640x480 at 0x...>
        >>> colorizer.colorize(np.full((48, 64), 0.5)).dtype
        dtype('float32')
        """
        return self.colorize_batch([image], rendering, saturation)[0]

    def colorize_batch(
        self, images: Iterable[Picture], rendering: Rendering = "faithful", saturation: float = 1.0
    ) -> list[Any]:
        """`colorize` for several photos, which may differ in size and kind; all of them are held in memory.

        >>> gray = np.zeros((30, 40), np.uint8)
        >>> [picture.shape for picture in Colorizer.load().colorize_batch([gray, gray.T])]
        [(30, 40, 3), (40, 30, 3)]
        """
        photos = [Pixels(image) for image in images]
        return [_assembled(photo, self.strips(photo, rendering, saturation)) for photo in photos]

    def strips(self, photo: Pixels, rendering: Rendering, saturation: float = 1.0) -> Iterator[Strip]:
        """A photo's colors from top to bottom: rows, sRGB (h, W, 3) of the photo's dtype, and alpha (h, W) if any.

        The full-size picture is never held in one piece, so that a photo of 100 megapixels takes little memory.
        """
        if rendering not in self.renderings:
            raise ChromascapeError(f"rendering: {rendering!r} is none of {', '.join(sorted(self.renderings))}")
        if not 0 <= saturation <= 10:
            raise ChromascapeError(f"saturation: must be from 0 to 10 (it is {saturation})")
        measure = lab.luma_of_levels if self.luma else lab.lightness
        small = small_lightness(photo, measure, *self.working_size(photo.height, photo.width))
        ab = self._small_ab(lab.scale_lightness(small)) * np.float32(self.renderings[rendering] * saturation)
        colors = FullSize(ab, small, photo.height, photo.width, self.network.cell)
        for rows in strips(photo.height, photo.width):
            values, alpha = photo.rows(rows)
            lightness = measure(values)
            picture = lab.fit_to_srgb(lab.join(lightness, colors.ab(rows, lightness)))
            yield rows, as_levels(picture, photo.dtype), alpha

    def network_lab(self, photo: NDArray[np.floating]) -> NDArray[np.float32]:
        """The network's own picture of a photo, Lab (H, W, 3), made from its lightness: to be measured.

        A network that predicts RGB gives all of the picture; elsewhere its ab is joined to what it took for L*.
        """
        lightness = self._lightness(photo)
        if self.network.predicts == "rgb":
            picture = lab.rgb_to_lab(_levels(self._output(self._input(lightness))))
            return resize(picture, *lightness.shape)
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
        small = resize(lightness, *self.working_size(*lightness.shape))
        return resize(self._small_ab(lab.scale_lightness(small)), *lightness.shape)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a photo of this size."""
        scale = self.size / min(height, width)
        # A panorama is not enlarged beyond four times the working size along its longer side.
        scale = min(scale, 4 * self.size / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _small_ab(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's a* and b* at working size, (H, W, 2), for scaled L* (H, W)."""
        colors = self._output(torch.from_numpy(scaled)[None, None].to(self.device))
        return lab.rgb_to_lab(_levels(colors))[..., 1:] if self.network.predicts == "rgb" else lab.unscale_ab(colors)

    def _input(self, lightness: NDArray[np.floating]) -> Tensor:
        """Scaled L* at working size on the device, (1, 1, H, W)."""
        small = resize(lightness, *self.working_size(*lightness.shape))
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
    folder: Path,
    weights: dict[str, Tensor],
    network: str,
    size: int,
    renderings: dict[str, float],
    luma: bool = False,
    mirror_average: bool = False,
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
        "mirror_average": mirror_average,
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
        if type(config.get("mirror_average", False)) is not bool:
            raise ValueError("mirror_average")
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


def as_levels(picture: NDArray[np.floating], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Lab (..., 3) within sRGB as sRGB (..., 3): uint8, uint16, or float32 in 0..1."""
    if dtype == np.uint8:
        return lab.lab_to_rgb(picture)
    levels = lab.lab_to_levels(picture)
    return np.rint(levels * 65535).astype(np.uint16) if dtype == np.uint16 else levels.astype(np.float32)


def _assembled(photo: Pixels, colors: Iterator[Strip]) -> Any:
    """An image of a Pillow image's strips, an array of an array's."""
    if photo.image is None:
        return np.concatenate([rgb for _, rgb, _ in colors])
    return assemble(photo, colors)
