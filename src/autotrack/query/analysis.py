"""Questions about many runs at once: the best one, the Pareto front, groups that differ in a parameter only."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from autotrack.exceptions import InvalidValueError, NotFoundError
from autotrack.query.columns import column, metrics_of, numbers, qualified
from autotrack.query.fields import AGGREGATES
from autotrack.query.groups import Groups
from autotrack.query.pareto import non_dominated
from autotrack.query.selection import Selection

Sense: TypeAlias = Literal["min", "max"]

LESS_IS_BETTER = (
    "loss", "error", "err", "mse", "rmse", "mae", "mape", "rmsle", "msle", "wer", "cer", "eer", "perplexity", "ppl",
    "duration", "time", "latency", "seconds", "nll", "brier", "hinge", "divergence", "deviance", "entropy", "distance",
    "fid", "inertia", "regret", "cost", "memory",
)  # fmt: skip
MORE_IS_BETTER = (
    "accuracy", "acc", "auc", "auroc", "f1", "precision", "recall", "r2", "score", "bleu", "rouge", "meteor", "map",
    "ndcg", "mrr", "iou", "dice", "jaccard", "kappa", "mcc", "silhouette", "throughput", "reward", "return",
    "sensitivity", "specificity", "ap", "gain", "correlation", "psnr", "ssim", "completeness", "homogeneity", "hit",
)  # fmt: skip


def sense(metric: str) -> Sense | None:
    """Whether less ("min") or more ("max") of a metric is better, by the words in its name; None if unknown.

    The words of a loss win over those of a score (`score_time`), and `neg` turns a loss into a score.
    """
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    if "neg" in words or (words.isdisjoint(LESS_IS_BETTER) and not words.isdisjoint(MORE_IS_BETTER)):
        return "max"
    return None if words.isdisjoint(LESS_IS_BETTER) else "min"


def place_of_best(runs: Selection, metric: str, mode: str | None = None) -> int:
    """The index in `runs` of the run that reached the best value of a metric; of equal ones the first.

    A run is judged by the best value that it ever logged, not by its last, unless the name ends in an aggregate
    (`val/accuracy.last`). Without `mode`, `InvalidValueError` if the name does not show which way is better.
    `NotFoundError` if no run has the metric.
    """
    mode = _mode(metric, mode)
    name = qualified(metric, "metrics")
    if name.rpartition(".")[2] not in AGGREGATES:
        name = f"{name}.{mode}"
    found = numbers(runs, name)
    if np.isnan(found).all():
        raise NotFoundError(f"none of the {len(runs)} runs has a number for {metric!r}")
    return int(np.nanargmax(found) if mode == "max" else np.nanargmin(found))


def places_on_front(runs: Selection, objectives: Mapping[str, str]) -> list[int]:
    """The indices in `runs` of the Pareto front: no other run is nowhere worse and somewhere better in `objectives`.

    `objectives` maps names (`metrics.accuracy`, `run.duration`, `params.depth`) to "min" or "max"; there may be any
    number of them. Runs with equal values stay together, in their order. A run that lacks a number for one of them
    cannot be compared: it is left out, and a warning counts these runs. O(n log n) for two objectives.
    """
    if not objectives:
        raise InvalidValueError("a Pareto front needs at least one objective, such as {'metrics.accuracy': 'max'}")
    signs = [1.0 if _mode(name, mode) == "min" else -1.0 for name, mode in objectives.items()]
    points = np.stack([numbers(runs, qualified(name, "metrics")) for name in objectives], axis=1) * signs
    comparable = ~np.isnan(points).any(axis=1)
    left = int((~comparable).sum())
    if left:
        names = " or ".join(objectives)
        warnings.warn(f"{left} of {len(points)} runs are left out: they have no number for {names}", stacklevel=3)
    places: list[int] = np.flatnonzero(comparable)[non_dominated(points[comparable])].tolist()
    return places


def group_by(runs: Selection, keys: str | Sequence[str], metrics: str | Sequence[str] | None = None) -> Groups:
    """Group runs with equal `keys`, with mean, std, min, max and count of each metric, for example over seeds.

    `keys` is a name or several (`params.lr`, `run.experiment`; a bare name is a param); runs without a value are in
    the group None. `metrics` are names (a bare name is a metric); by default all but `system/…`, their last values.
    """
    keys = (keys,) if isinstance(keys, str) else tuple(keys)
    if not keys:
        raise InvalidValueError("group_by needs a name, such as 'params.lr'")
    metrics = metrics_of(runs) if metrics is None else (metrics,) if isinstance(metrics, str) else tuple(metrics)
    return Groups.of(keys, labels_of(runs, keys), {name: numbers(runs, qualified(name, "metrics")) for name in metrics})


def labels_of(runs: Selection, keys: Sequence[str]) -> list[tuple[object, ...]]:
    """The values of `keys` in each run; a bare name is a param."""
    return list(zip(*(column(runs, qualified(key, "params")) for key in keys), strict=True))


def _mode(name: str, mode: str | None) -> Sense:
    if mode is None:
        mode = sense(name)
        if mode is None:
            raise InvalidValueError(f"the name {name!r} does not tell which way is better: say mode='min' or 'max'")
    if mode == "min":
        return "min"
    if mode == "max":
        return "max"
    raise InvalidValueError(f"better is 'min' or 'max', not {mode!r} (for {name!r})")
