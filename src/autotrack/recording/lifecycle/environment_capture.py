"""What surrounds a run — code, packages, machine — recorded beside the training, once per process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack._process import on_reset
from autotrack.environment.entry import entry_script
from autotrack.environment.imports import loading
from autotrack.recording import messages, notebook, ranks
from autotrack.recording.collector import Collector
from autotrack.recording.metrics import MetricRecorder
from autotrack.recording.run import Run, open_runs

if TYPE_CHECKING:
    from autotrack.environment.capture import Captured
    from autotrack.environment.monitor import Monitor

_known: dict[int, Surroundings] = {}
_monitors: list[Monitor] = []
_following: list[object] = []
_OF_PROGRAM = ("packages", "seeds", "notebook")  # what differs between a launcher and the programs that it starts
_OF_LAUNCHER = ("cwd", "user", "host", "os", "env")
_OF_COMMAND = ("process", "scheduler", "git", "hardware")


@dataclass(frozen=True)
class Launched:
    """The command that this process launched: `process` counts in place of the facts of the launcher itself."""

    script: Path | None
    process: Mapping[str, Any]
    masked: tuple[str, ...] = ()


class Surroundings:
    """The sections captured in this process, and the runs that are to get them."""

    def __init__(
        self, owner: Collector, *, only: Collection[str] | None = None, launched: Launched | None = None
    ) -> None:
        self._owner = owner
        self._only = only
        self._launched = launched
        self._lock = threading.Lock()
        self._captured: list[Captured] = []
        self._runs: list[Run] = []
        self._script = launched.script if launched is not None else entry_script()

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

        capture(self._owner.settings, self._owner.place.path, self._found, script=self._script, only=self._only)
        with self._lock:
            self._runs.clear()

    def _found(self, captured: Captured) -> None:
        if self._launched is not None and captured.name == "process":
            masked = [path for path in captured.masked if path.startswith("env.")]
            own = captured.data.items()
            data = {name: value for name, value in own if name in _OF_LAUNCHER}
            captured = replace(
                captured, data={**data, **self._launched.process}, masked=[*masked, *self._launched.masked]
            )
        with self._lock:
            self._captured.append(captured)
            runs = list(self._runs)
        for run in runs:
            _record(run, captured)


@on_reset
def forget() -> None:
    """Capture anew with the next run, as in a fresh process; stops the monitor."""
    _known.clear()
    _following.clear()
    while _monitors:
        _monitors.pop().stop()


def record_surroundings(run: Run) -> None:
    """Record the environment of a top-level run, and start the monitor with the first one."""
    owner = run.collector
    if run.parent is not None and run.parent in owner.open_runs:
        return
    shell = notebook.session()
    if shell is not None:
        shell.begun(run)
    surroundings = _known.get(id(owner.background))
    if surroundings is None:
        surroundings = Surroundings(owner)
        surroundings.add(run)
        _begin(owner, surroundings)
    else:
        surroundings.add(run)


def _begin(owner: Collector, surroundings: Surroundings) -> None:
    _known.clear()
    _known[id(owner.background)] = surroundings
    owner.background.submit("the environment", surroundings.capture)
    if owner.settings.captures("system"):
        owner.background.submit("the monitor", lambda: _start_monitor(owner))


def stand_for(owner: Collector, launched: Launched) -> None:
    """In a launcher, before it opens a run: what surrounds that is the command's, not the launcher's own."""
    _begin(owner, Surroundings(owner, only=_OF_COMMAND, launched=launched))


def describe(run: Run, launched: Launched) -> None:
    """In a launcher, once more is known of the command: record it anew. For the background thread."""
    surroundings = Surroundings(run.collector, only=("process",), launched=launched)
    surroundings.add(run)
    surroundings.capture()


def record_program(run: Run) -> None:
    """Record what only a program of a launched command can tell, in the run of that command."""
    surroundings = Surroundings(run.collector, only=_OF_PROGRAM)
    surroundings.add(run)
    run.collector.background.submit("the environment", surroundings.capture)


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
        run_id = ranks.followed(self._owner.place)
        if run_id is None:
            return
        if self._recorder is None or self._recorder.id != run_id:
            self._recorder = MetricRecorder(self._owner, run_id)
        prefix = f"system/rank.{ranks.rank() or 0}/"
        self._recorder.log({prefix + key.removeprefix("system/"): value for key, value in values.items()})


def _start_monitor(owner: Collector) -> None:
    def emit(values: dict[str, float]) -> None:
        for run in open_runs(owner):
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
        messages.count_missing(run.id, 1)
