"""`make upgrade`: the newest versions that pyproject.toml allows, for all extras, into constraints.txt.

Nothing is installed: pip resolves and reports. The lowest Python decides, so that every version fits all of them.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

FILE = Path("constraints.txt")
OWN = {"chromascape", "pip", "setuptools"}


def main() -> int:
    """Resolve, write the file, and print what changed."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = project["requires-python"].removeprefix(">=").partition(",")[0]
    if f"{sys.version_info[0]}.{sys.version_info[1]}" != lowest:
        print(f"error: the versions must fit Python {lowest} too: make clean, then make upgrade PYTHON=python{lowest}")
        return 2
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += ["--disable-pip-version-check", f".[{','.join(project['optional-dependencies'])}]"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        return done.returncode
    found = [package["metadata"] for package in json.loads(done.stdout)["install"]]
    # Of torch for the CPU, '+cpu' is the build, which another index names otherwise.
    newest = {package["name"]: package["version"].partition("+")[0] for package in found}
    lines = FILE.read_text(encoding="utf-8").splitlines()
    before = dict(line.split("==") for line in lines if "==" in line)
    after = {name: version for name, version in newest.items() if name.lower() not in OWN}
    notes = [line for line in lines if line.startswith("#")]
    pins = sorted((f"{name}=={version}" for name, version in after.items()), key=str.lower)
    FILE.write_text("\n".join([*notes, *pins, ""]), encoding="utf-8")
    names = sorted({*before, *after}, key=str.lower)
    changed = [name for name in names if before.get(name) != after.get(name)]
    for name in changed:
        print(f"{name}: {before.get(name, 'new')} -> {after.get(name, 'no longer needed')}")
    print(f"{len(changed)} of {len(after)} packages changed in {FILE}: make test, dvc repro, then commit both")
    return 0


if __name__ == "__main__":
    sys.exit(main())
