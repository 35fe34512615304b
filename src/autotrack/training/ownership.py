"""Whose loop this thread is in: what a framework's integration records, the one for plain loops leaves alone."""

from __future__ import annotations

import os
import threading

_charges: dict[int, list[Charge]] = {}


class Charge:
    """From `take` to `release`, the training loop of this thread is `framework`'s to record.

    Charges may be nested and released in any order, from any thread and more than once.
    """

    __slots__ = ("_thread", "framework")

    def __init__(self, framework: str, thread: int) -> None:
        self.framework = framework
        self._thread = thread

    def release(self) -> None:
        """The loop is nobody's again, or that of whoever had it before."""
        held = _charges.get(self._thread)
        if held is not None and self in held:
            held.remove(self)
            if not held:
                _charges.pop(self._thread, None)

    def __enter__(self) -> Charge:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


def take(framework: str) -> Charge:
    """Say that from now on the loop of this thread is recorded by the integration of `framework` ("lightning", …)."""
    thread = threading.get_ident()
    charge = Charge(framework, thread)
    _charges.setdefault(thread, []).append(charge)
    return charge


def training_in_charge() -> str | None:
    """The framework whose integration records the loop of this thread; None if it is nobody's."""
    if not _charges:  # what a plain loop pays per step
        return None
    held = _charges.get(threading.get_ident())
    return held[-1].framework if held else None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_charges.clear)
