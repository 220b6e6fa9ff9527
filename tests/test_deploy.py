"""No cluster can be had here: the syntax of the files for SLURM and Kubernetes, and that they agree with the code."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from conftest import REPOSITORY

SLURM, KUBERNETES = REPOSITORY / "deploy/slurm/train.sbatch", REPOSITORY / "deploy/kubernetes/train.yaml"
SHELLCHECK = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
# Options of sbatch (SLURM 24.05), of those that the file may use.
OPTIONS = {
    "job-name", "nodes", "ntasks-per-node", "gpus-per-node", "cpus-per-task", "mem", "time", "requeue", "output",
    "partition", "account", "signal",
}  # fmt: skip


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8")))


def shell_check(script: str) -> None:
    """ShellCheck's findings are empty."""
    if SHELLCHECK is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([SHELLCHECK, "--shell=bash", "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_batch_script_passes_its_linter() -> None:
    shell_check(SLURM.read_text(encoding="utf-8"))


def test_sbatch_s_directives_are_its_options_before_any_command() -> None:
    lines = SLURM.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [line for line in lines if line.startswith("#SBATCH")]
    assert directives == [line for line in lines[:first] if line.startswith("#SBATCH")]  # sbatch ignores later ones
    found = [re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line) for line in directives]
    given = {match[1]: match[2] for match in found if match}
    assert len(given) == len(directives) and given.keys() <= OPTIONS
    assert re.fullmatch(r"(\d+-)?\d\d:\d\d:\d\d", given["time"]) and given["ntasks-per-node"] == "1"


@pytest.mark.parametrize("at", [0, 1])
def test_the_objects_of_kubernetes_fit_its_schemas(at: int) -> None:
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(documents()[at], version, strict=True)


def test_kubernetes_schemas_see_a_mistake() -> None:
    job = documents()[1]
    job["spec"]["paralelism"] = job["spec"].pop("parallelism")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_the_job_and_its_service_find_each_other_and_its_numbers_agree() -> None:
    service, job = documents()
    spec, name = job["spec"], job["metadata"]["name"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["completionMode"] == "Indexed" and pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": name} and service["spec"]["clusterIP"] == "None"
    env = {entry["name"]: int(entry["value"]) for entry in container["env"]}
    assert env["NNODES"] == spec["completions"] == spec["parallelism"]
    assert env["NPROC_PER_NODE"] == container["resources"]["limits"]["nvidia.com/gpu"]
    (script,) = container["args"]
    shell_check(script)
    port = service["spec"]["ports"][0]["port"]
    assert f"--master-addr={name}-0.{pod['subdomain']} --master-port={port} " in script
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("file", [SLURM, KUBERNETES], ids=["slurm", "kubernetes"])
def test_the_script_that_they_start_exists(file: Path) -> None:
    scripts = re.findall(r"stages/\w+\.py", file.read_text(encoding="utf-8"))
    assert scripts and all((REPOSITORY / script).is_file() for script in scripts)
