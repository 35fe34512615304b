"""What surrounds a run — code, packages, machine — recorded beside the training, once per process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from autotrack import announce, notebook, ranks
from autotrack.collector import Collector
from autotrack.environment.imports import loading
from autotrack.run import MetricRecorder, Run

if TYPE_CHECKING:
    from autotrack.environment.capture import Captured
    from autotrack.environment.monitor import Monitor

_known: dict[int, Surroundings] = {}
_monitors: list[Monitor] = []
_following: list[object] = []


class Surroundings:
    """The sections captured in this process, and the runs that are to get them."""

    def __init__(self, owner: Collector) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._captured: list[Captured] = []
        self._runs: list[Run] = []

    def add(self, run: Run) -> None:
        """Give `run` what is known, and all that comes."""
        with self._lock:
            self._runs.append(run)
            known = list(self._captured)
        for captured in known:
            _record(run, captured)

    def capture(self) -> None:
        """Gather everything; runs on the background thread."""
        with loading():
            from autotrack.environment.capture import capture

        capture(self._owner.settings, self._owner.place.path, self._found)
        with self._lock:
            self._runs.clear()

    def _found(self, captured: Captured) -> None:
        with self._lock:
            self._captured.append(captured)
            runs = list(self._runs)
        for run in runs:
            _record(run, captured)


def forget() -> None:
    """Capture anew with the next run, as in a fresh process; stops the monitor."""
    _known.clear()
    _following.clear()
    while _monitors:
        _monitors.pop().stop()


def record_surroundings(run: Run) -> None:
    """Record the environment of a top-level run, and start the monitor with the first one."""
    owner = run._collector
    if run.parent is not None and run.parent in owner.open_runs:
        return
    shell = notebook.session()
    if shell is not None:
        shell.begun(run)
    surroundings = _known.get(id(owner.background))
    if surroundings is None:
        _known.clear()
        surroundings = _known[id(owner.background)] = Surroundings(owner)
        surroundings.add(run)
        owner.background.submit("the environment", surroundings.capture)
        if owner.settings.captures("system"):
            owner.background.submit("the monitor", lambda: _start_monitor(owner))
    else:
        surroundings.add(run)


def follow(owner: Collector) -> None:
    """In a rank that does not record: say how its processes are doing, in the run of the rank that does."""
    if owner.settings.captures("system") and not _monitors and not _following:
        _following.append(owner.background)
        owner.background.submit("the monitor", lambda: _start(owner, _Follower(owner)))


class _Follower:
    """Takes the samples of a rank that follows: its own processes and GPUs, under `system/rank.<n>/`."""

    def __init__(self, owner: Collector) -> None:
        self._owner = owner
        self._recorder: MetricRecorder | None = None

    def __call__(self, values: dict[str, float]) -> None:
        run_id = ranks.followed(self._owner.place.path)
        if run_id is None:
            return
        if self._recorder is None or self._recorder.id != run_id:
            self._recorder = MetricRecorder(self._owner, run_id)
        prefix = f"system/rank.{ranks.rank() or 0}/"
        self._recorder.log({prefix + key.removeprefix("system/"): value for key, value in values.items()})


def _start_monitor(owner: Collector) -> None:
    def emit(values: dict[str, float]) -> None:
        for run in tuple(owner.open_runs.values()):
            if run.parent not in owner.open_runs:
                run.log(values)

    _start(owner, emit)


def _start(owner: Collector, emit: Callable[[dict[str, float]], None]) -> None:
    with loading():
        from autotrack.environment.monitor import Monitor

    monitor = Monitor(emit, owner.settings.monitor_interval)
    _monitors.append(monitor)
    monitor.start()


def _record(run: Run, captured: Captured) -> None:
    for name, data in captured.files.items():
        run.log_bytes(data, name, kind="environment")
    run.log_section(captured.name, captured.data, masked=captured.masked, unavailable=captured.unavailable)
    if captured.unavailable and captured.absent:
        run.report(captured.name, captured.unavailable, level="info")
    elif captured.unavailable:
        run.report(captured.name, captured.unavailable)
        announce.count_missing(run.id, 1)
