"""Feature importances or coefficients of a fitted model, the largest first.

Attributes that the fit set on the estimator are read. Importances that are computed on access (properties) are read
only from known libraries, and from forests only where that is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from autotrack.integrations.sklearn import tables
from autotrack.integrations.sklearn.predicting import on_this_thread
from autotrack.models.signature import is_frame, is_sparse

MOST_VALUES = 2_000_000
MOST_NODES = 200_000
_KNOWN = ("sklearn.", "xgboost.", "lightgbm.")


@dataclass
class Importances:
    """A named table of importances; `left_out` describes omitted rows or columns, `skipped` why there is no table."""

    name: str = ""
    columns: dict[str, list[Any]] = field(default_factory=dict)
    left_out: str = ""
    skipped: str = ""


def importances_of(estimator: Any, inputs: Any) -> Importances:
    """The importances, else the coefficients, of an estimator or the last step of a pipeline; empty without both."""
    model = estimator
    while type(model).__module__ == "sklearn.pipeline" and getattr(model, "steps", None):
        model = model.steps[-1][1]
    name, column = "feature_importances", "importance"
    found: Any = vars(model).get("feature_importances_") if hasattr(model, "__dict__") else None
    if found is None and hasattr(type(model), "feature_importances_"):
        reason = _why_not(model)
        if reason:
            return Importances(skipped=reason)
        found = _asked(model)
    if found is None:
        name, column = "coefficients", "coefficient"
        found = vars(model).get("coef_") if hasattr(model, "__dict__") else None
    if is_sparse(found):
        return Importances(skipped="the coefficients are sparse")
    if not hasattr(found, "dtype") or found.dtype.kind not in "fiu" or not 0 < found.ndim <= 2 or not found.size:
        return Importances()
    if found.size > MOST_VALUES:
        return Importances(skipped=f"there are {found.size:,} {name}")
    names = _names(model, inputs if model is estimator else None, found.shape[-1])
    columns, left_out = tables.ranked(names, found, column, getattr(model, "classes_", None))
    return Importances(name, columns, left_out)


def _why_not(model: Any) -> str:
    if not type(model).__module__.startswith(_KNOWN):
        return f"{type(model).__qualname__} would have to work them out, and is not known to do that without an effect"
    trees = vars(model).get("estimators_")
    nodes = 0
    for tree in getattr(trees, "flat", trees) if trees is not None else ():
        nodes += getattr(getattr(tree, "tree_", None), "node_count", 0)
        if nodes > MOST_NODES:
            return f"its trees have more than {MOST_NODES:,} nodes to work them out from"
    return ""


def _asked(model: Any) -> Any:
    try:
        with on_this_thread():
            return model.feature_importances_
    except (AttributeError, ValueError, TypeError, KeyError):  # for example of a linear booster
        return None


def _names(model: Any, inputs: Any, count: int) -> list[str] | None:
    names = vars(model).get("feature_names_in_")
    if names is None and is_frame(inputs):
        names = list(inputs.columns)
    return [str(name) for name in names] if names is not None and len(names) == count else None
