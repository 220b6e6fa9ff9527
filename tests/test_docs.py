"""The pages in docs/: every command in them runs, and every test that they name is there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, changed_params, made_once, write_photos
from test_dvc_views import dvc, make_experiments
from warm import run_python

from chromascape.cli import main
from chromascape.serving import web_export

PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").glob("*.md"))]
DOCS = {page.stem: page.read_text(encoding="utf-8") for page in sorted((REPOSITORY / "docs").glob("*.md"))}


def commands(name: str) -> list[str]:
    """The lines of a page's blocks of shell, without what stands behind '#'."""
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCS[name], re.MULTILINE | re.DOTALL)
    return [line for block in blocks for text in block.splitlines() if (line := text.partition("#")[0].strip())]


def test_every_test_that_a_page_names_is_there() -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in (REPOSITORY / "tests").rglob("test_*.py"))
    named = {name for text in DOCS.values() for name in re.findall(r"`(test_\w+)`", text)}
    assert len(named) > 30 and not [name for name in sorted(named) if f"def {name}(" not in code]


def anchors(page: Path) -> set[str]:
    """The headings of a page as a code host and the site name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), link
            # On the site, a page can link to pages and to files, and to nothing above the repository.
            assert target.is_relative_to(REPOSITORY) and (page.parent == REPOSITORY or not target.is_dir()), link
            assert not anchor or anchor in anchors(target), link


def test_the_index_and_readme_list_every_page_with_a_line() -> None:
    for page, prefix in ((REPOSITORY / "docs/index.md", ""), (REPOSITORY / "README.md", "docs/")):
        listed = re.findall(rf"^- \[.+?\]\({prefix}(\w[\w-]*)\.md\): .{{20,}}", page.read_text("utf-8"), re.MULTILINE)
        assert sorted(listed) == sorted({*DOCS} - {"index"}), page


def test_every_page_s_blocks_of_shell_are_run_here() -> None:
    assert {name for name in DOCS if commands(name)} == {
        "comparing",
        "container",  # needs Docker; tests/test_container.py
        "move-runs",  # tests/tracking/test_move_store.py
        "promoting",  # tests/tracking/test_registry.py
        "reliability",
        "scale",  # tests/tracking/test_shared.py, test_search.py
        "serving",  # tests/serving/test_mlflow_model.py
        "training",
        "using",  # tests/test_using.py
        "web",
    }


def test_the_first_commands_of_readme_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the first section, with what `pip install '.[serve]'` brings; docs/web.md's start servers and npm."""
    section = (REPOSITORY / "README.md").read_text(encoding="utf-8").split("\n## ")[1]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]
    assert lines[1] == "pip install '.[serve]'"
    monkeypatch.chdir(tmp_path)
    rest = [photo.name for photo in (REPOSITORY / "data/landscapes").glob("[!f]*.jpg")][1:]  # they take long
    shutil.copytree(REPOSITORY / "data/landscapes", "data/landscapes", ignore=shutil.ignore_patterns(*rest))
    ran = [shlex.split(line, comments=True)[1:] for line in lines if not re.search("serve|pip|venv|--web", line)]
    said = [(main(arguments), arguments)[0] for arguments in ran]
    assert len(ran) >= 4 and said == [0] * len(ran)
    assert Path("model.onnx").is_file() and len(list(tmp_path.glob("*/fog.jpg"))) == 3  # none is skipped


@pytest.mark.scale
def test_the_commands_of_reliability_run(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 2)
    values = changed_params({"data.dir": "photos", "train.device": "cpu"})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    environment = {key: text for key, text in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "DVC_ROOT")}
    said = {}
    for command in commands("reliability"):
        words = shlex.split(command)
        program = {"chromascape": ["-m", "chromascape.cli"], "python": []}[words[0]]
        done = run_python([*program, *words[1:]], tmp_path, environment)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        said[command] = done.stdout
    assert {"chromascape doctor", "chromascape check"} <= said.keys()


@pytest.mark.scale
def test_the_commands_of_training_and_comparing_run(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stages that write small files, as in test_dvc_views; `make compare` is shown there."""
    monkeypatch.setenv("BROWSER", "true")  # --open
    experiments, photos = (
        made_once(tmp_path_factory, "experiments", make_experiments),
        write_photos(tmp_path / "photos", 2),
    )
    repo = Path(shutil.copytree(experiments, tmp_path / "repo"))
    ran = 0
    for command in [*commands("training"), *commands("comparing")]:
        if "[search]" in command or "search.py" in command:  # tests/test_search.py
            continue
        if command.startswith("torchrun"):  # tests/learning/test_ranks.py
            continue
        here = command.replace("/home/me/photos", str(tmp_path / "photos")).replace("old.jpg", str(photos[0]))
        words = shlex.split(here.replace("/mnt/team/chromascape", str(tmp_path / "remote")))
        if words[0] == "dvc":
            dvc(repo, *words[1:])
        elif words[0] == "chromascape":  # where no model but the shipped one is
            (tmp_path / "params.yaml").write_text((repo / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
            done = run_python(["-m", "chromascape.cli", *words[1:]], tmp_path)
            assert done.returncode == 0, done.stderr
        else:
            assert command == "make compare" and shutil.which("make")
        ran += 1
    assert ran >= 16 and (repo / "dvc_plots" / "index.html").is_file() and any((tmp_path / "remote").iterdir())


@pytest.mark.scale
def test_the_commands_of_web_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers until they answer; the page that needs none with a stand-in for the runtime that npm fetches."""
    monkeypatch.chdir(tmp_path)
    runtime = dict.fromkeys(web_export.RUNTIME_FILES, b"runtime")
    monkeypatch.setattr(web_export, "_runtime_files", lambda _: runtime)
    environment = os.environ | {"BROWSER": "true", "PYTHONPATH": str(REPOSITORY / "src")}
    ran = 0
    for command in commands("web"):
        words = [word.replace("8000", "0").replace("8001", "0") for word in shlex.split(command)]
        program = {"chromascape": ["-m", "chromascape.cli"], "python": []}[words[0]]
        call = [*program, *words[1:]]
        if "serve" in words or "http.server" in words:
            with subprocess.Popen(
                [sys.executable, "-u", *call], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
            ) as server:
                line = server.stdout.readline() if server.stdout else ""
                address = re.search(r"http://127.0.0.1:[1-9]\d*", line)
                assert address, line
                with urllib.request.urlopen(address[0], timeout=60) as answer:
                    assert b"Chromascape" in answer.read()
                server.terminate()
        else:
            assert main(words[1:]) == 0
        ran += 1
    assert ran >= 4 and (tmp_path / "model.onnx").stat().st_size < 13_000_000
