"""Small photos and params that the tests share. Nothing here needs the network or photos from elsewhere.

Where files run side by side, the process that only hands them out reads this file too, before all else: it imports no
MLflow, pandas or torch but in functions.
"""

import functools
import importlib.util
import multiprocessing
import os
import pkgutil
import shutil
import signal
import struct
import subprocess
import sys
import tomllib
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import chromascape  # first: it keeps the others from reporting home

# isort: split
import numpy as np
import pytest
import services
import warm
from filelock import FileLock
from packaging.requirements import Requirement
from pebble import ProcessPool
from PIL import Image

from chromascape import parallel, workers
from chromascape.color import kernel, lab
from chromascape.files import sha256_of_file
from chromascape.params import Params
from chromascape.photos import reading, source

if TYPE_CHECKING:
    import pandas as pd

os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # seven processes
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile our code
sys.dont_write_bytecode = False
REPOSITORY = Path(__file__).resolve().parents[1]


# What a shell starts in the background ignores Ctrl-C, and so does all that it starts: tests that send it need it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["compiled", "NumPy"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways to compute a photo at full size: by the kernel of color/kernel.c, and by NumPy."""
    if request.param == "compiled" and not kernel.library():
        pytest.skip("color/kernel.c was not compiled here: pip install -e . where there is a C compiler")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "NumPy":
            patch.setattr(kernel, "library", lambda: None)
        yield request.param


def make_photo(seed: int, width: int = 160, height: int = 144) -> np.ndarray:
    """A colorful picture with large shapes, uint8 (H, W, 3); another seed gives another perceptual hash.

    Sky, ground and sun have colors that follow from their brightness, so that there is something to learn.
    """
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 1, (6, 6))
    light = np.asarray(Image.fromarray((coarse * 255).astype(np.uint8)).resize((width, height), 3)) / 255
    colors = np.stack([255 * light, 90 + 120 * light**2, 255 - 220 * light], axis=-1)
    return np.clip(colors + generator.normal(0, 3, colors.shape), 0, 255).astype(np.uint8)


