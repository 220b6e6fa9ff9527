"""The code and the packages that a model in MLflow needs: what its script imports, and nothing else.

The code goes under a name of its own, with a digest of it. Under the name `chromascape`, whoever loads a model would
have the model's few modules in place of the installed package, and of two models the code of one.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from chromascape.imports import closure, imported_names
from chromascape.resume import digest

PACKAGE = Path(__file__).parents[1]
SCRIPT = PACKAGE / "serving" / "mlflow_model.py"
# A model is read from its own folder, never from MLflow again, and gets its photos from who asks.
LEFT_OUT = ("chromascape.tracking", "chromascape.photos.remote")
# In an import, and in the text that names a module to import.
OWN_NAME = re.compile(rf'(^\s*(?:from|import) |\(")({PACKAGE.name})(?=[. ])', re.MULTILINE)


def copy_code(place: Path) -> Path:
    """Write the code into a package in `place`; returns the package's folder."""
    texts = {file.relative_to(PACKAGE): file.read_text(encoding="utf-8") for file in _files(LEFT_OUT)}
    name = f"{PACKAGE.name}_{digest({file.as_posix(): text for file, text in texts.items()})[:12]}"
    for file, text in texts.items():
        target = place / name / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(OWN_NAME.sub(rf"\g<1>{name}", text), encoding="utf-8")
    return place / name


def requirements() -> list[str]:
    """Exact versions of the packages that the code imports; a local suffix such as +cpu is no version to ask for."""
    imported = {name.partition(".")[0] for file in _files(LEFT_OUT) for name in imported_names(file)}
    known = _packages()
    here = imported & known.keys() - {PACKAGE.name}  # those that the code can do without may be missing
    packages = {name if name in known[name] else known[name][0] for name in here}  # three bring a part of `mlflow`
    return [f"{name}=={version(name).split('+')[0]}" for name in sorted(packages, key=str.lower)]


@cache  # it reads the list of files of every package
def _packages() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache  # a process keeps its code
def _files(left_out: tuple[str, ...]) -> set[Path]:
    return {SCRIPT, *closure(SCRIPT, skip=left_out)}
