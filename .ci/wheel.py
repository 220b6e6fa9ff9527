"""`python .ci/wheel.py WHEEL PHOTO`: install a wheel into an environment of its own, and use it from another folder."""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def main(wheel: Path, photo: Path) -> None:
    """Ends with an error as soon as a command does."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        venv.create(place / "env", with_pip=True)
        programs = place / "env" / ("Scripts" if os.name == "nt" else "bin")

        def run(program: str, *arguments: str) -> None:
            print(program, *arguments, flush=True)
            subprocess.run([str(programs / program), *arguments], cwd=place, check=True)

        run("python", "-m", "pip", "install", "--quiet", str(wheel))
        run("chromascape", "--version")
        run("chromascape", "colorize", str(photo), "-o", "colored.jpg")
        run("chromascape", "export", "model.onnx")
        run("chromascape", "colorize", str(photo), "-o", "again.jpg", "--model", "model.onnx")
        run("python", "-c", "from chromascape import Colorizer; Colorizer.load()")
        run("python", "-m", "pip", "install", "--quiet", f"chromascape[serve] @ {wheel.as_uri()}")
        run("python", "-c", "import chromascape.serving.web")
        assert (place / "colored.jpg").read_bytes() == (place / "again.jpg").read_bytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
