"""What `chromascape doctor` checks: this machine against the params, and what killed processes left behind."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of `chromascape doctor`: how serious it is, what was checked and found; problems say the remedy."""

    level: Literal["ok", "note", "problem"]
    subject: str
    text: str
