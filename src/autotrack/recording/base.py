"""`BaseRecorder`: appends events of a run, among them the lines of its capture report, to the journal."""

from __future__ import annotations

import time

from autotrack.events import Event, Report
from autotrack.recording.collector import Collector, is_paused

_now = time.time


class BaseRecorder:
    """Appends events of one run (`training` 0) or of one training inside it."""

    is_silent = False  # True for classes whose methods record nothing

    def __init__(self, collector: Collector, run_id: str, training: int = 0) -> None:
        self.collector = collector
        self.id = run_id
        self.number = training

    def emit(self, event: Event) -> None:
        """Append an event, whose `run` should be the id of this run, unless recording is paused."""
        if not is_paused():
            self.collector.append(event)

    def report(self, what: str, message: str, *, level: str = "missing", count: int = 1) -> None:
        """Add a line to the capture report: what was not captured, or with level "info" a remark on the capture.

        `what` groups lines of one kind ("git", "model"), `count` is the number of facts concerned.
        """
        self.emit(
            Report(
                run=self.id, time=_now(), training=self.number, what=what, message=message,
                level=level, count=count,  # type: ignore[arg-type]
            )
        )  # fmt: skip
