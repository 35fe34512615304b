"""Records what an estimator says that its fit found: the best threshold, the number of features, the chosen penalty.

Only attributes that the fit left are read; nothing is computed. Params are named `best.…`, as in `best.threshold`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from autotrack.integrations.sklearn.facts import last_step
from autotrack.integrations.sklearn.tables import thinned
from autotrack.recording.lifecycle.trainings import Training

MOST_VALUES = 20
MOST_COLUMNS = 50

_BEST = re.compile(r"best_(\w+)_")

# Attributes that say what a fit chose, unless that is what the estimator was given.
_CHOSEN = (
    "n_features_", "n_features_to_select_", "threshold_", "n_nonzero_coefs_", "bandwidth_", "n_components_",
    "n_clusters_", "n_estimators_",
)  # fmt: skip

# Attributes that are chosen only by estimators that select a model; others learn, or are given, what is called so.
_SELECTED = ("alpha_", "l1_ratio_", "C_")
_SELECTING = re.compile(r"CV$|IC$")


def log_findings(training: Training, estimator: Any) -> None:
    """Record what the estimator found: params `best.*`, the metric `best_score`, tables of what was tried."""
    last = last_step(estimator)
    found = chosen_by(last)
    score = found.pop("score", None)
    if found:
        training.log_params({"best": found}, origin="default")
    if isinstance(score, (int, float)):
        training.log({"best_score": score})
    for name, columns in _tables(vars(last)).items():
        table, left_out = thinned(columns)
        training.log_evaluation(name, table, {"rows": left_out} if left_out else {})


def chosen_by(estimator: Any) -> dict[str, Any]:
    """What the fit chose, by name without `best_` and the underscore at the end: numbers, and short lists of them."""
    attributes = vars(estimator)
    names = _CHOSEN + (_SELECTED if _SELECTING.search(type(estimator).__name__) else ())
    values = {match[1]: value for name, value in attributes.items() if (match := _BEST.fullmatch(name))}
    for name in names:
        if name in attributes:
            values.setdefault(name[:-1], attributes[name])
    found = {name: _short(value) for name, value in values.items()}
    given = {name: attributes.get(name) for name in found}
    return {
        name: value for name, value in found.items()
        if value is not None and not (type(given[name]) is type(value) and given[name] == value)
    }  # fmt: skip


def _short(value: Any) -> Any:
    """A number, text or short list of them, as Python values; None for anything else."""
    if isinstance(value, (bool, int, float, str)):
        return value
    if getattr(value, "ndim", None) in (0, 1) and value.dtype.kind in "biuf":
        size = int(value.size)
        return value.item() if size == 1 else value.tolist() if size <= MOST_VALUES else None
    return None


def _tables(attributes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was tried: the columns of `cv_results_`; the error of each penalty on a path, over the folds."""
    tables: dict[str, dict[str, Any]] = {}
    results = attributes.get("cv_results_")
    if isinstance(results, Mapping):
        columns = {str(name): values for name, values in results.items() if getattr(values, "ndim", 0) == 1}
        length = max(map(len, columns.values()), default=0)
        kept = [name for name, values in columns.items() if len(values) == length and values.dtype.kind in "biufUS"]
        if kept:
            tables["cv_results"] = {name: columns[name] for name in kept[:MOST_COLUMNS]}
    errors, penalties = attributes.get("mse_path_"), attributes.get("alphas_")
    if getattr(errors, "ndim", 0) == 2 and getattr(penalties, "shape", None) == errors.shape[:1]:  # type: ignore[union-attr]
        path = {"alpha": penalties, "mse.mean": errors.mean(axis=1), "mse.std": errors.std(axis=1)}  # type: ignore[union-attr]
        tables["cv_results"] = path
    return tables
