"""What every stage script shares: it runs the code of its own checkout, and shows errors in one line.

Importing this module puts `src/` of this checkout first on the path. An experiment in a temporary copy of the
repository would otherwise run the installed package, that is, the code of another checkout.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
# Worker processes look the package up anew.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")]))

from chromascape.errors import ChromascapeError, explain_os_error
from chromascape.params import Params, load_params


def run(stage: Callable[[Params], None]) -> None:
    """Run a stage with the checked params. An error that the user can put right is one line and exit code 1."""
    try:
        stage(load_params())
    except ChromascapeError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno is None:
            raise
        sys.exit(f"error: {explain_os_error(error)}")
    except KeyboardInterrupt:
        sys.exit("stopped: run `dvc repro` to go on with this stage")
