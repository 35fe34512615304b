"""The background thread of a process, which runs slow tasks concurrently with the training."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from autotrack._guard import guarded

PULSE = 5.0


class Background:
    """Runs tasks one after another on a daemon thread, and `pulse` every five seconds.

    The thread starts with the first task. A forked child gets a new `Background` without the tasks of its parent.
    """

    def __init__(self, pulse: Callable[[], None]) -> None:
        self._pulse = pulse
        self._tasks: queue.SimpleQueue[tuple[str, Callable[[], None]] | None] = queue.SimpleQueue()
        self._waiting: list[str] = []
        self._idle = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, what: str, task: Callable[[], None]) -> None:
        """Queue `task` for the background thread; an exception in it becomes one warning that names `what`."""
        with self._idle:
            self._waiting.append(what)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="autotrack", daemon=True)
                self._thread.start()
        self._tasks.put((what, task))

    def wait(self, timeout: float) -> list[str]:
        """Wait at most `timeout` seconds for all tasks; returns the names of those that are not done."""
        if threading.current_thread() is self._thread:
            return []
        with self._idle:
            self._idle.wait_for(lambda: not self._waiting, timeout)
            return list(self._waiting)

    def _work(self) -> None:
        due = time.monotonic() + PULSE
        while True:
            if time.monotonic() >= due:  # also between tasks when the queue is never empty
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
