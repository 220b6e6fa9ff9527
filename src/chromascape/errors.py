"""The one exception that a user is meant to see."""

import errno


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
