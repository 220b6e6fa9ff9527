"""Which files of the project a Python file imports, read from its syntax: nothing is run."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def imported_names(source: Path) -> set[str]:
    """Dotted names of all that `source` imports, also inside functions; blocks under TYPE_CHECKING don't count.

    `from a.b import c` gives both `a.b` and `a.b.c`, as `c` may be a module. Relative imports are made absolute.
    """
    names: set[str] = set()
    for node in _walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module_name(source).split(".")
                cut = node.level - (source.name == "__init__.py")
                base = ".".join([*package[: len(package) - cut], *filter(None, [base])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def module_name(source: Path) -> str:
    """Dotted name by which a file is imported: `src/a/b.py` is `a.b`, `src/a/__init__.py` is `a`."""
    root = next((root for root in _roots(source) if source.is_relative_to(root)), source.parent)
    parts = list(source.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def project_files(name: str, importer: Path) -> set[Path]:
    """The files that importing `name` runs: those of its packages' __init__ and its own; none for other libraries."""
    for root in _roots(importer):
        parts = name.split(".")
        files: set[Path] = set()
        for count in range(1, len(parts) + 1):
            stem = root.joinpath(*parts[:count])
            files |= {file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()}
        if files:
            return files
    return set()


def direct(source: Path) -> set[Path]:
    """The project's files that `source` itself imports."""
    return set().union(*(project_files(name, source) for name in imported_names(source))) - {source}


def closure(script: Path) -> set[Path]:
    """All files of the project (src, stages) that a script imports, directly and transitively, without itself."""
    return _closure(script, direct)


def used(script: Path) -> set[Path]:
    """The closure of a script's imports and of what its modules name in strings (`named`), without itself."""
    return _closure(script, lambda source: direct(source) | named(source))


def named(source: Path) -> set[Path]:
    """What a module names in a string of its own: a file or a folder of data beside it, a module to be run by others.

    `"report.html.j2"` in judging/report.py is such a file; `"mlflow_model.py"` names the one module of that name.
    """
    found: set[Path] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\w[\w.-]*", node.value):
            near = source.parent / node.value
            if near.exists() and not (near / "__init__.py").exists():
                found.add(near)
            elif node.value.endswith(".py") and source.is_relative_to(root := _roots(source)[0]):
                found |= set(root.rglob(node.value))
    return found - {source}


def _closure(script: Path, follow: Callable[[Path], set[Path]]) -> set[Path]:
    script = script.resolve()
    found, waiting = set[Path](), [script]
    while waiting:
        new = follow(waiting.pop()) - found
        found |= new
        waiting += [file for file in new if file.suffix == ".py"]
    return found - {script}


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.If) and child in node.body and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield from _walk(child)


def _roots(source: Path) -> list[Path]:
    """Where imports of a file are looked up: its checkout's src/, and the folder of a script outside of it."""
    src = next((parent / "src" for parent in source.parents if (parent / "src").is_dir()), REPOSITORY / "src")
    return [src] if source.is_relative_to(src) else [src, source.parent]
