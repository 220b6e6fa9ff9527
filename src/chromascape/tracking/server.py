"""Checks before any work that the MLflow server answers: MLflow itself would retry for minutes."""

import os
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from urllib.parse import urlsplit

from chromascape.errors import ChromascapeError

SECONDS = 4.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect counts as an answer; following it would ask another server."""

    def redirect_request(self, *_: object) -> None:
        return None


def without_credentials(text: str) -> str:
    """The text without the user and password of any address in it; passwords may have a slash."""
    return re.sub(r"://(?:[^/\s:]*:(?!\d{1,5}/)\S*|[^/\s]*)@", "://", text)


def one_line(error: Exception) -> str:
    """The text of an error in one line of at most 200 characters, without credentials; empty if it has none."""
    return without_credentials(" ".join(str(error).split()))[:200]


def deleted(experiment: str, number: object) -> str:
    """What to say of an experiment that was deleted in MLflow, which takes no runs then."""
    restore = f"`mlflow experiments restore --experiment-id {number}`"
    return f"track.experiment: {experiment!r} was deleted in MLflow: choose another name, or restore it: {restore}"


def check_server() -> None:
    """Ask the server in MLFLOW_TRACKING_URI, if one is named, for any HTTP answer within 4 seconds in all.

    Raises:
        ChromascapeError: no server answers; names the variable, the address and the remedy.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri.lower().startswith(("http://", "https://")):
        return
    address = without_credentials(uri)
    # A name lookup has no time limit of its own, and a server may send one byte now and then.
    if problem := within_seconds(SECONDS, lambda: _problem(address)):
        raise ChromascapeError(
            f"MLFLOW_TRACKING_URI: no MLflow server at {address} ({problem}): "
            "start it, or unset the variable to keep runs in mlflow.db"
        )


def within_seconds(seconds: float, ask: Callable[[], str]) -> str:
    """The answer of a call that has no time limit of its own, or that there is none; the call goes on in its thread."""
    answer = [f"no answer within {seconds:g} seconds"]
    thread = threading.Thread(target=lambda: answer.__setitem__(0, ask()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0]


def _problem(address: str) -> str:
    """Why there is no HTTP answer; empty if there is one, whatever it says."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE  # nothing is sent; MLflow checks certificates
    try:
        if not urlsplit(address).hostname:
            return "the address names no host"
        opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=anyone))
        opener.open(address, timeout=SECONDS).close()
    except urllib.error.HTTPError:
        return ""
    except urllib.error.URLError as error:
        reason = error.reason
        return str(getattr(reason, "strerror", None) or reason)
    except (OSError, HTTPException, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""
