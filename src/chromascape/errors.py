"""The one exception that users see, and the wording of errors."""

import codecs
import difflib
import errno
import io
import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chromascape import __version__

NO_MEMORY = "not enough memory"


class ChromascapeError(Exception):
    """A problem that the user can fix; its text is one line with the problem and the remedy."""


def explain_os_error(error: OSError) -> str:
    """One line for an `OSError`: the file, what went wrong and the remedy."""
    file = f"{error.filename}: " if error.filename else ""
    remedies = {
        errno.ENOSPC: "free some space on this disk and run the command again",
        errno.EFBIG: "this disk allows no file of that size: write to another disk",
        errno.EDQUOT: "your disk quota is used up: free some space and run the command again",
        errno.EACCES: "check the permissions of the file and its folder",
        errno.EPERM: "check the permissions of the file and its folder",
        errno.EROFS: "the disk is mounted read-only: write to another disk",
        errno.ENOENT: "check the path",
    }
    remedy = remedies.get(error.errno or 0)
    reason = error.strerror or str(error)
    return f"{file}{reason}" + (f"; {remedy}" if remedy else "")


def how_to_install(extra: str) -> str:
    """The command that adds an extra to this installation, from the place that it came from.

    A name alone would ask an index, which may have somebody else's package under it.
    """
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -e {_folder(checkout, extra)}"
    folder, url = _origin()
    if folder:
        return f"pip install {_folder(folder, extra)}"
    # From an index: what is installed stays, and only the extra's packages come.
    return f"pip install {shlex.quote(f'chromascape[{extra}]' + (f' @ {url}' if url else f'=={__version__}'))}"


def _folder(folder: Path, extra: str) -> str:
    return shlex.quote(f"{'.' if folder == Path.cwd() else folder}[{extra}]")


def _origin() -> tuple[Path | None, str]:
    """What pip wrote down about where the package came from (PEP 610): a folder, or a URL; neither for an index."""
    from importlib.metadata import PackageNotFoundError, distribution  # here, as they take 20 ms
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        origin: dict[str, Any] = json.loads(distribution("chromascape").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return None, ""
    url = str(origin.get("url", ""))
    if "dir_info" in origin:
        return Path(url2pathname(urlsplit(url).path)), url
    vcs = origin.get("vcs_info")
    return None, f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url


def choices(names: Iterable[str]) -> str:
    """The names as pydantic lists them: 'a', 'b' or 'c'."""
    *first, last = [repr(name) for name in names]
    return f"{', '.join(first)} or {last}" if first else last


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """A hint at the most similar known name, with the prefix before it; empty if none is similar."""
    similar = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix}{similar[0]}?" if similar else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library says that there was not enough memory."""
    said = str(error).lower()
    known = ("bad_alloc", "out of memory", "not enough memory", "allocate memory", "failed to alloc", "unable to alloc")
    return isinstance(error, MemoryError) or any(words in said for words in known)


def explain_photo_error(error: Exception, remedy: str) -> str:
    """One line for an error of what reads, colors or writes a photo, which raise errors of many classes.

    Args:
        remedy: what to do where there is not enough memory for the photo.
    Raises:
        The error itself, if it is of a kind that none of them raises.
    """
    if is_out_of_memory(error):
        return f"{NO_MEMORY} for a photo of this size: {remedy}"
    if not isinstance(error, ChromascapeError | ValueError | RuntimeError):
        raise error
    return " ".join(str(error).split())


def say_any_name() -> None:
    """Let stdout and stderr print every name of a file, in any encoding: bytes and letters that it lacks as escapes."""
    codecs.register_error("any_name", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="any_name")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Bytes that Python read as surrogates as `\\xff`, letters as `\\xe9`, `\\u0416` and so on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    single = [f"\\x{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else letter for letter in part]
    return "".join(single).encode("ascii", "backslashreplace").decode("ascii"), error.end
