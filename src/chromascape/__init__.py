"""Chromascape learns to colorize gray landscape photos, and colorizes yours: `from chromascape import Colorizer`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chromascape.colorizing.colorizer import Colorizer as Colorizer

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`Colorizer`, imported when it is first asked for: `--help` does without all that it needs."""
    if name == "Colorizer":
        return import_module("chromascape.colorizing.colorizer").Colorizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
