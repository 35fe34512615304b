"""Capture of the text that cells print while a run is active, as console output of that run.

The kernel's streams are not replaced: only their `write` is wrapped. So widgets, `tqdm.notebook`, `%%capture` and other
redirections work as before, and output that is displayed instead of printed is not captured.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from autotrack import _upcalls
from autotrack._guard import guarded
from autotrack.events import Console
from autotrack.recording import messages
from autotrack.recording.collector import Collector, is_paused
from autotrack.recording.run import NullRun, Run, active_run

MOST_WAITING = 8 << 20  # characters in the queue; text beyond is dropped and counted (`fetch` empties it every 5 s)


class Keeper(Protocol):
    """Turns pieces of output into whole lines, with secrets withheld; used by one thread at a time."""

    def feed(self, stream: Any, data: bytes) -> None: ...
    def gap(self, stream: Any, count: int) -> None: ...
    def flush(self) -> None: ...
    def finish(self) -> None: ...


class KernelOutput:
    """Captures the kernel's streams: `write` only queues the text, the background thread does the rest."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._waiting: deque[tuple[Run, str, str | int]] = deque()
        self._size = 0
        self._keepers: dict[str, tuple[Run, Keeper]] = {}
        self._places: dict[str, Path] = {}  # the folder of the data, by run id, when the run's output was queued
        self._working = threading.RLock()
        self._listens = False

    def listen(self, owner: Collector) -> None:
        """Wrap the `write` of stdout and stderr, and fetch the queue with each pulse of the background thread."""
        self._listens = True
        self.listen_again()
        if self.fetch not in owner.pulses:
            owner.pulses.append(self.fetch)

    def listen_again(self) -> None:
        """Wrap `write` at the start of a cell: IPython wraps it for each cell and restores the earlier one after."""
        for name in ("stdout", "stderr") if self._listens else ():
            stream = getattr(sys, name)
            if type(stream).__module__.startswith("ipykernel") and not isinstance(stream.write, _Listener):
                stream.write = _Listener(self, name, stream.write)

    def close(self) -> None:
        """Stop capturing: restore the original `write` of the streams."""
        self._listens = False
        for stream in (sys.stdout, sys.stderr):
            write = getattr(stream, "write", None)
            if isinstance(write, _Listener):
                stream.write = write.write  # type: ignore[method-assign]

    @property
    def has_news(self) -> bool:
        """Whether `fetch` has work to do: queued text, or the keeper of a run that may have ended."""
        return bool(self._waiting or self._keepers)

    def fetch(self) -> None:
        """Record the queued text in its runs, in whole lines; in ended runs also the incomplete last line."""
        with self._working:
            while self._waiting:
                run, stream, text = self._waiting.popleft()
                keeper = self._keeper(run)
                if keeper is None:
                    continue
                if isinstance(text, int):
                    keeper.gap(stream, text)
                else:
                    self._size -= len(text)
                    keeper.feed(stream, text.encode(errors="backslashreplace"))
            for run, keeper in tuple(self._keepers.values()):
                if run.is_open:
                    keeper.flush()
                else:
                    keeper.finish()
                    del self._keepers[run.id], self._places[run.id]

    def finish(self) -> None:
        """Record all queued text, including incomplete last lines, at the end of the kernel."""
        self.fetch()
        with self._working:
            while self._keepers:
                self._keepers.popitem()[1][1].finish()

    def note(self, name: str, text: str) -> None:
        """Queue `text`, written to the stream `name`, for the active run; beyond `MOST_WAITING` only its length."""
        run = active_run()
        if run is None or is_paused() or isinstance(run, NullRun) or os.getpid() != self._process or not text:
            return
        self._places[run.id] = run.collector.place.path
        if self._size + len(text) > MOST_WAITING:
            self._waiting.append((run, name, len(text)))
        else:
            self._size += len(text)
            self._waiting.append((run, name, text))

    def _keeper(self, run: Run) -> Keeper | None:
        if run.id not in self._keepers:
            place = self._places[run.id]
            if run.collector.place.path != place:  # the journal is in another folder now, without this run
                return None

            def emit(stream: Any, text: str) -> None:
                if run.collector.place.path == place:
                    run.emit(Console(run=run.id, time=time.time(), stream=stream, text=text))

            def tell(message: str) -> None:
                run.report("console", message)
                messages.count_missing(run.id, 1)

            self._keepers[run.id] = run, _upcalls.keep_output(emit, tell)
        return self._keepers[run.id][1]


class _Listener:
    """Wrapper of a stream's `write` that passes the text to `Output.note`, unless called by another wrapper."""

    def __init__(self, output: KernelOutput, name: str, write: Callable[..., Any]) -> None:
        self._output = output
        self._name = name
        self.write = write

    def __call__(self, text: str, *args: Any, **kwargs: Any) -> Any:
        if getattr(_inside, "listener", False):
            return self.write(text, *args, **kwargs)
        _inside.listener = True
        try:
            written = self.write(text, *args, **kwargs)
        finally:
            _inside.listener = False
        with guarded("listening to the output of a cell"):
            self._output.note(self._name, text)
        return written


_inside = threading.local()
