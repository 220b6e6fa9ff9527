"""The one exception that a user is meant to see."""

import difflib
import errno
from collections.abc import Iterable


class ChromascapeError(Exception):
    """Something that the user can put right; its text is one line that names what is wrong and what to do."""


def explain_os_error(error: OSError) -> str:
    """One line for an `OSError`: the file, what went wrong and the way out."""
    place = f"{error.filename}: " if error.filename else ""
    hints = {
        errno.ENOSPC: "free some space on this disk and run the command again",
        errno.EFBIG: "this disk takes no file of that size: write to another one",
        errno.EDQUOT: "your disk quota is used up: free some space and run the command again",
        errno.EACCES: "check the permissions of the file and its folder",
        errno.EPERM: "check the permissions of the file and its folder",
        errno.EROFS: "the disk is mounted read-only: write somewhere else",
        errno.ENOENT: "check the path",
    }
    hint = hints.get(error.errno or 0)
    reason = error.strerror or str(error)
    return f"{place}{reason}" + (f"; {hint}" if hint else "")


def choices(names: Iterable[str]) -> str:
    """'a', 'b' or 'c', as pydantic writes it."""
    *first, last = [repr(name) for name in names]
    return f"{', '.join(first)} or {last}" if first else last


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """A hint at the known name that is most like this one, with the prefix before it; empty where none is like it."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""
