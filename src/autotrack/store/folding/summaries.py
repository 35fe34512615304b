"""The summary of a metric: how many points it has, and the first, last, lowest and highest of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from autotrack.store import schema
from autotrack.store.bulk import Writer
from autotrack.store.folding.rows import Ints, number_or_none

_metrics = Writer(schema.metrics, key=("run_pk", "key"))
_summary_row = attrgetter(*_metrics.columns)


@dataclass(slots=True)
class MetricSummary:
    """A row of `metrics`. NaN values are None; `min` and `max` skip them."""

    run_pk: int
    key: str
    count: int
    nans: int
    first: float | None
    first_step: int
    first_time: int
    last: float | None
    last_step: int
    last_time: int
    min: float | None = None
    min_step: int | None = None
    min_time: int | None = None
    max: float | None = None
    max_step: int | None = None
    max_time: int | None = None
    training: int = 0

    def add(self, other: MetricSummary) -> None:
        """Add the points of `other`; at equal times those of `other` count as the later ones."""
        if other.first_time < self.first_time:
            self.first, self.first_step, self.first_time = other.first, other.first_step, other.first_time
        if other.last_time >= self.last_time:
            self.last, self.last_step, self.last_time = other.last, other.last_step, other.last_time
        if other.min is not None and _beats(self.min, self.min_time, -other.min, other.min_time, -1):
            self.min, self.min_step, self.min_time = other.min, other.min_step, other.min_time
        if other.max is not None and _beats(self.max, self.max_time, other.max, other.max_time, 1):
            self.max, self.max_step, self.max_time = other.max, other.max_step, other.max_time
        self.count += other.count
        self.nans += other.nans


def _beats(known: float | None, since: int | None, value: float, time: int | None, sign: int) -> bool:
    """Whether `value`, already multiplied by `sign`, is greater than `sign * known`, or equal and earlier."""
    return known is None or value > sign * known or (value == sign * known and (time or 0) < (since or 0))


def summarise(pk: int, key: str, axis: tuple[Ints, Ints], values: npt.NDArray[Any], training: int) -> MetricSummary:
    """Summarise the points of one metric, at least one; `axis` holds their steps and times."""
    steps, times = axis
    count = len(values)
    if count == 1:
        return _single(pk, key, (_number(values[0]), steps[0].item(), times[0].item()), training)
    first, last = int(times.argmin()), count - 1 - int(times[::-1].argmax())
    nans = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
    summary = MetricSummary(
        pk, key, count, nans,
        _number(values[first]), int(steps[first]), int(times[first]),
        _number(values[last]), int(steps[last]), int(times[last]),
        training=training,
    )  # fmt: skip
    if nans < count:
        low, high = (np.nanargmin(values), np.nanargmax(values)) if nans else (values.argmin(), values.argmax())
        summary.min, summary.min_step, summary.min_time = _number(values[low]), int(steps[low]), int(times[low])
        summary.max, summary.max_step, summary.max_time = _number(values[high]), int(steps[high]), int(times[high])
    return summary


def _single(pk: int, key: str, point: tuple[float | None, int, int], training: int) -> MetricSummary:
    summary = MetricSummary(pk, key, 1, int(point[0] is None), *point, *point, training=training)
    if point[0] is not None:
        summary.min, summary.min_step, summary.min_time = point
        summary.max, summary.max_step, summary.max_time = point
    return summary


def _number(value: Any) -> float | None:
    return number_or_none(float(value))


def write_summaries(connection: Connection, summaries: Iterable[MetricSummary]) -> None:
    """Write summaries, in place of stored ones of the same metrics."""
    _metrics.write(connection, [_summary_row(summary) for summary in summaries])
