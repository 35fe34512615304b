"""Training metrics that autotrack computes itself, only where calling `predict` has no side effects.

This holds for scikit-learn's own estimators, composed of its own parts, without user-defined callables, without
processes that `predict` would start, and on data that the fit did not change. For everything else `compute` raises
`Skipped` with the reason.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from autotrack.integrations.sklearn import tables
from autotrack.integrations.sklearn.facts import parts_of
from autotrack.models.signature import is_frame, is_sparse, rows_of

MOST_ROWS = 5_000
MOST_VALUES = 500_000
PROBES = (100, 1000)
OUT_OF_TIME = "the time for our own work was used up"

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


class Skipped(Exception):  # noqa: N818 - it is a reason, nothing went wrong
    """Training metrics cannot be computed; the message is the reason."""


@dataclass
class Computed:
    """Training metrics and tables by name (without `train/`).

    `sample` describes the rows used ("" for all of them), `skipped` names the tables left out for lack of time.
    """

    values: dict[str, float]
    sample: str = ""
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


@dataclass
class _Judged:
    """Metrics, with the targets, predictions and scores from which tables can be made."""

    values: dict[str, float]
    target: Any = None
    predicted: Any = None
    scores: Any = None
    classes: Any = None


def compute(estimator: Any, inputs: Any, target: Any, deadline: float) -> Computed:
    """Training metrics and, from the same predictions, confusion matrix, curves and residuals.

    `deadline` is in the thread's CPU time (`time.thread_time()`). `Skipped` if they cannot be computed.
    """
    for part in parts_of(estimator):
        _check(part)
    if not hasattr(estimator, "predict"):
        raise Skipped("it does not predict")
    rows = _row_count(inputs)
    with unchanged_random_state(), on_this_thread():
        step = math.ceil(rows / _affordable_rows(estimator, inputs, rows, deadline))
        some = rows_of(inputs, slice(None, None, step)) if step > 1 else inputs
        wanted = rows_of(target, slice(None, None, step)) if step > 1 and target is not None else target
        judged = _judged(estimator, some, wanted)
    sample = "" if step == 1 else f"{math.ceil(rows / step):,} of {rows:,} rows, evenly spaced"
    computed = Computed(judged.values, sample)
    _add_tables(computed, judged, deadline)
    return computed


def learned(estimator: Any) -> dict[str, float]:
    """Scalar results of the fit in the estimator's attributes (iterations, loss, inertia); computes nothing."""
    found: dict[str, float] = {}
    for attribute in ("n_iter_", "loss_", "inertia_", "oob_score_", "lower_bound_"):
        value = vars(estimator).get(attribute)
        item = getattr(value, "item", None)
        if item is not None and getattr(value, "size", 0) == 1:
            value = item()
        if isinstance(value, (int, float)):
            found[attribute.strip("_")] = value
    return found


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


def _check(part: Any) -> None:
    kind = type(part)
    module = kind.__module__
    if not module.startswith("sklearn."):
        raise Skipped(f"{kind.__qualname__} is not scikit-learn's own, so its predict is not called unasked")
    if module.split(".")[1] not in _PARTS or kind.__name__ in _DRAWS:
        raise Skipped(f"{kind.__qualname__} is not known to predict without an effect")
    for name, value in part.get_params(deep=False).items():
        if callable(value) and not hasattr(value, "get_params"):
            raise Skipped(f"{name} is a function that predict would call")
        if name in _CHANGES_DATA and value is False:
            raise Skipped(f"{name}=False lets the fit change the data")
        if name == "n_jobs" and value not in (None, 1) and not module.startswith(_THREADS):
            raise Skipped(f"n_jobs={value} would start workers")
        if name == "verbose" and value and module.startswith(("sklearn.ensemble", "sklearn.multi", "sklearn.compose")):
            raise Skipped("verbose would print")


def _row_count(inputs: Any) -> int:
    known = type(inputs) is list or is_frame(inputs) or is_sparse(inputs) or type(inputs).__module__ == "numpy"
    if not known or rows_of(inputs, slice(0, 1)) is None:
        raise Skipped(f"rows of a {type(inputs).__qualname__} cannot be chosen cheaply")
    rows = inputs.shape[0] if hasattr(inputs, "shape") else len(inputs)
    if not rows:
        raise Skipped("there are no rows")
    return int(rows)


