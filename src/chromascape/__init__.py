"""Chromascape learns to colorize gray landscape photos, and colorizes yours: `from chromascape import Colorizer`."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chromascape.colorizing.colorizer import Colorizer as Colorizer

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


def __getattr__(name: str) -> Any:
    """`Colorizer`, imported when it is first asked for: `--help` does without all that it needs."""
    if name == "Colorizer":
        return import_module("chromascape.colorizing.colorizer").Colorizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
