"""Where the time of a 12-megapixel photo goes: each step by itself, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/phases.py

Prints the least of some rounds, in milliseconds of the CPU, which other work on the machine changes little: by NumPy
alone, and by the compiled kernel where there is one.
"""

import io
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
from speed import photo

from chromascape import Colorizer
from chromascape.color import kernel, lab, srgb
from chromascape.colorizing import fullsize, laying
from chromascape.photos import reading
from chromascape.photos.pixels import Photo, Strip, assemble
from chromascape.photos.writing import FORMATS

ROUNDS = 4
WIDTH, HEIGHT = 4000, 3000


class Clock:
    """Seconds of each step, summed up within a round."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, float]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a block."""
        begun = time.process_time()
        yield
        self.rounds[-1][name] += time.process_time() - begun


def one_round(clock: Clock, colorizer: Colorizer, data: bytes) -> None:
    """A photo from its bytes to the bytes of its colors."""
    clock.rounds.append(defaultdict(float))
    with clock.step("decode"):
        picture = Photo(reading.upright(reading.open_photo(data)))
    with clock.step("luminance, and its reduction"):
        light = fullsize.Light(picture)
        small = light.small(*colorizer.working_size(HEIGHT, WIDTH))
    with clock.step("network"):
        ab = colorizer._small_ab(lab.scale_lightness(small))
    with clock.step("planes"):
        colors = fullsize.FullSize(ab, small, HEIGHT, WIDTH, colorizer.network.cell)
    strips = by_kernel(clock, light, colors) if kernel.library() else by_numpy(clock, light, colors)
    with clock.step("strips put together"):
        whole = assemble(picture, strips)
    with clock.step("encode"):
        whole.save(io.BytesIO(), "JPEG", **FORMATS["JPEG"].options)


def by_numpy(clock: Clock, light: fullsize.Light, colors: fullsize.FullSize) -> list[Strip]:
    """The strips, step by step."""
    strips: list[Strip] = []
    for rows in colors.rows():
        values, _ = light.rows(rows)
        out = np.empty((*values.shape[:2], 3), np.uint8)
        for columns in colors.columns(rows):
            with clock.step("L*"):
                lightness = light.measure(values[:, columns])
            with clock.step("a* and b*"):
                found = colors.ab(rows, columns, lightness)
            with clock.step("sRGB"):
                out[:, columns] = srgb.to_srgb(lightness, found, out.dtype)
        strips.append((rows, out, None))
    return strips


def by_kernel(clock: Clock, light: fullsize.Light, colors: fullsize.FullSize) -> list[Strip]:
    """The strips, each in one call."""
    table, scan = light.table(), SimpleNamespace(light=light, pictures=[])
    with clock.step("L*, a* and b*, sRGB"):
        return [laying.by_kernel(scan, colors, table, rows) for rows in fullsize.strips(HEIGHT, WIDTH)]


def main() -> None:
    """Print the tables."""
    colorizer, data = Colorizer.load(), photo(0, WIDTH, HEIGHT)
    ways = {"by NumPy": patch.object(kernel, "library", lambda: None)}
    if kernel.library():
        ways["by the kernel"] = nullcontext()
    clocks = {name: Clock() for name in ways}
    with patch.object(fullsize, "cpu_threads", return_value=1):
        for _ in range(ROUNDS):
            for name, way in ways.items():
                with way:
                    one_round(clocks[name], colorizer, data)
    for way, clock in clocks.items():
        least = {name: min(found[name] for found in clock.rounds) for name in clock.rounds[0]}
        print(f"| {way} | ms |\n|---|---:|")
        for name, seconds in [*least.items(), ("sum", sum(least.values()))]:
            print(f"| {name} | {1000 * seconds:.0f} |")


if __name__ == "__main__":
    main()
