"""Recording the outermost training call of a boosting library: its start, each evaluation, its result or exception."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from autotrack._guard import guarded
from autotrack.events import Dataset
from autotrack.recording.collector import recording_allowed
from autotrack.recording.failures import how_it_ended
from autotrack.recording.lifecycle.trainings import begin_training
from autotrack.training.boosting.names import prefixes, role_of
from autotrack.training.ownership import training_in_charge
from autotrack.values import plain

DETAILED_TRAININGS = 100

outer_fits: list[Callable[[], bool]] = []  # each returns whether this thread is inside a fit that records inner ones

_under_way: dict[int, list[Boosting | None]] = {}


class Boosting:
    """One outermost training call in progress. `options` are the options of the integration.

    `step` is the last evaluated iteration, `stopped_by` the name of the callback that stopped the training early ("" if
    none), `interrupted` whether it was interrupted, whatever exception the library then raises; `end` holds the params
    `end.*`; `inputs` (a schema) and `first_rows` describe the data, if it was observed. Integrations add state of their
    own in subclasses.
    """

    def __init__(self, framework: str, name: str, options: Any) -> None:
        self.options = options
        self.training = begin_training(
            name, framework, run_name=options.name, experiment=options.experiment, tags=options.tags, run=options.run
        )
        self.is_detailed = self.training.number <= DETAILED_TRAININGS
        if self.training.number == DETAILED_TRAININGS + 1:
            message = f"from training {DETAILED_TRAININGS + 1} on neither data nor models are kept"
            self.training.run.report(framework, message, level="info")
        self.step = -1
        self.stopped_by = ""
        self.interrupted = False
        self.end: dict[str, Any] = {}
        self.inputs: dict[str, Any] | None = None
        self.first_rows: Any = None
        self._prefixes: dict[str, str] = {}
        self._seen: set[str] = set()
        self._pending: dict[str, float] = {}
        every = options.log_every
        self._every = every if type(every) is int and every > 1 else 1
        self._begun = time.perf_counter()

    def log_params(self, chosen: Mapping[str, Any], default: Mapping[str, Any], call: str) -> None:
        """Record parameters: those inside the argument `params` under their own names, other arguments of the call too.

        An argument of the call that has the same name as one of `params` is recorded as `<call>.<name>`.
        """
        given = chosen.get("params")
        own = {str(key): value for key, value in _pairs(given)}
        with guarded("parameters of a training"):
            rest = {key: value for key, value in chosen.items() if key != "params"}
            self.training.log_params({**{_apart(key, own, call): value for key, value in rest.items()}, **own})
            self.training.log_params(
                {_apart(key, own, call): value for key, value in default.items()}, origin="default"
            )

    def evaluates(self, sets: list[tuple[str, bool]]) -> None:
        """Set the evaluation sets: pairs of name and whether the set is the training data."""
        self._prefixes = prefixes(sets)

    def name_set(self, name: str, prefix: str) -> None:
        """Set the prefix of the metric keys of the evaluation set `name`."""
        self._prefixes[name] = prefix

    def log_data(
        self, name: str, meta: Mapping[str, Any], *, digest: str = "", source: str = "", is_training: bool = False
    ) -> None:
        """Record a dataset, described by `meta`, if `log_datasets` is on and details are recorded."""
        if self.options.log_datasets and self.is_detailed:
            self.training.emit(
                Dataset(
                    run=self.training.id, time=time.time(), training=self.training.number, name=name or "unnamed",
                    role=role_of(name, is_training=is_training), digest=digest, source=source, meta=plain(meta),
                )
            )  # fmt: skip

    def takes(self, data: Any) -> None:
        """Keep the schema and first rows of the model's input `data` (an array or a frame) for saving the model."""
        if not self.options.log_models or not self.is_detailed or self.training.is_silent:
            return
        from autotrack.models.signature import ROWS, rows_of, schema_of

        self.inputs = schema_of(data)
        head: Any = rows_of(data, slice(0, ROWS))
        self.first_rows = head.copy() if hasattr(head, "copy") else head

    def key(self, data: str, metric: str) -> str:
        """The metric key of `metric` on the evaluation set `data`, such as `val/logloss`."""
        return f"{self._prefixes.get(data) or next(iter(prefixes([(data, False)]).values()))}/{metric}"

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the evaluation after iteration `step`; keys that were already recorded at this step are skipped.

        With the option `log_every` only every so many iterations are recorded, and the last one.
        """
        if step != self.step:
            self.step = step
            self._seen.clear()
            self._pending = {}
        fresh = {key: value for key, value in values.items() if key not in self._seen}
        self._seen.update(fresh)
        if step % self._every:
            self._pending.update(fresh)
        elif fresh:
            self.training.log(fresh, step)

    def best(self, step: int, key: str, score: float, number: int | None = None) -> None:
        """Record the best iteration (`step`, from 0), the metric `key` by which it is the best, and its score.

        `number` is the framework's own number of that iteration, if it counts otherwise.
        """
        self.end.update(best_iteration=step if number is None else number, best_metric=key)
        self.training.log({"best_score": score}, step)

    def finished(self, record: Callable[[], None]) -> None:
        """Record the results by calling `record`, the duration and `end.*`, then finish the training."""
        duration = time.perf_counter() - self._begun
        try:
            with guarded("the results of a training"):
                if self._pending:
                    self.training.log(self._pending, self.step)
                record()
                self.training.log({"train/duration": duration})
                if self.stopped_by:
                    self.end["stopped_by"] = self.stopped_by
                self.training.log_params({"end": self.end})
        finally:
            self.training.finish()

    def failed(self, error: BaseException) -> None:
        """Finish the training with the exception that the call raised; optuna's `TrialPruned` counts as finished."""
        with guarded("the duration of a training"):
            if self._pending:
                self.training.log(self._pending, self.step)
            self.training.log({"train/duration": time.perf_counter() - self._begun})
        if type(error).__name__ == "TrialPruned":
            self.training.set_tags({"pruned": "yes"})
            self.training.finish()
            return
        status, _ = how_it_ended(error)
        killed = self.interrupted or status == "finished"
        self.training.finish("killed" if killed else status, failure=error)


