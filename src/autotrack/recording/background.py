"""The one thread of ours in a training process: what takes time happens here, beside the training."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from autotrack._guard import guarded

PULSE = 5.0


class Background:
    """Runs tasks one after another on a daemon thread, and `pulse` every five seconds.

    The thread starts with the first task. A forked child starts with a fresh one and none of its parent's tasks.
    """

    def __init__(self, pulse: Callable[[], None]) -> None:
        self._pulse = pulse
        self._tasks: queue.SimpleQueue[tuple[str, Callable[[], None]] | None] = queue.SimpleQueue()
        self._waiting: list[str] = []
        self._idle = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, what: str, task: Callable[[], None]) -> None:
        """Run `task` soon; a failure of it is one warning that names `what`."""
        with self._idle:
            self._waiting.append(what)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="autotrack", daemon=True)
                self._thread.start()
        self._tasks.put((what, task))

    def wait(self, timeout: float) -> list[str]:
        """Wait until all tasks are done, at most `timeout` seconds; returns the names of those that are not."""
        if threading.current_thread() is self._thread:
            return []
        with self._idle:
            self._idle.wait_for(lambda: not self._waiting, timeout)
            return list(self._waiting)

    def _work(self) -> None:
        due = time.monotonic() + PULSE
        while True:
            if time.monotonic() >= due:  # also between tasks that come without a pause
                with guarded("the heartbeat"):
                    self._pulse()
                due = time.monotonic() + PULSE
            try:
                what, task = self._tasks.get(timeout=max(0.0, due - time.monotonic()))  # type: ignore[misc]
            except queue.Empty:
                continue
            with guarded(what):
                task()
            with self._idle:
                self._waiting.remove(what)
                self._idle.notify_all()
