"""`partial_fit` in a loop: one training for each estimator object, with a step for each call.

The end of such a loop cannot be observed. Its run stays open, without being the active run, until the estimator is
fitted anew or garbage-collected, autolog is switched off, or the program ends.
"""

from __future__ import annotations

import atexit
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.base import Options
from autotrack.integrations.sklearn import fitted_estimators, fitting, metrics, saving
from autotrack.integrations.sklearn.callers import calling_frame, is_library
from autotrack.integrations.sklearn.facts import Arguments
from autotrack.recording import collector as collector_module
from autotrack.recording.collector import collector, recording_allowed
from autotrack.recording.lifecycle.trainings import Training


class PartialFitLoop(fitting.Fit):
    """The training of one estimator's `partial_fit` calls; refers to the estimator weakly."""

    def __init__(self, options: Options, estimator: Any, wrapped: Callable[..., Any]) -> None:
        super().__init__(options, estimator, wrapped)
        self.calls = 0
        self._saved = 0
        self._schema: dict[str, Any] | None = None

    def start(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Open the training at the first call; a run opened for it does not become the active run."""
        self.begin(args, kwargs)
        training = self._training
        if training is None:
            return
        self._schema = self._signature()
        self._arguments = Arguments()
        training.report("datasets", "only the first call's data is described", level="info")
        if training.owns_run:
            training.run.thread = 0
            collector_module.pop(training.run)

    def follow(self, training: Training) -> None:
        """Continue the training of an earlier fit of the estimator."""
        self._training = training

    def attach(self, estimator: Any, ended: Callable[[Any], None]) -> None:
        """Replace the reference to the estimator by a weak one; `ended` is called when the estimator is collected."""
        self.reference = weakref.ref(estimator, ended)
        self._estimator = None

    @property
    def training(self) -> Training | None:
        """The training that all calls belong to."""
        return self._training

    @property
    def is_current(self) -> bool:
        """Whether the collector that the training began with is still the current one."""
        training = self._training
        return training is not None and training.collector is collector()

    def step(self, estimator: Any, inputs: Any, target: Any, seconds: float) -> None:
        """Record one call, and save the model at calls 1, 2, 4, 8, …."""
        training = self._training
        if training is None:
            return
        self.calls += 1
        values: dict[str, float] = {"duration": seconds, **metrics.learned(estimator)}
        shape = getattr(inputs, "shape", None)
        if shape:
            values["rows"] = shape[0]
        training.log({f"train/{name}": value for name, value in values.items()}, self.calls - 1)
        fitted_estimators.tie(estimator, training, inputs, target)
        if not self.calls & (self.calls - 1):
            self.keep(estimator)
            if not training.owns_run:
                training.finish("finished")

    def keep(self, estimator: Any) -> None:
        """Save the model in its current state."""
        training = self._training
        if training is None or self._schema is None or self._saved == self.calls or not self._options.log_models:
            return
        self._saved = self.calls
        with guarded("saving the model"):
            saving.keep_model(
                training, estimator, self._first_rows, self._schema,
                with_example=self._options.log_input_examples,
            )  # fmt: skip

    def end(self) -> None:
        """End the loop: save the model if it still exists, and finish the run if it was opened for the loop."""
        estimator = self.reference()
        training = self._training
        if training is None or not self.is_current:
            return
        if estimator is not None:
            self.keep(estimator)
        if training.owns_run:
            training.finish("finished")


class PartialFits:
    """Observes `partial_fit` of all estimators that predict."""

    def __init__(self, options: Callable[[], Options], is_inside_fit: Callable[[], bool]) -> None:
        self._options = options
        self._is_inside_fit = is_inside_fit
        self._loops: dict[int, PartialFitLoop] = {}
        self._gone: deque[int] = deque()
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def end_all(self) -> None:
        """End all loops; called when autolog is switched off."""
        for key in tuple(self._loops):
            self._end(key)

    def end_of(self, estimator: Any) -> None:
        """End the loop of an estimator, if any; called when it is fitted anew."""
        loop = self._loops.get(id(estimator))
        if loop is not None and loop.reference() is estimator:
            self._end(id(estimator))

    def on_call(self, wrapped: Any, estimator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Call | None:
        """Observe the start of a `partial_fit` call; begins a loop for a new estimator."""
        self._end_gone()
        if self._is_inside_fit() or is_library(calling_frame()) or not recording_allowed():
            return None
        if fitting.is_preprocessing(estimator):
            return None
        loop = self._loops.get(id(estimator))
        if loop is None or loop.reference() is not estimator or not loop.is_current:
            loop = self._begin(wrapped, estimator, args, kwargs)
        return _Call(loop, estimator, args, kwargs)

    def _begin(self, wrapped: Any, estimator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> PartialFitLoop:
        key = id(estimator)
        earlier = fitted_estimators.tie_of(estimator)
        loop = PartialFitLoop(self._options(), estimator, wrapped)
        if earlier is not None and earlier.is_current:
            loop.follow(earlier.training)
        else:
            loop.start(args, kwargs)
        loop.attach(estimator, lambda _: self._gone.append(key))
        self._loops[key] = loop
        owner = collector()
        if owner not in self._known:
            self._known.add(owner)
            owner.pulses.append(self._end_gone)
            atexit.register(self._keep_all)
        return loop

    def _end_gone(self) -> None:
        """End the loops of collected estimators; not in the weakref callback, which may run amidst any other code."""
        while self._gone:
            try:
                key = self._gone.popleft()
            except IndexError:  # another thread was faster: the heartbeat ends loops as well
                return
            loop = self._loops.get(key)
            if loop is not None and loop.reference() is None:
                self._end(key)

    def _end(self, key: int) -> None:
        loop = self._loops.pop(key, None)
        if loop is not None:
            with guarded("the end of a loop of partial_fit"):
                loop.end()

    def _keep_all(self) -> None:
        """Save the models at exit; the end of the runs is recorded elsewhere."""
        for loop in tuple(self._loops.values()):
            estimator = loop.reference()
            if estimator is not None and loop.is_current and recording_allowed():
                loop.keep(estimator)


class _Call:
    """Watch of one `partial_fit` call: records it as a step, or reports its exception."""

    __slots__ = ("_args", "_begun", "_estimator", "_kwargs", "_loop")

    def __init__(self, loop: PartialFitLoop, estimator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._loop = loop
        self._estimator = estimator
        self._args = args
        self._kwargs = kwargs
        self._begun = time.perf_counter()

    def returned(self, result: Any) -> None:
        seconds = time.perf_counter() - self._begun
        given = dict(zip(("X", "y"), self._args, strict=False)) | dict(self._kwargs)
        self._loop.step(self._estimator, given.get("X"), given.get("y"), seconds)

    def raised(self, error: BaseException) -> None:
        training = self._loop.training
        if training is not None:
            number = self._loop.calls + 1
            training.report("partial_fit", f"call {number} raised {type(error).__name__}: {error}"[:500])
