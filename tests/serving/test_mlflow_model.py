"""The model as MLflow serves it: in this process, and by a real server on a loopback port, as docs/serving.md says."""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, changed_params, make_photo, png
from mlflow.models.utils import _enforce_params_schema
from mlflow.pyfunc import PythonModelContext
from PIL import Image
from registered import OUTSIDE, write_model, write_outputs
from warm import unmeasured

from chromascape.colorizing.colorizer import Colorizer, Rendering
from chromascape.colorizing.hints import Hint
from chromascape.params import Params
from chromascape.serving import mlflow_model
from chromascape.serving.mlflow_model import ColorizerModel, RefusedRequest
from chromascape.tracking import run as tracking
from chromascape.tracking.artifacts import _signature, model_digest
from chromascape.tracking.registry import Decision, open_registry

DOCS = (REPOSITORY / "docs/serving.md").read_text(encoding="utf-8")
START_SECONDS = 180


def file_of(picture: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind)
    return stream.getvalue()


def named(*hints: dict[str, Any]) -> str:
    return json.dumps({"chromascape_hints": 1, "hints": list(hints)})


RED = {"x": 0.5, "y": 0.5, "color": "red", "radius": 0.2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "colorizer", 0.2)


@pytest.fixture(scope="module")
def predict(folder: Path) -> Callable[..., list[bytes]]:
    model, context = ColorizerModel(), PythonModelContext({"colorizer": str(folder)}, {})
    model.load_context(context)
    return lambda files, params=None: model.predict(context, pd.DataFrame({0: files}), params)


@pytest.mark.parametrize("as_sent", [bytes, base64.b64encode, base64.encodebytes], ids=["bytes", "base64", "in lines"])
@pytest.mark.parametrize("rendering", [None, "faithful", "vivid"])
def test_photo_files_become_pngs_of_their_size(
    folder: Path, predict: Callable[..., list[bytes]], as_sent: Callable[[bytes], bytes], rendering: Rendering | None
) -> None:
    photos = [make_photo(0, width=101, height=67), make_photo(1, width=64, height=90)]
    answers = predict([as_sent(file_of(photo)) for photo in photos], {"rendering": rendering} if rendering else None)
    colorizer = Colorizer.load(folder)
    for photo, answer in zip(photos, answers, strict=True):
        picture = Image.open(io.BytesIO(answer))
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", photo.shape[1::-1])
        expected = colorizer.colorize(photo, rendering or "faithful")
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))
    assert (answers != predict([file_of(photo) for photo in photos])) is (rendering == "vivid")


@pytest.mark.parametrize(
    ("files", "params", "said"),
    [
        ([b"no photo"], {}, "photo 1: in none of the formats JPEG, PNG"),
        ([b""], {}, "photo 1: in none of the formats JPEG, PNG"),
        ([file_of(make_photo(0)), file_of(make_photo(0))[:999]], {}, "photo 2: "),
        ([7], {}, "photo 1: in none of the formats JPEG, PNG"),
        ([png(20_000, 20_000, 8, 2, b"")], {}, "photo 1: "),
        ([png(8_000, 8_000, 8, 2, b"")] * 2, {}, "inputs: more than 100,000,000 pixels: send the photos in several"),
        ([b"no photo"] * 0, {}, ""),
        ([file_of(make_photo(0))] * 17, {}, "inputs: more than 16 photos: send them in several requests"),
        ([file_of(make_photo(0))], {"hints": ["{"]}, "params.hints: entry 1: no JSON: docs/using.md says how"),
        ([file_of(make_photo(0))], {"hints": ["\ud800"]}, "params.hints: entry 1: no JSON: docs/using.md says how"),
        (
            [file_of(make_photo(0))] * 2,
            {"hints": ["", named(RED | {"color": "redish"})]},
            "params.hints: entry 2: hint 1: 'redish' is no color",
        ),
        ([file_of(make_photo(0))], {"hints": ["", ""]}, "params.hints: 2 entries for 1 photos: send one for each"),
        ([file_of(make_photo(0))], {"hints": ["[" * 6_000_000]}, "params.hints: entry 1: 6 MB, more than hints have"),
        ([], {"rendering": "loud"}, "params.rendering: must be 'faithful' or 'vivid', but is 'loud'"),
    ],
    ids=[
        "rubbish",
        "empty",
        "cut",
        "number",
        "huge",
        "huge together",
        "none",
        "many",
        "no JSON",
        "no UTF-8",
        "no color",
        "one too many",
        "long",
        "rendering",
    ],
)
def test_what_can_not_be_colorized_is_refused_in_one_line(
    predict: Callable[..., list[bytes]], files: list[Any], params: dict[str, str], said: str
) -> None:
    if not said:
        assert predict(files, params) == []
        return
    with pytest.raises(RefusedRequest) as caught:
        predict(files, params)
    caught.value.message = "Failed to predict data 'all of the photo'"  # as MLflow's server does
    answer = json.loads(caught.value.serialize_as_json())
    assert answer["message"].startswith(said) and "\n" not in answer["message"]
    assert "stack_trace" not in answer and caught.value.get_http_status_code() == 400


