"""The port of MLflow's page: whether it is one, whether it is free, and who has it."""

import contextlib
import errno
import os
import re
import socket
import urllib.request
from http.client import HTTPException

from chromascape.errors import ChromascapeError

HOST, DEFAULT = "127.0.0.1", "5000"
LAST = 65535


def chosen_port(text: str | None = None) -> int:
    """The port of `make ui`, 1 to 65535: the text, else the variable PORT as make has it, else 5000.

    Raises:
        ChromascapeError: it is no port.
    """
    text = os.environ.get("PORT", DEFAULT) if text is None else text
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= LAST):
        raise ChromascapeError(f"PORT: {text!r} is no port (1 to {LAST}): make ui PORT=5001")
    return int(text)


def check_free(port: int) -> None:
    """Ask the system for the port, as MLflow will, and give it back.

    Raises:
        ChromascapeError: another program has it, or this user may not have it; the line names a port that is free.
    """
    problem = _problem(port)
    if problem is None:
        return
    free = next((other for other in range(max(port, 1024) + 1, LAST + 1) if _problem(other) is None), None)
    way_out = f"make ui PORT={free}" if free else "choose a lower one"
    if problem == errno.EADDRINUSE:
        raise ChromascapeError(f"port {port} is taken (by {_holder(port)}): {way_out}")
    raise ChromascapeError(f"port {port} can't be had ({os.strerror(problem)}): {way_out}")


def _problem(port: int) -> int | None:
    """The error number with which the system refuses the port; None where it is free."""
    with socket.socket() as probe:
        # As servers do: else a page that has just been stopped would seem to have it still.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            return error.errno
    return None


def _holder(port: int) -> str:
    """What answers there: MLflow's page, which may be the one that is wanted, or another program."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has ports of its own
    with contextlib.suppress(OSError, HTTPException, ValueError):
        with opener.open(f"http://{HOST}:{port}/version", timeout=1) as answer:
            version = answer.read(40).decode("ascii")
        if re.fullmatch(r"\d+(\.\w+)+", version):
            return f"MLflow {version}, whose page is open at http://{HOST}:{port}"
    return "another program"
