"""How fast Chromascape is, as ratios to what the machine can do or to what people would write instead.

    make bench                                       # every row, in less than ten minutes
    python benchmarks/speed.py --only data,cold      # some of them
    python benchmarks/speed.py -o docs/performance.md  # the table into the document, between its marks; or a new file

Both sides of a ratio are measured in turn, in the same run, so that both meet the same load of the machine; a figure is
the median of its rounds. `wanted` is what the project aims at: rows that miss it are explained in docs/performance.md.
The photos are the project's landscapes, enlarged to the size that a row names, with grain, so that they compress as
photos do.
"""

import argparse
import http.server
import importlib.util
import io
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
LANDSCAPES = sorted((REPOSITORY / "data/landscapes").glob("*.jpg"))
ROUNDS = 5
BEGIN, END = "<!-- what make bench printed -->", "<!-- its end -->"
OTHERS = {"cv2": "OpenCV, which is not installed: pip install opencv-python-headless"}  # that some rows compare with
MISSING: list[str] = []  # what could not be measured here, and why


class Row(NamedTuple):
    """A line of the table: two medians, and what is wanted of their ratio.

    `faster`: the ratio is the other side over ours, and is wanted to be at least `limit`; else ours over the other
    side, at most `limit`.
    """

    what: str
    reference: str  # what the other side is
    other: float  # of it, in `unit`
    ours: float
    unit: str  # "ms" or "MB"
    limit: float
    faster: bool = False

    @property
    def ratio(self) -> float:
        """The ratio that `limit` is for."""
        return self.other / self.ours if self.faster else self.ours / self.other

    @property
    def reached(self) -> bool:
        """Whether it is as wanted."""
        return self.ratio >= self.limit if self.faster else self.ratio <= self.limit


def in_turn(*functions: Callable[[], float], rounds: int = ROUNDS) -> list[float]:
    """Medians of what each function measures, called in turn, after one round to warm up."""
    found: list[list[float]] = [[function() for function in functions] for _ in range(rounds + 1)]
    return [statistics.median(values) for values in zip(*found[1:], strict=True)]


def seconds(function: Callable[[], object]) -> Callable[[], float]:
    """A function that measures the wall time of this one."""

    def measured() -> float:
        begun = time.perf_counter()
        function()
        return time.perf_counter() - begun

    return measured


def at_most(what: str, reference: str, other: float, ours: float, limit: float) -> Row:
    """A row whose ours may be at most `limit` times the other side's, both in seconds."""
    return Row(what, reference, 1000 * other, 1000 * ours, "ms", limit)


def at_least(what: str, reference: str, other: float, ours: float, limit: float) -> Row:
    """A row in which the other side takes at least `limit` times as long as ours, both in seconds."""
    return Row(what, reference, 1000 * other, 1000 * ours, "ms", limit, faster=True)


def photo(number: int, width: int, height: int, kind: str = "JPEG") -> bytes:
    """A landscape of the project as a JPEG, or another kind of file, of this size, with the grain of a camera."""
    picture = Image.open(LANDSCAPES[number % len(LANDSCAPES)]).convert("RGB").resize((width, height))
    grain = np.random.default_rng(number).normal(0, 3, (height, width, 1))
    stream = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)).save(stream, kind, quality=90)
    return stream.getvalue()


def full_size(folder: Path) -> list[Row]:
    """A 12-megapixel photo, from file to file, and the memory that a process takes for it."""
    from chromascape import Colorizer
    from chromascape.colorizing.batch import Options, colorize_files
    from chromascape.photos.writing import FORMATS

    sources = [folder / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(sources):
        path.write_bytes(photo(number, 4000, 3000))
    target, options = folder / "out.jpg", FORMATS["JPEG"].options
    pairs = [(path, folder / f"{path.stem}-out.jpg") for path in sources]
    colorizer = Colorizer.load()

    def by_pillow() -> None:
        for path in sources:
            with Image.open(path) as image:
                image.save(target, "JPEG", **options)

    def by_us(jobs: int) -> None:
        problems = [outcome.error for outcome in colorize_files(colorizer, pairs, Options(), jobs) if outcome.error]
        assert not problems, problems

    pillow, one, two = in_turn(seconds(by_pillow), seconds(lambda: by_us(1)), seconds(lambda: by_us(2)))
    each, reference = len(sources), "Pillow: decode and encode"
    return [
        at_most("12-megapixel JPEG, one after the other", reference, pillow / each, one / each, 2),
        at_most("12-megapixel JPEG, `--jobs 2`", reference, pillow / each, two / each, 2),
        Row("12-megapixel JPEG, memory of the command", "0.33 GB", 330, peak_mb(sources[:1], folder), "MB", 1),
    ]


def peak_mb(sources: list[Path], folder: Path) -> float:
    """MB that the command takes at most for these photos."""
    command = ["-m", "chromascape.cli", "colorize", *map(str, sources), "-o", f"{folder / 'colors'}/", "--overwrite"]
    code = "import resource, subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=2)"
    code += "; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e6


def assignments_lab(data: bytes, side: int = 256) -> np.ndarray:
    """A photo as the assignment prepares it: decoded whole, resized, gray and Lab by scikit-image."""
    from skimage.color import rgb2gray, rgb2lab

    small = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((side, side)))
    rgb2gray(small)
    return rgb2lab(small)