def test_each_photo_has_its_hints(folder: Path, predict: Callable[..., list[bytes]]) -> None:
    files = [file_of(make_photo(seed)) for seed in (0, 1)]
    checked = _enforce_params_schema({"hints": [named(RED), ""]}, _signature().params)  # as MLflow does before it calls
    first, second = (np.asarray(Image.open(io.BytesIO(answer))) for answer in predict(files, checked))
    colorizer = Colorizer.load(folder)
    hinted = colorizer.colorize(make_photo(0), hints=[Hint(0.5, 0.5, "red", (), 0.2)])
    np.testing.assert_array_equal(first, hinted)
    np.testing.assert_array_equal(second, colorizer.colorize(make_photo(1)))
    assert (hinted != colorizer.colorize(make_photo(0))).any()
    assert predict(files, _enforce_params_schema({}, _signature().params)) == predict(files)


def test_negatives_are_inverted(folder: Path, predict: Callable[..., list[bytes]]) -> None:
    checked = _enforce_params_schema({"negative": True}, _signature().params)
    (answer,) = predict([file_of(255 - make_photo(0))], checked)
    expected = Colorizer.load(folder).colorize(255 - make_photo(0), negative=True)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer))), expected)
    (plain,) = predict([file_of(255 - make_photo(0))], _enforce_params_schema({}, _signature().params))
    assert plain != answer


@pytest.mark.parametrize("wrong", ["yes", 2])
def test_mlflow_itself_refuses_a_negative_that_is_neither_true_nor_false(wrong: Any) -> None:
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"Invalid parameters found.*negative"):
        _enforce_params_schema({"negative": wrong}, _signature().params)


@pytest.mark.parametrize("wrong", ["text", [7], [["text"]], None])
def test_mlflow_itself_refuses_hints_of_another_shape(wrong: Any) -> None:
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"Invalid parameters found.*hints"):
        _enforce_params_schema({"hints": wrong}, _signature().params)


