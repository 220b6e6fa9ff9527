"""The image can't be built here: the syntax of its files, and that it takes what the project consists of."""

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is installed on Linux alone")
def test_the_dockerfile_passes_its_linter() -> None:
    done = subprocess.run([str(HADOLINT), "Dockerfile"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_file_for_compose_has_the_form_that_compose_reads(tmp_path: Path) -> None:
    checked = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    text = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(text.replace("healthcheck:", "healthcheks:"), encoding="utf-8")
    for file, passes in ((REPOSITORY / "compose.yaml", True), (tmp_path / "wrong.yaml", False)):
        done = subprocess.run([*checked, str(file)], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is passes, done.stdout


def test_the_tracking_server_has_no_password_of_its_own_and_is_published_here_alone() -> None:
    services = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert services["tracking"]["ports"] == ["${MLFLOW_PUBLISH:-127.0.0.1:5000}:5000"]
    assert not any("ports" in services[name] for name in ("database", "files"))
    secrets = [(key, value) for each in services.values() for key, value in each["environment"].items()
               if key.endswith(("PASSWORD", "SECRET_KEY", "SECRET_ACCESS_KEY"))]  # fmt: skip
    assert len(secrets) == 5 and all(value.startswith("${") and ":-" not in value for _, value in secrets)
    assert not any("PASSWORD" in part for each in services.values() for part in each.get("command", []))
    written = (REPOSITORY / "docs/scale.md").read_text(encoding="utf-8")  # what it takes from .env
    text = (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")
    for name in set(re.findall(r"\$\{(\w+)", text)):
        assert f"{name}=" in written, name


def test_the_image_takes_all_tracked_files_and_no_secrets() -> None:
    ignored = [line.removeprefix("**/") for line in (REPOSITORY / ".dockerignore").read_text().splitlines()[1:]]
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        parts = Path(name).parts
        paths = ["/".join(parts[: depth + 1]) for depth in range(len(parts))] + list(parts)
        assert not [pattern for pattern in ignored if any(fnmatch(path, pattern) for path in paths)], name
    assert {".dvc/config.local", ".venv", "mlflow.db*"} <= set(ignored)


def test_the_image_has_the_torch_of_the_constraints_the_extras_of_the_page_and_a_name_for_git() -> None:
    lines = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    assert "$(grep '^torch==' constraints.txt)" in lines and "ARG TORCH=cpu" in lines
    assert re.search(r"^USER [1-9]", lines, re.MULTILINE)
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):  # without, experiments fail
        assert f"GIT_{name}=" in lines
    assert "-e '.[pipeline,sample,serve,heic]'" in lines and 'CMD ["make", "run"]' in lines
