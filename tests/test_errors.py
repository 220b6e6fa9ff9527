"""The command that a message names for a package that is missing works where it is read."""

import importlib.metadata
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import REPOSITORY

from chromascape import __version__, errors
from chromascape.errors import how_to_install


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Installs the package outside of any checkout, from an origin as pip writes it down."""

    def install(origin: dict[str, Any] | None) -> None:
        monkeypatch.setattr(errors, "__file__", str(tmp_path / "lib" / "site-packages" / "chromascape" / "errors.py"))
        text = None if origin is None else json.dumps(origin)
        distribution = SimpleNamespace(read_text={"direct_url.json": text}.get)
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: distribution)

    return install


def test_in_a_checkout_the_extra_comes_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert how_to_install("export") == "pip install -e '.[export]'"
    monkeypatch.chdir(tmp_path)
    assert how_to_install("export") == f"pip install -e '{REPOSITORY}[export]'"


def test_after_an_install_from_a_folder_the_extra_comes_from_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: Any
) -> None:
    folder = tmp_path / "a clone ü"
    folder.mkdir()
    monkeypatch.chdir(folder)
    installed({"url": folder.as_uri(), "dir_info": {}})
    assert how_to_install("serve") == "pip install '.[serve]'"
    monkeypatch.chdir(tmp_path)
    assert how_to_install("serve") == f"pip install '{folder}[serve]'"


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, f"chromascape[torch]=={__version__}"),  # an index: nothing is fetched for what is there
        (
            {"url": "file:///dist/chromascape-1-py3-none-any.whl", "archive_info": {}},
            "chromascape[torch] @ file:///dist/chromascape-1-py3-none-any.whl",
        ),
        (
            {"url": "https://host/chromascape.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "chromascape[torch] @ git+https://host/chromascape.git@abc",
        ),
    ],
)
def test_elsewhere_it_comes_from_where_the_package_did(
    installed: Any, origin: dict[str, Any] | None, requirement: str
) -> None:
    installed(origin)
    assert how_to_install("torch") == f"pip install '{requirement}'"


def test_a_copy_without_an_installation_pins_its_version(installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    installed(None)
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert how_to_install("torch") == f"pip install 'chromascape[torch]=={__version__}'"


def test_no_message_asks_an_index_for_the_project_by_its_name() -> None:
    sources = [
        file
        for folder in ("src", "stages", "experiments", "benchmarks")
        for file in (REPOSITORY / folder).rglob("*.py")
    ]
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]
    asks = re.compile(r"pip install ['\"]?chromascape")
    assert not [file.name for file in [*sources, *pages] if asks.search(file.read_text("utf-8"))]
