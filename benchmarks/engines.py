"""What computes the shipped model: ONNX Runtime, as the base install has it, against torch. Nothing is installed.

    python benchmarks/engines.py                  # the table, on the project's landscapes
    python benchmarks/engines.py --threads 1      # both with so many threads

Each engine colorizes the photos in a process of its own, in turn with the other one, so that both meet the same load of
the machine; the figures are medians of the rounds. The first photo's time begins where Python starts. `install` is what
the packages take that each needs, by their own lists of files: base for ONNX Runtime, base and the extra for torch.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement
from PIL import Image

from chromascape import Colorizer
from chromascape.parallel import cpu_threads

REPOSITORY = Path(__file__).resolve().parents[1]
ENGINES = {"ONNX Runtime": "", "torch": "torch"}  # and the extra that has it


def colorize(engine: str, folder: Path, repeats: int, started: float) -> dict[str, float]:
    """What one process measures: seconds to the first photo, photos a second after it, of the network in ms, MB."""
    if engine == "torch":
        from chromascape.colorizing.colorizer import SHIPPED

        colorizer = Colorizer.load(SHIPPED, "cpu", by_torch=True)
    else:
        colorizer = Colorizer.load()
    photos = [Image.open(path) for path in sorted(folder.glob("*.jpg"))]
    colorizer.colorize(photos[0])
    first = time.time() - started
    network, inside = colorizer.network, 0.0
    for photo in photos:
        photo.load()

    class Timed:
        """The network, with a clock."""

        predicts, cell, multiple, share = network.predicts, network.cell, network.multiple, network.share

        def __call__(self, lightness: np.ndarray) -> np.ndarray:
            nonlocal inside
            begun = time.perf_counter()
            colors = network(lightness)
            inside += time.perf_counter() - begun
            return colors

    colorizer.network = Timed()
    begun = time.perf_counter()
    for photo in photos * repeats:
        colorizer.colorize(photo)
    each = (time.perf_counter() - begun) / (len(photos) * repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "first": first,
        "rate": 1 / each,
        "network": 1000 * inside / len(photos) / repeats,
        "memory": peak / 1e6,
    }


def install_mb(extra: str) -> float:
    """MB of the packages that pyproject.toml asks for with this extra, and of those that they need."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [*project["dependencies"], *project["optional-dependencies"].get(extra, [])]
    sizes: dict[str, int] = {}
    while waiting:
        needed = Requirement(waiting.pop())
        if needed.name in sizes or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        paths = [Path(str(file.locate())) for file in metadata.files(needed.name) or []]
        sizes[needed.name] = sum(path.stat().st_size for path in paths if path.is_file())
        waiting += metadata.requires(needed.name) or []
    return sum(sizes.values()) / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=REPOSITORY / "data/landscapes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2, help="times that each round goes through the photos")
    parser.add_argument("--threads", type=int, default=cpu_threads())
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        print(json.dumps(colorize(options.engine, options.photos, options.repeats, options.started)))
        return
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for _ in range(options.rounds + 1):
        for engine, measured in found.items():
            command = [sys.executable, __file__, "--photos", str(options.photos), "--repeats", str(options.repeats)]
            command += ["--engine", engine, "--started", str(time.time())]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            measured.append(json.loads(done.stdout))
    versions = f"onnxruntime {metadata.version('onnxruntime')}, torch {metadata.version('torch')}"
    print(f"{versions}, threads: {options.threads}, rounds: {options.rounds} (after one to warm up)\n")
    print("| engine | install, MB | first photo, s | photos a second | of a photo, the network, ms | peak memory, MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for engine, measured in found.items():
        first, rate, network, memory = (
            float(np.median([one[key] for one in measured[1:]])) for key in ("first", "rate", "network", "memory")
        )
        size = f"{install_mb(ENGINES[engine]):.0f}"
        print(f"| {engine} | {size} | {first:.2f} | {rate:.1f} | {network:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
