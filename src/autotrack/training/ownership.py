"""Which integration records the training loop of a thread, so that the plain-PyTorch one does not record it again."""

from __future__ import annotations

import os
import threading

_charges: dict[int, list[Charge]] = {}


class Charge:
    """A claim of an integration, made by `take`: `framework` records the loop of the thread until `release`.

    Claims may be nested, and released in any order, from any thread and more than once.
    """

    __slots__ = ("_thread", "framework")

    def __init__(self, framework: str, thread: int) -> None:
        self.framework = framework
        self._thread = thread

    def release(self) -> None:
        """Remove this claim; the loop belongs to the innermost remaining claim of the thread, if there is one."""
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
    """Claim the training loop of this thread for the integration of `framework` ("lightning", …)."""
    thread = threading.get_ident()
    charge = Charge(framework, thread)
    _charges.setdefault(thread, []).append(charge)
    return charge


def training_in_charge() -> str | None:
    """The framework whose integration records the loop of this thread; None if none has claimed it."""
    if not _charges:  # the fast path, called at each step of a plain loop
        return None
    held = _charges.get(threading.get_ident())
    return held[-1].framework if held else None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_charges.clear)
