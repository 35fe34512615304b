"""Beginning anew: what holds state of the whole process registers here how that state is given up.

`reset` is for tests, ours and those of people who extend autotrack. Afterwards the process is as one in which nothing
has been recorded or chosen yet.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack._guard import forget_warnings

_forgetters: list[Callable[[], None]] = []


def on_reset(forget: Callable[[], None]) -> Callable[[], None]:
    """Call `forget` at each `reset`, in the order of registration; returns it, so that it serves as a decorator."""
    _forgetters.append(forget)
    return forget


def reset() -> None:
    """Finish what is being recorded and forget all that was chosen, known or warned of in this process."""
    for forget in tuple(_forgetters):
        forget()
    forget_warnings()
