"""Maps fitted estimators and their predictions to the training that recorded the fit, by weak references only."""

from __future__ import annotations

import functools
import threading
import weakref
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from autotrack.integrations.sklearn.facts import is_estimator
from autotrack.integrations.sklearn.roles import Mark, role_of
from autotrack.recording.collector import Collector, collector
from autotrack.recording.lifecycle.trainings import Training
from autotrack.recording.same_data import Trace

MOST_OUTPUTS = 256
MOST_COLUMNS = 50

Traces = tuple[Trace, Trace]  # of inputs and target


@dataclass(eq=False)
class FittedEstimator:
    """The training of a fitted estimator, with marks of the data it was trained on, and traces if there are any."""

    training: Training
    inputs: Mark
    target: Mark
    traces: Traces | None = None
    calls: dict[str, Latency] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_current(self) -> bool:
        """Whether the collector that recorded the training is still the current one."""
        return self.training.collector is collector()

    def role(self, target: Any, *inputs: Any, seen: bool = False) -> str:
        """`train`, `val` or `test` if all of the data with a known role share it; else empty.

        Where no role is known, equal copies of what was fitted are `train`; `seen` if the inputs are known to be such.
        """
        found = set()
        for one in (target, *inputs):
            if one is not None:
                found.add(role_of(one, self.target) or role_of(one, self.inputs))
        found.discard("")
        if found:
            return found.pop() if len(found) == 1 else ""
        if self.traces is None or not (seen or (len(inputs) == 1 and self.has_seen(*inputs))):
            return ""
        return "train" if target is None or self.traces[1].is_of(target) else ""

    def has_seen(self, inputs: Any) -> bool:
        """Whether `inputs` are equal to those that were fitted."""
        return inputs is not None and self.traces is not None and self.traces[0].is_of(inputs)


@dataclass
class Latency:
    """Duration of predictions: the number of calls, and rows and seconds since the last logged point."""

    calls: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Prediction:
    """An array that `predict` or a similar method returned, or that a metric function computed from one."""

    tie: FittedEstimator
    reference: Any
    inputs: Any
    made_by: str
    prefix: str = ""
    seen: bool = False  # the inputs are those that were fitted, or equal to them

    @property
    def data(self) -> Any:
        """The inputs of the prediction; None if they no longer exist."""
        return None if self.inputs is None else self.inputs()


_estimators: dict[int, tuple[Any, FittedEstimator]] = {}
_outputs: OrderedDict[int, Prediction] = OrderedDict()
_runs_of_threads: weakref.WeakKeyDictionary[Collector, dict[int, list[str]]] = weakref.WeakKeyDictionary()


def tie(
    estimator: Any, training: Training, inputs: Any, target: Any, traces: Traces | None = None
) -> FittedEstimator | None:
    """Remember that this `estimator` object, not its copies or pickles, was fitted in `training`."""
    key = id(estimator)
    try:
        reference = weakref.ref(estimator, functools.partial(_forget, key))
    except TypeError:
        return None
    made = FittedEstimator(training, Mark(inputs), Mark(target), traces)
    _estimators[key] = (reference, made)
    runs = _runs_of_threads.setdefault(training.collector, {}).setdefault(threading.get_ident(), [])
    if len(runs) < 2 and training.id not in runs:
        runs.append(training.id)
    return made


def tie_delegate(estimator: Any, made: FittedEstimator) -> None:
    """Tie also the estimator to which this one hands on what it lacks itself, by a `__getattr__` of its class.

    It is the only one in its attributes; whose `score` or `predict` is called is then this model's.
    """
    kind = type(estimator)
    if not hasattr(kind, "__getattr__") or (hasattr(kind, "score") and hasattr(kind, "predict")):
        return
    inner = [one for one in vars(estimator).values() if is_estimator(one) and hasattr(type(one), "predict")]
    if len(inner) == 1 and tie_of(inner[0]) is None:
        key = id(inner[0])
        with suppress(TypeError):
            _estimators[key] = (weakref.ref(inner[0], functools.partial(_forget, key)), made)


def _forget(key: int, _: Any) -> None:
    _estimators.pop(key, None)


def only_run_of_thread() -> str:
    """The id of the run of all trainings of this thread; empty if there are several runs, or none."""
    runs = _runs_of_threads.get(collector(), {}).get(threading.get_ident(), [])
    return runs[0] if len(runs) == 1 else ""


def untie(estimator: Any) -> None:
    """Forget the training of the estimator; called when it is fitted anew."""
    _estimators.pop(id(estimator), None)


def tie_of(estimator: Any) -> FittedEstimator | None:
    """The tie to the training in which this object (not a copy) was fitted last; None if unknown."""
    known = _estimators.get(id(estimator))
    return known[1] if known is not None and known[0]() is estimator else None


def note_output(made: Any, tied: FittedEstimator, inputs: Any, made_by: str, prefix: str = "") -> None:
    """Remember that `made` came from the estimator of `tied`, given `inputs`.

    `prefix` is the key prefix (`train`, …) of metrics computed from `made`; empty if not known yet.
    """
    seen = not prefix and not role_of(inputs, tied.inputs) and tied.has_seen(inputs)
    _note(made, tied, inputs, made_by, prefix, seen)


def _note(made: Any, tied: FittedEstimator, inputs: Any, made_by: str, prefix: str, seen: bool) -> None:
    if type(made) in (list, tuple):
        for part in made[:MOST_COLUMNS]:
            if hasattr(part, "dtype"):
                _note(part, tied, inputs, made_by, prefix, seen)
        return
    output = Prediction(tied, _weak(made), _weak(inputs), made_by, prefix, seen)
    _keep(made, output)
    owner = getattr(made, "base", None)
    if type(owner).__module__ == "numpy" and owner is not inputs and owner is not getattr(inputs, "base", None):
        _keep(owner, replace(output, reference=_weak(owner)))


def note_labels(estimator: Any, result: Any) -> None:
    """Remember the outputs of the fit itself: the result of `fit_predict`, and `labels_`."""
    tied = tie_of(estimator)
    if tied is not None:
        for made in (result, vars(estimator).get("labels_")):
            if hasattr(made, "dtype") and hasattr(made, "base"):
                note_output(made, tied, None, "", "train")


def output_of(data: Any) -> Prediction | None:
    """The `Prediction` of an array that a method like `predict` returned, or of a view of one; None if unknown."""
    while data is not None:
        known = _outputs.get(id(data))
        if known is not None and known.reference() is data:
            return known
        data = getattr(data, "base", None) if type(data).__module__ == "numpy" else None
    return None


def _keep(made: Any, output: Prediction) -> None:
    if output.reference is not None:
        _outputs.pop(id(made), None)
        _outputs[id(made)] = output
        if len(_outputs) > MOST_OUTPUTS:
            _outputs.popitem(last=False)


def _weak(data: Any) -> Any:
    try:
        return weakref.ref(data)
    except TypeError:
        return None
