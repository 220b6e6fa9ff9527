"""Shared by all stage scripts: they run the code of their own checkout and show errors in one line.

Importing this module puts `src/` of this checkout first on the path. Otherwise an experiment in a temporary copy of
the repository would run the installed package, which is the code of another checkout. Stage scripts import this
module first, so that a Python without the environment prints one line and no traceback.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from _restore import restore_hint

FROM_START = "`dvc repro` runs this stage again from the start"
RESUMES = {
    "validate": "`dvc repro` resumes after the files that were inspected",
    "preprocess": "`dvc repro` resumes after the last complete shard, if there is one",
    "train": "`dvc repro` resumes from the last checkpoint, if there is one",
    "evaluate": "`dvc repro` resumes after the last measured photo",
}

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
# Worker processes import the package again.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))


def _stopped(error: KeyboardInterrupt) -> str:
    """The message after Ctrl-C or SIGTERM: where the stage resumes, as the stage itself says or as always holds."""
    return f"stopped: {str(error) or RESUMES.get(Path(sys.argv[0]).stem, FROM_START)}{restore_hint()}"


def _explain_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's hook for errors outside of `run`: a missing package and Ctrl-C during imports print one line."""
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

from chromascape.errors import ChromascapeError, explain_os_error, say_any_name  # noqa: E402
from chromascape.params import Params, load_params  # noqa: E402
from chromascape.tracking.store_checks import check_store  # noqa: E402


def run(stage: Callable[[Params], None]) -> None:
    """Run a stage with checked params. An error that the user can fix prints one line and exits with code 1.

    SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that temporary files are removed and the run is marked as
    killed. If DVC can restore the outputs that it has removed, a second line says by which command.
    """
    say_any_name()
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        params = load_params()
        check_store(params.track.experiment)
        stage(params)
    except ChromascapeError as error:
        sys.exit(f"error: {error}{restore_hint()}")
    except OSError as error:
        if error.errno is None:
            raise
        sys.exit(f"error: {explain_os_error(error)}{restore_hint()}")
    except KeyboardInterrupt as error:
        sys.exit(_stopped(error))
    except Exception:
        if line := restore_hint():
            print(line.strip(), file=sys.stderr)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the clean-up
    raise KeyboardInterrupt
