"""The environment of a user who has turned nothing off, with an empty home, and a proxy that notes who calls out."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chromascape import SILENT

# By these, packages know that they are tested and are silent.
TESTED = {"CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TF_BUILD", "PYTEST_CURRENT_TEST"}
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
HOMES = {"APPDATA", "LOCALAPPDATA", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}


@contextmanager
def alone(home: Path) -> Iterator[dict[str, str]]:
    """Variables for `subprocess`, to be used within the block; whoever called out by then is an AssertionError.

    Libraries in C ask these proxies as Python's do.
    """
    home.mkdir()
    left_out = {*SILENT, *TESTED, *HOMES, *PROXIES, "no_proxy"}
    kept = {name: value for name, value in os.environ.items() if name not in {*left_out, *map(str.upper, left_out)}}
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        asked = dict.fromkeys([*PROXIES, *map(str.upper, PROXIES)], address)
        yield kept | asked | {"HOME": str(home), "USERPROFILE": str(home)}
        assert not select.select([proxy], [], [], 0)[0], "somebody called out"


def written(home: Path) -> list[str]:
    """The files in the home, without Matplotlib's list of fonts."""
    files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    return sorted(name for name in files if "matplotlib" not in name)
