"""Where scikit-learn is hooked: the `fit*` methods of every estimator class, as it comes into being.

Classes that exist are found from `BaseEstimator` downwards, later ones through `__init_subclass__`. The methods are
observed where they are defined, also in mixins, so that no class gets an attribute that it did not have.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import FunctionType
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Patches
from autotrack.integrations.base import Options
from autotrack.integrations.sklearn.evaluating import METHODS, Evaluations
from autotrack.integrations.sklearn.facts import is_estimator
from autotrack.integrations.sklearn.fitting import Fit, Preprocessing, is_preprocessing
from autotrack.integrations.sklearn.partial import PARTIAL, PartialFits
from autotrack.integrations.sklearn.searching import Search, Searches, is_search
from autotrack.integrations.sklearn.solvers import IterativeFit, has_iterations
from autotrack.integrations.sklearn.ties import note_labels
from autotrack.integrations.sklearn.validation import Validation, functions
from autotrack.recording.collector import recording_allowed
from autotrack.training import boosting

FIT = "sklearn.fit"
CLASS = "sklearn.class"
HOOK = "__init_subclass__"

_outermost: ContextVar[Fit | Preprocessing | None] = ContextVar("autotrack_sklearn_fit", default=None)


class Hooks:
    """All that we have in scikit-learn: `install` puts it there, again where more was imported, `uninstall` ends it.

    `patches` are undone by whoever gave them; `options` are asked for at each training.
    """

    def __init__(self, patches: Patches, options: Callable[[], Options]) -> None:
        self.patches = patches
        self._options = options
        self._seen: weakref.WeakSet[type] = weakref.WeakSet()
        self._being_made = threading.local()
        self._under_way: set[Fit | Preprocessing] = set()
        self._searches = Searches(self.patches, self._under_way, _outermost.get, _joblib_level)
        self._evaluations = Evaluations(self.patches, self._is_inside_fit)
        self._partial_fits = PartialFits(options, self._is_inside_fit)

    @property
    def options(self) -> Options:
        """What is chosen at this moment."""
        return self._options()

    def install(self) -> None:
        """Observe all estimator classes that there are and that come."""
        if self._is_inside_fit not in boosting.outer_fits:
            boosting.outer_fits.append(self._is_inside_fit)
        self.patches.observe(FIT, self._on_fit)
        self.patches.observe(CLASS, self._on_class)
        for kind in _with_descendants(_base_estimator()):
            if kind not in self._seen:
                self._instrument(kind)
        self._evaluations.install()
        self.patches.observe(PARTIAL, self._partial_fits.on_call)
        self._searches.install()
        for name, function in functions().items():
            self.patches.observe(f"sklearn.{name}", functools.partial(self._on_validation, function))
            self.patches.function(function, f"sklearn.{name}")

    def uninstall(self) -> None:
        """Forget the classes, whose patches are gone, and what was under way."""
        boosting.outer_fits[:] = [one for one in boosting.outer_fits if one != self._is_inside_fit]
        self._evaluations.uninstall()
        self._partial_fits.end_all()
        self._seen = weakref.WeakSet()

    def _instrument(self, kind: type) -> None:
        for definer in kind.__mro__:
            if definer in self._seen or definer is object:
                continue
            self._seen.add(definer)
            for name, value in tuple(vars(definer).items()):
                if name == HOOK and (
                    definer.__module__.startswith("sklearn.") or issubclass(definer, _base_estimator())
                ):
                    self.patches.method(definer, name, CLASS)
                elif name.startswith("fit") and _is_fit(name, value):
                    with guarded(f"observing {definer.__qualname__}.{name}"):
                        self.patches.method(definer, name, FIT)
                elif name in METHODS:
                    with guarded(f"observing {definer.__qualname__}.{name}"):
                        self.patches.method(definer, name, METHODS[name])

    def _on_class(self, wrapped: Any, made: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _ClassMade | None:
        pending: set[type] = self._being_made.__dict__.setdefault("classes", set())
        if made in pending:
            return None
        pending.add(made)
        return _ClassMade(self, made, pending)

    def _on_fit(
        self, wrapped: Any, estimator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> _Outermost | None:
        around = _outermost.get()
        if around is not None and around.active:
            return None
        if not isinstance(estimator, _base_estimator()) or not recording_allowed():
            return None
        level = _joblib_level()
        if self._is_worker_of_fit(level):
            return None
        self._partial_fits.end_of(estimator)
        watch = _Outermost(self, _kind_of(estimator)(self.options, estimator, wrapped, level), around)
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
        """Whether this is a worker thread, so deep in joblib, of a fit that another thread is in."""
        return level > 0 and any(other.level < level for other in tuple(self._under_way))


class _ClassMade:
    """Waits for the end of the outermost `__init_subclass__` of a class: then its methods are what they will be."""

    def __init__(self, owner: Hooks, made: type, pending: set[type]) -> None:
        self._owner = owner
        self._made = made
        self._pending = pending

    def returned(self, result: Any) -> None:
        self._pending.discard(self._made)
        if issubclass(self._made, _base_estimator()):
            self._owner._instrument(self._made)

    def raised(self, error: BaseException) -> None:
        self._pending.discard(self._made)


class _Outermost:
    """Keeps the fits inside a fit quiet, from its beginning to its end, whatever goes wrong with recording it."""

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
    """A call of a function that fits: what it returns is what there is to record."""

    def returned(self, result: Any) -> None:
        if isinstance(self._fit, Validation):
            self._fit.result = result
        super().returned(result)


class _Overheard:
    """Hands what a function inside a cross-validation returned to the record of that."""

    def __init__(self, validation: Validation) -> None:
        self._validation = validation

    def returned(self, result: Any) -> None:
        self._validation.heard(result)

    def raised(self, error: BaseException) -> None:
        """It goes on to the function around, whose record it is."""


def _kind_of(estimator: Any) -> type[Fit] | type[Preprocessing]:
    if is_search(estimator):
        return Search
    if is_preprocessing(estimator):
        return Preprocessing
    return IterativeFit if has_iterations(estimator) else Fit


def _base_estimator() -> type:
    kind: type = sys.modules["sklearn.base"].BaseEstimator
    return kind


def _is_fit(name: str, value: Any) -> bool:
    named = name == "fit" or (name.startswith("fit_") and not name.endswith("_"))
    return named and (type(value) is FunctionType or type(getattr(value, "fn", None)) is FunctionType)


def _with_descendants(kind: type) -> Iterator[type]:
    yield kind
    children: list[type] = type.__subclasses__(kind)
    for child in children:
        yield from _with_descendants(child)


def _joblib_level() -> int:
    """How deep in joblib's workers this thread is; 0 outside of any."""
    parallel = sys.modules.get("joblib.parallel")
    if parallel is None:
        return 0
    return getattr(parallel.get_active_backend()[0], "nesting_level", 0) or 0
