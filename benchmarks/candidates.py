"""What else could lay colors on a photo at full size: other libraries, in place of `srgb.to_srgb` in tiles of NumPy.

    python benchmarks/candidates.py      # of a gray photo with 12 megapixels; OpenCV where it is installed

Each way gets the photo's 256 levels of gray and the five planes of `fullsize.FullSize`, and makes 8-bit sRGB. The other
ways only clip the colors outside sRGB, which is less work than fitting them, so differences are of colors inside. The
ways are measured in turn; figures are medians.
"""

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx.parser
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from speed import LANDSCAPES, in_turn, machine, seconds

from chromascape import Colorizer
from chromascape.color import lab
from chromascape.color.srgb import to_srgb
from chromascape.colorizing.fullsize import FullSize, Light, interpolation
from chromascape.parallel import cpu_threads, in_threads
from chromascape.photos.pixels import Photo

Levels = NDArray[np.uint8]
WIDTH, HEIGHT = 4000, 3000
LEVELS = np.arange(256, dtype=np.uint8)[None]
# Rows of a photo: L* by a table of levels, ab along it, linear RGB, and sRGB by its formula.
GRAPH = """<ir_version: 10, opset_import: ["" : 18]>
colors (uint8[h, w] levels, float[h, few] down, float[5, few, w] planes, float[256] lightness, float[3, 3] mixing)
=> (uint8[n, 3] srgb)
<float y_share = {0.00862069}, float y_more = {0.13793103}, float x_share = {0.002}, float z_share = {-0.005},
 float toe = {0.20689656}, float below_slope = {0.12841855}, float zero = {0}, float one = {1},
 float power = {0.41666667}, float gain = {269.025}, float less = {14.025}, int64[2] flat = {-1, 1}>
{
  index = Cast <to = 6> (levels)
  light = Gather <axis = 0> (lightness, index)
  lines = MatMul (down, planes)
  a0, b0, a1, b1, coarse = Split <axis = 0, num_outputs = 5> (lines)
  detail = Sub (light, coarse)
  a2 = Mul (a1, detail)
  b2 = Mul (b1, detail)
  a = Add (a0, a2)
  b = Add (b0, b2)
  y0 = Mul (light, y_share)
  y = Add (y0, y_more)
  x0 = Mul (a, x_share)
  x = Add (x0, y)
  z0 = Mul (b, z_share)
  z = Add (z0, y)
  xf = Reshape (x, flat)
  yf = Reshape (y, flat)
  zf = Reshape (z, flat)
  cone = Concat <axis = 1> (xf, yf, zf)
  above = Max (cone, toe)
  square = Mul (above, above)
  cube = Mul (square, above)
  below = Sub (cone, above)
  tangent = Mul (below, below_slope)
  xyz = Add (cube, tangent)
  linear = MatMul (xyz, mixing)
  clipped = Clip (linear, zero, one)
  root = Pow (clipped, power)
  high = Mul (root, gain)
  encoded = Sub (high, less)
  shown = Max (encoded, zero)
  whole = Round (shown)
  srgb = Cast <to = 2> (whole)
}
"""


def by_tiles(levels: Levels, full: FullSize) -> Levels:
    """As the product does it."""
    picture = np.empty((*levels.shape, 3), np.uint8)

    def tile(rows: slice) -> None:
        for columns in full.columns(rows):
            light = lab.lightness(levels[rows, columns])
            picture[rows, columns] = to_srgb(light, full.ab(rows, columns, light), picture.dtype)

    list(in_threads(tile, full.rows(), cpu_threads()))
    return picture


def by_onnx_runtime(levels: Levels, full: FullSize) -> Levels:
    """The same tiles by a graph; its levels below 10, where sRGB is linear, are wrong."""
    run, table, mixing = _session().run, lab.lightness(LEVELS)[0], np.ascontiguousarray(lab.TO_LINEAR.T)
    parts = []
    for rows in full.rows():
        down, above = interpolation(full.planes.shape[1], full.height, rows.start, rows.stop)
        given = {"levels": levels[rows], "down": down, "planes": full.planes[:, above]}
        parts.append(run(None, given | {"lightness": table, "mixing": mixing})[0])
    return np.concatenate(parts).reshape(*levels.shape, 3)


