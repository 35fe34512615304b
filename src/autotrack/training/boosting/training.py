"""The outermost call that trains, as a training: begun just before it, told of each evaluation, ended just after."""

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

outer_fits: list[Callable[[], bool]] = []  # each says whether this thread is in a fit that records what is in it

_under_way: dict[int, list[Boosting | None]] = {}


class Boosting:
    """One outermost training, as it goes on. `options` are those of an integration.

    `step` is the last iteration that was evaluated, `stopped_by` the callback that ended it early, if one did,
    `interrupted` whether somebody did, whatever the library makes of that; `end` is what else there is to say of how it
    ended; `inputs` and `first_rows` are those of the data, where it could be seen. Integrations add what they need to
    follow their library.
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
        """Record parameters; of `chosen`, those under `params` have the plain names, the call's give way to them."""
        given = chosen.get("params")
        own = {str(key): value for key, value in _pairs(given)}
        with guarded("parameters of a training"):
            rest = {key: value for key, value in chosen.items() if key != "params"}
            self.training.log_params({**{_apart(key, own, call): value for key, value in rest.items()}, **own})
            self.training.log_params(
                {_apart(key, own, call): value for key, value in default.items()}, origin="default"
            )

    def evaluates(self, sets: list[tuple[str, bool]]) -> None:
        """The evaluation sets: their names, and whether each is the data that is trained on."""
        self._prefixes = prefixes(sets)

    def name_set(self, name: str, prefix: str) -> None:
        """Say what an evaluation set is, whatever it is called."""
        self._prefixes[name] = prefix

    def log_data(
        self, name: str, meta: Mapping[str, Any], *, digest: str = "", source: str = "", is_training: bool = False
    ) -> None:
        """Record data by its shape and names."""
        if self.options.log_datasets and self.is_detailed:
            self.training.emit(
                Dataset(
                    run=self.training.id, time=time.time(), training=self.training.number, name=name or "unnamed",
                    role=role_of(name, is_training=is_training), digest=digest, source=source, meta=plain(meta),
                )
            )  # fmt: skip

    def takes(self, data: Any) -> None:
        """Remember what the data looks like that the model takes, an array or a frame, and its first rows."""
        if not self.options.log_models or not self.is_detailed or self.training.is_silent:
            return
        from autotrack.models.signature import ROWS, rows_of, schema_of

        self.inputs = schema_of(data)
        head: Any = rows_of(data, slice(0, ROWS))
        self.first_rows = head.copy() if hasattr(head, "copy") else head

    def key(self, data: str, metric: str) -> str:
        """The key of a metric of one evaluation set."""
        return f"{self._prefixes.get(data) or next(iter(prefixes([(data, False)]).values()))}/{metric}"

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record what was evaluated after iteration `step`; what was recorded of it before is not recorded again."""
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

    def best(self, step: int, key: str, score: float) -> None:
        """Record the best iteration, as the step of the metrics, and the score that it is the best by."""
        self.end.update(best_iteration=step, best_metric=key)
        self.training.log({"best_score": score}, step)

    def finished(self, record: Callable[[], None]) -> None:
        """Record, by `record`, what came of it, then that it has ended."""
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
        """Record the exception that is on its way to the user; one that prunes a trial is no failure."""
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


class Watch(Generic[BoostingT]):
    """Waits for the end of the call that was begun last in this thread; `record` is told what it returned."""

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
    """Begin a training of this thread; None if it is not to be recorded, as it is part of one that is."""
    if _under_way.get(threading.get_ident()) or not recording_allowed() or training_in_charge() is not None:
        return None
    if any(is_inside() for is_inside in outer_fits):
        return None
    boosting = kind(framework, name, options)
    _push(boosting)
    return boosting


def step_aside() -> Watch[Any]:
    """What a call gets that is not recorded: until its end, nothing in it is taken for the training around it."""
    _push(None)
    return Watch(None)


def present(kind: type[BoostingT]) -> BoostingT | None:
    """The training of this kind that this thread is in; None if there is none, or one in it that is not recorded."""
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
    ):  # a list of pairs, in which a name may come again
        found.setdefault(key, []).append(value)
    return [(key, values[0] if len(values) == 1 else values) for key, values in found.items()]


def _apart(key: str, own: Mapping[str, Any], call: str) -> str:
    return f"{call}.{key}" if key in own else key