def opencv_lab(data: bytes, side: int = 256) -> np.ndarray:
    """The same by OpenCV, where it is installed."""
    import cv2

    small = cv2.resize(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), (side, side))
    return cv2.cvtColor(small, cv2.COLOR_BGR2LAB)


def data_path(_: Path) -> list[Row]:
    """A photo's bytes to Lab of 256 × 256, in process."""
    from chromascape.photos.shards import photo_to_lab

    rows = []
    for kind, width, height, limit in (("JPEG", 1920, 1280, 5), ("JPEG", 640, 427, 3), ("PNG", 1920, 1280, 1)):
        files = [photo(number, width, height, kind) for number in range(8)]
        box, whole = (0, 0, width, height), (width, height)

        def ours(files: list[bytes] = files, box: tuple = box, whole: tuple = whole) -> None:
            for data in files:
                photo_to_lab(data, box, whole, 256, "crop")

        def theirs(files: list[bytes] = files) -> None:
            for data in files:
                assignments_lab(data)

        other, own = in_turn(seconds(theirs), seconds(ours))
        what = f"{width} × {height} {kind} → Lab of 256 × 256, in process"
        rows.append(at_least(what, "the assignment's way", other / len(files), own / len(files), limit))
        if not installed("cv2"):
            continue

        def by_opencv(files: list[bytes] = files) -> None:
            for data in files:
                opencv_lab(data)

        other, own = in_turn(seconds(by_opencv), seconds(ours))
        rows.append(at_least(what, "OpenCV", other / len(files), own / len(files), 1))
    return rows


def write_photos(photos: Path, width: int, height: int, count: int) -> Any:
    """Write JPEGs into a new folder; returns its manifest, in which all are accepted for training."""
    import pandas as pd

    from chromascape.photos.source import sha256

    photos.mkdir()
    for number in range(count):
        (photos / f"{number}.jpg").write_bytes(photo(number, width, height))
    return pd.DataFrame(
        {"path": path.name, "verdict": "accepted", "split": "train", "sha256": sha256(path.read_bytes())}
        | {"left": 0, "top": 0, "right": width, "bottom": height, "width": width, "height": height}
        for path in sorted(photos.iterdir())
    )


def write_photo_shards(lab: Path, photos: Path, manifest: Any) -> None:
    """Write the photos of a manifest as Lab shards."""
    from chromascape.photos.shards import write_shards

    write_shards(lab, photos, manifest, 256, "crop", 48, 1)


def stage(folder: Path) -> list[Row]:
    """CPU seconds of the cache of a folder of photos, with its workers, against a plain loop."""

    def cpu() -> float:
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    rows = []
    for width, height, limit, count in ((1920, 1280, 4, 60), (640, 427, 2.5, 200)):
        photos = folder / str(width)
        manifest = write_photos(photos, width, height, count)

        def ours(photos: Path = photos, manifest: Any = manifest) -> float:
            begun = cpu()
            write_photo_shards(folder / "lab", photos, manifest)
            spent = cpu() - begun
            shutil.rmtree(folder / "lab")
            return spent

        def theirs(photos: Path = photos) -> float:
            begun = cpu()
            for path in sorted(photos.iterdir()):
                assignments_lab(path.read_bytes())
            return cpu() - begun

        other, own = in_turn(theirs, ours, rounds=3)
        what = f"the stage, {count} photos of {width} × {height}, CPU seconds"
        rows.append(at_least(what, "the assignment's way", other, own, limit))
    return rows