def write_photos(folder: Path, count: int, first_seed: int = 0, **size: int) -> list[Path]:
    """PNG photos photo-000.png and so on; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in range(first_seed, first_seed + count):
        paths.append(folder / f"photo-{seed:03}.png")
        Image.fromarray(make_photo(seed, **size)).save(paths[-1])
    return paths


def write_lab(
    folder: Path, *, side: int = 64, shard_mb: float = 1.0, groups: str = "", **splits: int
) -> "pd.DataFrame":
    """Photos in the folder's `photos` and their shards in its `lab`; returns the manifest.

    Args:
        groups: a letter of each photo's scene; without any, the manifest has no groups.
        splits: the number of photos of each: `train=12, val=3`.
    """
    import pandas as pd

    from chromascape.photos.shards import write_shards

    paths = write_photos(folder / "photos", sum(splits.values()), width=80, height=72)
    manifest = pd.DataFrame({"path": [path.name for path in paths], "verdict": "accepted"})
    manifest["sha256"] = [sha256_of_file(path) for path in paths]
    manifest["split"] = [split for split, count in splits.items() for _ in range(count)]
    if groups:
        manifest["group"] = [*groups]
    manifest[["left", "top", "right", "bottom", "width", "height"]] = 0, 0, 80, 72, 80, 72
    write_shards(folder / "lab", folder / "photos", manifest, side, "crop", shard_mb, jobs=1)
    return manifest


def png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    """A PNG by hand: Pillow writes no 16-bit color, and no header that lies."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_16_bit(rgb: np.ndarray) -> bytes:
    """An 8-bit picture (H, W, 3 or 4) as a PNG of 16 bits a channel."""
    deep = (rgb.astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    return png(rgb.shape[1], rgb.shape[0], 16, 2 if rgb.shape[2] == 3 else 6, rows)


def load_rgb(path: Path, *limits: source.Limits) -> Image.Image:
    """A photo file as upright 8-bit RGB, by the three steps that the project takes."""
    return reading.to_rgb(reading.open_photo(source.read_bytes(path, *limits), *limits))


def save(path: Path, picture: np.ndarray | Image.Image, **options: Any) -> Path:
    """Write a picture, whose format its name tells; returns the path."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    image.save(path, **options)
    return path


def table_of(contents: list[tuple[str, str | None, str | None]]) -> "pd.DataFrame":
    """A manifest with what grouping needs, from (path, SHA-256, perceptual hash)."""
    import pandas as pd

    from chromascape.photos.manifest import COLUMNS, TYPES

    return (
        pd.DataFrame(contents, columns=["path", "sha256", "phash"], dtype=object).reindex(columns=COLUMNS).astype(TYPES)
    )


def without(*packages: str) -> str:
    """Code for another Python, which has `main` of the command afterwards and can't import these packages."""
    return f"""
import sys
class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
from chromascape.cli import main
"""


@functools.cache
def beyond_base() -> tuple[str, ...]:
    """The modules of all packages here that `pip install .` does not bring."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, brought = [Requirement(text) for text in project["dependencies"]], {"chromascape", "pip", "coverage"}
    while waiting:
        needed = waiting.pop()
        if needed.name not in brought and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
            brought.add(needed.name)
            waiting += map(Requirement, metadata.requires(needed.name) or [])
    modules = metadata.packages_distributions().items()
    return tuple(
        module for module, names in modules if not {name.lower().replace("_", "-") for name in names} & brought
    )


# Much of pure Python of other packages. Being measured for coverage, line by line, it would take twice as long.
OTHERS = {
    "great_expectations": ["ExpectationSuite.add_expectation", "ValidationDefinition.run"],
    "great_expectations.data_context": ["EphemeralDataContext.build_data_docs"],
    "mlflow": ["MlflowClient.*"],
    "torch.export": ["export"],
    "torch.onnx": ["export"],
}


@contextmanager
def no_tracing() -> Iterator[Any]:
    """Nothing is measured for coverage here; gives what measured it."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield tracer
    finally:
        sys.settrace(tracer)


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function in which nothing is measured for coverage."""

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        with no_tracing():
            return function(*arguments, **named)

    return called


def traced(function: Callable[..., Any], tracer: Any) -> Callable[..., Any]:
    """A function that is measured where what calls it is not."""

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        sys.settrace(tracer)
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(None)

    return called


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Of a test by Hypothesis only the test is measured: how examples are made takes most of the time."""
    given = getattr(pyfuncitem.obj, "hypothesis", None)
    if given is None or not sys.gettrace():
        return (yield)
    with no_tracing() as tracer, pytest.MonkeyPatch.context() as patch:
        patch.setattr(given, "inner_test", traced(given.inner_test, tracer))
        return (yield)


def methods(kind: type) -> list[str]:
    """Those that callers use."""
    return [name for name, value in vars(kind).items() if callable(value) and (name == "__init__" or name[0] != "_")]


@pytest.fixture(autouse=True, scope="session")
def others_untraced() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, names in OTHERS.items():
            for name in names if module in sys.modules else ():
                *inside, last = name.split(".")
                place = functools.reduce(getattr, inside, sys.modules[module])
                for each in methods(place) if last == "*" else [last]:
                    patch.setattr(place, each, untraced(getattr(place, each)))
        yield


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Networks on pictures this small lose a lot by threads where another program has the cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def forks() -> Any:
    """How processes start: where fork is safe, from one that has imports done and is not measured for coverage."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    photos = [f"chromascape.photos.{name}" for name in ("gallery", "inspection", "shards")]
    packages = ["hypothesis", "mlflow", "pandas", "pytest", "torch._dynamo", "yaml"]  # what a test imports
    context.set_forkserver_preload(["chromascape.learning.training", *photos, *packages])
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            patch.delenv(name)
        forkserver.ensure_running()
    return context


@pytest.fixture(scope="module")
def quick_workers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Worker processes start by fork, where that is safe: as they start elsewhere, each takes seconds of imports."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            context = request.getfixturevalue("forks")
            patch.setattr(workers, "_new_pool", lambda count: ProcessPool(count, context=context))
        yield


class Clock:
    """The clock that `parallel` looks at: slow steps move it, nobody waits. `lines` are what was said, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[float, str]] = []

    def slow(self, step: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        """The step, taking so long."""

        def slowed(*arguments: Any, **named: Any) -> Any:
            self.now += seconds
            return step(*arguments, **named)

        return slowed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No terminal, and a `Clock`."""
    made = Clock()
    monkeypatch.setattr(parallel, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(parallel, "print", lambda text, flush: made.lines.append((made.now, text)), raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    return made


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """What `make` writes to the path that it is given: made by one worker for all of them."""
    folder = factory.getbasetemp()
    path = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name
    made = path.with_name(f"{name}.made")
    with FileLock(f"{path}.lock"):
        if not made.exists():
            make(path)
            made.touch()
    return path


def set_up_store(file: Path) -> None:
    import mlflow

    mlflow.MlflowClient(tracking_uri=f"sqlite:///{file}").get_experiment_by_name("none")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's store, set up, which takes seconds: a test copies it."""
    return made_once(tmp_path_factory, "mlflow.db", set_up_store)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    pytest.importorskip("moto", reason="moto is not installed here: make test")
    import s3

    server, end = s3.serve()
    yield server
    end()


@pytest.fixture
def s3(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An S3 server on loopback with an empty bucket `photos`; the variables of this process lead to it. See s3.py."""
    from s3 import VARIABLES

    for name, value in {**VARIABLES, "AWS_ENDPOINT_URL": s3_server.url}.items():
        monkeypatch.setenv(name, value)
    s3_server.send("POST", "moto-api/reset")
    s3_server.send("PUT", "photos")
    s3_server.faults.clear()
    s3_server.requests.clear()
    return s3_server


def copy_tree(folder: Path, *parts: str) -> None:
    """Copy this working tree, or parts of it, without what git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *parts]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((REPOSITORY / name).read_bytes())


def lay_code(folder: Path) -> None:
    """A copy of the stage scripts and of the code that they run, compiled as far as it is here."""
    for name in ("stages", "src"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("*.egg-info"))


@pytest.fixture
def photo() -> np.ndarray:
    return make_photo(0)


@pytest.fixture
def make_params() -> Callable[..., Params]:
    """Params of the repository's params.yaml with some keys changed: make_params({"train.lr": 0.1})."""

    def make(changes: dict[str, Any] | None = None) -> Params:
        return Params.model_validate(changed_params(changes or {}))

    return make


@functools.cache
def load_file(path: Path) -> Any:
    """A Python file of the repository that is in no package."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_screenshots() -> Any:
    return load_file(REPOSITORY / "docs" / "screenshots.py")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium without a window, for tests marked `browser`."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here: make test")
    screenshots = load_screenshots()
    with playwright.sync_playwright() as started:
        if not screenshots.chromium() and not Path(started.chromium.executable_path).exists():
            pytest.skip("no Chromium here: apt-get install chromium, or `playwright install chromium`")
        opened = screenshots.launch(started)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """See `services.Postgres`; for tests marked `scale`."""
    yield from services.postgres()


@pytest.fixture(scope="module")  # all servers of a process share their buckets, and the fixture `s3` removes them
def runs_bucket() -> Iterator[dict[str, str]]:
    """Variables of an S3 with one bucket for the files of runs; for tests marked `scale`."""
    yield from services.s3()


def narrow_page(browser: Any, file: Path) -> Any:
    """A page as a phone shows it, 400 pixels wide, with all pictures loaded."""
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(file.resolve().as_uri())
    page.evaluate("[...document.images].forEach(image => image.loading = 'eager')")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    return page


def overflow(page: Any) -> int:
    """Pixels that a page can be scrolled sideways by."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def changed_params(changes: dict[str, Any]) -> dict[str, Any]:
    """The default params as a nested dictionary, with values at dotted keys changed."""
    values = Params().model_dump(by_alias=True)
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = values
        for name in sections:
            section = section[name]
        section[last] = value
    return values


def pytest_configure(config: pytest.Config) -> None:
    """Where files run side by side all of them do, and import these packages in any case: here unmeasured.

    They start processes from one warm Python, which has its imports done by then.
    """
    if hasattr(config, "workerinput"):
        warm.import_all(untraced(importlib.import_module))
    elif config.getoption("numprocesses", None) and sys.platform == "linux":
        os.environ[warm.SHARED] = warm.shared().address


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Reading the tests is not measured, which takes twice as long; our own modules, all of which they import, are."""
    if hasattr(session.config, "workerinput"):
        for module in pkgutil.walk_packages(chromascape.__path__, "chromascape."):
            if not module.name.endswith("._kernel"):  # what was compiled of kernel.c is no module
                importlib.import_module(module.name)
        for name in ("compare", "run"):
            load_file(REPOSITORY / "experiments" / f"{name}.py")
        with no_tracing():
            return (yield)
    return (yield)


# The files that take longest, longest first; where files run side by side, none of them may be the last. Those that
# need the shipped model's export stand apart: one worker makes it for all.
LONG = [
    "pipeline", "kills", "docs", "shared", "outage", "training", "checkpoints", "run", "registry", "stages",
    "onnx_export", "stream", "batch", "validation", "inspection", "page", "browser", "dvc_views", "splits", "networks",
    "cli", "fuzz", "ranks", "mlflow_model", "rerun", "engine", "move_store", "web_export", "evaluation",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first. (Where tests run in one process, that changes nothing but their order.)

    What drives a browser is not measured: it is much Python.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker("no_cover")
    order = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def quantised_photo(seed: int = 0, side: int = 64) -> np.ndarray:
    """A quantised photo (3, side, side) with shapes of all tones, many colors, and texture."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[:side, :side] / side
    waves = [np.sin(6 * (down * x + right * y) + z) for x, y, z in random.uniform(-1, 3, (3, 3))]
    picture = np.stack([50 + 42 * waves[0] + random.normal(0, 3, (side, side)), 35 * waves[1], 35 * waves[2]], axis=-1)
    return lab.quantise(lab.rgb_to_lab(lab.lab_to_rgb(picture))).transpose(2, 0, 1).copy()
