"""What belongs to a whole process: where it began, and resetting state that it holds.

Each module that holds such state registers a function that clears it. `reset` is for tests, autotrack's own and those
of extensions. Afterwards the process is in the state of one in which nothing has been recorded or configured yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from autotrack._guard import forget_warnings

_forgetters: list[Callable[[], None]] = []


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


started_in = _current_folder()
"""The current folder when autotrack was imported; None if it had been deleted."""


def on_reset(forget: Callable[[], None]) -> Callable[[], None]:
    """Register `forget` to be called by `reset`, in the order of registration; usable as a decorator."""
    _forgetters.append(forget)
    return forget


def reset() -> None:
    """Finish the open runs and clear all settings, caches and shown warnings of this process."""
    for forget in tuple(_forgetters):
        forget()
    forget_warnings()