def cold(folder: Path) -> list[Row]:
    """The first photo of a new process, by the shipped model and by one that was trained here."""
    from chromascape.colorizing.colorizer import SHIPPED

    shutil.copytree(SHIPPED, folder / "trained", ignore=shutil.ignore_patterns("*.onnx"))
    (folder / "in.jpg").write_bytes(photo(0, 640, 427))

    def process(*arguments: str) -> Callable[[], float]:
        return seconds(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))

    command = ["-m", "chromascape.cli", "colorize", str(folder / "in.jpg"), "-o", str(folder / "out.jpg")]
    command += ["--overwrite", "--model"]
    imports = process("-c", "import onnxruntime")
    other, shipped, trained = in_turn(
        imports, process(*command, str(SHIPPED)), process(*command, str(folder / "trained")), rounds=9
    )
    reference = "importing ONNX Runtime"
    return [
        at_most("first photo from cold, the shipped model", reference, other, shipped, 3.5),
        at_most("first photo from cold, a model that you trained", reference, other, trained, 4.6),
    ]


def training(_: Path) -> list[Row]:
    """A training step of 16 photos of 160 × 160, in the precision that `auto` picks, against float32."""
    from chromascape.devices import pick_device
    from chromascape.learning.precision import choose_now, step_timer
    from chromascape.params import load_params

    section, rows = load_params(REPOSITORY / "params.yaml").train, []
    for name in ("efficientnet_lite2", "unet", "assignment"):
        same = {"network": name, "init": "scratch", "batch_size": 16, "device": "auto", "precision": "auto"}
        params = section.model_copy(update=same | {"side": 160})
        auto, step = choose_now(params, 160), step_timer(params, 160)
        other, own = in_turn(partial(step, False), partial(step, auto == "bf16"), rounds=7)
        where = f"{auto} on {pick_device('auto', 'device')}"
        rows.append(at_most(f"training step, `{name}`, {where}", "float32", other, own, 1.05))
    return rows


def script(folder: Path) -> list[Row]:
    """A step of the assignment's training with its photos: from files, as its script has it, and from our shards."""
    import torch
    from skimage.color import rgb2gray, rgb2lab

    from chromascape.learning.batches import prepared
    from chromascape.learning.learner import build_learner, take_step
    from chromascape.learning.training import _tensors
    from chromascape.params import load_params
    from chromascape.photos.shards import Shards

    manifest, count, side = write_photos(folder / "photos", 640, 427, 16), 16, 160
    write_photo_shards(folder / "lab", folder / "photos", manifest)
    files = sorted((folder / "photos").iterdir())
    same = {"network": "assignment", "init": "scratch", "batch_size": count, "precision": "float32", "side": side}
    params = load_params(REPOSITORY / "params.yaml").train.model_copy(update=same | {"device": "cpu"})
    shards, theirs = Shards(folder / "lab", ("train",)), build_learner(params, 1_000, bf16=False)
    learner, generator = build_learner(params, 1_000, bf16=False), torch.Generator().manual_seed(0)

    def by_script() -> None:
        pictures = [np.asarray(Image.open(file).convert("RGB").resize((side, side))) for file in files]
        gray = np.stack([rgb2gray(picture) for picture in pictures])[:, None]
        target = np.stack([(rgb2lab(picture)[..., 1:] + 128) / 255 for picture in pictures]).transpose(0, 3, 1, 2)
        colors = theirs.network(torch.from_numpy(gray).float())
        wanted = torch.from_numpy(target).float()
        loss = torch.nn.functional.mse_loss(colors, wanted) + 0.1 * torch.nn.functional.l1_loss(colors, wanted)
        theirs.optimizer.zero_grad()
        loss.backward()
        theirs.optimizer.step()
        loss.item()

    def by_us() -> None:
        for quantised, _ in prepared(shards, [np.arange(count)], params, generator, "cpu"):
            take_step(learner, *_tensors(learner, quantised)).item()

    other, own = in_turn(seconds(by_script), seconds(by_us))
    what = f"training step with its photos, `assignment`, {count} of 640 × 427"
    return [at_least(what, "a plain torch script", other, own, 1)]


