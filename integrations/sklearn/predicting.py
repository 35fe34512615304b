"""Which fitted estimators may be asked for predictions unasked, on how many rows, and asking them without an effect.

Asking is harmless for scikit-learn's own estimators, composed of its own parts, and for those of the boosting
libraries, without user-defined callables, without processes that `predict` would start, and on data that the fit did
not change. For everything else there is a reason, with which `Skipped` is raised. How many rows are predicted follows
from the estimator and the size of the data alone, so that the same script gives the same record on every machine.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autotrack.integrations.sklearn.facts import parts_of
from autotrack.models.signature import is_frame, is_sparse, rows_of

MOST_ROWS = 10_000
MOST_COSTLY_ROWS = 2_000
MOST_VALUES = 20_000_000  # in the rows, all columns together

# Modules of scikit-learn whose estimators predict from their fitted state only.
_PREDICTS = (
    "calibration", "cluster", "cross_decomposition", "discriminant_analysis", "ensemble", "gaussian_process",
    "isotonic", "kernel_ridge", "linear_model", "mixture", "multiclass", "multioutput", "naive_bayes", "neighbors",
    "neural_network", "semi_supervised", "svm", "tree",
)  # fmt: skip
_PARTS = (
    *_PREDICTS, "compose", "covariance", "decomposition", "feature_extraction", "feature_selection", "impute",
    "kernel_approximation", "model_selection", "pipeline", "preprocessing", "random_projection",
)  # fmt: skip
_DRAWS = {"DummyClassifier", "IterativeImputer", "BernoulliRBM", "LatentDirichletAllocation", "FunctionTransformer"}
_THREADS = ("sklearn.ensemble._forest", "sklearn.neighbors.", "sklearn.linear_model.", "sklearn.cluster.")
_CHANGES_DATA = ("copy", "copy_X", "copy_x")
_BOOSTERS = ("xgboost.sklearn", "lightgbm.sklearn")

# Estimators that compare every row with much of the training data when they predict.
_COSTLY = ("sklearn.neighbors.", "sklearn.gaussian_process.", "sklearn.kernel_ridge", "sklearn.semi_supervised._label")
_KERNEL_MACHINES = {"SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM"}


class Skipped(Exception):  # noqa: N818 - it is a reason, nothing went wrong
    """An estimator cannot be asked for predictions; the message is the reason."""


def check(estimator: Any) -> None:
    """Raise `Skipped` unless the estimator and all its parts are known to predict without an effect."""
    for part in parts_of(estimator):
        _check(part)
    if not hasattr(estimator, "predict"):
        raise Skipped("it does not predict")


def step_between(estimator: Any, inputs: Any, rows: int) -> int:
    """Every which row is to be predicted: 1 for all of them."""
    most = MOST_COSTLY_ROWS if any(map(_is_costly, parts_of(estimator))) else MOST_ROWS
    if len(getattr(inputs, "shape", ())) > 1 and not is_sparse(inputs):
        most = max(1, min(most, MOST_VALUES // max(1, inputs.shape[1])))
    return -(-rows // most)


def row_count(inputs: Any) -> int:
    """The number of rows; `Skipped` if there are none, or some of them cannot be chosen cheaply."""
    known = type(inputs) is list or is_frame(inputs) or is_sparse(inputs) or type(inputs).__module__ == "numpy"
    if not known or rows_of(inputs, slice(0, 1)) is None:
        raise Skipped(f"rows of a {type(inputs).__qualname__} cannot be chosen cheaply")
    rows = inputs.shape[0] if hasattr(inputs, "shape") else len(inputs)
    if not rows:
        raise Skipped("there are no rows")
    return int(rows)


def asked(predict: Callable[[Any], Any], inputs: Any) -> Any:
    """The result of `predict(inputs)`; `Skipped` if the estimator cannot predict on its own training data."""
    try:
        return predict(inputs)
    except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError) as error:
        raise Skipped(f"predict raised {type(error).__name__}: {error}") from error


@contextmanager
def on_this_thread() -> Iterator[None]:
    """Make joblib run sequentially in this context, so that calls of an estimator start no workers."""
    joblib = sys.modules.get("joblib")
    if joblib is None:
        yield
    else:
        with joblib.parallel_backend("sequential"):
            yield


@contextmanager
def unchanged_random_state() -> Iterator[None]:
    """Restore the global random states of `random` and NumPy on exit.

    Not while other threads of the program run, as these may have drawn numbers in the meantime; autotrack's draw none.
    """
    import random

    numpy = sys.modules.get("numpy")
    before = random.getstate()
    legacy = numpy.random.get_state() if numpy is not None else None
    try:
        yield
    finally:
        if _is_alone():
            if random.getstate() != before:
                random.setstate(before)
            if numpy is not None and not _same_state(numpy.random.get_state(), legacy):
                numpy.random.set_state(legacy)


def _is_alone() -> bool:
    this = threading.current_thread()
    return all(thread is this or thread.name.startswith("autotrack") for thread in threading.enumerate())


def _same_state(now: Any, before: Any) -> bool:
    return bool(now[2:] == before[2:] and (now[1] == before[1]).all())


def _is_costly(part: Any) -> bool:
    kind = type(part)
    if kind.__module__.startswith("sklearn.svm."):
        return kind.__name__ in _KERNEL_MACHINES and part.kernel != "linear"
    return kind.__module__.startswith(_COSTLY) or kind.__name__ == "KNNImputer"


def _check(part: Any) -> None:
    kind = type(part)
    module = kind.__module__
    if module in _BOOSTERS:
        if callable(part.objective):
            raise Skipped("objective is a function, so that predictions are not labels")
        return
    if not module.startswith("sklearn."):
        raise Skipped(f"{kind.__qualname__} is not scikit-learn's own, so its predict is not called unasked")
    if module.split(".")[1] not in _PARTS or kind.__name__ in _DRAWS:
        raise Skipped(f"{kind.__qualname__} is not known to predict without an effect")
    for name, value in part.get_params(deep=False).items():
        if callable(value) and not hasattr(value, "get_params") and not isinstance(value, type):
            raise Skipped(f"{name} is a function that predict would call")
        if name in _CHANGES_DATA and value is False:
            raise Skipped(f"{name}=False lets the fit change the data")
        if name == "n_jobs" and value not in (None, 1) and not module.startswith(_THREADS):
            raise Skipped(f"n_jobs={value} would start workers")
        if name == "verbose" and value and module.startswith(("sklearn.ensemble", "sklearn.multi", "sklearn.compose")):
            raise Skipped("verbose would print")