@cache
def _session() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_threads()
    model = onnx.parser.parse_model(GRAPH)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def by_opencv(levels: Levels, full: FullSize) -> Levels:
    """The same tiles, their colors by OpenCV."""
    import cv2

    cv2.setNumThreads(1)  # tiles are in threads
    picture = np.empty((*levels.shape, 3), np.uint8)
    table = lab.lightness(LEVELS)[0]

    def tile(rows: slice) -> None:
        light = cv2.LUT(levels[rows], table)
        a, b = full.ab(rows, slice(0, full.width), light)
        linear = cv2.cvtColor(cv2.merge([light, a, b]), cv2.COLOR_Lab2RGB)
        cv2.convertScaleAbs(linear, dst=picture[rows], alpha=255)

    list(in_threads(tile, full.rows(), cpu_threads()))
    return picture


def by_table(levels: Levels, full: FullSize) -> Levels:
    """Pillow's three-dimensional table, from L*, a* and b* in 8 bits."""
    axis = np.linspace(0, 1, 65, dtype=np.float32)
    b, a, light = np.meshgrid(axis * 255 - 128, axis * 255 - 128, axis * 100, indexing="ij")
    table = lab.lab_to_levels(lab.fit_to_srgb(np.stack([light, a, b], axis=-1)))
    picture = np.empty((*levels.shape, 3), np.uint8)
    tables = ImageFilter.Color3DLUT(65, table.reshape(-1))

    def tile(rows: slice) -> None:
        light = lab.lightness(levels[rows])
        ab = full.ab(rows, slice(0, full.width), light)
        planes = np.stack([light * 2.55, *(ab + 128)], axis=-1)
        picture[rows] = Image.fromarray(np.clip(planes + 0.5, 0, 255).astype(np.uint8)).filter(tables)

    list(in_threads(tile, full.rows(), cpu_threads()))
    return picture


def main() -> None:
    """Print the table."""
    photo = Photo(Image.open(LANDSCAPES[0]).convert("L").resize((WIDTH, HEIGHT)))
    colorizer = Colorizer.load()
    small = Light(photo).small(*colorizer.working_size(HEIGHT, WIDTH))
    full = FullSize(colorizer.predict_ab(small), small, HEIGHT, WIDTH, colorizer.network.cell)
    levels = photo.rows(slice(0, HEIGHT))[0]
    ways: dict[str, Callable[[Levels, FullSize], Levels]] = {
        "NumPy, in tiles": by_tiles, "ONNX Runtime, a graph": by_onnx_runtime, "Pillow, Color3DLUT of 65³": by_table,
    }  # fmt: skip
    if importlib.util.find_spec("cv2"):
        ways["OpenCV, in tiles"] = by_opencv
    else:
        print("OpenCV is not installed: pip install opencv-python-headless", file=sys.stderr)
    times = in_turn(*(seconds(lambda way=way: way(levels, full)) for way in ways.values()), rounds=3)
    ours = by_tiles(levels, full).astype(np.int16)
    inside = ((ours > 10) & (ours < 250)).all(axis=-1)
    print(f"{machine()}\n\n| by | ms | ours takes | levels apart: mean | 99.9 % within |\n|---|---:|---:|---:|---:|")
    for (name, way), time in zip(ways.items(), times, strict=True):
        apart = np.abs(way(levels, full) - ours).max(axis=-1)[inside]
        figures = f"{apart.mean():.2f} | {np.percentile(apart, 99.9):.0f}"
        print(f"| {name} | {1000 * time:.0f} | {times[0] / time:.2f} | {figures} |")


if __name__ == "__main__":
    main()
