"""What a fold reports: its progress, and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[int, int], None]


@dataclass
class FoldReport:
    """The result of a fold: counts, and the ids of the runs with new facts.

    `damaged` counts places that could not be read, `kept` the journals that were not deleted.
    """

    journals: int = 0
    events: int = 0
    points: int = 0
    runs: set[str] = field(default_factory=set)
    damaged: int = 0
    deleted: int = 0
    kept: int = 0
