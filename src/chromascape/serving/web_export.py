"""`chromascape export --web FOLDER`: the page as a static folder for any web host; it colorizes in the browser.

The folder has the page, the model as ONNX, and ONNX Runtime Web from its npm package.
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from chromascape.colorizing.colorizer import Colorizer
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_folder
from chromascape.serving import onnx_export

PAGE = Path(__file__).parent / "page"
RUNTIME = "onnxruntime-web@1.30.0"  # MIT
# The files that the page needs, with their SHA-256, so that visitors run what was tested.
RUNTIME_FILES = {
    "dist/ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "dist/ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
MARK = "model.json"  # marks a folder as an exported page
SECONDS = 300  # for npm


def export_page(colorizer: Colorizer, folder: Path, runtime: Path | None = None) -> None:
    """Write the folder, whole or not at all; an earlier export is replaced.

    Args:
        runtime: the npm package RUNTIME, as a .tgz or an unpacked folder; None: npm fetches it.
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
        for name in ("index.html", "style.css", "page.js", "colors.js", "fullsize.js", "worker.js"):
            shutil.copyfile(PAGE / name, place / name)
        shutil.copyfile(PAGE / "browser_engine.js", place / "engine.js")
        shutil.copytree(PAGE / "examples", place / "examples")
        onnx_export.export(colorizer, place / "model.onnx")
        text = json.dumps(onnx_export.metadata(colorizer), indent=2)
        (place / MARK).write_text(text + "\n", encoding="utf-8")
        for name, content in files.items():
            (place / Path(name).name).write_bytes(content)


def _runtime_files(runtime: Path | None) -> dict[str, bytes]:
    """The runtime's files by their names in the package, checked."""
    if runtime is not None and runtime.is_dir():
        read = {name: (runtime / name).read_bytes() for name in RUNTIME_FILES if (runtime / name).is_file()}
    else:
        read = _unpacked(runtime.read_bytes() if runtime else _fetched())
    wrong = [
        name for name, digest in RUNTIME_FILES.items() if hashlib.sha256(read.get(name, b"")).hexdigest() != digest
    ]
    if wrong:
        raise ChromascapeError(f"{runtime or RUNTIME}: {wrong[0]} is missing or differs from {RUNTIME}")
    return read


def _unpacked(package: bytes) -> dict[str, bytes]:
    """RUNTIME_FILES from a package of npm."""
    try:
        with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
            found = {name: archive.extractfile(f"package/{name}") for name in RUNTIME_FILES}
            return {name: file.read() for name, file in found.items() if file}
    except (tarfile.TarError, KeyError, EOFError, OSError):
        return {}


def _fetched() -> bytes:
    """The package as npm fetches it."""
    npm = shutil.which("npm")
    remedy = f"or run `npm pack {RUNTIME}` on another machine and name its file by --runtime FILE"
    if npm is None:
        raise ChromascapeError(f"npm is needed to fetch {RUNTIME}: install it, {remedy}")
    with tempfile.TemporaryDirectory() as place:
        try:
            command = [npm, "pack", RUNTIME, "--ignore-scripts", "--silent"]
            subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=SECONDS)
        except (subprocess.SubprocessError, OSError):
            raise ChromascapeError(f"npm can't fetch {RUNTIME}: go online, {remedy}") from None
        return next(Path(place).glob("*.tgz")).read_bytes()
