"""The thread beside the training: tasks in order, and a heartbeat that no task can crowd out."""

from __future__ import annotations

import threading

from autotrack.recording import background
from autotrack.recording.background import Background


def test_the_heart_beats_between_tasks_that_come_without_a_pause(monkeypatch):
    """A queue that is never empty, such as of many checkpoints, does not make the process look dead."""
    monkeypatch.setattr(background, "PULSE", 0.001)
    beats = threading.Semaphore(0)
    worker = Background(beats.release)
    done = threading.Event()

    def task() -> None:
        if not done.is_set():
            worker.submit("a task", task)

    worker.submit("a task", task)
    try:
        assert all(beats.acquire(timeout=170) for _ in range(3))
    finally:
        done.set()
    assert worker.wait(170) == []


def test_tasks_are_done_in_order_and_one_that_fails_stops_none(guard_failures):
    """The failure is told to the guard; what waits is named until it is done."""
    worker = Background(lambda: None)
    go_on, order = threading.Event(), []
    worker.submit("the first", lambda: order.append(go_on.wait(170)))
    worker.submit("the failing", lambda: order.append(1 // 0))
    worker.submit("the last", lambda: order.append("last"))
    assert worker.wait(0) == ["the first", "the failing", "the last"]
    go_on.set()
    assert worker.wait(170) == []
    assert order == [True, "last"]
    assert [what for what, _ in guard_failures] == ["the failing"]
    guard_failures.clear()
