"""The code that each stage depends on, as dvc.yaml must list it: `python tests/code_deps.py` writes it there."""

import ast
import re
from pathlib import Path

from chromascape.imports import DECIDES_NOTHING, closure

REPOSITORY = Path(__file__).resolve().parents[1]
# What these stages leave in MLflow is a result of theirs, so tracking and the model that is served decide it.
RECORDED = {"evaluate", "register"}
RECORDING = {"chromascape.serving", "chromascape.tracking"}
COMPILED = {".pyc", ".so", ".pyd"}
LINE = re.compile(r"      - ((?:src|stages)/\S+)\n")


def code_deps(script: Path) -> list[str]:
    """Script, modules and the data that they name; a package that is used whole is listed as a folder."""
    skip = DECIDES_NOTHING.keys() - (RECORDING if script.stem in RECORDED else set())
    sources = closure(script, skip)
    used = sources | set().union(*(named(source) for source in sources))
    package = REPOSITORY / "src/chromascape"
    for folder in sorted(path for path in package.iterdir() if path.is_dir()):
        files = {file for file in folder.rglob("*") if file.is_file() and file.suffix not in COMPILED}
        if files and all(used & {file, *file.parents} for file in files):
            used = {folder} | {path for path in used if not path.is_relative_to(folder)}
    shown = [path.relative_to(REPOSITORY).as_posix() for path in used]
    return [f"stages/{script.name}", *sorted(shown, key=lambda path: (path.startswith("src/"), path))]


def named(source: Path) -> set[Path]:
    """What a module names in a string: a file or folder of data beside it, or a module that others run by its path.

    And the C that has its name.

    `"report.html.j2"` in judging/report.py is such a file; `"mlflow_model.py"` names the one module of that name.
    """
    found = {source.with_suffix(".c")} if source.with_suffix(".c").is_file() else set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\w[\w.-]*", node.value):
            near = source.parent / node.value
            if near.exists() and near.name != "__pycache__" and not (near / "__init__.py").exists():
                found.add(near)
            elif node.value.endswith(".py"):
                found |= set((REPOSITORY / "src").rglob(node.value))
    return found - {source}


def corrected(text: str) -> str:
    """The text of dvc.yaml with the code dependencies that each stage should have."""
    stages = re.split(r"(?m)^(?=  \w+:\n    desc:)", text)
    return "".join(_corrected_stage(stage) for stage in stages)


def _corrected_stage(text: str) -> str:
    first = LINE.search(text)
    if not first or not (script := re.search(r"cmd: python (\S+)", text)):
        return text
    lines = "".join(f"      - {path}\n" for path in code_deps(REPOSITORY / script[1]))
    return text[: first.start()] + lines + LINE.sub("", text[first.start() :])


if __name__ == "__main__":
    file = REPOSITORY / "dvc.yaml"
    file.write_text(corrected(file.read_text(encoding="utf-8")), encoding="utf-8")
