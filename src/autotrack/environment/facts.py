"""The result of a gatherer, the exceptions for facts that cannot be gathered, and a time limit for gathering."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from autotrack._guard import guarded

T = TypeVar("T")


class Unavailable(Exception):  # noqa: N818 - an answer of a gatherer, not an error of the program
    """Facts cannot be gathered; the message gives the reason in one sentence."""


class Absent(Unavailable):
    """There is nothing to gather, and nothing failed: a folder that is in no repository, for example."""


@dataclass(frozen=True)
class Facts:
    """The result of a gatherer: plain `data`, `files` by slash-separated name, and sentences on what is `missing`.

    Empty facts mean that there is nothing to find and nothing wrong with that.
    """

    data: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def within(seconds: float, what: str, call: Callable[[], T]) -> T:
    """Return the result of `call`; `Unavailable` if the call raises it, fails, or takes longer than `seconds`.

    A call that takes longer is left running on its daemon thread. While the interpreter shuts down no thread can be
    started: then the call has no time limit.
    """
    outcome: list[T | Unavailable] = []

    def work() -> None:
        with guarded(f"gathering {what}"):
            try:
                outcome.append(call())
            except Unavailable as reason:
                outcome.append(reason)

    thread = threading.Thread(target=work, name=f"autotrack-{what}", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        work()
    else:
        thread.join(seconds)
    if not outcome:
        late = thread.is_alive()
        raise Unavailable(f"{what} took longer than {seconds:g} s" if late else f"gathering {what} failed")
    answer = outcome[0]
    if isinstance(answer, Unavailable):
        raise answer
    return answer
