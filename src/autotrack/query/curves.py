"""Metrics as curves, for charts and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from autotrack.query.columns import column
from autotrack.query.history import read_history
from autotrack.query.selection import Selection

Floats: TypeAlias = npt.NDArray[np.float64]
_BLOCK = 128  # points that are smoothed at a time


@dataclass(frozen=True)
class Curve:
    """One metric of one run, in the order in which it was logged; all arrays have shape (points,).

    `run` is the index of the run in the selection. `times` are seconds since the run's start.
    """

    run: int
    steps: Floats
    times: Floats
    values: Floats

    def along(self, axis: str) -> Floats:
        """The x coordinates for the axis "step" or "time"."""
        return self.times if axis == "time" else self.steps


def curves_of(runs: Selection, metrics: Sequence[str]) -> dict[str, list[Curve]]:
    """The curves of each metric, in the order of the runs; `NotFoundError` for a metric that none of them has."""
    found: dict[str, list[Curve]] = {metric: [] for metric in metrics}
    if not metrics or not len(runs):
        return found
    history = read_history(runs, metrics)
    steps, values = history.step.astype(np.float64), history.value.astype(np.float64)
    times = history.time / 1e6
    starts = column(runs, "run.started")
    for run, metric, here in history.series():
        start = starts[run].timestamp() if starts[run] else float(times[here.start])
        found[metrics[metric]].append(Curve(run, steps[here], times[here] - start, values[here]))
    return found


def with_gaps(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The line to draw, with a gap where a value is NaN or infinite, and where x decreases (after a resume)."""
    y = np.where(np.isfinite(y), y, np.nan)
    back = np.flatnonzero(np.diff(x) < 0) + 1
    return np.insert(x, back, x[back]), np.insert(y, back, np.nan)


def lonely(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Mask of the points of a line with gaps that have no neighbour, so that only a dot can show them."""
    there = np.isfinite(y)
    before = np.concatenate([[False], there[:-1]])
    after = np.concatenate([there[1:], [False]])
    return np.asarray(there & ~before & ~after, dtype=np.bool_)


def smoothed(values: Floats, weight: float) -> Floats:
    """Exponential moving average without the bias of its start; NaN and infinities are kept and not averaged.

    `weight` in [0, 1) is that of the past. The correction is that of Adam (Kingma and Ba, 2015, section 3).
    """
    if not 0 <= weight < 1:
        raise ValueError(f"smooth must be at least 0 and below 1, not {weight!r}")
    result = values.copy()
    finite = np.isfinite(values)
    with np.errstate(divide="ignore", under="ignore"):  # a weight of 0; powers too small to matter
        share = -np.expm1(np.log(weight) * np.arange(1, np.count_nonzero(finite) + 1))
        result[finite] = _accumulated((1 - weight) * values[finite], weight) / share
    return result


def _accumulated(values: Floats, weight: float) -> Floats:
    """`y[i] = weight * y[i - 1] + values[i]`, a block at a time: the block's own part is one product of matrices."""
    powers = weight ** np.arange(_BLOCK + 1)
    lag = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    within = np.where(lag >= 0, powers[lag.clip(0)], 0.0)
    blocks = np.zeros((-(-len(values) // _BLOCK), _BLOCK))
    blocks.flat[: len(values)] = values
    blocks = blocks @ within.T
    for number in range(1, len(blocks)):
        blocks[number] += blocks[number - 1, -1] * powers[1:]
    return blocks.ravel()[: len(values)]


def mean_and_spread(curves: Sequence[Curve], axis: str, points: int = 400) -> tuple[Floats, Floats, Floats]:
    """Mean and sample standard deviation of several curves over a common axis: x, mean, std.

    Runs that have the same steps are averaged point by point. Others are interpolated linearly on a common grid,
    but not beyond their ends and not across gaps.
    """
    lines = [_ordered(curve.along(axis), curve.values) for curve in curves if len(curve.values)]
    first = lines[0][0]
    alike = all(len(x) == len(first) and np.array_equal(x, first) for x, _ in lines)
    grid = first if alike else _grid([x for x, _ in lines], points)
    rows = np.stack([y if alike else _read_at(grid, x, y) for x, y in lines])
    count = np.isfinite(rows).sum(axis=0)
    total = np.where(np.isfinite(rows), rows, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.sum(axis=0) / count
        squares = (np.where(np.isfinite(rows), rows - mean, 0.0) ** 2).sum(axis=0)
        spread = np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), 0.0)
    return grid, np.where(count > 0, mean, np.nan), spread


def _ordered(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The points sorted by x, with the latest value of each x; infinities become NaN, which is a gap."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], np.where(np.isfinite(y), y, np.nan)[order]
    latest = np.append(x[1:] != x[:-1], True)
    return x[latest], y[latest]


def _grid(axes: Sequence[Floats], points: int) -> Floats:
    union = np.unique(np.concatenate(axes))
    return union if len(union) <= points else np.linspace(union[0], union[-1], points)


def _read_at(grid: Floats, x: Floats, y: Floats) -> Floats:
    """The values at `grid` by linear interpolation; NaN beyond the ends, and between points of which one is NaN."""
    read = np.interp(grid, x, y, left=np.nan, right=np.nan)
    return np.asarray(read, dtype=np.float64)
