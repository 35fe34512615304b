"""The open run's handle: what people and integrations hold."""

from __future__ import annotations

import datetime
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from autotrack import collector as collector_module
from autotrack._guard import guarded
from autotrack.collector import Collector, collector, host_name, is_paused, user_name
from autotrack.deferred import on_gpu
from autotrack.events import (
    Failure,
    FinalStatus,
    Frame,
    RunFinished,
    RunKind,
    RunRenamed,
    RunResumed,
    RunStarted,
    TrainingStarted,
)
from autotrack.exceptions import InvalidValueError
from autotrack.failures import describe_failure, how_it_ended
from autotrack.journal.writer import RowPacker
from autotrack.recorder import Recorder
from autotrack.values import as_number, checked_key

if TYPE_CHECKING:
    from autotrack.neural.loops import Watching

_now = time.time
_letters = {float: "d", int: "q", bool: "q"}


class _Series:
    """The metrics that are logged together in one shape: their packer, and the step counter they share."""

    __slots__ = ("counter", "keys", "latest", "packer")

    def __init__(self, packer: RowPacker, counter: list[int], keys: tuple[str, ...]) -> None:
        self.packer = packer
        self.counter = counter
        self.keys = keys
        self.latest: Any = ()


class MetricRecorder(Recorder):
    """A recorder that also takes metrics, at full speed."""

    def __init__(self, owner: Collector, run_id: str, training: int = 0) -> None:
        super().__init__(owner, run_id, training)
        self._series: dict[tuple[Any, ...], _Series] = {}
        self._append_row: Any = None
        owner.watch_handle(self)  # type: ignore[arg-type]

    def log(
        self, values: Mapping[str, Any], step: int | None = None, *, time: float | datetime.datetime | None = None
    ) -> None:
        """Record one row of metrics at `step`, by default the step after the last one of these metrics.

        Values are numbers (Python, NumPy, JAX, 0-d tensors), kept as float64 or int64 with NaN and ±Inf as they
        are. Figures, images, tables and texts become media at the step. Nested mappings join their names with a
        slash. `time` is when it happened, in seconds since the epoch or as an aware datetime; by default now.
        """
        try:
            series = self._series[(*values, *map(type, values.values()))]  # known names and types: the short way
            if time is not None or is_paused():
                raise KeyError
            counter = series.counter
            if step is None:
                step = counter[0] + 1
            self._append_row(series.packer, step, _now(), values.values())
            if step > counter[0]:  # noqa: PLR1730 - measured: a call of max() costs more than the rest of the line
                counter[0] = step
            series.latest = values
        except (KeyError, TypeError, AttributeError, struct.error):
            self._log_anything(values, step, time)

    def log_metric(self, key: str, value: Any, step: int | None = None) -> None:
        """Record one metric."""
        self.log({key: value}, step)

    def log_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Record one row of metrics; the same as `log`."""
        self.log(values, step)

    def forget_packers(self) -> None:
        """Drop what belongs to a journal that is no longer written."""
        self._series = {}
        self._append_row = None

    def disown(self) -> None:
        """In a forked child: leave the parent's journal to the parent; facts added here go to the child's own."""
        self.forget_packers()

    def _log_anything(self, values: Any, step: Any, moment: Any) -> None:
        if is_paused():
            return
        when = _now() if moment is None else moment.timestamp() if hasattr(moment, "timestamp") else float(moment)
        step = _checked_step(step)
        if "torch" in sys.modules and isinstance(values, Mapping) and any(map(on_gpu, values.values())):
            self._collector.deferred.add(self, values, step, when)
            return
        numbers, others = _sorted_out(values)
        if numbers:
            series = self._series_for(values, numbers)
            if series is not None:
                if step is None:
                    step = series.counter[0] + 1
                self._append_row(series.packer, step, when, tuple(numbers.values()))
                series.counter[0] = max(series.counter[0], step)
                series.latest = numbers
        for key, (kind, data, media_type) in others.items():
            self._media(key, kind, data, media_type, step)

    def _series_for(self, values: Mapping[str, Any], numbers: Mapping[str, float | int]) -> _Series | None:
        shape = (*numbers, *map(type, numbers.values()))
        series = self._series.get(shape)
        if series is None:
            keys = tuple(numbers)
            types = "".join(_letters[type(value)] for value in numbers.values())
            packer = self._collector.packer(Frame(run=self.id, keys=keys, types=types, training=self.number))
            journal = self._collector.journal
            if packer is None or journal is None:
                return None
            self._append_row = journal.append_row
            series = self._series[shape] = _Series(packer, self._shared_counter(keys), keys)
        given = (*values, *map(type, values.values()))
        if len(values) == len(numbers) and all(_packs_as_it_is(value) for value in values.values()):
            self._series[given] = series
        return series

    def _shared_counter(self, keys: tuple[str, ...]) -> list[int]:
        related = [series for series in self._series.values() if not set(keys).isdisjoint(series.keys)]
        counter = [max((series.counter[0] for series in related), default=-1)]
        for series in related:
            series.counter = counter
        return counter

    def latest_metrics(self) -> dict[str, float | int]:
        """The last logged value of each metric, as far as this handle knows."""
        found: dict[str, float | int] = {}
        for series in tuple(self._series.values()):
            if series.latest:
                found.update(zip(series.keys, series.latest.values(), strict=False))
        return found


def _packs_as_it_is(value: Any) -> bool:
    kind = type(value)
    return kind in _letters or (kind.__module__ == "numpy" and kind.__name__.startswith(("float", "int")))


def _checked_step(step: Any) -> int | None:
    if step is None or type(step) is int:
        return step
    try:
        whole = int(step)
        if whole == step:
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidValueError(f"step {step!r} is not a whole number; log it as a metric of its own beside an int step")


def _sorted_out(values: Any, prefix: str = "") -> tuple[dict[str, float | int], dict[str, tuple[Any, bytes, str]]]:
    if not isinstance(values, Mapping):
        raise InvalidValueError(f"metrics are a mapping of names to values, not a {type(values).__name__}")
    numbers: dict[str, float | int] = {}
    others: dict[str, tuple[Any, bytes, str]] = {}
    for name, value in values.items():
        key = prefix + checked_key(name)
        if isinstance(value, Mapping):
            inner_numbers, inner_others = _sorted_out(value, key + "/")
            numbers.update(inner_numbers)
            others.update(inner_others)
            continue
        number = None if isinstance(value, (str, bytes)) else as_number(key, value)
        if number is not None:
            numbers[key] = number
            continue
        from autotrack.media import as_media

        media = as_media(key, value)
        if media is None:
            raise InvalidValueError(
                f"metric {key!r}: a {type(value).__name__} is neither a number nor a figure, image, table or text"
            )
        others[key] = (media.kind, media.data, media.media_type)
    return numbers, others


class Run(MetricRecorder):
    """A run that this process writes, or to which it adds facts.

    Use it as a context manager, or call `finish`. It can be handed to worker processes (it pickles): they add
    facts through journals of their own and never change its status.
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
        """A handle; `starting.start_run` is what opens a run. `thread` 0 makes it nobody's active run."""
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
        self.loop: Any = None  # the plain training loop that was seen in it
        self.last_words: list[Callable[[], None]] = []  # what is yet to be said when it ends

    @property
    def is_open(self) -> bool:
        """Whether this process writes the run and has not finished it."""
        return self._owned and self.status == "running"

    def begin(self, *, resumed: bool = False) -> None:
        """Record that the run starts, or that a further attempt of it does."""
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
        self._collector.opened(self)

    def rename(self, name: str) -> None:
        """Give the run another name."""
        self.name = checked_key(name)
        self.emit(RunRenamed(run=self.id, time=_now(), name=self.name))

    def next_training(self, name: str, framework: str, kind: RunKind = "training") -> int:
        """Record that a training or search starts inside this run; returns its number."""
        number = self._new_number()
        self.emit(TrainingStarted(run=self.id, time=_now(), training=number, name=name, framework=framework, kind=kind))
        return number

    def _new_number(self) -> int:
        with self._finishing:
            self._trainings += 1
            return self._trainings

    def watch(self, model: Any, optimizer: Any = None, *, every: int | None = None) -> Watching:
        """Record a torch model and its optimizers, then the norms of its gradients and weights as it trains.

        `optimizer` is one or a list of them; without it, those that are seen training a part of the model. Every
        `every` optimizer steps, by default 100, norms become metrics `gradients/…` and `weights/…`, and histograms
        media, at the step of the optimizer; 0 leaves them out. `remove()` on what is returned, or leaving it as a
        `with` block, ends the watching. Nothing of the training is changed.
        """
        from autotrack.neural.loops import watch

        return watch(self, model, optimizer, every)

    def finish(
        self,
        status: FinalStatus = "finished",
        *,
        failure: Failure | BaseException | None = None,
        exit_code: int | None = None,
        time: float | None = None,
    ) -> None:
        """Record how the run ended; a second call, or one in a process that does not own the run, does nothing.

        `time` is when it ended, in seconds since the epoch, by default now.
        `InvalidValueError` for a status that is none of finished, failed, killed, preempted.
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
            self._collector.deferred.drain(wait=True)
        if isinstance(failure, BaseException):
            failure = describe_failure(failure)
        event = RunFinished(
            run=self.id, time=_now() if time is None else time, status=status, attempt=self._attempt,
            failure=failure, exit_code=exit_code,
        )  # fmt: skip
        self._collector.append(event)
        self._collector.closed(self)
        collector_module.pop(self)

    def disown(self) -> None:
        """In a forked child: the run belongs to the parent; here facts can be added to it, nothing more."""
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
        return _attached, (self.id, facts, self._attempt, str(self._collector.place.path))

    def __repr__(self) -> str:
        return f"<autotrack run {self.name!r} {self.id} {self.status}>"

    def _repr_html_(self) -> str:
        from autotrack.store.markup import run_card

        latest = {key: value for key, value in self.latest_metrics().items() if not key.startswith("system/")}
        return run_card(self.name, self.id, self.status, self.experiment, latest)


def _attached(run_id: str, facts: dict[str, Any], attempt: int, place: str) -> Run:
    owner = collector()
    if str(owner.place.path) != place and not owner.open_runs:
        collector_module.configure({"dir": place})
    return Run(owner, run_id, attempt=attempt, owned=False, **facts)


class NullRun(Run):
    """The run of a program in which autotrack is switched off: takes everything, keeps nothing."""

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


def silence(kind: type[Recorder]) -> None:
    """Make every method of the class that records something do nothing."""
    for name in vars(Recorder).keys() | vars(MetricRecorder).keys():
        if name.startswith("log") or name in {"emit", "set_tags", "set_tag", "note", "report", "record_model"}:
            setattr(kind, name, _nothing)
    kind.is_silent = True


silence(NullRun)
