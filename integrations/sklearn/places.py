"""Where scikit-learn is observed: estimators' methods, metric functions, scorers, searches and validations.

Classes that exist are found from `BaseEstimator` downwards, later ones through `__init_subclass__`. Methods are
observed where they are defined, also in mixins, so that no class gets an attribute that it did not have. `autolog()`
loads this module; the modules that record the observed calls are loaded at the first of them.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Observer, Patches

CLASS = "sklearn.class"
FIT = "sklearn.fit"
METRIC = "sklearn.metrics."  # before the name of the function
PARTIAL = "sklearn.partial_fit"
PREDICT = "sklearn.predict"
RESULTS = "sklearn.results"
SCORE = "sklearn.score"
SCORER = "sklearn.scorer"
SPLIT = "sklearn.split"
TRAIN_TEST_SPLIT = "sklearn.train_test_split"
VALIDATION = "sklearn."  # before the name of one of VALIDATIONS

VALIDATIONS = (
    "cross_validate", "cross_val_score", "cross_val_predict", "learning_curve", "validation_curve",
    "permutation_test_score",
)  # fmt: skip

_HOOK = "__init_subclass__"

# Methods of estimators that are observed besides `fit…`, with the keys of their observers.
_METHODS = {
    **dict.fromkeys(("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples"), PREDICT),
    "score": SCORE,
    "partial_fit": PARTIAL,
}

# Functions of sklearn.metrics that evaluate nothing: scorer helpers, distances, kernels.
_NO_METRICS = frozenset({
    "check_scoring", "get_scorer", "get_scorer_names", "make_scorer", "euclidean_distances", "nan_euclidean_distances",
    "pairwise_distances", "pairwise_distances_argmin", "pairwise_distances_argmin_min", "pairwise_distances_chunked",
    "pairwise_kernels",
})  # fmt: skip


class Places:
    """The patches in scikit-learn. `observer(key)` returns the observer for `key`; `functions` has originals by key."""

    def __init__(self, patches: Patches, observer: Callable[[str], Observer]) -> None:
        self.functions: dict[str, FunctionType] = {}
        self._patches = patches
        self._observer = observer
        self._seen: weakref.WeakSet[type] = weakref.WeakSet()
        self._being_made = threading.local()

    def install(self, also: Iterable[type] = ()) -> None:
        """Patch the scikit-learn modules imported so far, and the classes `also`; called again at each import."""
        self._patches.observe(CLASS, self._on_class)
        for key in (FIT, PARTIAL, PREDICT, SCORE):
            self._patches.observe(key, self._observer(key))
        for kind in _with_descendants(base_estimator()):
            if kind not in self._seen:
                self.instrument(kind)
        for kind in also:
            self.instrument(kind)
        self._install_metrics()
        self._install_selection()

    def forget(self) -> None:
        """Reset the record of patched classes and functions; call after undoing the patches."""
        self.functions.clear()
        self._seen = weakref.WeakSet()

    def instrument(self, kind: type) -> None:
        """Patch the methods of an estimator class and of its parents."""
        for definer in kind.__mro__:
            if definer in self._seen or definer is object:
                continue
            self._seen.add(definer)
            for name, value in tuple(vars(definer).items()):
                if name == _HOOK and (
                    definer.__module__.startswith("sklearn.") or issubclass(definer, base_estimator())
                ):
                    self._patches.method(definer, name, CLASS)
                elif name.startswith("fit") and _is_fit(name, value):
                    with guarded(f"observing {definer.__qualname__}.{name}"):
                        self._patches.method(definer, name, FIT)
                elif name in _METHODS:
                    with guarded(f"observing {definer.__qualname__}.{name}"):
                        self._patches.method(definer, name, _METHODS[name])

    def _install_metrics(self) -> None:
        metrics = sys.modules.get("sklearn.metrics")
        for name in getattr(metrics, "__all__", ()):
            if name not in _NO_METRICS:
                self._function(getattr(metrics, name, None), METRIC + name)
        scorers = sys.modules.get("sklearn.metrics._scorer")
        for name in ("_BaseScorer", "_PassthroughScorer", "_MultimetricScorer"):
            self._method(getattr(scorers, name, None), "__call__", SCORER)

    def _install_selection(self) -> None:
        self._function(getattr(sys.modules.get("sklearn.model_selection"), "train_test_split", None), TRAIN_TEST_SPLIT)
        validation = sys.modules.get("sklearn.model_selection._validation")
        for name in VALIDATIONS:
            self._function(getattr(validation, name, None), VALIDATION + name)
        search = getattr(sys.modules.get("sklearn.model_selection._search"), "BaseSearchCV", None)
        if search is not None:
            self._function(getattr(validation, "_fit_and_score", None), SPLIT)
            self._method(search, "_format_results", RESULTS)

    def _function(self, function: Any, key: str) -> None:
        if type(function) is FunctionType and key not in self.functions and self._patches.function(function, key):
            self._patches.observe(key, self._observer(key))
            self.functions[key] = function

    def _method(self, owner: Any, name: str, key: str) -> None:
        if isinstance(owner, type):
            self._patches.observe(key, self._observer(key))
            self._patches.method(owner, name, key)

    def _on_class(self, wrapped: Any, made: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _ClassMade | None:
        pending: set[type] = self._being_made.__dict__.setdefault("classes", set())
        if made in pending:
            return None
        pending.add(made)
        return _ClassMade(self, made, pending)


class _ClassMade:
    """Watch of the outermost `__init_subclass__` of a class: patches its methods afterwards, when they are final."""

    def __init__(self, owner: Places, made: type, pending: set[type]) -> None:
        self._owner = owner
        self._made = made
        self._pending = pending

    def returned(self, result: Any) -> None:
        self._pending.discard(self._made)
        if issubclass(self._made, base_estimator()):
            self._owner.instrument(self._made)

    def raised(self, error: BaseException) -> None:
        self._pending.discard(self._made)


def base_estimator() -> type:
    """The class `sklearn.base.BaseEstimator`."""
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
