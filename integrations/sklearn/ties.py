"""Which recorded training a fitted estimator, and what it predicted, belong to. Nothing is held: all of it is weak."""

from __future__ import annotations

import functools
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from autotrack.integrations.sklearn.roles import Mark, role_of
from autotrack.recording.collector import Collector, collector
from autotrack.recording.lifecycle.trainings import Training

MOST_OUTPUTS = 256
MOST_COLUMNS = 50


@dataclass(eq=False)
class Tie:
    """A fitted estimator's training, and what it was trained on."""

    training: Training
    inputs: Mark
    target: Mark
    calls: dict[str, Latency] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_current(self) -> bool:
        """Whether facts can still be recorded to where the training was."""
        return self.training.collector is collector()

    def role(self, *data: Any) -> str:
        """`train`, `val` or `test`, if all of the data whose role is known have that one; else empty."""
        found = set()
        for one in data:
            if one is not None:
                found.add(role_of(one, self.target) or role_of(one, self.inputs))
        found.discard("")
        return found.pop() if len(found) == 1 else ""


@dataclass
class Latency:
    """How long predictions took: calls, and rows and seconds since the last point."""

    calls: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Output:
    """What `predict` or its like returned, or what a metric made of that."""

    tie: Tie
    reference: Any
    inputs: Any
    made_by: str
    prefix: str = ""

    @property
    def data(self) -> Any:
        """What was predicted on, as long as it is there."""
        return None if self.inputs is None else self.inputs()


_estimators: dict[int, tuple[Any, Tie]] = {}
_outputs: OrderedDict[int, Output] = OrderedDict()
_runs_of_threads: weakref.WeakKeyDictionary[Collector, dict[int, list[str]]] = weakref.WeakKeyDictionary()


def tie(estimator: Any, training: Training, inputs: Any, target: Any) -> Tie | None:
    """Remember that this very object was fitted in `training`; its copies and pickles were not."""
    key = id(estimator)
    try:
        reference = weakref.ref(estimator, functools.partial(_forget, key))
    except TypeError:
        return None
    made = Tie(training, Mark(inputs), Mark(target))
    _estimators[key] = (reference, made)
    runs = _runs_of_threads.setdefault(training.collector, {}).setdefault(threading.get_ident(), [])
    if len(runs) < 2 and training.id not in runs:
        runs.append(training.id)
    return made


def _forget(key: int, _: Any) -> None:
    _estimators.pop(key, None)


def only_run_of_thread() -> str:
    """The id of the run that all of this thread's trainings are in; empty if there are several, or none."""
    runs = _runs_of_threads.get(collector(), {}).get(threading.get_ident(), [])
    return runs[0] if len(runs) == 1 else ""


def untie(estimator: Any) -> None:
    """Forget what the estimator was fitted in: it is being fitted anew."""
    _estimators.pop(id(estimator), None)


def tie_of(estimator: Any) -> Tie | None:
    """The training in which this very object was fitted last."""
    known = _estimators.get(id(estimator))
    return known[1] if known is not None and known[0]() is estimator else None


def note_output(made: Any, tied: Tie, inputs: Any, made_by: str, prefix: str = "") -> None:
    """Remember that `made` came from the estimator of `tied`, given `inputs`.

    `prefix` is the first word of the keys of metrics that are computed from it, where that is known already.
    """
    if type(made) in (list, tuple):
        for part in made[:MOST_COLUMNS]:
            if hasattr(part, "dtype"):
                note_output(part, tied, inputs, made_by, prefix)
        return
    source = _weak(inputs)
    _keep(made, tied, source, made_by, prefix)
    owner = getattr(made, "base", None)
    if type(owner).__module__ == "numpy" and owner is not inputs and owner is not getattr(inputs, "base", None):
        _keep(owner, tied, source, made_by, prefix)


def note_labels(estimator: Any, result: Any) -> None:
    """Remember what the fit itself gave for each row: what `fit_predict` returned, and `labels_`."""
    tied = tie_of(estimator)
    if tied is not None:
        for made in (result, vars(estimator).get("labels_")):
            if hasattr(made, "dtype") and hasattr(made, "base"):
                note_output(made, tied, None, "", "train")


def output_of(data: Any) -> Output | None:
    """What is known of an array that `predict` or its like returned, or that is a view of such a one."""
    while data is not None:
        known = _outputs.get(id(data))
        if known is not None and known.reference() is data:
            return known
        data = getattr(data, "base", None) if type(data).__module__ == "numpy" else None
    return None


def _keep(made: Any, tied: Tie, source: Any, made_by: str, prefix: str) -> None:
    reference = _weak(made)
    if reference is not None:
        _outputs.pop(id(made), None)
        _outputs[id(made)] = Output(tied, reference, source, made_by, prefix)
        if len(_outputs) > MOST_OUTPUTS:
            _outputs.popitem(last=False)


def _weak(data: Any) -> Any:
    try:
        return weakref.ref(data)
    except TypeError:
        return None
