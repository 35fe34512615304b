"""Charts of many runs and of one run, as figures independent of matplotlib's backend, pyplot and global state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autotrack.exceptions import InvalidValueError, NotFoundError
from autotrack.outputs.plots import chart
from autotrack.query.analysis import labels_of, sense
from autotrack.query.columns import column
from autotrack.query.curves import Curve, Floats, curves_of, lonely, mean_and_spread, smoothed, with_gaps
from autotrack.query.groups import Label, shown, split
from autotrack.roles import split_role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autotrack.query.records import Record, Runs

Axis = Literal["step", "time"]
_LINES = 10  # as many lines as people can tell apart
_DOTS = 30
_CHARTS = 12
_VALUES = 14
_DENSE = 500  # points beyond which a line is thinner, so that its noise stays readable


def plot_runs(
    runs: Runs,
    metric: str,
    *,
    group_by: str | Sequence[str] | None = None,
    x: Axis = "step",
    ax: Axes | None = None,
    smooth: float | None = None,
) -> Figure:
    """Curves of a metric of many runs on one chart; returns the figure.

    With `group_by` (`params.lr`, or several names) one line per group, the mean, in a band of one sample standard
    deviation. Without, one line per run; of more than ten runs the best ones stand out. `x` is "step" or "time"
    (since each run's start). `smooth` in [0, 1) is the weight of the past in a moving average. `ax` are axes to draw
    on. NaN and infinities are gaps, counted under the title. Runs with a single value each are drawn as dots.

    `NotFoundError` if no run has the metric, `MissingDependencyError` without matplotlib.
    """
    if x not in ("step", "time"):
        raise InvalidValueError(f"x is 'step' or 'time', not {x!r}")
    curves = curves_of(runs, [metric])[metric]
    if not curves:
        raise NotFoundError("there are no runs to plot")
    keys = (group_by,) if isinstance(group_by, str) else tuple(group_by or ())
    labels = labels_of(runs, keys) if keys else []
    single = all(len(curve.values) == 1 for curve in curves)
    rows = min(len(curves), _DOTS) if single and not keys else 0
    ax = ax if ax is not None else chart.new_chart(7.6, 4.2 if not rows else 0.8 + 0.26 * max(rows, 4)).add_subplot()
    names = column(runs, "run.name")
    if rows:
        _draw_rows(ax, metric, curves, names)
    elif single:
        _draw_columns(ax, metric, curves, keys, labels)
    elif keys:
        _Drawing(ax, metric, x, smooth or 0.0).groups(curves, keys, labels)
    else:
        _Drawing(ax, metric, x, smooth or 0.0).runs(curves, names)
    return ax.figure  # type: ignore[return-value]


def plot_record(
    record: Record, metrics: Sequence[str] | None = None, *, x: Axis = "step", smooth: float | None = None
) -> Figure:
    """All curves of one run in small charts, and metrics with a single value as a list. Returns the figure.

    `train/loss` and `val/loss` share a chart. `metrics` chooses which; by default all but those of the machine, which
    are shown if there is nothing else. `NotFoundError` if there are none or one is unknown, `MissingDependencyError`
    without matplotlib.
    """
    names = _main_metrics(list(record.metrics)) if metrics is None else list(metrics)
    if not names:
        raise NotFoundError(f"the run {record.name!r} has no metrics")
    found = {name: curves[0] for name, curves in curves_of(record.selection, names).items()}
    single = {name: float(curve.values[0]) for name, curve in found.items() if len(curve.values) == 1}
    charts: dict[str, list[str]] = {}
    for name in found:
        if name not in single:
            charts.setdefault(_shared_name(name), []).append(name)
    drawn = list(charts.items())[:_CHARTS]
    places = len(drawn) + bool(single)
    columns = min(3, places)
    figure = chart.new_chart(max(5.0, 4.2 * columns), 0.5 + 2.9 * math.ceil(places / columns))
    left = f"   ({len(charts) - len(drawn)} more charts)" if len(drawn) < len(charts) else ""
    figure.suptitle(chart.plain(record.name) + left, x=0.01, ha="left", fontsize=12, color=chart.INK)
    spots = (figure.add_subplot(math.ceil(places / columns), columns, place + 1) for place in range(places))
    for (title, members), ax in zip(drawn, spots, strict=False):
        curves = [replace(found[name], run=at) for at, name in enumerate(members)]
        _Drawing(ax, title, x, smooth or 0.0).runs(curves, members)
    if single:
        _write_values(next(spots), single)
    return figure


@dataclass
class _Drawing:
    """One metric on one pair of axes."""

    ax: Axes
    metric: str
    axis: Axis
    smooth: float

    def runs(self, curves: Sequence[Curve], names: Sequence[str]) -> None:
        """Draw a line per run."""
        order = self._outstanding(curves)
        colors = {run: chart.PALETTE[place % len(chart.PALETTE)] for place, run in enumerate(order)}
        for curve in sorted(curves, key=lambda one: one.run in colors):
            color = colors.get(curve.run, chart.OTHERS)
            self._line(curve.along(self.axis), curve.values, color, strong=curve.run in colors)
        for run in order:
            self.ax.plot([], [], color=colors[run], linewidth=2, label=chart.plain(names[run]))
        if len(curves) > len(order):
            self.ax.plot([], [], color=chart.OTHERS, linewidth=1.5, label=f"{len(curves) - len(order)} others")
        self._finish(curves, legend="" if len(curves) > 1 else None)

    def groups(self, curves: Sequence[Curve], keys: Sequence[str], labels: Sequence[Label]) -> None:
        """Draw the mean of each group of runs, in a band of one sample standard deviation."""
        groups = split([labels[curve.run] for curve in curves])
        colors = chart.colors_for([label[0] if len(label) == 1 else None for label, _ in groups])
        for (label, rows), color in zip(groups, colors, strict=True):
            grid, mean, spread = mean_and_spread([curves[row] for row in rows], self.axis)
            mean = smoothed(mean, self.smooth)
            self._line(grid, mean, color, strong=True, faint=False)
            if len(rows) > 1:
                self.ax.fill_between(grid, mean - spread, mean + spread, color=color, alpha=0.16, linewidth=0)
            self.ax.plot([], [], color=color, linewidth=2, label=chart.plain(f"{_words(label)}  (n={len(rows)})"))
        self._finish(curves, legend=_plain_keys(keys))

    def _line(self, x: Floats, y: Floats, color: Any, *, strong: bool, faint: bool = True) -> None:
        width = (1.8 if len(x) <= _DENSE else 1.1) if strong else 0.8
        if self.smooth and strong and faint:
            self.ax.plot(*with_gaps(x, y), color=color, linewidth=0.8, alpha=0.25)
        if faint:
            y = smoothed(y, self.smooth)
        x, y = with_gaps(x, y)
        alone = lonely(x, y)
        self.ax.plot(x, y, color=color, linewidth=width, solid_capstyle="round", alpha=1 if strong else 0.7)
        self.ax.plot(x[alone], y[alone], "o", color=color, markersize=3.5)

    def _outstanding(self, curves: Sequence[Curve]) -> list[int]:
        """The runs that get a colour and a name: all, or the best by their last value, or the first."""
        if len(curves) <= _LINES:
            return [curve.run for curve in curves]
        ranked = sorted(curves, key=lambda curve: _rank(_last(curve.values), self.metric))
        return [curve.run for curve in ranked[: _LINES - 2]]

    def _finish(self, curves: Sequence[Curve], legend: str | None) -> None:
        values = np.concatenate([curve.values for curve in curves])
        if chart.wants_log(values):
            self.ax.set_yscale("log")
        chart.tidy(self.ax, self.metric, self._name_axis(curves))
        gaps = int((~np.isfinite(values)).sum())
        if gaps:
            note = f"{gaps} {'point is' if gaps == 1 else 'points are'} NaN or infinite"
            self.ax.set_title(note, loc="right", fontsize=8.5, color=chart.SOFT)
        if legend is not None:
            chart.add_legend(self.ax, legend)

    def _name_axis(self, curves: Sequence[Curve]) -> str:
        if self.axis == "step":
            return "step"
        size, unit = chart.time_unit(max(float(curve.times.max(initial=0.0)) for curve in curves))
        chart.count_in(self.ax, size)
        return f"{unit} since the run's start"


def _draw_rows(ax: Axes, metric: str, curves: Sequence[Curve], names: Sequence[str]) -> None:
    """Draw a dot per run beside its name, the best on top."""
    best = sorted(curves, key=lambda curve: _rank(curve.values[0], metric))[:_DOTS][::-1]
    places = np.arange(len(best))
    values = np.array([curve.values[0] for curve in best])
    left = f"   (the best {_DOTS} of {len(curves)})" if len(curves) > _DOTS else ""
    ax.hlines(places, 0, 1, color=chart.LINE, linewidth=0.8, transform=ax.get_yaxis_transform(), zorder=0)
    ax.plot(values, places, "o", color=chart.PALETTE[0], markersize=7)
    for place, value in zip(places, values, strict=True):
        ax.annotate(
            f"{value:.4g}", (value if math.isfinite(value) else 0.0, place), (9, 0), textcoords="offset points",
            va="center", fontsize=8.5, color=chart.SOFT,
        )  # fmt: skip
    ax.set_yticks(places, [chart.plain(names[curve.run]) for curve in best])
    chart.tidy(ax, metric + left)
    ax.grid(visible=False)
    ax.margins(x=0.14)
    ax.set_ylim(-0.6, len(best) - 0.4)


def _draw_columns(ax: Axes, metric: str, curves: Sequence[Curve], keys: Sequence[str], labels: Sequence[Label]) -> None:
    """Draw a faint dot per run in the column of its group, and each group's mean and sample standard deviation."""
    groups = split([labels[curve.run] for curve in curves])
    values = [np.array([curves[row].values[0] for row in rows]) for _, rows in groups]
    values = [found[np.isfinite(found)] for found in values]
    numeric = len(keys) == 1 and all(isinstance(label[0], int | float) for label, _ in groups)
    places = np.array([label[0] for label, _ in groups] if numeric else range(len(groups)), dtype=np.float64)
    blue = chart.PALETTE[0]
    for place, found in zip(places, values, strict=True):
        ax.plot(np.full(len(found), place), found, "o", color=blue, alpha=0.3, markersize=5, markeredgewidth=0)
        if len(found) > 1:
            ax.errorbar(place, found.mean(), found.std(ddof=1), color=blue, capsize=4, linewidth=1.6)
    means = [found.mean() if len(found) else math.nan for found in values]
    ax.plot(places, means, "o-" if numeric else "o", color=blue, markersize=7, linewidth=1.4)
    if numeric and len(places) > 2 and places.min() > 0 and places.max() / places.min() >= 20:
        ax.set_xscale("log")
    if not numeric:
        ax.set_xticks(places, [chart.plain(f"{_words(label)}\nn={len(rows)}") for label, rows in groups])
        ax.set_xlim(-0.6, len(groups) - 0.4)
    chart.tidy(ax, metric, _plain_keys(keys))


def _write_values(ax: Axes, values: Mapping[str, float]) -> None:
    """Write the values as a list of names and numbers."""
    ax.set_axis_off()
    rows = [(name, f"{value:.6g}") for name, value in values.items()]
    if len(rows) > _VALUES:
        rows = [*rows[: _VALUES - 1], (f"… and {len(rows) - _VALUES + 1} more", "")]
    for place, (name, value) in enumerate(rows):
        height = 1 - (place + 0.5) / max(len(rows), 8)
        ax.text(0.0, height, chart.plain(name), transform=ax.transAxes, va="center", fontsize=9, color=chart.SOFT)
        ax.text(1.0, height, value, transform=ax.transAxes, va="center", ha="right", fontsize=9, color=chart.INK)


def _rank(value: float, metric: str) -> float:
    """Sort key of a value: the best for the metric's direction come first, NaN last."""
    way = {"min": 1.0, "max": -1.0, None: 0.0}[sense(metric)]
    return math.inf if math.isnan(value) else way * value if way else 0.0


def _last(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else math.nan


def _words(label: Label) -> str:
    return ", ".join(shown(part) for part in label)


def _plain_keys(keys: Sequence[str]) -> str:
    return ", ".join(key.removeprefix("params.") for key in keys)


def _main_metrics(names: Sequence[str]) -> list[str]:
    return [name for name in names if not name.startswith("system/")] or list(names)


def _shared_name(metric: str) -> str:
    """The name of the chart that a metric is drawn in, the same for all roles."""
    _, separator, rest = split_role(metric)
    return rest if separator == "/" else metric
