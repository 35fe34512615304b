"""The collector of a process, through which all events pass: it owns the open runs and the process's journal."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from autotrack import settings as settings_module
from autotrack._guard import add_failure_hook, forget_warnings, guarded, warn_once
from autotrack._process import on_reset
from autotrack.events import Event, Frame, Report, Section, SharedSections
from autotrack.exceptions import ConfigurationError, JournalError
from autotrack.journal.host import host_name, user_name
from autotrack.journal.writer import JournalWriter, RowPacker
from autotrack.place import Place, prepare
from autotrack.recording.background import Background
from autotrack.recording.gpu_rows import Deferred
from autotrack.settings import Settings

if TYPE_CHECKING:
    from autotrack.sinks.courier import Courier

STORE_SINK = "store"
_PATIENCE = 120.0  # seconds to wait for the background thread when the collector is reset


class OpenRun(Protocol):
    """A run as the collector sees it: `id`, `name`, the ident of the `thread` that opened it, and its end."""

    id: str
    name: str
    thread: int

    @property
    def is_open(self) -> bool: ...
    def report(self, what: str, message: str) -> None: ...
    def finish(self) -> None: ...


class Handle(Protocol):
    """An object that packs rows into the journal and is notified when the journal changes. `id` is the run's id."""

    id: str

    def latest_metrics(self) -> Mapping[str, float | int]: ...
    def forget_packers(self) -> None: ...
    def disown(self) -> None: ...


