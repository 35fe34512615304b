"""`Run`, the handle of an open run, used by programs and integrations."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, cast

from autotrack import _upcalls
from autotrack._guard import guarded
from autotrack.events import (
    Failure,
    FinalStatus,
    Params,
    RunFinished,
    RunKind,
    RunRenamed,
    RunResumed,
    RunStarted,
    TrainingStarted,
)
from autotrack.exceptions import InvalidValueError
from autotrack.journal.blobs import bytes_digest
from autotrack.journal.host import host_name, user_name
from autotrack.recording import collector as collector_module
from autotrack.recording.clashes import Clashes
from autotrack.recording.collector import Collector, collector
from autotrack.recording.failures import describe_failure, how_it_ended
from autotrack.recording.metrics import MetricRecorder
from autotrack.recording.recorder import Recorder
from autotrack.values import checked_key

_now = time.time


class Watching(Protocol):
    """Handle of a watched model, returned by `Run.watch`; leaving its `with` block ends the watching."""

    def remove(self) -> None:
        """Stop watching the model."""
        ...

    def __enter__(self) -> Watching: ...
    def __exit__(self, *exception: object) -> None: ...


class Run(MetricRecorder):
    """A run that this process writes, or to which it adds facts.

    Use it as a context manager, or call `finish`. It can be pickled and sent to worker processes: they add facts
    through journals of their own and never change its status.
    """

    def __init__(
        self,
        owner: Collector,
        run_id: str,
        *,
        name: str,
        experiment: str,
        kind: RunKind = "run",
        parent: str | None = None,
        parent_training: int = 0,
        attempt: int = 1,
        owned: bool = True,
    ) -> None:
        """Create a handle without opening the run (`start_run` does). With `thread` set to 0 it is never active."""
        super().__init__(owner, run_id)
        self.name = name
        self.experiment = experiment
        self.kind = kind
        self.parent = parent
        self.parent_training = parent_training
        self.status: str = "running"
        self.thread = threading.get_ident()
        self.started = _now()
        self.implicit = False
        self._attempt = attempt
        self._owned = owned
        self._finishing = threading.Lock()
        self._trainings = 0
        self.clashes = Clashes()
        self.loop: Any = None  # the plain PyTorch training loop observed during the run
        self.last_words: list[Callable[[], None]] = []  # callbacks that `finish` runs before it records the end

    @property
    def is_open(self) -> bool:
        """Whether this process writes the run and has not finished it."""
        return self._owned and self.status == "running"

    def begin(self, *, resumed: bool = False) -> None:
        """Record the start of the run, or of its next attempt if `resumed`."""
        who = {"user": user_name(), "host": host_name(), "pid": os.getpid()}
        if resumed:
            self.emit(RunResumed(run=self.id, time=self.started, attempt=self._attempt, **who))  # type: ignore[arg-type]
        else:
            self.emit(
                RunStarted(
                    run=self.id, time=self.started, name=self.name, experiment=self.experiment,
                    kind=self.kind, parent=self.parent, training=self.parent_training, **who,  # type: ignore[arg-type]
                )
            )  # fmt: skip
        self.collector.opened(self)

    def rename(self, name: str) -> None:
        """Rename the run."""
        self.name = checked_key(name)
        self.emit(RunRenamed(run=self.id, time=_now(), name=self.name))

    def next_training(self, name: str, framework: str, kind: RunKind = "training") -> int:
        """Record the start of a training or search inside this run; returns its number."""
        number = self._new_number()
        self.emit(TrainingStarted(run=self.id, time=_now(), training=number, name=name, framework=framework, kind=kind))
        return number

    def _new_number(self) -> int:
        with self._finishing:
            self._trainings += 1
            return self._trainings

    def _emit_params(self, values: dict[str, str], origin: str) -> None:
        super()._emit_params(values, origin)
        for kind, hidden in self.clashes.given(values).items():
            self.emit(Params(run=self.id, time=_now(), training=1, values=hidden, origin=kind))  # type: ignore[arg-type]

    def watch(self, model: Any, optimizer: Any = None, *, every: int | None = None) -> Watching:
        """Record a torch model and its optimizers, then the norms of its gradients and weights as it trains.

        `optimizer` is one optimizer or a list; without it, those that step parameters of the model are recorded. Every
        `every` optimizer steps, by default 100, norms are recorded as metrics `gradients/…` and `weights/…` and
        histograms as media, at the step of the optimizer; 0 leaves both out. Calling `remove()` on the result, or
        leaving its `with` block, ends the watching. The training itself is not changed.
        """
        watching: Watching = _upcalls.watch(self, model, optimizer, every)
        return watching

    def finish(
        self,
        status: FinalStatus = "finished",
        *,
        failure: Failure | BaseException | None = None,
        exit_code: int | None = None,
        time: float | None = None,
    ) -> None:
        """Record the end of the run; a second call, or one in a process that does not own the run, does nothing.

        `time` is the time of the end in seconds since the epoch, by default now.
        `InvalidValueError` for a status other than finished, failed, killed and preempted.
        """
        if status not in ("finished", "failed", "killed", "preempted"):
            raise InvalidValueError(f"a run cannot end as {status!r}, only as finished, failed, killed or preempted")
        with self._finishing:
            if not self.is_open:
                return
            self.status = status
        for say in self.last_words:
            with guarded("the last words of a run"):
                say()
        with guarded("reading metrics from the GPU"):
            self.collector.deferred.drain(wait=True)
        if isinstance(failure, BaseException):
            failure = describe_failure(failure)
        event = RunFinished(
            run=self.id, time=_now() if time is None else time, status=status, attempt=self._attempt,
            failure=failure, exit_code=exit_code,
        )  # fmt: skip
        self.collector.append(event)
        self.collector.closed(self)
        collector_module.pop(self)

    def disown(self) -> None:
        """In a forked child: give up ownership of the run to the parent; facts can still be added here."""
        self._owned = False
        self._finishing = threading.Lock()
        self.forget_packers()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            status, exit_code = how_it_ended(error)
            self.finish(status, failure=None if status == "finished" else error, exit_code=exit_code)

    def __reduce__(self) -> Any:
        facts = {"name": self.name, "experiment": self.experiment, "kind": self.kind, "parent": self.parent}
        return _attached, (self.id, facts, self._attempt, str(self.collector.place.path))

    def __repr__(self) -> str:
        return f"<autotrack run {self.name!r} {self.id} {self.status}>"

    def _repr_html_(self) -> str:
        latest = {key: value for key, value in self.latest_metrics().items() if not key.startswith("system/")}
        return _upcalls.run_card(self.name, self.id, self.status, self.experiment, latest)


def _attached(run_id: str, facts: dict[str, Any], attempt: int, place: str) -> Run:
    owner = collector()
    if str(owner.place.path) != place and not owner.open_runs:
        collector_module.configure({"dir": place})
    return Run(owner, run_id, attempt=attempt, owned=False, **facts)


class NullRun(Run):
    """The run of a program in which nothing is recorded: accepts every call and records nothing."""

    def begin(self, *, resumed: bool = False) -> None:
        return

    def finish(self, status: Any = "finished", *, failure: Any = None, exit_code: Any = None, time: Any = None) -> None:
        self.status = status
        collector_module.pop(self)

    def next_training(self, name: str, framework: str, kind: RunKind = "training") -> int:
        return 0

    def rename(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        return _silent, (self.id, self.name, self.experiment)


def _silent(run_id: str, name: str, experiment: str) -> NullRun:
    return NullRun(collector(), run_id, name=name, experiment=experiment)


def _nothing(self: Recorder, *_args: Any, **_options: Any) -> None:
    return None


def _only_digest(self: Recorder, data: Any, *_args: Any, **_options: Any) -> str:
    return bytes_digest(data) if isinstance(data, bytes) else ""


def silence(kind: type[Recorder]) -> None:
    """Replace every recording method of the class `kind` by one that does nothing."""
    for name in dir(MetricRecorder):
        if name.startswith("log") or name in {"emit", "set_tags", "set_tag", "note", "report", "record_model"}:
            setattr(kind, name, _nothing)
    kind.log_bytes = _only_digest  # type: ignore[method-assign,assignment]
    kind.is_silent = True


silence(NullRun)


def active_run() -> Run | None:
    """This thread's or task's innermost open run, else the main thread's, else the launched command's; or None."""
    return cast("Run | None", collector_module.active())


def open_runs(owner: Collector) -> list[Run]:
    """The runs that this process writes, in the order in which they were opened."""
    return cast("list[Run]", list(owner.open_runs.values()))


def last_run(owner: Collector, thread: int | None = None) -> Run | None:
    """The run that was opened last, by any thread or by the thread with the ident `thread`; it may have ended."""
    return cast("Run | None", owner.last_run if thread is None else owner.last_runs.get(thread))