def test_nothing_is_decoded_before_all_photos_are_found_small_enough(
    predict: Callable[..., list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_model, "MAX_PIXELS", 160 * 144)
    assert len(predict([file_of(make_photo(0))])) == 1
    decoded: list[Any] = []
    monkeypatch.setattr(Colorizer, "colorize", lambda *arguments: decoded.append(arguments))
    with pytest.raises(RefusedRequest, match="more than 23,040 pixels"):
        predict([file_of(make_photo(0))] * 2)
    assert decoded == []


def blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[tuple[Path, int]]:
    """A folder with a store, whose champion is served as the page says, and the port that it is served at.

    The folder has been moved since the champion was registered.
    """
    place = tmp_path_factory.mktemp("served")
    shutil.copy(empty_store, place / "mlflow.db")
    before = Path.cwd()
    os.chdir(place)
    with pytest.MonkeyPatch.context() as patch:
        for name in OUTSIDE:
            patch.delenv(name, raising=False)
        try:
            write_outputs()
            shutil.copytree(folder, "models/colorizer", dirs_exist_ok=True)
            run_id = tracking.log_run(Params.model_validate(changed_params({"track.experiment": "tests"})))
            with open_registry("chromascape", "tests") as registry:
                run = registry.client.get_run(run_id)
                version = registry.version_of(model_digest(folder), run)
                registry.assign(version, lambda champion: Decision(True, "the first"))
        finally:
            mlflow.set_tracking_uri(None)
            os.chdir(before)
    place = place.rename(place.with_name("moved"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (command,) = (block for block in blocks(DOCS) if "mlflow models serve" in block)
    assert "models:/chromascape@champion" in command and "--env-manager local" in command
    with (place / "log.txt").open("w") as log:
        process = subprocess.Popen(
            ["bash", "-c", "exec " + in_place(command, port)],
            cwd=place, env=environment(place), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(port, process, place / "log.txt")
            yield place, port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def in_place(command: str, port: int) -> str:
    """A command of the page, at another port."""
    return command.replace("5001", str(port))


def environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in unmeasured().items() if name not in OUTSIDE}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": tools, "no_proxy": "*", "PWD": str(place)}


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {log.read_text()}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.skip(f"no answer from the server within {START_SECONDS} seconds: this machine is too busy")


def post(port: int, body: bytes) -> tuple[int, str]:
    """Status and body of the server's answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def encoded(*files: bytes, **params: Any) -> bytes:
    inputs = [base64.b64encode(file).decode() for file in files]
    return json.dumps({"inputs": inputs} | ({"params": params} if params else {})).encode()


@pytest.mark.scale
@pytest.mark.parametrize("rendering", ["faithful", "vivid"])
def test_a_server_colorizes_a_photo_of_any_size(server: tuple[Path, int], folder: Path, rendering: Rendering) -> None:
    photo = make_photo(3, width=101, height=67)
    status, body = post(server[1], encoded(file_of(photo), rendering=rendering, hints=[named(RED)]))
    assert status == 200, body
    (answer,) = json.loads(body)["predictions"]
    picture = Image.open(io.BytesIO(base64.b64decode(answer)))
    assert (picture.format, picture.size) == ("PNG", (101, 67))
    red = [Hint(0.5, 0.5, "red", (), 0.2)]
    expected = np.asarray(Colorizer.load(folder).colorize(photo, rendering, hints=red)).astype(int)
    assert np.abs(np.asarray(picture) - expected).max() <= 1


@pytest.mark.scale
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (encoded(b"rubbish, no photo at all" * 100), "photo 1: in none of the formats JPEG, PNG"),
        (encoded(file_of(make_photo(0))[:999]), "photo 1: "),
        (encoded(png(30_000, 30_000, 8, 2, b"")), "photo 1: "),
        (encoded(*[file_of(make_photo(0))] * 17), "inputs: more than 16 photos"),
        (encoded(file_of(make_photo(0)), rendering="loud"), "params.rendering: must be 'faithful' or 'vivid'"),
        (b'{"inputs": ["%%%"]}', "photo 1: in none of the formats"),
        (b'{"inputs": [null]}', "photo 1: in none of the formats"),
    ],
    ids=["rubbish", "cut", "huge", "many", "rendering", "not base64", "null"],
)
def test_a_server_answers_what_is_no_photo_with_one_line(server: tuple[Path, int], body: bytes, said: str) -> None:
    status, answer = post(server[1], body)
    assert status == 400
    assert json.loads(answer)["message"].startswith(said)
    assert len(answer) < 500 and len(answer.splitlines()) == 1
    assert "Traceback" not in answer and "stack_trace" not in answer


@pytest.mark.scale
@pytest.mark.parametrize(
    "command", [block for block in blocks(DOCS) if "curl" in block], ids=lambda block: block.split()[0]
)
def test_the_page_s_requests_work(server: tuple[Path, int], folder: Path, command: str) -> None:
    place, port = server
    for tool in ("curl", "jq"):
        if tool in command and not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    photo = make_photo(5, width=75, height=103)
    Image.fromarray(photo).save(place / "photo.jpg", quality=95)
    (place / "colored.png").unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-ec", in_place(command, port)],
        cwd=place, env=environment(place), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rendering: Rendering = "vivid" if "vivid" in command else "faithful"
    expected = Colorizer.load(folder).colorize(Image.open(place / "photo.jpg"), rendering)
    picture = Image.open(place / "colored.png")
    assert picture.size == (75, 103)
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(expected)).max() <= 1