class Collector:
    """The recording state of one process: settings, place, journal, open runs, background work.

    Thread-safe. `collector()` returns the one of the process, which is created when it is first needed.
    """

    def __init__(self, settings: Settings, place: Place) -> None:
        self.settings = settings
        self.place = place
        self.background = Background(self.pulse)
        self.deferred = Deferred()
        self.open_runs: dict[str, OpenRun] = {}
        self.finished_runs = 0
        self.model_bytes: Counter[str] = Counter()  # the stored bytes of models by run
        self.last_run: OpenRun | None = None
        self.last_runs: dict[int, OpenRun] = {}
        self.pulses: list[Callable[[], None]] = []
        self.courier: Courier | None = None
        self._handles: weakref.WeakSet[Handle] = weakref.WeakSet()
        self._journal: JournalWriter | None = None
        self._lock = threading.RLock()
        self._lost = False
        self._dropped: dict[str, int] = {}
        self._tasks: dict[str, weakref.ref[Any]] = {}  # by open run, the task of asyncio that opened it
        self._shared: set[str] = set()  # the digests of the sections in the current journal

    @property
    def journal(self) -> JournalWriter | None:
        """The journal of this process, created on first access; None if no folder can be written."""
        if self._journal is None and not self._lost:
            with self._lock:
                if self._journal is None and not self._lost:
                    self._journal = self._open_journal()
        return self._journal

    @property
    def current_journal(self) -> JournalWriter | None:
        """The journal if it has been created, else None; never creates it."""
        return self._journal

    def open_journal(self) -> None:
        """Create the journal now, which sets `place` to the fallback if the configured place cannot be written."""
        _ = self.journal

    def append(self, event: Event) -> None:
        """Append one event to the journal; after the return it survives a crash of the process."""
        journal = self.journal
        if journal is None:
            self._dropped[event.run] = self._dropped.get(event.run, 0) + 1
        else:
            journal.append(event)

    def append_sections(self, sections: Sequence[Section]) -> None:
        """Append sections of one run, all with a digest; of those that the journal holds already, the digests only."""
        known = {section.name: section.digest for section in sections if section.digest in self._shared}
        if known:
            first = sections[0]
            self.append(
                SharedSections(
                    run=first.run, time=first.time, training=first.training, attempt=first.attempt, digests=known
                )
            )
        for section in sections:
            if section.name not in known:
                self.append(section)
                if self._journal is not None:
                    self._shared.add(section.digest)  # only now: another thread's reference must stand behind it

    def packer(self, frame: Frame) -> RowPacker | None:
        """The packer for rows of `frame` in the current journal; None if there is no journal."""
        journal = self.journal
        return None if journal is None else journal.packer(frame)

    def watch_handle(self, handle: Handle) -> None:
        """Register `handle` (weakly) to be notified when the journal changes, so that it drops its old packers."""
        self._handles.add(handle)

    def handles(self, run_id: str) -> list[Handle]:
        """The live handles that pack rows of the run `run_id`."""
        return [handle for handle in tuple(self._handles) if handle.id == run_id]

    def opened(self, run: OpenRun) -> None:
        """Add `run` to the open runs of this process."""
        with self._lock:
            self.open_runs[run.id] = run
            task = current_task()
            if task is not None:
                self._tasks[run.id] = weakref.ref(task)
            if run.thread:
                self.last_run = self.last_runs[run.thread] = run

    def opened_by(self, thread: int | None) -> Iterator[OpenRun]:
        """The open runs that the thread opened, the last first; without those of other tasks of asyncio under way.

        What a task inherits from where it was made is on its stack. The cells of a notebook may be tasks, too.
        """
        here = current_task() if self._tasks and thread == threading.get_ident() else None
        for run in reversed(tuple(self.open_runs.values())):
            if run.thread == thread and not (here is not None and self._is_of_other_task(run.id, here)):
                yield run

    def _is_of_other_task(self, run_id: str, here: Any) -> bool:
        reference = self._tasks.get(run_id)
        task = None if reference is None else reference()
        return task is not None and task is not here and not task.done()

    def closed(self, run: OpenRun) -> None:
        """Remove `run`, which has finished, from the open runs of this process."""
        with self._lock:
            self._tasks.pop(run.id, None)
            if self.open_runs.pop(run.id, None) is not None and run.thread:
                self.finished_runs += 1

    def settle(self, settings: Settings, place: Place) -> None:
        """Switch to other settings; a change of place or sinks starts a new journal.

        `ConfigurationError` if place or sinks change while runs are open.
        """
        if place.path != self.place.path or settings.sinks != self.settings.sinks:
            self.background.wait(settings.environment_timeout)  # its pending tasks write to the current journal
        with self._lock:
            moves = place.path != self.place.path or settings.sinks != self.settings.sinks
            if moves and self.open_runs:
                names = ", ".join(run.name for run in self.open_runs.values())
                raise ConfigurationError(f"dir and sinks cannot change while runs are open: {names}")
            self.settings, self.place = settings, place
            if moves:
                self._change_journal(close=True)

    def end(self) -> None:
        """Finish the open runs, in the order in which they were opened, and close the journal."""
        self.background.wait(_PATIENCE)
        for run in tuple(self.open_runs.values()):
            run.finish()
        self._change_journal(close=True)

    def after_fork(self) -> None:
        """In a forked child: abandon the parent's journal, open runs and background tasks."""
        self._lock = threading.RLock()
        self._change_journal(close=False)
        self.open_runs = {}
        self.background = Background(self.pulse)
        self.deferred = Deferred()
        self.courier = None
        self.pulses = []
        for handle in self._handles:
            handle.disown()

    def _change_journal(self, *, close: bool) -> None:
        journal, self._journal, self._lost = self._journal, None, False
        self._shared = set()
        if journal is not None:
            journal.close() if close else journal.abandon()
        courier, self.courier = self.courier, None
        if courier is not None and close:
            courier.finish(self.settings.exit_timeout)
        for handle in self._handles:
            handle.forget_packers()

    def _open_journal(self) -> JournalWriter | None:
        for place in (self.place, settings_module.fallback_place()):
            try:
                prepare(place)
                journal = JournalWriter(
                    place.journals,
                    sinks=(STORE_SINK, *_sink_names(self.settings.sinks)),
                    user=user_name(),
                    host=host_name(),
                    on_full=self._on_full,
                )
            except (OSError, JournalError) as error:
                warn_once("place", f"autotrack: cannot record to {place.path}: {error}", type(error))
                continue
            if place is not self.place:
                warn_once("fallback", f"autotrack: recording to {place.path} instead", KeyError)
                self.place = place
            if self.settings.sinks:
                from autotrack.sinks.courier import Courier

                self.courier = Courier(place, self.settings.sinks)
            return journal
        self._lost = True
        return None

    def _on_full(self, error: OSError) -> None:
        warn_once(
            "disk",
            f"autotrack: the disk takes no more ({error}); training goes on, new facts wait in memory for room",
            OSError,
        )

    def pulse(self) -> None:
        """Write a heartbeat and call the functions in `pulses`; the background thread calls this every few seconds."""
        if self._journal is not None:
            self._journal.heartbeat()
            self.report_dropped()
        for pulse in tuple(self.pulses):
            with guarded("background work"):
                pulse()

    def report_dropped(self) -> None:
        """Write the number of dropped facts into the capture report of each run concerned."""
        journal = self._journal
        if journal is None:
            return
        for run, count in journal.take_dropped().items():
            message = f"{count:,} facts were dropped: the disk was full and memory for waiting facts ran out"
            journal.append(Report(run=run, time=time.time(), what="disk", message=message, count=count))


