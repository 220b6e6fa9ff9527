"""Which modules a file imports, read from its syntax: nothing is run.

The modules that decide a result are listed in two places: `dvc.yaml` names them for each stage, and the fingerprint of
resumable work holds their checksums. Both take them from `closure`.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

# Modules and packages that change no result. They are left out, and so is what only they import.
DECIDES_NOTHING = {
    "chromascape.cli": "parses a command line",
    "chromascape.disk": "refuses work before it begins",
    "chromascape.errors": "words messages",
    "chromascape.health": "reports on this machine",
    "chromascape.imports": "finds the modules that decide",
    "chromascape.serving": "uses models that are finished",
    "chromascape.tracking": "records results that are finished",
    "chromascape.tracking.store_checks": "refuses work before it begins",
    "_restore": "words messages",
}
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # of statements that hold others


def closure(source: Path, skip: Iterable[str] = DECIDES_NOTHING) -> set[Path]:
    """The project's files that `source` imports, directly or through others, without itself.

    Args:
        skip: modules and packages that are neither listed nor followed.
    """
    source, skipped = source.resolve(), tuple(skip)
    found, waiting = {source}, [source]
    while waiting:
        imported = {file for file in direct(waiting.pop()) if not _is_in(module_name(file), skipped)}
        waiting += imported - found
        found |= imported
    return found - {source}


def direct(source: Path) -> set[Path]:
    """The project's files that `source` itself imports, also inside functions."""
    top = _top(source)
    return set().union(*(_files(name, top) for name in imported_names(source))) - {source}


def imported_names(source: Path) -> set[str]:
    """Dotted names of all that `source` imports, also inside functions; blocks under TYPE_CHECKING don't count.

    `from a.b import c` gives both `a.b` and `a.b.c`, as `c` may be a module. Ruff bans relative imports.
    """
    return {*_names_in(source.read_text(encoding="utf-8"))}


def module_name(source: Path) -> str:
    """Dotted name by which a file is imported: `src/a/b.py` is `a.b`, `src/a/__init__.py` is `a`."""
    parts = source.relative_to(_top(source)).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _files(name: str, top: Path) -> set[Path]:
    """The files that importing `name` runs, its packages' among them; none of other projects."""
    for root in (top, top.parent / "src"):  # a script in stages/ imports from its own folder and from src/
        place, files = root, set[Path]()
        for part in name.split("."):
            place /= part
            here = {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
            if not here:  # a name within a module, or a package of others
                break
            files |= here
        if files:
            return files
    return set()


def _top(source: Path) -> Path:
    """The folder from which a file is imported: the one that holds its topmost package."""
    folder = source.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _is_in(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


@cache  # several fingerprints are of the same files
def _names_in(code: str) -> frozenset[str]:
    names: set[str] = set()
    for node in _statements(ast.parse(code).body):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements and those within them: most of a syntax tree are expressions, which hold no import."""
    for node in nodes:
        yield node
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for block in BLOCKS[checking:]:
            yield from _statements(getattr(node, block, ()))
