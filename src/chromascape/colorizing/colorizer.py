"""Weights and a photo of any size in, a color photo out."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromascape.color import lab
from chromascape.colorizing import model_files
from chromascape.colorizing.fullsize import FullSize, resize
from chromascape.colorizing.hints import Hints, change
from chromascape.colorizing.laying import laid
from chromascape.colorizing.like import Reference, colors_of
from chromascape.colorizing.onnx_network import OnnxNetwork, graph_of
from chromascape.colorizing.padding import predict
from chromascape.colorizing.scans import Scan
from chromascape.devices import check_device
from chromascape.errors import ChromascapeError, how_to_install
from chromascape.photos.pixels import Photo, Strip, assemble
from chromascape.photos.reading import upright

SHIPPED = Path(__file__).parent / "weights"  # the model that comes with the package
IN_MLFLOW = ("models:/", "runs:/")
Rendering = Literal["faithful", "vivid"]
Picture = Image.Image | NDArray[Any]


class Network(Protocol):
    """What a colorizer calls: an `OnnxNetwork` or a `TorchNetwork`, with the attributes of `layers.Network`."""

    predicts: str
    cell: int
    multiple: int

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled color (N, C, H, W) in 0..1 for scaled L* (N, 1, H, W) in 0..1; H and W are multiples of `multiple`."""

    def share(self, jobs: int) -> None:
        """Prepare for calls from `jobs` threads at a time."""


