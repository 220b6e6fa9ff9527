"""The code and the packages that go with a model into MLflow. That they suffice, test_beside_store shows."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from chromascape.imports import imported_names
from chromascape.tracking import model_code
from chromascape.tracking.model_code import copy_code, requirements


def test_the_code_has_a_name_of_its_own_and_what_it_needs_alone(tmp_path: Path) -> None:
    """As `chromascape` it took the place of the installed package in every process that loaded a model."""
    folder = copy_code(tmp_path)
    assert re.fullmatch(r"chromascape_[0-9a-f]{12}", folder.name)
    modules = {file.relative_to(folder).as_posix() for file in folder.rglob("*.py")}
    assert {"serving/mlflow_model.py", "colorizing/colorizer.py", "photos/reading.py"} <= modules
    assert not [name for name in modules if name.startswith(("learning/", "tracking/", "judging/", "cli"))]
    for file in folder.rglob("*.py"):
        assert "chromascape" not in {name.partition(".")[0] for name in imported_names(file)}
        assert 'import_module("chromascape.' not in file.read_text(encoding="utf-8")


def test_other_code_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that models of two versions can be loaded side by side."""
    first = copy_code(tmp_path).name
    assert copy_code(tmp_path / "again").name == first
    monkeypatch.setattr(model_code, "LEFT_OUT", ("chromascape.tracking", "chromascape.workers"))
    assert copy_code(tmp_path / "other").name != first


def test_requirements_are_what_the_code_imports_in_exact_versions() -> None:
    found = dict(line.split("==") for line in requirements())
    assert found.keys() >= {"mlflow", "numpy", "onnxruntime", "pandas", "pillow", "safetensors", "torch", "tqdm"}
    assert not found.keys() & {"chromascape", "dvc", "fsspec", "mlflow-skinny", "great-expectations", "scikit-image"}
    assert found["tqdm"] == version("tqdm") and "+" not in found["torch"]
