"""What a fold reports: while it works, and when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[int, int], None]


@dataclass
class FoldReport:
    """What a fold did. `damaged` counts places that could not be read, `kept` journals that are not done yet."""

    journals: int = 0
    events: int = 0
    points: int = 0
    runs: set[str] = field(default_factory=set)
    damaged: int = 0
    deleted: int = 0
    kept: int = 0
