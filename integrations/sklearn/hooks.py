"""Decides which calls of scikit-learn begin a training, which are part of one, and which class records each."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import FunctionType
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Observer, Watch
from autotrack.integrations.base import Options
from autotrack.integrations.sklearn import nets
from autotrack.integrations.sklearn.callers import calling_frame, is_library
from autotrack.integrations.sklearn.evaluating import Evaluations
from autotrack.integrations.sklearn.facts import is_estimator
from autotrack.integrations.sklearn.fitted_estimators import note_labels
from autotrack.integrations.sklearn.fitting import Fit, Preprocessing, is_preprocessing
from autotrack.integrations.sklearn.iterative_fits import IterativeFit, has_iterations
from autotrack.integrations.sklearn.partial import PartialFits
from autotrack.integrations.sklearn.places import FIT, METRIC, PARTIAL, base_estimator
from autotrack.integrations.sklearn.searching import Search, Searches, is_search
from autotrack.integrations.sklearn.validation import Validation
from autotrack.models.flavors import flavors
from autotrack.recording.collector import recording_allowed
from autotrack.training import boosting

_outermost: ContextVar[Fit | Preprocessing | None] = ContextVar("autotrack_sklearn_fit", default=None)


class Hooks:
    """The observers of all patched calls in scikit-learn. `options()` returns the options for a new training."""

    def __init__(self, functions: Mapping[str, FunctionType], options: Callable[[], Options]) -> None:
        self._functions = functions
        self._options = options
        self._under_way: set[Fit | Preprocessing] = set()
        self._partial_fits = PartialFits(options, self._is_inside_fit)
        self._observers: dict[str, Observer] = {
            FIT: self._on_fit,
            PARTIAL: self._partial_fits.on_call,
            **Searches(self._under_way, _outermost.get, _joblib_level).observers(),
            **Evaluations(functions, self._is_inside_fit).observers(),
        }

    @property
    def options(self) -> Options:
        """The current options of the integration."""
        return self._options()

    @property
    def _also(self) -> Sequence[type]:
        return getattr(self.options, "also", ())

    def start(self) -> None:
        """Register with the integrations of boosting libraries, so that they do not record fits inside a fit again.

        Also loads the model flavors, so that the first fit does not wait for it.
        """
        flavors()
        if self._is_inside_fit not in boosting.outer_fits:
            boosting.outer_fits.append(self._is_inside_fit)

    def stop(self) -> None:
        """Unregister from the boosting integrations and end all open `partial_fit` loops."""
        boosting.outer_fits[:] = [one for one in boosting.outer_fits if one != self._is_inside_fit]
        self._partial_fits.end_all()
        nets.stop()

    def observer(self, key: str) -> Observer:
        """The observer of the calls that are patched under `key`."""
        if key in self._observers:
            return self._observers[key]
        if key.startswith(METRIC):
            return self._observers[METRIC]
        return functools.partial(self._on_validation, self._functions[key])

    def _on_fit(
        self, wrapped: Any, estimator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Outermost | None:
        around = _outermost.get()
        if around is not None and around.active:
            return None
        if not isinstance(estimator, (base_estimator(), *self._also)) or not recording_allowed():
            return None
        level = _joblib_level()
        if self._is_worker_of_fit(level):
            return None
        kind = _kind_of(estimator)
        if kind is Preprocessing and is_library(calling_frame()):
            return None  # on the way inside a metric or another function of scikit-learn: nobody's preprocessing
        self._partial_fits.end_of(estimator)
        watch = _Outermost(self, kind(self.options, estimator, wrapped, level), around)
        watch.begin(args, kwargs)
        return watch

    def _on_validation(
        self, function: FunctionType, wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Outermost | _Overheard | None:
        around = _outermost.get()
        if around is not None and around.active:
            if isinstance(around, Validation) and around.listens_to(function.__name__):
                return _Overheard(around)
            return None
        rest = dict(kwargs)
        estimator = args[0] if args else rest.pop("estimator", None)
        level = _joblib_level()
        if not is_estimator(estimator) or not recording_allowed() or self._is_worker_of_fit(level):
            return None
        watch = _OutermostValidation(self, Validation(self.options, function, estimator, level), around)
        watch.begin(args[1:], rest)
        return watch

    def _is_inside_fit(self) -> bool:
        around = _outermost.get()
        return (around is not None and around.active) or self._is_worker_of_fit(_joblib_level())

    def _is_worker_of_fit(self, level: int) -> bool:
        """Whether this thread, at joblib nesting `level`, is a worker of a fit that runs in another thread."""
        return level > 0 and any(other.level < level for other in tuple(self._under_way))


class _Outermost:
    """Watch of an outermost fit: suppresses the recording of nested fits until it ends, even if recording it fails."""

    def __init__(self, owner: Hooks, fit: Fit | Preprocessing, around: Fit | Preprocessing | None) -> None:
        self._owner = owner
        self._fit = fit
        self._around = around

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        _outermost.set(self._fit)
        self._owner._under_way.add(self._fit)
        with guarded("recording the start of a fit"):
            self._fit.begin(args, kwargs)

    def returned(self, result: Any) -> None:
        self._fit.measure()
        try:
            self._fit.finished()
            note_labels(self._fit._estimator, result)
        finally:
            self._end()

    def raised(self, error: BaseException) -> None:
        self._fit.measure()
        try:
            self._fit.failed(error)
        finally:
            self._end()

    def _end(self) -> None:
        self._fit.active = False
        self._owner._under_way.discard(self._fit)
        _outermost.set(self._around)


class _OutermostValidation(_Outermost):
    """Watch of an outermost cross-validation function, whose return value holds the results to record."""

    def returned(self, result: Any) -> None:
        if isinstance(self._fit, Validation):
            self._fit.result = result
        super().returned(result)


class _Overheard(Watch):
    """Watch of a function called inside a cross-validation: passes its return value to the `Validation`."""

    def __init__(self, validation: Validation) -> None:
        self._validation = validation

    def returned(self, result: Any) -> None:
        self._validation.heard(result)


def _kind_of(estimator: Any) -> type[Fit] | type[Preprocessing]:
    if is_search(estimator):
        return Search
    if is_preprocessing(estimator):
        return Preprocessing
    if nets.is_net(estimator):
        return nets.NetFit
    return IterativeFit if has_iterations(estimator) else Fit


def _joblib_level() -> int:
    """The nesting level of joblib workers that this thread is in; 0 outside of any."""
    parallel = sys.modules.get("joblib.parallel")
    if parallel is None:
        return 0
    return getattr(parallel.get_active_backend()[0], "nesting_level", 0) or 0
