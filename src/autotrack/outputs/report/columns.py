"""The columns, charts and axes of the page, and the choice of those that are shown initially."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autotrack.query.analysis import sense
from autotrack.query.groups import identity

_PARAMS_SHOWN = 6
_METRICS_SHOWN = 5
_CHARTS_SHOWN = 4
_MOST_COLORS = 12

_Runs = Sequence[Mapping[str, Any]]
_Curves = Mapping[str, Sequence[Mapping[str, Any]]]


def columns_of(runs: _Runs, metrics: Sequence[str], curves: _Curves) -> dict[str, Any]:
    """Return the columns, charts and axes of a page with these `runs`, `metrics` and, by metric, `curves`."""
    params = _keys(run["params"] for run in runs)
    differing = [key for key in params if len({identity(run["params"].get(key)) for run in runs}) > 1]
    first = _first_params(params, differing, runs)
    own = [key for key in metrics if not key.startswith("system/")]
    judge = _judge(own)
    return {
        "color": _color(first, runs, judge),
        "params": _before(differing, params),
        "metrics": list(metrics),
        "tags": _keys(run["tags"] for run in runs),
        "differing": _before(first, differing),
        "shown": _shown(first, own),
        "charts": _charts(own, curves),
        "tradeoff": ["run.duration", f"metrics.{judge or next(iter(metrics), '')}"],
    }


def _first_params(params: Sequence[str], differing: Sequence[str], runs: _Runs) -> Sequence[str]:
    """The params that differ and that some run set itself; else those that differ, else those that were set."""
    chosen = [key for key in params if any(key in run["params"] and key not in run["origins"] for run in runs)]
    return [key for key in differing if key in chosen] or differing or chosen


def _shown(params: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """The columns of the table that are shown initially."""
    return [
        *(f"params.{key}" for key in params[:_PARAMS_SHOWN]),
        *(f"metrics.{key}" for key in metrics[:_METRICS_SHOWN]),
    ]


def _charts(metrics: Sequence[str], curves: _Curves) -> list[str]:
    """The metrics that have a chart initially, those with several points in some run before others."""
    several = [key for key in metrics if any(curve["count"] > 1 for curve in curves[key])]
    return _before(several, metrics)[:_CHARTS_SHOWN]


def _judge(metrics: Sequence[str]) -> str | None:
    """The metric to judge runs by: the first to be maximised, else the first to be minimised, else the first."""
    return min(metrics, key=lambda key: ("max", "min", None).index(sense(key)), default=None)


def _color(params: Sequence[str], runs: _Runs, metric: str | None) -> str:
    """The param to colour runs by: the one whose values explain the largest share of a metric's variance.

    Only params with at most twelve values and on average two runs per value are considered; "" if there is none.
    """
    scores: dict[str, float] = {}
    for key in params:
        groups = _last_values(runs, metric, by=key)
        if 2 <= len(groups) <= min(_MOST_COLORS, sum(map(len, groups)) // 2):
            scores[key] = _share_between(groups)
    return max(scores, key=scores.__getitem__, default="")


def _last_values(runs: _Runs, metric: str | None, *, by: str) -> list[list[float]]:
    """The last values of a metric, grouped by the value of a param."""
    groups: dict[Any, list[float]] = {}
    for run in runs:
        last = run["metrics"].get(metric, {}).get("last")
        if isinstance(last, int | float):
            groups.setdefault(identity(run["params"].get(by)), []).append(last)
    return list(groups.values())


def _share_between(groups: Sequence[Sequence[float]]) -> float:
    """The share of variance that lies between the groups: 0 if their means are equal, 1 if each has one value only."""
    largest = max(abs(value) for group in groups for value in group) or 1.0  # squares of scaled values cannot overflow
    groups = [[value / largest for value in group] for group in groups]
    values = [value for group in groups for value in group]
    mean = sum(values) / len(values)
    between = sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in groups)
    return between / (sum((value - mean) ** 2 for value in values) or 1.0)


def _before(first: Iterable[str], rest: Iterable[str]) -> list[str]:
    """All names once, `first` before the `rest`."""
    return list(dict.fromkeys([*first, *rest]))


def _keys(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))