def page(folder: Path) -> list[Row]:
    """A 12-megapixel photo in the page that needs no server, in Chromium."""
    from chromascape import Colorizer
    from chromascape.errors import ChromascapeError
    from chromascape.serving.web_export import export_page

    try:
        export_page(Colorizer.load(), folder / "page")
    except ChromascapeError as error:
        MISSING.append(f"the page in Chromium: {error}")
        return []
    (folder / "page/photo.jpg").write_bytes(photo(0, 4000, 3000))
    by_browser, by_page = in_chromium(folder / "page")
    what, reference = "12-megapixel JPEG in the page, in Chromium", "Chromium: decode and encode"
    return [at_most(what, reference, by_browser / 1000, by_page / 1000, 4)]


TIMED = """async (rounds) => {
  const engine = await import("./engine.js");
  await engine.ready;
  const bytes = await (await fetch("photo.jpg")).blob();
  const plain = async (file) => {
    const photo = await createImageBitmap(file);
    const canvas = new OffscreenCanvas(photo.width, photo.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(photo, 0, 0);
    context.putImageData(context.getImageData(0, 0, canvas.width, canvas.height), 0, 0);
    await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  };
  const ours = (file) => engine.colorize(file, { style: "faithful", saturation: 1, hints: [] }, { said() {} });
  const times = [];
  for (let round = 0; round <= rounds; round++) {
    const found = [];
    for (const way of [plain, ours]) {
      const file = new File([bytes], "photo.jpg", { type: "image/jpeg" }), begun = performance.now();
      await way(file);
      found.push(performance.now() - begun);
    }
    times.push(found);
  }
  return times.slice(1);
}"""  # milliseconds of each round, Chromium's and ours, without the first


def in_chromium(exported: Path) -> list[float]:
    """Medians of the milliseconds that Chromium takes to decode and encode photo.jpg, and the exported page for it."""
    from playwright.sync_api import sync_playwright

    spec = importlib.util.spec_from_file_location("screenshots", REPOSITORY / "docs/screenshots.py")
    assert spec and spec.loader
    screenshots = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(screenshots)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=exported)
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = screenshots.launch(playwright)
        shown = browser.new_page()
        shown.goto(f"http://127.0.0.1:{server.server_port}")
        times = shown.evaluate(TIMED, ROUNDS)
        browser.close()
        server.shutdown()
    return [statistics.median(values) for values in zip(*times, strict=True)]


def installed(module: str) -> bool:
    """Whether there is a module to compare with; if not, the end of the table says so."""
    found = importlib.util.find_spec(module) is not None
    if not found:
        MISSING.append(OTHERS[module])
    return found


TABLE = {
    "full-size": full_size,
    "data": data_path,
    "stage": stage,
    "cold": cold,
    "training": training,
    "script": script,
    "page": page,
}


def machine() -> str:
    """The machine and the versions in a line."""
    from chromascape.parallel import cores

    names = [line.split(":", 1)[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("pillow", "numpy", "onnxruntime", "torch"))
    name = names[0] if names else platform.processor()
    return f"{cores()} cores of {name}, Python {platform.python_version()}, {versions}"


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def as_markdown(rows: list[Row]) -> str:
    """The table."""
    lines = ["| what | against | it | ours | ratio | wanted |", "|---|---|---:|---:|---:|---|"]
    for row in rows:
        wanted = f"{'≥' if row.faster else '≤'} {row.limit:g}{'' if row.reached else ' **missed**'}"
        numbers = f"{row.other:.1f} {row.unit} | {row.ours:.1f} {row.unit} | {row.ratio:.2f}"
        lines.append(f"| {row.what} | {row.reference} | {numbers} | {wanted} |")
    return "\n".join([*lines, *(f"\nNot measured: {line}" for line in dict.fromkeys(MISSING))])


def main() -> None:
    """Print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(TABLE), help=f"some of {','.join(TABLE)}")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    rows: list[Row] = []
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += TABLE[name](Path(folder))
    text = f"{machine()}, medians of rounds in turn\n\n{as_markdown(rows)}\n"
    print(text, end="")
    if options.output:
        options.output.write_text(inserted(options.output, text), encoding="utf-8")


def inserted(file: Path, text: str) -> str:
    """The text between the marks of a document that has them; else the text alone."""
    whole = file.read_text("utf-8") if file.exists() else ""
    if BEGIN not in whole or END not in whole:
        return text
    return f"{whole[: whole.index(BEGIN)]}{BEGIN}\n\n{text}\n{whole[whole.index(END) :]}"


if __name__ == "__main__":
    main()