def _affordable_rows(estimator: Any, inputs: Any, rows: int, deadline: float) -> int:
    """How many rows can be predicted three times before the deadline, extrapolated from timed calls on a few rows."""
    width = inputs.shape[1] if len(getattr(inputs, "shape", ())) > 1 else 1
    most = min(rows, MOST_ROWS, max(PROBES[0], MOST_VALUES // max(1, width)))
    few = _time_of_predicting(estimator, inputs, PROBES[0], deadline)
    fixed, per_row = 0.0, few / PROBES[0]
    if most > PROBES[1] and time.thread_time() + few * PROBES[1] / PROBES[0] < deadline:
        more = _time_of_predicting(estimator, inputs, PROBES[1], deadline)
        per_row = max(more - few, 1e-9) / (PROBES[1] - PROBES[0])
        fixed = max(0.0, few - per_row * PROBES[0])
    affordable = int(((deadline - time.thread_time()) / 3 - fixed) / max(per_row, 1e-9))
    if affordable < min(rows, PROBES[0]):
        raise Skipped(OUT_OF_TIME)
    return min(most, affordable)


def _time_of_predicting(estimator: Any, inputs: Any, rows: int, deadline: float) -> float:
    begun = time.thread_time()
    if begun >= deadline:
        raise Skipped(OUT_OF_TIME)
    _asked(estimator.predict, rows_of(inputs, slice(0, rows)))
    return time.thread_time() - begun


def _asked(predict: Callable[[Any], Any], inputs: Any) -> Any:
    """The result of `predict(inputs)`; `Skipped` if the estimator cannot predict on its own training data."""
    try:
        return predict(inputs)
    except (ValueError, TypeError, AttributeError, ArithmeticError, LookupError) as error:
        raise Skipped(f"predict raised {type(error).__name__}: {error}") from error


def _add_tables(computed: Computed, judged: _Judged, deadline: float) -> None:
    """Add confusion matrix and curves of a classifier or residuals of a regressor, until the deadline."""
    target, predicted, scores = judged.target, judged.predicted, judged.scores
    makers: dict[str, Callable[[], dict[str, dict[str, list[Any]]]]] = {}
    if judged.classes is not None:
        makers["confusion matrix"] = lambda: {"confusion_matrix": tables.confusion(target, predicted)}
        if scores is not None and len(judged.classes) > 1:
            makers["ROC and precision-recall curves"] = lambda: tables.curves(target, scores, judged.classes)
    elif predicted is not None and target.ndim == 1:
        makers["residuals"] = lambda: {"residuals": tables.residuals(target, predicted)}
    for name, make in makers.items():
        if time.thread_time() < deadline:
            computed.tables.update(make())
        else:
            computed.skipped.append(name)


def _judged(estimator: Any, inputs: Any, target: Any) -> _Judged:
    import numpy

    base = sys.modules["sklearn.base"]
    with numpy.errstate(all="ignore"):
        if target is not None and base.is_classifier(estimator):
            return _classified(estimator, inputs, numpy.asarray(target))
        if target is not None and base.is_regressor(estimator):
            return _regressed(
                numpy.asarray(target, dtype=float), numpy.asarray(_asked(estimator.predict, inputs), float)
            )
        if base.is_outlier_detector(estimator):
            outliers = numpy.asarray(_asked(estimator.predict, inputs)) == -1
            return _Judged({"outlier_fraction": float(numpy.mean(outliers))})
        if getattr(estimator, "_estimator_type", "") == "clusterer" or hasattr(estimator, "labels_"):
            return _Judged({"clusters": float(len(numpy.unique(numpy.asarray(_asked(estimator.predict, inputs)))))})
    raise Skipped("there is nothing to compare its predictions with")


def _classified(estimator: Any, inputs: Any, target: Any) -> _Judged:
    """Accuracy, macro averages of precision, recall and F1, and the log loss (natural logarithm)."""
    import numpy

    if target.ndim != 1:
        raise Skipped("labels of several columns")
    predicted = numpy.asarray(_asked(estimator.predict, inputs))
    if predicted.shape != target.shape:
        raise Skipped("its predictions are not shaped like the labels")
    scores: list[tuple[float, float, float]] = []
    for label in numpy.union1d(target, predicted):
        true, said = target == label, predicted == label
        hits = float(numpy.count_nonzero(true & said))
        precision = hits / max(1.0, float(numpy.count_nonzero(said)))
        recall = hits / max(1.0, float(numpy.count_nonzero(true)))
        scores.append((precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0))
    means = numpy.mean(scores, axis=0)
    values = {"accuracy": float(numpy.mean(predicted == target))}
    values.update(zip(("precision", "recall", "f1"), map(float, means), strict=True))
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, numpy.ndarray) or classes.ndim != 1:
        return _Judged(values, target, predicted, classes=())
    found = _scores(estimator, "predict_proba", inputs)
    if found is not None and found.shape == (len(target), len(classes)):
        columns = numpy.minimum(numpy.searchsorted(classes, target), len(classes) - 1)
        right = found[numpy.arange(len(target)), columns]
        values["log_loss"] = float(-numpy.mean(numpy.log(numpy.clip(right, numpy.finfo(float).eps, 1.0))))
        return _Judged(values, target, predicted, found, classes)
    found = _scores(estimator, "decision_function", inputs)
    fits = found is not None and found.shape in ((len(target),), (len(target), len(classes)))
    return _Judged(values, target, predicted, found if fits else None, classes)


def _scores(estimator: Any, method: str, inputs: Any) -> Any:
    import numpy

    ask: Callable[[Any], Any] | None = getattr(estimator, method, None)
    return None if ask is None else numpy.asarray(_asked(ask, inputs), dtype=float)


def _regressed(target: Any, predicted: Any) -> _Judged:
    """R² (mean over columns of 1 - residual / total sum of squares), RMSE and MAE."""
    import numpy

    if predicted.shape != target.shape:
        predicted = predicted.reshape(target.shape)
    residual = target - predicted
    total = numpy.sum((target - target.mean(axis=0)) ** 2, axis=0)
    squares = numpy.sum(residual**2, axis=0)
    r2 = numpy.where(total > 0, 1 - squares / numpy.where(total > 0, total, 1), numpy.where(squares > 0, 0.0, 1.0))
    values = {
        "r2": float(numpy.mean(r2)),
        "rmse": float(numpy.sqrt(numpy.mean(residual**2))),
        "mae": float(numpy.mean(numpy.abs(residual))),
    }
    return _Judged(values, target, predicted)
