"""`chromascape export --web FOLDER`: a page as a static folder for any web host; it colorizes in the browser.

The folder has the page, the model as ONNX, and two packages of npm: ONNX Runtime Web, and GeoTIFF, which reads TIFF.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from chromascape.colorizing.colorizer import Colorizer
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_folder
from chromascape.serving import onnx_export
from chromascape.serving.page_files import COMMON, PAGE

ONNX_RUNTIME, GEOTIFF = RUNTIME = ("onnxruntime-web@1.30.0", "geotiff@3.0.5")  # both MIT


class Part(NamedTuple):
    """A file of a package, with its SHA-256, so that visitors run what was tested."""

    package: str
    path: str
    sha256: str


# By their names in the folder: `.mjs` is `.js` there, because many hosts don't know that it is JavaScript.
RUNTIME_FILES = {
    name: Part(package, path, sha256)
    for name, package, path, sha256 in (
        ("ort.js", ONNX_RUNTIME, "dist/ort.wasm.bundle.min.mjs",
         "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"),
        ("ort.wasm", ONNX_RUNTIME, "dist/ort-wasm-simd-threaded.wasm",
         "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
        ("geotiff.js", GEOTIFF, "dist-browser/geotiff.js",
         "8cfc01ffc945904766d8fb89f19da7afb799e342834454f5592fbcf0bcfe2db5"),
        ("geotiff.LICENSE.txt", GEOTIFF, "LICENSE",
         "da0811089f254e909f69f75fa496ca97e5167a8eaa945d9a6bffdd8499b47a49"),
    )
}  # fmt: skip
SCRIPTS = ("reading.js", "tiff.js", "worker.js")  # which the server's page does without
MARK = "model.json"  # marks a folder as an exported page
SECONDS = 300  # for npm


def export_page(colorizer: Colorizer, folder: Path, runtime: Sequence[Path] = ()) -> None:
    """Write the folder, whole or not at all; an earlier export is replaced.

    Args:
        runtime: the npm packages RUNTIME, each as a .tgz or an unpacked folder; none: npm fetches them.
    Raises:
        ChromascapeError: the model predicts RGB, the folder has other files, packages or npm are missing, or the
            runtime is another version.
    """
    if colorizer.network.predicts != "ab":
        raise ChromascapeError(f"{colorizer.name}: the page joins ab to L*, and this network predicts RGB")
    if folder.exists() and not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ChromascapeError(f"{folder}: not written by an export, so it is not replaced: name another folder")
    files = _runtime_files(runtime)
    with atomic_folder(folder) as place:
        for name in COMMON + SCRIPTS:
            shutil.copyfile(PAGE / name, place / name)
        shutil.copyfile(PAGE / "browser_engine.js", place / "engine.js")
        shutil.copytree(PAGE / "examples", place / "examples")
        for name, content in files.items():
            (place / name).write_bytes(content)
        onnx_export.export(colorizer, place / "model.onnx")
        sizes = {name: (place / name).stat().st_size for name in ("ort.wasm", "model.onnx")}
        text = json.dumps(onnx_export.metadata(colorizer) | {"bytes": sizes}, indent=2)
        (place / MARK).write_text(text + "\n", encoding="utf-8")
        (place / "sw.js").write_text(_service_worker(place), encoding="utf-8")


def _service_worker(place: Path) -> str:
    """sw.js with the SHA-256 of each file that the browser keeps; index.html by the name under which it is opened."""
    digests = {
        file.relative_to(place).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }
    digests["./"] = digests.pop("index.html")
    version = hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]
    script = (PAGE / "sw.js").read_text(encoding="utf-8").replace("{version}", version)
    return script.replace("const FILES = {}", f"const FILES = {json.dumps(digests, indent=2)}")


def _runtime_files(runtime: Sequence[Path]) -> dict[str, bytes]:
    """The packages' files by their names in the folder, checked."""
    places = list(runtime)
    with tempfile.TemporaryDirectory() as temporary:
        found = [_read(place) for place in places or _fetched(Path(temporary))]
    read = {}
    for name, part in RUNTIME_FILES.items():
        contents = [files[part.path] for files in found if part.path in files]
        right = [content for content in contents if hashlib.sha256(content).hexdigest() == part.sha256]
        if not right:
            where = ", ".join(map(str, places)) or part.package
            raise ChromascapeError(f"{where}: {part.path} is missing or differs from {part.package}: {_remedy()}")
        read[name] = right[0]
    return read


def _read(place: Path) -> dict[str, bytes]:
    """The files of RUNTIME_FILES in a package of npm, by their paths there."""
    paths = [part.path for part in RUNTIME_FILES.values()]
    if place.is_dir():
        return {path: (place / path).read_bytes() for path in paths if (place / path).is_file()}
    try:
        with tarfile.open(place, mode="r:gz") as archive:
            names = set(archive.getnames())
            found = {path: archive.extractfile(f"package/{path}") for path in paths if f"package/{path}" in names}
            return {path: file.read() for path, file in found.items() if file}
    except (tarfile.TarError, EOFError):
        return {}


def _remedy() -> str:
    return f"run `npm pack {' '.join(RUNTIME)}` on a machine with npm and name its files by --runtime FILE FILE"


def _fetched(place: Path) -> list[Path]:
    """The packages as npm fetches them into a folder."""
    npm = shutil.which("npm")
    if npm is None:
        raise ChromascapeError(f"npm is needed to fetch {' and '.join(RUNTIME)}: install it, or {_remedy()}")
    try:
        command = [npm, "pack", *RUNTIME, "--ignore-scripts", "--silent"]
        subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=SECONDS)
    except (subprocess.SubprocessError, OSError):
        raise ChromascapeError(f"npm can't fetch {' and '.join(RUNTIME)}: go online, or {_remedy()}") from None
    return sorted(place.glob("*.tgz"))