class Colorizer:
    """A trained network and how to use it.

    The network sees a photo's L* at its working size (shorter side `size` pixels). Its ab is enlarged along the
    photo's own L* (see `fullsize`) and joined to it, so that all detail stays and the output has the input's size.
    To measure a network (`network_lab`), its ab is enlarged by interpolation alone. `renderings` are factors on the
    predicted ab, see `calibration`. With `luma`, luma takes the place of L* in the network's input and in the picture.
    """

    def __init__(
        self,
        network: Network,
        name: str,
        size: int,
        renderings: dict[str, float] | None = None,
        luma: bool = False,
    ):
        self.network, self.name, self.size, self.luma = network, name, size, luma
        self.renderings = renderings or {"faithful": 1.0, "vivid": 1.0}

    @classmethod
    def load(cls, path: Path | str = SHIPPED, device: str = "auto", by_torch: bool = False) -> "Colorizer":
        """Read a model: weights and configuration from a folder, or a file that `chromascape export` wrote.

        ONNX Runtime computes models on the CPU. Torch computes them on a GPU, and networks that you have added to the
        table. Torch is not in the base install, and takes seconds to import.

        Args:
            path: a folder that `torch_network.save` wrote, or an .onnx file; by default, the model that comes with
                Chromascape. Or a model in MLflow, such as `models:/chromascape@champion`: see `tracking.resolve`.
            device: "cuda", "mps" or "cpu"; "auto" is the CPU for ONNX Runtime, else the first that is available.
            by_torch: let torch compute any model, as the figures of the pipeline are by torch.
        Raises:
            ChromascapeError: files are missing, damaged, or of another version; there is no such device; or torch is
                needed and not installed.
        """
        check_device(device, "device")
        if str(path).startswith(IN_MLFLOW):
            from chromascape.tracking.resolve import resolve_model

            path = resolve_model(str(path))
        path, on_cpu = Path(path), device in ("auto", "cpu")
        if path.suffix.lower() == ".onnx" and not path.is_dir() and not by_torch:
            if not on_cpu:
                raise ChromascapeError(f"device: {path} is computed on the CPU alone: choose auto or cpu")
            exported = OnnxNetwork(path)
            return cls._configured(exported, exported.config)
        config = model_files.read_config(path)
        if on_cpu and not by_torch and graph_of(config["network"]):
            return cls._configured(OnnxNetwork(path), config)
        try:
            from chromascape.colorizing import torch_network
            from chromascape.devices import pick_device
        except ModuleNotFoundError as error:
            why = f"the network {config['network']}" if on_cpu else f"device {device}"
            raise ChromascapeError(f"{path}: {why} needs the package {error.name}: {how_to_install('torch')}") from None
        config, module = torch_network.load_network(path)
        return cls._configured(torch_network.TorchNetwork(module, pick_device(device, "device")), config)

    @classmethod
    def _configured(cls, network: Network, config: dict[str, Any]) -> "Colorizer":
        return cls(network, config["network"], config["size"], config["renderings"], config["input"] == "luma")

    def colorize(
        self,
        image: Picture,
        rendering: Rendering = "faithful",
        saturation: float = 1.0,
        hints: Hints = (),
        like: Picture | Reference | None = None,
        negative: bool = False,
        whole: bool = False,
    ) -> Any:
        """Color for a photo of any size.

        Args:
            image: a Pillow image of any mode, which is turned upright by its EXIF orientation and converted to sRGB
                by its color profile (whole numbers of mode I are in 0..65535, floats of mode F in 0..1); or an array
                (H, W) or (H, W, 3), sRGB of uint8 (0..255), uint16 (0..65535) or
                floats (0..1). Of color input only L* is used.
            rendering: "faithful", closest to the truth on average, or "vivid", as colorful as photos are.
            saturation: a further factor on the colors' strength, 0 (gray) to 10.
            hints: colors that you name, see `hints.Hint`, for places of the upright image.
            like: a color photo of the same place or season, whose colors are taken where both look alike.
            negative: whether the photo is a negative, which is inverted.
            whole: colorize all of the photo, and look for no border of paper, which otherwise stays gray.
        Returns:
            For a Pillow image, an image of the upright input's size, 8-bit RGB, or RGBA if it has transparency. For
            an array, an array (H, W, 3) of its type (floats: float32).
        Raises:
            ChromascapeError: an array of another shape, type or range; an unknown rendering or saturation; hints
                that are none; a photo to be like that is gray, or that shows something else.
            source.PhotoError: the image can't be decoded, or holds numbers out of range; a ChromascapeError too.

        >>> from PIL import Image
        >>> colorizer = Colorizer.load()
        >>> colorizer.colorize(Image.new("L", (640, 480), 128))  # doctest: +ELLIPSIS
        <PIL.Image.Image image mode=RGB size=640x480 at 0x...>
        >>> colorizer.colorize(np.full((48, 64), 0.5)).dtype
        dtype('float32')
        """
        photo = Photo(upright(image) if isinstance(image, Image.Image) else image)
        if like is not None and not isinstance(like, Reference):
            like = Reference(Photo(upright(like) if isinstance(like, Image.Image) else like))
        return _assembled(photo, self.strips(photo, rendering, saturation, hints, like, negative, whole))

    def colorize_batch(
        self,
        images: Iterable[Picture],
        rendering: Rendering = "faithful",
        saturation: float = 1.0,
        hints: Sequence[Hints | None] | None = None,
        negative: bool = False,
        whole: bool = False,
    ) -> list[Any]:
        """`colorize` for several photos, which may differ in size and kind; all of them are held in memory.

        Args:
            hints: of each photo; None for a photo without.
            negative, whole: as of `colorize`, of all photos.
        Raises:
            ChromascapeError: as of `colorize`; or there are not as many entries in `hints` as photos.

        >>> gray = np.zeros((30, 40), np.uint8)
        >>> [picture.shape for picture in Colorizer.load().colorize_batch([gray, gray.T])]
        [(30, 40, 3), (40, 30, 3)]
        """
        images = list(images)
        if hints is None:
            hints = [None] * len(images)
        if not isinstance(hints, Sequence) or len(hints) != len(images):
            raise ChromascapeError(f"hints: expected one entry for each of {len(images)} photos, None for one without")
        pairs = zip(images, hints, strict=True)
        return [self.colorize(image, rendering, saturation, own or (), None, negative, whole) for image, own in pairs]

    def strips(
        self,
        photo: Photo,
        rendering: Rendering,
        saturation: float = 1.0,
        hints: Hints = (),
        like: Reference | None = None,
        negative: bool = False,
        whole: bool = False,
    ) -> Iterator[Strip]:
        """A photo's colors from top to bottom: rows, sRGB (h, W, 3) of the photo's dtype, and alpha (h, W) if any.

        The full-size picture is never held as a whole, so that a photo of 100 megapixels takes little memory.
        """
        if rendering not in self.renderings:
            raise ChromascapeError(f"rendering: {rendering!r} is none of {', '.join(sorted(self.renderings))}")
        if not 0 <= saturation <= 10:
            raise ChromascapeError(f"saturation: must be from 0 to 10 (it is {saturation})")
        scan = Scan(photo, self.working_size, self.luma, negative, whole)
        factor = np.float32(self.renderings[rendering] * saturation)

        def of_picture(lightness: NDArray[np.float32]) -> NDArray[np.float32]:
            ab = self._small_ab(lab.scale_lightness(lightness)) * factor
            return ab if like is None else ab + colors_of(like, lightness, ab)

        ab = scan.colors(of_picture)
        if hints != ():
            ab = ab + change(scan.small, ab, hints)
        colors = FullSize(ab, scan.small, photo.height, photo.width, self.network.cell)
        return laid(colors, scan, photo.dtype)

    def small(
        self, photo: Photo, negative: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], tuple[float, float]]:
        """A photo at working size: its L* (h, w) in 0..100, the network's own a* and b* for it, (h, w, 2), and a span.

        The span are the photo's L* that have become 0 and 100: others than these in a flat negative.
        """
        scan = Scan(photo, self.working_size, self.luma, negative)
        ab = scan.colors(lambda lightness: self._small_ab(lab.scale_lightness(lightness)))
        return scan.small, scan.without_paper(ab), scan.light.span

    def network_lab(self, photo: NDArray[np.floating]) -> NDArray[np.float32]:
        """The network's own picture of a photo, Lab (H, W, 3) for Lab (H, W, 3), for measuring.

        It is the network's whole output if that is RGB; else its ab joined to its input.
        """
        lightness = lab.luma(photo) if self.luma else photo[..., 0].astype(np.float32)
        if self.network.predicts == "rgb":
            picture = lab.rgb_to_lab(_levels(self._output(self._input(lightness))))
            return resize(picture, *lightness.shape)
        return lab.join(lightness, self.network_ab(lightness))

    def predict_ab(self, lightness: NDArray[np.floating], rendering: Rendering = "faithful") -> NDArray[np.float32]:
        """Colors for L* (H, W) in 0..100: a* and b*, (H, W, 2), clamped to -128..127."""
        picture = lab.join(lightness, self.network_ab(lightness))
        return self.render(picture, rendering)[..., 1:]

    def render(self, picture: NDArray[np.floating], rendering: Rendering) -> NDArray[np.float32]:
        """A picture of `network_lab` (H, W, 3) with its colors multiplied by the rendering's factor."""
        return scale_chroma(picture, self.renderings[rendering])

    def network_ab(self, lightness: NDArray[np.floating]) -> NDArray[np.float32]:
        """The network's own a* and b* for L* (H, W) in 0..100, (H, W, 2) in -128..127."""
        return resize(self._small_ab(self._input(lightness)), *lightness.shape)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which the network sees a photo of this size."""
        scale = self.size / min(height, width)
        # A panorama is not enlarged beyond four times the working size along its longer side.
        scale = min(scale, 4 * self.size / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _small_ab(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's a* and b* at working size, (H, W, 2), for scaled L* (H, W)."""
        colors = self._output(scaled)
        return lab.rgb_to_lab(_levels(colors))[..., 1:] if self.network.predicts == "rgb" else lab.unscale_ab(colors)

    def _input(self, lightness: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scaled L* at working size, (H, W)."""
        return lab.scale_lightness(resize(lightness, *self.working_size(*lightness.shape)))

    def _output(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's scaled colors (H, W, C) in 0..1 for scaled L* (H, W)."""
        colors: NDArray[np.float32] = predict(self.network, scaled[None, None])[0].transpose(1, 2, 0)
        return colors


def scale_chroma(picture: NDArray[np.floating], factor: float) -> NDArray[np.float32]:
    """Lab (..., 3) with a* and b* times `factor`, clamped to -128..127."""
    return lab.join(picture[..., 0], np.clip(picture[..., 1:] * np.float32(factor), -128, 127))


def _levels(rgb: NDArray[np.floating]) -> NDArray[np.uint8]:
    """RGB in 0..1 as 8-bit levels."""
    return np.rint(rgb * 255).astype(np.uint8)


def as_levels(picture: NDArray[np.floating], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Lab (..., 3) within sRGB as sRGB (..., 3): uint8, uint16, or float32 in 0..1."""
    if dtype == np.uint8:
        return lab.lab_to_rgb(picture)
    levels = lab.lab_to_levels(picture)
    return np.rint(levels * 65535).astype(np.uint16) if dtype == np.uint16 else levels.astype(np.float32)


def _assembled(photo: Photo, colors: Iterator[Strip]) -> Any:
    """An image if the photo is a Pillow image, an array if it is an array."""
    if photo.image is None:
        return np.concatenate([rgb for _, rgb, _ in colors])
    return assemble(photo, colors)
