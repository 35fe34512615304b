"""Capture of a run's environment (code, packages, machine) on the background thread, once per process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from autotrack._process import on_reset
from autotrack.environment.entry import entry_script
from autotrack.environment.imports import loading
from autotrack.events import Section
from autotrack.recording import messages, notebook, ranks
from autotrack.recording.collector import Collector
from autotrack.recording.metrics import MetricRecorder
from autotrack.recording.run import Run, open_runs
from autotrack.values import plain

if TYPE_CHECKING:
    from autotrack.environment.capture import Captured
    from autotrack.environment.monitor import Monitor

_known: dict[int, Surroundings] = {}
_monitors: list[Monitor] = []
_following: list[object] = []
_OF_PROGRAM = ("packages", "seeds", "notebook")  # sections that differ between a launcher and the launched programs
_OF_LAUNCHER = ("cwd", "user", "host", "os", "env")
_OF_COMMAND = ("process", "scheduler", "git", "hardware")


@dataclass(frozen=True)
class Launched:
    """The command that this process launched; `process` replaces facts of the launcher in the section "process".

    `masked` lists the dotted paths inside `process` whose values were withheld.
    """

    script: Path | None
    process: Mapping[str, Any]
    masked: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Content:
    """What was captured, and the section of no run yet that holds its facts."""

    captured: Captured
    section: Section

    @classmethod
    def of(cls, captured: Captured) -> _Content:
        section = Section(
            run="", time=0.0, name=captured.name, data=plain(captured.data), masked=captured.masked,
            unavailable=captured.unavailable,
        )  # fmt: skip
        return cls(captured, structs.replace(section, digest=section.content_digest()))


class Surroundings:
    """The captured sections of this process, and the runs in which they are recorded.

    `only` restricts the sections by name; `launched` is the command whose environment is captured.
    """

    def __init__(
        self, owner: Collector, *, only: Collection[str] | None = None, launched: Launched | None = None
    ) -> None:
        self._owner = owner
        self._only = only
        self._launched = launched
        self._lock = threading.Lock()
        self._captured: list[_Content] = []
        self._runs: list[Run] = []
        self._script = launched.script if launched is not None else entry_script()

    def add(self, run: Run) -> None:
        """Record in `run` the sections captured so far, and those captured later."""
        with self._lock:
            self._runs.append(run)
            known = list(self._captured)
        _record(run, known)

    def capture(self) -> None:
        """Capture all sections and record each in the added runs; runs on the background thread."""
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
        content = _Content.of(captured)
        with self._lock:
            self._captured.append(content)
            runs = list(self._runs)
        for run in runs:
            _record(run, [content])


@on_reset
def forget() -> None:
    """Stop the monitor and clear the captured sections, so that the next run captures them again."""
    _known.clear()
    _following.clear()
    while _monitors:
        _monitors.pop().stop()


def record_surroundings(run: Run) -> None:
    """Record the environment of a top-level run; with the first one, capture it and start the system monitor."""
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
    """Capture the launched command's environment instead of the launcher's; called before the launcher opens a run."""
    _begin(owner, Surroundings(owner, only=_OF_COMMAND, launched=launched))


def describe(run: Run, launched: Launched) -> None:
    """In a launcher: record the section "process" again with more facts of the command. For the background thread."""
    surroundings = Surroundings(run.collector, only=("process",), launched=launched)
    surroundings.add(run)
    surroundings.capture()


def record_program(run: Run) -> None:
    """Record packages, seeds and notebook of this program, which a command launched, in the run of the command."""
    surroundings = Surroundings(run.collector, only=_OF_PROGRAM)
    surroundings.add(run)
    run.collector.background.submit("the environment", surroundings.capture)


def follow(owner: Collector) -> None:
    """On a rank other than 0: start the system monitor, which records metrics of this rank in the run of rank 0."""
    if owner.settings.captures("system") and not _monitors and not _following:
        _following.append(owner.background)
        follower = _Follower(owner)
        owner.background.submit("the monitor", lambda: _start(owner, follower, wanted=follower.has_run))


class _Follower:
    """Records system metrics of a rank other than 0 in the run of rank 0, under `system/rank.<n>/`."""

    def __init__(self, owner: Collector) -> None:
        self._owner = owner
        self._recorder: MetricRecorder | None = None

    def has_run(self) -> bool:
        """Whether rank 0 has opened its run."""
        return ranks.followed(self._owner.place) is not None

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


def _start(
    owner: Collector, emit: Callable[[dict[str, float]], None], wanted: Callable[[], bool] = lambda: True
) -> None:
    with loading():
        from autotrack.environment.monitor import Monitor

    monitor = Monitor(emit, owner.settings.monitor_interval, wanted=wanted)
    _monitors.append(monitor)
    monitor.start()


def _record(run: Run, contents: Sequence[_Content]) -> None:
    for captured in [content.captured for content in contents]:
        for name, data in captured.files.items():
            run.log_bytes(data, name, kind="environment")
    run.log_shared_sections([content.section for content in contents])
    for captured in [content.captured for content in contents if content.captured.unavailable]:
        level = "info" if captured.absent else "missing"
        run.report(captured.name, captured.unavailable or "", level=level)
        messages.count_missing(run.id, 0 if captured.absent else 1)
