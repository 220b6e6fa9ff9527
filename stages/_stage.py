"""What every stage script shares: it runs the code of its own checkout, and shows errors in one line.

Importing this module puts `src/` of this checkout first on the path. An experiment in a temporary copy of the
repository would otherwise run the installed package, that is, the code of another checkout. Stage scripts import it
first and nothing else that is not ours, so that a Python without the environment gets a line and no traceback.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
# Worker processes look the package up anew.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))


def _explain_import(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python calls for an error that nobody caught: a missing package gets one line."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in ("", "chromascape"):
        sys.__excepthook__(kind, error, trace)
        return
    print(
        f"error: {sys.executable} lacks the package {package}: this Python is not the project's environment; "
        "run `make run`, or `source .venv/bin/activate` and the command again",
        file=sys.stderr,
    )


sys.excepthook = _explain_import  # before the first import that can fail

import yaml  # noqa: E402

from chromascape.errors import ChromascapeError, explain_os_error  # noqa: E402
from chromascape.params import Params, load_params  # noqa: E402
from chromascape.tracking.server import check_server  # noqa: E402


def run(stage: Callable[[Params], None]) -> None:
    """Run a stage with the checked params. An error that the user can put right is one line and exit code 1.

    SIGTERM stops a stage as Ctrl-C does, by an exception, so that temporary files go and the run is marked as killed.
    Where DVC has removed outputs that it can bring back, a second line says by which command.
    """
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        params = load_params()
        check_server()
        stage(params)
    except ChromascapeError as error:
        sys.exit(f"error: {error}{_way_back()}")
    except OSError as error:
        if error.errno is None:
            raise
        sys.exit(f"error: {explain_os_error(error)}{_way_back()}")
    except KeyboardInterrupt:
        sys.exit(f"stopped: `dvc repro` starts this stage over{_way_back()}")
    except Exception:
        print(_way_back().strip(), file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break the cleaning up
    raise KeyboardInterrupt


def _way_back() -> str:
    """A line with the command that brings the stage's last outputs back; empty where there is nothing to bring back.

    DVC removes a stage's outputs before it runs it. A temporary copy goes away as a whole, so it gets no line.
    """
    stage, root = os.environ.get("DVC_STAGE"), os.environ.get("DVC_ROOT")
    if not stage or (root and Path(root).resolve() != Path.cwd().resolve()):
        return ""
    try:
        missing = [out for out in _cached_outs(stage) if not Path(out["path"]).exists()]
        kept = bool(missing) and _in_cache([out["md5"] for out in missing])
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, subprocess.SubprocessError):
        return ""  # no dvc.lock, or not one that we can read
    return f"\n`dvc checkout {stage}` brings the last outputs of this stage back" if kept else ""


def _cached_outs(stage: str) -> list[dict[str, Any]]:
    """What dvc.lock names as outputs of the stage, without those that DVC leaves to git."""
    lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"][stage]
    known = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in known.get(kind, [])]
    options = {path: values for entry in entries if isinstance(entry, dict) for path, values in entry.items()}
    return [out for out in lock["outs"] if (options.get(out["path"]) or {}).get("cache", True)]


def _in_cache(hashes: list[str]) -> bool:
    """Whether DVC's cache on this machine holds all of them: in a fresh clone it does not."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    cache = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    return all((Path(cache) / "files" / "md5" / md5[:2] / md5[2:]).exists() for md5 in hashes)
