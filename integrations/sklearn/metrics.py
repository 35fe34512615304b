"""Training metrics that autotrack computes itself, where asking the model for predictions has no effect.

Names say exactly what was computed. `f1.macro`, `precision.macro` and `recall.macro` are means over the classes; `f1`,
`precision` and `recall`, for two classes of which one is 1, are those of that class, as scikit-learn's functions give
them by default. With the weights of the fit a name ends in `.sample_weight`, from a part of the rows in `.sampled`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from autotrack.integrations.sklearn import tables
from autotrack.integrations.sklearn.facts import parts_of
from autotrack.integrations.sklearn.predicting import (
    Skipped,
    asked,
    check,
    on_this_thread,
    row_count,
    step_between,
    unchanged_random_state,
)
from autotrack.integrations.sklearn.results import WEIGHTED
from autotrack.models.signature import rows_of

_SEMI_SUPERVISED = "sklearn.semi_supervised."
UNLABELLED = -1  # by which scikit-learn's semi-supervised estimators know rows without a label


@dataclass
class Computed:
    """Training metrics and tables by name (without `train/`); `rows` describes the rows used, "" for all of them."""

    values: dict[str, float]
    rows: str = ""
    tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)


@dataclass
class _Judged:
    """Metrics, with the targets, predictions and scores from which tables can be made."""

    values: dict[str, float]
    target: Any = None
    predicted: Any = None
    scores: Any = None
    classes: Any = None


def compute(estimator: Any, inputs: Any, target: Any, weights: Any = None) -> Computed:
    """Training metrics and, from the same predictions, confusion matrix, curves and residuals.

    `weights` are those of the rows in the fit, of shape (rows,). `Skipped` if nothing can be computed.
    """
    check(estimator)
    rows = row_count(inputs)
    step = step_between(estimator, inputs, rows)
    with unchanged_random_state(), on_this_thread():
        some = [_every(step, inputs), _every(step, _column(target)), _every(step, _weights(weights, rows))]
        some, labelled = _labelled(estimator, *some)
        judged = _judged(estimator, *some)
    suffix = ("" if some[2] is None else f".{WEIGHTED}") + ("" if step == 1 else ".sampled")
    computed = Computed({f"{name}{suffix}": value for name, value in judged.values.items()})
    if step > 1:
        computed.rows = f"{-(-rows // step):,} of {rows:,} rows, evenly spaced"
    if labelled:
        computed.rows = f"{labelled} of {computed.rows or f'{rows:,} rows'}"
    _add_tables(computed, judged)
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


def _every(step: int, data: Any) -> Any:
    return data if data is None or step == 1 else rows_of(data, slice(None, None, step))


def _column(target: Any) -> Any:
    """Labels as an array; a frame or an array of one column as that column."""
    import numpy

    if target is None:
        return None
    values = numpy.asarray(target)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _weights(weights: Any, rows: int) -> Any:
    import numpy

    if weights is None:
        return None
    found = numpy.asarray(weights, dtype=float)
    if found.shape != (rows,) or not found.sum() > 0:
        raise Skipped(f"weights of shape {found.shape} for {rows:,} rows, or without a sum")
    return found


def _labelled(estimator: Any, inputs: Any, target: Any, weights: Any) -> tuple[list[Any], str]:
    """The rows that have a label, and their number as text; all rows and "" if the estimator knows no others."""
    import numpy

    some = [inputs, target, weights]
    if target is None or not any(type(part).__module__.startswith(_SEMI_SUPERVISED) for part in parts_of(estimator)):
        return some, ""
    there = numpy.flatnonzero(target != UNLABELLED)
    if len(there) == len(target):
        return some, ""
    if not len(there):
        raise Skipped("no row has a label")
    return [_chosen(part, there) for part in some], f"{len(there):,} labelled"


def _chosen(data: Any, rows: Any) -> Any:
    if data is None:
        return None
    return [data[row] for row in rows] if type(data) is list else rows_of(data, rows)


def _add_tables(computed: Computed, judged: _Judged) -> None:
    """Add confusion matrix and curves of a classifier, or residuals of a regressor."""
    target, predicted, scores = judged.target, judged.predicted, judged.scores
    if target is None or predicted is None or target.ndim != 1:
        return
    if judged.classes is None:
        computed.tables["residuals"] = tables.residuals(target, predicted)
        return
    computed.tables["confusion_matrix"] = tables.confusion(target, predicted)
    if scores is not None and len(judged.classes) > 1:
        computed.tables.update(tables.curves(target, scores, judged.classes))


def _judged(estimator: Any, inputs: Any, target: Any, weights: Any) -> _Judged:
    import numpy

    base = sys.modules["sklearn.base"]
    with numpy.errstate(all="ignore"):
        if target is not None and base.is_classifier(estimator):
            return _classified(estimator, inputs, target, weights)
        if target is not None and base.is_regressor(estimator):
            predicted = numpy.asarray(asked(estimator.predict, inputs), float)
            return _regressed(numpy.asarray(target, dtype=float), predicted, weights)
        if base.is_outlier_detector(estimator):
            outliers = numpy.asarray(asked(estimator.predict, inputs)) == -1
            return _Judged({"outlier_fraction": float(numpy.average(outliers, weights=weights))})
        if getattr(estimator, "_estimator_type", "") == "clusterer" or hasattr(estimator, "labels_"):
            return _Judged({"clusters": float(len(numpy.unique(numpy.asarray(asked(estimator.predict, inputs)))))})
    raise Skipped("there is nothing to compare its predictions with")


def _classified(estimator: Any, inputs: Any, target: Any, weights: Any) -> _Judged:
    """Accuracy, precision, recall, F1 and the log loss (natural logarithm); of several outputs the subset accuracy."""
    import numpy

    predicted = _column(asked(estimator.predict, inputs))
    if predicted.shape != target.shape:
        raise Skipped("its predictions are not shaped like the labels")
    if target.ndim > 1:
        right = (predicted == target).all(axis=tuple(range(1, target.ndim)))
        return _Judged({"accuracy": float(numpy.average(right, weights=weights))}, target, predicted, classes=())
    values = {"accuracy": float(numpy.average(predicted == target, weights=weights))}
    values.update(_per_class(target, predicted, weights))
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, numpy.ndarray) or classes.ndim != 1:
        return _Judged(values, target, predicted, classes=())
    found = _scores(estimator, "predict_proba", inputs)
    if found is not None and found.shape == (len(target), len(classes)):
        columns = numpy.minimum(numpy.searchsorted(classes, target), len(classes) - 1)
        right = found[numpy.arange(len(target)), columns]
        losses = numpy.log(numpy.clip(right, numpy.finfo(float).eps, 1.0))
        values["log_loss"] = float(-numpy.average(losses, weights=weights))
        return _Judged(values, target, predicted, found, classes)
    found = _scores(estimator, "decision_function", inputs)
    fits = found is not None and found.shape in ((len(target),), (len(target), len(classes)))
    return _Judged(values, target, predicted, found if fits else None, classes)


def _per_class(target: Any, predicted: Any, weights: Any) -> dict[str, float]:
    """Precision, recall and F1: their means over the classes, and those of the class 1 if there are two."""
    import numpy

    labels, codes = numpy.unique(numpy.concatenate([target, predicted]), return_inverse=True)
    true, said = codes[: len(target)], codes[len(target) :]

    def sums(chosen: Any, which: Any) -> Any:
        return numpy.bincount(chosen, None if weights is None else weights[which], minlength=len(labels)).astype(float)

    hits = sums(true[true == said], true == said)
    every = slice(None)
    precision = hits / numpy.maximum(sums(said, every), 1e-300)
    recall = hits / numpy.maximum(sums(true, every), 1e-300)
    both = precision + recall
    scores = {"precision": precision, "recall": recall, "f1": 2 * precision * recall / numpy.where(both > 0, both, 1)}
    values = {f"{name}.macro": float(found.mean()) for name, found in scores.items()}
    if len(labels) <= 2 and labels.dtype.kind in "biuf" and (labels == 1).any():
        values.update({name: float(found[labels == 1][0]) for name, found in scores.items()})
    return values


def _scores(estimator: Any, method: str, inputs: Any) -> Any:
    import numpy

    ask: Callable[[Any], Any] | None = getattr(estimator, method, None)
    return None if ask is None else numpy.asarray(asked(ask, inputs), dtype=float)


def _regressed(target: Any, predicted: Any, weights: Any) -> _Judged:
    """R² (mean over columns of 1 - residual / total sum of squares, NaN for one row), RMSE and MAE."""
    import numpy

    if predicted.shape != target.shape:
        predicted = predicted.reshape(target.shape)
    residual = target - predicted
    mean = numpy.average(target, axis=0, weights=weights)
    total, squares = (numpy.average(part**2, axis=0, weights=weights) for part in (target - mean, residual))
    r2 = numpy.where(total > 0, 1 - squares / numpy.where(total > 0, total, 1), numpy.where(squares > 0, 0.0, 1.0))
    values = {
        "r2": float(numpy.mean(r2)) if len(target) > 1 else float("nan"),
        "rmse": float(numpy.sqrt(numpy.mean(squares))),
        "mae": float(numpy.mean(numpy.average(numpy.abs(residual), axis=0, weights=weights))),
    }
    return _Judged(values, target, predicted)
