"""The order of batches whose ends Keras reports from the threads of a pool, several at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

Logs = Mapping[str, Any]


class BatchOrder:
    """Calls `write` with the batches that have ended, in the order in which they began, one at a time.

    `write` gets the number of the batch and its logs. With several steps per execution a batch begins by the number of
    its first step and ends by that of its last.
    """

    def __init__(self, write: Callable[[int, Logs], None]) -> None:
        self._write = write
        self._begun: deque[int] = deque()
        self._ended: dict[int, Logs] = {}
        self._lock = threading.RLock()  # a signal handler may finish the run during a call on the same thread

    def begins(self, batch: int) -> None:
        """Remember that a batch has begun; batches begin one after another."""
        with self._lock:
            self._begun.append(batch)

    def ended(self, batch: int, logs: Logs) -> None:
        """Write this batch, and those that waited for it, once all that began before it have ended."""
        with self._lock:
            if not self._begun:  # a loop that reports only the ends of batches
                self._write(batch, logs)
                return
            self._ended[batch] = logs
            while self._begun and self._ended:
                first = min(self._ended)
                if len(self._begun) > 1 and first >= self._begun[1]:
                    return  # the batch that began first has not ended
                self._begun.popleft()
                self._write(first, self._ended.pop(first))

    def flush(self) -> None:
        """Write all batches that wait for others, at the end of an epoch or of the training."""
        with self._lock:
            self._begun.clear()
            for batch in sorted(self._ended):
                self._write(batch, self._ended.pop(batch))
