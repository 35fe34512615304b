"""Importing on a background thread without endangering a fork.

Of a module that another thread is importing during a fork, the child inherits a lock that nobody will ever release:
it hangs when it imports the same module. Imports of ours therefore happen under `loading()`, and a fork waits until
they are done.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 5.0
_lock = threading.RLock()
_held = threading.local()


@contextmanager
def loading() -> Iterator[None]:
    """Hold off forks while the block imports; keep it short."""
    with _lock:
        yield


def _before_fork() -> None:
    _held.taken = _lock.acquire(timeout=_PATIENCE)


def _after_fork_in_parent() -> None:
    if getattr(_held, "taken", False):
        _held.taken = False
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - the child's only thread cannot release what another one held
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
