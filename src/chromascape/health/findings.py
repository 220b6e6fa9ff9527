"""What a check of `chromascape doctor` says."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line: how bad it is, what was looked at, and what it is like; a problem says what to do."""

    level: Level
    subject: str
    text: str
