"""Importing on a background thread without endangering a fork.

Of a module that another thread is importing during a fork, the child inherits a lock that nobody will ever release:
it hangs when it imports the same module. Imports of ours therefore happen under `loading()`, and a fork waits until
they are done, for some seconds at most: an import may wait for a lock that another library's hook has taken for the
fork.
"""

from __future__ import annotations

import logging  # noqa: F401 - its hook takes its lock for the fork: registered before ours, it runs after it
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 5.0  # seconds that a fork waits
_lock = threading.RLock()
_held = threading.local()
_in_vain = False  # whether a fork has waited in vain for the block that still holds the lock


@contextmanager
def loading() -> Iterator[None]:
    """Hold off forks while the block imports; keep it short."""
    global _in_vain  # noqa: PLW0603 - written under the lock, or by a fork that did not get it
    with _lock:
        try:
            yield
        finally:
            _in_vain = False


def _before_fork() -> None:
    global _in_vain  # noqa: PLW0603 - see above
    _held.taken = _lock.acquire(timeout=0 if _in_vain else _PATIENCE)
    _in_vain = not _held.taken


def _after_fork_in_parent() -> None:
    if getattr(_held, "taken", False):
        _held.taken = False
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock, _in_vain  # the child's only thread cannot release what another one held
    _lock, _in_vain = threading.RLock(), False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
