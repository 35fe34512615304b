"""Metric rows with values that are still on a GPU, read without making the training wait.

For each such value a copy to pinned memory is enqueued on the current stream, followed by an event. The row is
written, with the step and time of the call, once the event has completed: within a second, or when the run finishes.
Until then it is not on disk: this bounded window is the one exception to the rule that a logged value survives a crash.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from autotrack._guard import guarded
from autotrack.exceptions import InvalidValueError

POLL = 0.25


class TakesRows(Protocol):
    """The recorder to which a row is written once its values have been copied."""

    def log(self, values: Mapping[str, Any], step: int | None = None, *, time: float | None = None) -> None: ...
    def report(self, what: str, message: str) -> None: ...


def on_gpu(value: Any) -> bool:
    """Whether `value` is a torch tensor in the memory of a CUDA device."""
    return getattr(value, "is_cuda", False) is True and type(value).__module__.partition(".")[0] == "torch"


class _Row:
    """A pending row: each of its `parts` is a number or a host buffer, which is filled once `event` has completed."""

    __slots__ = ("event", "moment", "parts", "recorder", "step")

    def __init__(self, recorder: TakesRows, parts: dict[str, Any], event: Any, step: int | None, moment: float):
        self.recorder = recorder
        self.parts = parts
        self.event = event
        self.step = step
        self.moment = moment

    def write(self) -> None:
        values = {key: part.item() if hasattr(part, "item") else part for key, part in self.parts.items()}
        self.recorder.log(values, self.step, time=self.moment)


class Deferred:
    """Queue of the rows of this process that wait for copies from a GPU, in the order of the calls."""

    def __init__(self) -> None:
        self._rows: deque[_Row] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, recorder: TakesRows, values: Mapping[str, Any], step: int | None, moment: float) -> None:
        """Enqueue the copies of one row to the host; `InvalidValueError` for a tensor of more than one value."""
        torch = sys.modules["torch"]
        if torch.cuda.is_current_stream_capturing():
            recorder.report("metric", f"{', '.join(values)}: not readable while a CUDA graph is captured")
            return
        for key, value in values.items():
            if on_gpu(value) and value.numel() != 1:
                raise InvalidValueError(f"metric {key!r} has {value.numel()} values; log one number")
        parts: dict[str, Any] = {}
        with torch.no_grad():
            for key, value in values.items():
                if on_gpu(value):
                    whole = not (value.is_floating_point() or value.is_complex())
                    host = torch.empty((), dtype=torch.int64 if whole else torch.float64, pin_memory=True)
                    host.copy_(value.detach().reshape(()), non_blocking=True)
                    parts[key] = host
                else:
                    parts[key] = value
            event = torch.cuda.current_stream().record_event()
        self._rows.append(_Row(recorder, parts, event, step, moment))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="autotrack-gpu", daemon=True)
            self._thread.start()

    def drain(self, *, wait: bool) -> None:
        """Write the rows whose copies have completed, in order; with `wait`, wait for all and write all."""
        with self._lock:
            while self._rows and (wait or self._rows[0].event.query()):
                row = self._rows.popleft()
                if wait:
                    row.event.synchronize()
                row.write()

    def _work(self) -> None:
        while True:
            time.sleep(POLL)
            with guarded("reading metrics from the GPU"):
                self.drain(wait=False)
