"""Error boundary: exceptions of autotrack's own code never reach the user's training.

Code that runs inside a user's training is wrapped in `guarded("what it does")`. An exception there becomes one warning
per kind and, through the hook that the collector registers, one line in the run's capture report.
`KeyboardInterrupt`, `SystemExit` and other `BaseException`s are the user's and propagate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import TracebackType

FailureHook = Callable[[str, BaseException], None]


class AutotrackWarning(UserWarning):
    """Something could not be recorded; the training continues."""


_hooks: list[FailureHook] = []
_warned: set[tuple[str, type[BaseException]]] = set()


def add_failure_hook(hook: FailureHook) -> Callable[[], None]:
    """Call `hook(what, error)` for each swallowed failure; returns a function that removes it again."""
    _hooks.append(hook)
    return lambda: _hooks.remove(hook)


def warn_once(what: str, message: str, kind: type[BaseException] = Exception) -> None:
    """Show `message` as a warning, the first time that `what` fails in this way in this process."""
    if (what, kind) in _warned:
        return
    _warned.add((what, kind))
    warnings.warn(message, AutotrackWarning, stacklevel=3)


def forget_warnings() -> None:
    """Reset the set of shown warnings, so that each is shown again (for a forked child or a test)."""
    _warned.clear()


class guarded:  # noqa: N801 - reads as a statement: `with guarded("reading the git state"):`
    """Swallow and report any `Exception` of the block; `failed` is True after one, `reason` its type and message."""

    __slots__ = ("failed", "reason", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.failed = False
        self.reason = ""

    def __enter__(self) -> guarded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        self.failed = True
        self.reason = f"{type(error).__name__}: {error}"
        report_failure(self.what, error)
        return True


def report_failure(what: str, error: BaseException) -> None:
    """Call the failure hooks and, once per kind, warn the user that `what` failed; never raises an `Exception`."""
    try:
        for hook in tuple(_hooks):
            hook(what, error)
        warn_once(what, f"autotrack: {what} failed ({type(error).__name__}: {error}); the run goes on", type(error))
    except Exception:  # noqa: BLE001 - a failing hook, or warnings turned into errors, must not reach the training
        return
