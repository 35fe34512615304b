"""Results that are not one number, as small tables: confusion matrix, curves, residuals, importances.

Their length is bounded: curves and residuals keep evenly spaced rows, including the first and the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_POINTS = 200
MOST_CLASSES = 50
MOST_CURVES = 10
POINTS_PER_CURVE = 50
MOST_FEATURES = 100


def thinned(columns: Mapping[str, Any], most: int = MOST_POINTS) -> tuple[dict[str, list[Any]], str]:
    """Columns as lists of at most `most` evenly spaced rows, and a note on omitted rows ("" if none).

    Shorter columns are padded with None at the end.
    """
    length = max((len(values) for values in columns.values()), default=0)
    chosen = _evenly(length, most)
    table = {name: _taken(values, chosen, length) for name, values in columns.items()}
    return table, "" if length <= most else f"{len(chosen)} of {length:,} rows, evenly spaced"


def confusion_columns(matrix: Any, labels: Any) -> dict[str, list[Any]]:
    """A confusion matrix: a row per true class (`true`), a column per predicted one.

    With more than `MOST_CLASSES` classes, the last row and column hold the sums of the remaining ones.
    """
    import numpy

    count = len(matrix)
    names = [str(label) for label in (labels if labels is not None and len(labels) == count else range(count))]
    kept = numpy.asarray(matrix)
    if count > MOST_CLASSES:
        first = MOST_CLASSES - 1
        kept = numpy.add.reduceat(numpy.add.reduceat(kept, [*range(first), first], axis=0), [*range(first), first], 1)
        names = [*names[:first], f"{count - first} others"]
    columns: dict[str, list[Any]] = {"true": names}
    for name, column in zip(names, kept.T.tolist(), strict=True):
        columns[name if name != "true" else "predicted true"] = column
    return columns


def confusion(target: Any, predicted: Any) -> dict[str, list[Any]]:
    """The confusion matrix of one-dimensional labels, as counts."""
    import numpy

    labels, codes = numpy.unique(numpy.concatenate([target, predicted]), return_inverse=True)
    true, said = codes[: len(target)], codes[len(target) :]
    counts = numpy.bincount(true * len(labels) + said, minlength=len(labels) ** 2)
    return confusion_columns(counts.reshape(len(labels), len(labels)), labels)


def curves(target: Any, scores: Any, classes: Any) -> dict[str, dict[str, list[Any]]]:
    """ROC and precision-recall curves: of the second of two classes, else of each class against the rest.

    Only the first `MOST_CURVES` classes get curves. `scores` has shape (n,) or (n, classes). Columns: `class`, the two
    axes, `threshold`.
    """
    import numpy

    scores = scores[:, 1] if scores.ndim == 2 and scores.shape[1] == 2 else scores
    asked = [(classes[1], scores)] if scores.ndim == 1 else list(zip(classes, scores.T, strict=True))[:MOST_CURVES]
    roc: dict[str, list[Any]] = {"class": [], "fpr": [], "tpr": [], "threshold": []}
    pr: dict[str, list[Any]] = {"class": [], "recall": [], "precision": [], "threshold": []}
    most = MOST_POINTS if len(asked) == 1 else POINTS_PER_CURVE
    for label, score in asked:
        positive = target == label
        order = numpy.argsort(-score, kind="stable")
        ends = numpy.flatnonzero(numpy.append(numpy.diff(score[order]) != 0, True))
        hits = numpy.cumsum(positive[order])[ends]
        said = ends + 1
        of_these, of_others = int(hits[-1]), len(positive) - int(hits[-1])
        if not of_these or not of_others:
            continue
        thresholds = score[order][ends]
        fpr, tpr = (said - hits) / of_others, hits / of_these
        zero = numpy.zeros(1)
        _extend(roc, label, most, numpy.append(zero, fpr), numpy.append(zero, tpr), numpy.append(numpy.inf, thresholds))
        _extend(pr, label, most, tpr, hits / said, thresholds)
    return {name: table for name, table in (("roc_curve", roc), ("pr_curve", pr)) if table["class"]}


def residuals(target: Any, predicted: Any) -> dict[str, list[Any]]:
    """True and predicted values and their difference, of evenly spaced rows."""
    table, _ = thinned({"true": target, "predicted": predicted, "residual": target - predicted})
    return table


def ranked(names: Any, values: Any, column: str, rows: Any = None) -> tuple[dict[str, list[Any]], str]:
    """At most `MOST_FEATURES` features by absolute importance or coefficient, largest first, and a note on omissions.

    `values` has shape (features,), or (classes, features) with the class names in `rows`: then features are ordered by
    the mean of their absolute values.
    """
    import numpy

    table = numpy.atleast_2d(numpy.asarray(values, dtype=float))
    size = numpy.abs(table).mean(axis=0)
    count = len(size)
    best = (
        numpy.argpartition(-size, MOST_FEATURES - 1)[:MOST_FEATURES] if count > MOST_FEATURES else numpy.arange(count)
    )
    best = best[numpy.argsort(-size[best], kind="stable")].tolist()
    columns: dict[str, list[Any]] = {
        "feature": [str(names[number]) if names is not None else f"x{number}" for number in best]
    }
    for row, part in enumerate(table[:MOST_CURVES]):
        label = rows[row] if rows is not None and len(rows) == len(table) else row
        columns[column if len(table) == 1 else f"{column}.{label}"] = part[best].tolist()
    left_out = [f"{MOST_FEATURES} of {count:,} features, the largest"] if count > MOST_FEATURES else []
    left_out += [f"{MOST_CURVES} of {len(table)} rows"] if len(table) > MOST_CURVES else []
    return columns, "; ".join(left_out)


def _extend(table: dict[str, list[Any]], label: Any, most: int, *values: Any) -> None:
    chosen = _evenly(len(values[0]), most)
    table["class"] += [str(label)] * len(chosen)
    for name, column in zip(list(table)[1:], values, strict=True):
        table[name] += column[chosen].tolist()


def _evenly(length: int, most: int) -> list[int]:
    if length <= most:
        return list(range(length))
    return sorted({round(number * (length - 1) / (most - 1)) for number in range(most)})


def _taken(values: Any, chosen: list[int], length: int) -> list[Any]:
    listed = values[[number for number in chosen if number < len(values)]] if hasattr(values, "tolist") else None
    taken = list(values) if listed is None else listed.tolist()
    return taken + [None] * (len(chosen) - len(taken))