BoostingT = TypeVar("BoostingT", bound=Boosting)


class TrainingWatch(Generic[BoostingT]):
    """The watch of the innermost training call of this thread: ends the training when the call returns or raises.

    `record` is called with the training and the result of the call. Without `boosting` nothing is recorded.
    """

    def __init__(self, boosting: BoostingT | None, record: Callable[[BoostingT, Any], None] | None = None) -> None:
        self._boosting = boosting
        self._record = record

    def returned(self, result: Any) -> None:
        boosting, record = self._boosting, self._record
        _pop()
        if boosting is not None and record is not None:
            boosting.finished(lambda: record(boosting, result))

    def raised(self, error: BaseException) -> None:
        _pop()
        if self._boosting is not None:
            self._boosting.failed(error)


def begin(kind: type[BoostingT], framework: str, name: str, options: Any) -> BoostingT | None:
    """Begin a training on this thread; None if recording is off or the call is inside another recorded training."""
    if _under_way.get(threading.get_ident()) or not recording_allowed() or training_in_charge() is not None:
        return None
    if any(is_inside() for is_inside in outer_fits):
        return None
    boosting = kind(framework, name, options)
    _push(boosting)
    return boosting


def step_aside() -> TrainingWatch[Any]:
    """The watch of a call that is not recorded; until it ends, `present` returns None for calls inside it."""
    _push(None)
    return TrainingWatch(None)


def present(kind: type[BoostingT]) -> BoostingT | None:
    """The innermost training call of this thread, if it is recorded and of this kind; else None."""
    if not _under_way:
        return None
    held = _under_way.get(threading.get_ident())
    innermost = held[-1] if held else None
    return innermost if isinstance(innermost, kind) else None


def _push(boosting: Boosting | None) -> None:
    _under_way.setdefault(threading.get_ident(), []).append(boosting)


def _pop() -> None:
    thread = threading.get_ident()
    held = _under_way.get(thread)
    if held:
        held.pop()
    if not held:
        _under_way.pop(thread, None)


def _pairs(params: Any) -> list[tuple[Any, Any]]:
    if isinstance(params, Mapping):
        return list(params.items())
    found: dict[Any, list[Any]] = {}
    for key, value in (
        params if isinstance(params, (list, tuple)) else ()
    ):  # a list of pairs, in which a name may be repeated
        found.setdefault(key, []).append(value)
    return [(key, values[0] if len(values) == 1 else values) for key, values in found.items()]


def _apart(key: str, own: Mapping[str, Any], call: str) -> str:
    return f"{call}.{key}" if key in own else key
