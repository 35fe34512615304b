"""Logs the metrics per iteration that a fitted estimator keeps in its attributes (`loss_curve_`, `evals_result_`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from autotrack.integrations.sklearn.facts import Arguments
from autotrack.recording.lifecycle.trainings import Training
from autotrack.recording.same_data import same_data

MOST_ITERATIONS = 1_000
_BOOSTERS = ("xgboost.sklearn", "lightgbm.sklearn")

# Attributes of scikit-learn's own estimators with one value per iteration, and their metrics.
_CURVES = {
    "loss_curve_": "train/loss",
    "train_score_": "train/score",
    "validation_score_": "val/score",
    "validation_scores_": "val/score",
}


def log_iterations(training: Training, estimator: Any, given: Arguments) -> set[str]:
    """Log the metrics of each iteration (of many, about `MOST_ITERATIONS` evenly spaced ones); returns the keys."""
    curves = _evaluation_sets(estimator, given) | _own_curves(estimator)
    length = max(map(len, curves.values()), default=0)
    if not length:
        return set()
    step = -(-length // MOST_ITERATIONS)
    for number in sorted({*range(0, length, step), length - 1}):
        training.log({key: values[number] for key, values in curves.items() if number < len(values)}, number)
    if step > 1:
        training.report("metrics per iteration", f"every {step}th of {length:,} iterations is kept", level="info")
    best = _best(estimator, curves)
    if best is not None:
        training.log_params({"end": {"best_iteration": best.number, "best_metric": best.key}})
        training.log({"best_score": best.score}, best.step)
    return set(curves)


class _Best(NamedTuple):
    """The best iteration of a booster: its number as the library counts, its step from 0, and by which metric."""

    number: int
    step: int
    key: str
    score: float


def _best(estimator: Any, curves: Mapping[str, list[float]]) -> _Best | None:
    """What early stopping of XGBoost or LightGBM chose, in the words of their native interfaces; None without it.

    XGBoost judges by the last metric of the last set; LightGBM's choice is named by its first one of validation data.
    """
    held = [key for key in curves if not key.startswith("train/")] or list(curves)
    first, key = (1, held[0]) if type(estimator).__module__.startswith("lightgbm.") else (0, list(curves)[-1])
    name = "best_iteration_" if first else "best_iteration"
    number = getattr(estimator, name, None) if type(estimator).__module__.startswith(_BOOSTERS) else None
    if not isinstance(number, int) or not first <= number < len(curves[key]) + first:
        return None
    return _Best(number, number - first, key, curves[key][number - first])


def _own_curves(estimator: Any) -> dict[str, list[float]]:
    kept: dict[str, list[float]] = {}
    for attribute, key in _CURVES.items():
        values = vars(estimator).get(attribute)
        listed = values.tolist() if getattr(values, "ndim", 0) == 1 else values
        if type(listed) is list and len(listed) > 1 and all(isinstance(value, float) for value in listed):
            kept[key] = listed
    return kept


def _evaluation_sets(estimator: Any, given: Arguments) -> dict[str, list[float]]:
    """The curves in XGBoost's and LightGBM's `evals_result_`, by metric name prefixed with the role of the set."""
    attributes = vars(estimator)
    kept = attributes.get("evals_result_") or attributes.get("_evals_result")
    if not isinstance(kept, Mapping):
        return {}
    sets = [(name, scores) for name, scores in kept.items() if isinstance(scores, Mapping)]
    data = _data_of_sets(given)
    in_training = [
        name == "training" or (position < len(data) and same_data(data[position], given.inputs))
        for position, (name, _) in enumerate(sets)
    ]
    several = len(sets) - sum(in_training) > 1
    curves: dict[str, list[float]] = {}
    for (name, scores), trained in zip(sets, in_training, strict=True):
        prefix = "train" if trained else f"val/{name}" if several else "val"
        for metric, values in scores.items():
            curves[f"{prefix}/{metric}"] = list(map(float, values))
    return curves


def _data_of_sets(given: Arguments) -> list[Any]:
    pairs: Any = given.rest.get("eval_set")
    if type(pairs) is tuple and len(pairs) == 2 and not isinstance(pairs[0], tuple):
        pairs = [pairs]
    if type(pairs) in (list, tuple):
        return [pair[0] for pair in pairs if type(pair) in (list, tuple) and pair]
    inputs: Any = given.rest.get("eval_X")
    return list(inputs) if type(inputs) in (list, tuple) else [] if inputs is None else [inputs]
