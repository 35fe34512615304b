"""Gaps: the reasons why a run cannot be reproduced exactly, one sentence each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST_NAMES = 8


@dataclass(frozen=True)
class Gap:
    """Something of the run that cannot be reproduced, or not here; `what` groups them ("code", "packages", …)."""

    what: str
    message: str

    def __str__(self) -> str:
        return f"{self.what}: {self.message}"


def named(names: Iterable[str]) -> str:
    """The names joined by commas, the first few of many."""
    found = list(names)
    more = len(found) - MOST_NAMES
    return ", ".join(found[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
