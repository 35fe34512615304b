"""Converts results of metric functions: numbers to metrics with short names, everything else to tables."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autotrack.integrations.sklearn.facts import TARGETS
from autotrack.integrations.sklearn.tables import confusion_columns, thinned

MOST_LENGTH = 40

SHORT = {
    "mean_squared_error": "mse", "root_mean_squared_error": "rmse", "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape", "mean_squared_log_error": "msle", "root_mean_squared_log_error": "rmsle",
    "matthews_corrcoef": "mcc", "precision_recall_fscore_support": "prfs", "precision_recall_curve": "pr_curve",
    "matthews_corrcoef_score": "mcc",
}  # fmt: skip

# Options about how to compute, or that show in the shape of the result: not part of the metric's name.
_SILENT = {"zero_division", "n_jobs", "random_state", "output_dict", "digits", "drop_intermediate", "target_names"}
_BY_VALUE = {"average", "multi_class"}

_COLUMNS = {
    "roc_curve": ("fpr", "tpr", "threshold"),
    "precision_recall_curve": ("precision", "recall", "threshold"),
    "det_curve": ("fpr", "fnr", "threshold"),
    "confusion_matrix_at_thresholds": ("tn", "fp", "fn", "tp", "threshold"),
    "precision_recall_fscore_support": ("precision", "recall", "fscore", "support"),
    "homogeneity_completeness_v_measure": ("homogeneity", "completeness", "v_measure"),
    "class_likelihood_ratios": ("positive", "negative"),
}


WEIGHTED = "sample_weight"
"""The last part of the name of a metric with weights of rows, which is not the metric without."""


class Unkept(Exception):  # noqa: N818 - it is a reason, nothing went wrong
    """The result is not recorded; the message is the reason."""


def short_name(function: str) -> str:
    """`accuracy` for `accuracy_score`, `mse` for `mean_squared_error`, and so on."""
    return SHORT.get(function) or function.removesuffix("_score")


def given_to(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the call by parameter name; parameters without an argument are omitted."""
    names = tuple(_parameters(function))
    given = dict(zip(names, args, strict=False))
    given.update(kwargs)
    return given


def variation(function: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """A suffix for the metric's name from the non-default options of the call: `.macro`, `.sample_weight`."""
    parts = []
    for name, parameter in list(_parameters(function).items())[2:]:
        if name not in given or name in _SILENT or given[name] is parameter.default:
            continue
        value = given[name]
        if name == "pos_label" and value is None:
            continue  # scikit-learn's own value where there is no positive class
        if type(value) in (str, int, float, bool) or value is None:
            if type(value) is type(parameter.default) and value == parameter.default:
                continue
            shown = str(value)[:MOST_LENGTH]
            parts.append(shown if name in _BY_VALUE else f"{name}_{shown}")
        else:
            parts.append(WEIGHTED if name == "sample_weight" else name)
    return "".join(f".{part}" for part in parts)


def is_number(value: Any) -> bool:
    """Whether `value` is a single number, also as a zero-dimensional array."""
    return isinstance(value, (int, float)) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0)


def numbers_of(function: str, name: str, result: Any) -> dict[str, Any] | None:
    """The result as metrics by name; None if it is neither a number nor a tuple of numbers with known names."""
    if is_number(result):
        return {name: result}
    if type(result) is tuple and function in _COLUMNS and all(part is None or is_number(part) for part in result):
        short, _, rest = name.partition(".")
        prefix = "" if short in ("prfs", "homogeneity_completeness_v_measure") else f"{short}."
        suffix = f".{rest}" if rest else ""
        named = zip(_COLUMNS[function], result, strict=False)
        return {f"{prefix}{column}{suffix}": value for column, value in named if value is not None}
    return None


def columns_of(function: str, result: Any, given: Mapping[str, Any]) -> tuple[dict[str, list[Any]], str]:
    """The result as the columns of a table, and a note on omitted rows ("" if none). `Unkept` for other types."""
    if function == "confusion_matrix":
        return confusion_columns(result, _labels(given)), ""
    if type(result) is str:
        return {"report": result.splitlines()[:1000]}, ""
    if type(result) is dict:
        return _report_columns(result), ""
    if type(result) is tuple and all(hasattr(part, "tolist") for part in result):
        names = _COLUMNS.get(function) or tuple(f"column_{number}" for number in range(len(result)))
        return thinned(dict(zip(names, result, strict=False)))
    if getattr(result, "ndim", 0) == 1:
        return thinned({short_name(function): result})
    if getattr(result, "ndim", 0) == 3 and result.shape[1:] == (2, 2):
        return thinned({name: result[:, place // 2, place % 2] for place, name in enumerate(("tn", "fp", "fn", "tp"))})
    if getattr(result, "ndim", 0) == 2 and result.size <= 10_000:
        return {str(number): column for number, column in enumerate(result.T.tolist())}, ""
    raise Unkept(f"a {type(result).__qualname__} is not kept")


def data_of(given: Mapping[str, Any]) -> tuple[str, int]:
    """Name and position of the argument that predictions are compared with (targets, else inputs, else the first)."""
    names = list(given)
    for name in (*TARGETS, "labels_true", "X"):
        if name in given:
            return name, names.index(name)
    return (names[0], 0) if names else ("", 0)


@functools.lru_cache(maxsize=256)
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _labels(given: Mapping[str, Any]) -> Any:
    labels = given.get("labels")
    if labels is not None:
        return labels
    import numpy

    values = [numpy.asarray(given[name]) for name in ("y_true", "y_pred") if name in given]
    return numpy.unique(numpy.concatenate(values)) if len(values) == 2 else None


def _report_columns(report: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The dictionary of a classification report as a table with a row per class and average."""
    rows = {str(label): scores for label, scores in report.items() if isinstance(scores, Mapping)}
    names = list(dict.fromkeys(name for scores in rows.values() for name in scores))
    columns: dict[str, list[Any]] = {"class": list(rows)}
    columns.update({str(name): [scores.get(name) for scores in rows.values()] for name in names})
    for label, value in report.items():
        if not isinstance(value, Mapping):
            columns["class"].append(str(label))
            for position, name in enumerate(names):
                columns[str(name)].append(value if position == 0 else None)
    return columns
