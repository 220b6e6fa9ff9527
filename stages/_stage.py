"""What every stage script shares: it runs the code of its own checkout, and shows errors in one line.

Importing this module puts `src/` of this checkout first on the path. An experiment in a temporary copy of the
repository would otherwise run the installed package, that is, the code of another checkout. Stage scripts import it
first and nothing else that is not ours, so that a Python without the environment gets a line and no traceback.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from _restore import way_back

STARTS_OVER = "`dvc repro` starts this stage over"
GOES_ON = {
    "validate": "`dvc repro` goes on from the files that were inspected",
    "preprocess": "`dvc repro` goes on from the last whole shard, if there is one",
    "train": "`dvc repro` goes on from the last checkpoint of this stage, if there is one",
}

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
# Worker processes look the package up anew.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))


def _stopped(error: KeyboardInterrupt) -> str:
    """What to say after Ctrl-C or SIGTERM: how to go on, as the stage says itself, or as holds for it at any moment."""
    return f"stopped: {str(error) or GOES_ON.get(Path(sys.argv[0]).stem, STARTS_OVER)}{way_back()}"


def _explain_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python calls for an error outside of `run`: a missing package and Ctrl-C during imports get one line."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, KeyboardInterrupt):
        print(_stopped(error), file=sys.stderr)
    elif isinstance(error, ModuleNotFoundError) and package not in ("", "chromascape"):
        print(
            f"error: {sys.executable} lacks the package {package}: this Python is not the project's environment; "
            "run `make run`, or `source .venv/bin/activate` and the command again",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _explain_uncaught  # before the first import that can fail

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
        sys.exit(f"error: {error}{way_back()}")
    except OSError as error:
        if error.errno is None:
            raise
        sys.exit(f"error: {explain_os_error(error)}{way_back()}")
    except KeyboardInterrupt as error:
        sys.exit(_stopped(error))
    except Exception:
        if line := way_back():
            print(line.strip(), file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break the cleaning up
    raise KeyboardInterrupt
