"""Nothing reports home: the home folder stays empty and nobody is called. `test_pipeline` says it of the stages."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from alone import alone, written
from conftest import make_photo
from PIL import Image

COMMANDS = """
import sys
calls = []
def note(event, given):
    if event == "socket.getaddrinfo" or event == "socket.connect" and "127.0.0.1" not in given[1]:
        calls.append(given)
sys.addaudithook(note)
from chromascape.cli import main
main(["colorize", "a.png"])
main(["serve", "--port", "0", "--no-browser"])
print(calls)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")
def test_colorize_and_serve_leave_the_home_alone_and_call_nobody(tmp_path: Path) -> None:
    Image.fromarray(make_photo(0, 80, 60)).save(tmp_path / "a.png")
    with alone(tmp_path / "home") as environment:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMANDS], cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        assert process.stdout.readline().startswith("1 colorized"), process.communicate()
        address = process.stdout.readline().split()[0]
        body, kind = (tmp_path / "a.png").read_bytes(), {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{address}/colorize", body, kind)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert direct.open(request, timeout=60).read(4) == b"\x89PNG"
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert said == "[]\n"
    assert written(tmp_path / "home") == []