_collector: Collector | None = None
_making = threading.Lock()
_stack: ContextVar[tuple[OpenRun, ...]] = ContextVar("autotrack_runs", default=())
_paused: ContextVar[bool] = ContextVar("autotrack_paused", default=False)
pauses = 0
is_fork = False


def _nothing_around() -> OpenRun | None:
    return None


ambient: Callable[[], OpenRun | None] = _nothing_around  # returns the run of the launched command, if there is one


def collector() -> Collector:
    """The collector of this process, created on the first call."""
    global _collector
    if _collector is None:
        with _making:
            if _collector is None:
                settings = settings_module.load()
                _collector = Collector(settings, settings_module.find_place(settings))
    return _collector


def existing_collector() -> Collector | None:
    """The collector of this process, if it has one already."""
    return _collector


@contextmanager
def new_collector() -> Iterator[Collector]:
    """Inside the block this process has a new collector, and afterwards the one that it had before."""
    global _collector
    saved, _collector = _collector, None
    try:
        yield collector()
    finally:
        _collector = saved


def configure(changes: Mapping[str, Any]) -> None:
    """Apply `changes` to the settings made in code; they apply to runs that start afterwards."""
    settings = settings_module.load(changes)
    if _collector is not None:
        _collector.settle(settings, settings_module.find_place(settings))
    settings_module.change_in_code(changes)


@on_reset
def forget() -> None:
    """Finish the open runs of this process and close its journal."""
    global _collector
    owner, _collector = _collector, None
    if owner is not None:
        owner.end()
    _stack.set(())


def recording_allowed(*, automatic: bool = True) -> bool:
    """Whether recording is switched on and not paused in this thread or task.

    With `automatic`, for recording without an explicit call such as by autolog, also False in worker processes and
    forked children, which may serve a training that is recorded elsewhere, unless the program opened a run in them.
    """
    if settings_module.switched_off() or (pauses and _paused.get()):
        return False
    if automatic and (is_fork or is_worker()) and not (_collector is not None and _collector.open_runs):
        return False
    return collector().settings.enabled


@functools.cache
def is_worker() -> bool:
    """Whether this process is a worker that multiprocessing, joblib or a data loader started."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return True
    return "LOKY_WORKER" in os.environ or any("loky.backend.popen" in part for part in sys.argv[:3])


@contextmanager
def paused() -> Iterator[None]:
    """Record nothing inside the block, in this thread or task."""
    global pauses
    token = _paused.set(True)
    pauses += 1
    try:
        yield
    finally:
        pauses -= 1
        _paused.reset(token)


def is_paused() -> bool:
    """Whether this thread or task is inside `paused()`."""
    return bool(pauses) and _paused.get()


def push(run: OpenRun) -> None:
    """Make `run` the active run of this thread or task."""
    _stack.set((*_stack.get(), run))


def pop(run: OpenRun) -> None:
    """Remove `run` from the stack of active runs of this thread or task."""
    _stack.set(tuple(other for other in _stack.get() if other is not run))


def active() -> OpenRun | None:
    """The active run, as a plain `OpenRun`: this thread's or task's, else the main thread's, else the ambient one.

    The first of these that is open: the innermost on the stack of this thread or task, the last opened by this
    thread, the last opened by the main thread, the run that `ambient` returns.
    """
    for run in reversed(_stack.get()):
        if run.is_open:
            return run
    if _collector is not None and _collector.open_runs:
        for thread in (threading.get_ident(), threading.main_thread().ident):
            for run in _collector.opened_by(thread):
                return run
    return ambient()


def current_task() -> Any:
    """The task of asyncio that this thread runs at this moment; None outside of one."""
    tasks, events = sys.modules.get("asyncio.tasks"), sys.modules.get("asyncio.events")
    if tasks is None or events is None or events._get_running_loop() is None:
        return None
    return tasks.current_task()


def _sink_names(urls: tuple[str, ...]) -> list[str]:
    from autotrack.sinks.opening import sink_name

    return [sink_name(url) for url in urls]


def _after_fork_in_child() -> None:
    global is_fork
    is_fork = True
    is_worker.cache_clear()
    forget_warnings()
    if _collector is not None:
        _collector.after_fork()


def _report_failure(what: str, error: BaseException) -> None:
    run = active()
    if run is not None:
        run.report(what, f"{type(error).__name__}: {error}")


add_failure_hook(_report_failure)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
