"""Chromascape learns to colorize gray landscape photos, and colorizes yours: `from chromascape import Colorizer`."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chromascape.colorizing.colorizer import Colorizer as Colorizer
    from chromascape.colorizing.hints import Hint as Hint

__version__ = "0.1.0"

# Packages that report home, or prepare to, unless a variable says no before they are imported. Whoever imports them
# here has imported this file first.
SILENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: a device's id and a database of events in the home folder, sent later
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",  # Great Expectations
}
for _name, _value in SILENT.items():
    os.environ.setdefault(_name, _value)


# What the package offers, and the modules that have it.
PUBLIC = {"Colorizer": "chromascape.colorizing.colorizer", "Hint": "chromascape.colorizing.hints"}


def __getattr__(name: str) -> Any:
    """What `PUBLIC` names, imported when it is first asked for: `--help` does without all that it needs."""
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
