"""Metric points to rows: the summary of each metric, and its history in chunks."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from autotrack.store import schema
from autotrack.store.bulk import Keys, Writer, rows_in
from autotrack.store.chunks import encode_axis, encode_values
from autotrack.store.folding.rows import Gathered, Ints, Points, Slot, number_or_none
from autotrack.store.folding.run_rows import TouchedRuns

FULL = 1 << 16  # points in the longest chunk
_EXACT = 1 << 53  # ints up to here survive as doubles

_metrics = Writer(schema.metrics, key=("run_pk", "key"))
_axes = Writer(schema.metric_axes)
_values = Writer(schema.metric_values)


@dataclass(slots=True)
class Summary:
    """A row of `metrics`. Values are None where they are NaN; `min` and `max` are of the others."""

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

    def add(self, other: Summary) -> None:
        """Take the points of `other`, which come later unless their times say otherwise."""
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
    """Whether a value, times its sign, is more than the one known; of equal ones the earlier counts."""
    return known is None or value > sign * known or (value == sign * known and (time or 0) < (since or 0))


_summary_row = attrgetter(*_metrics.columns)


def summarise(pk: int, key: str, axis: tuple[Ints, Ints], values: npt.NDArray[Any], training: int) -> Summary:
    """The summary of some points of one metric, at least one; `axis` has their steps and times."""
    steps, times = axis
    count = len(values)
    if count == 1:
        return _single(pk, key, (_number(values[0]), steps[0].item(), times[0].item()), training)
    first, last = int(times.argmin()), count - 1 - int(times[::-1].argmax())
    nans = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
    summary = Summary(
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


def _single(pk: int, key: str, point: tuple[float | None, int, int], training: int) -> Summary:
    summary = Summary(pk, key, 1, int(point[0] is None), *point, *point, training=training)
    if point[0] is not None:
        summary.min, summary.min_step, summary.min_time = point
        summary.max, summary.max_step, summary.max_time = point
    return summary


def _number(value: Any) -> float | None:
    return number_or_none(float(value))


@dataclass
class Piece:
    """Points of metrics that were logged together, on their way into chunks."""

    pk: int
    training: int
    keys: tuple[str, ...]
    points: Points


@dataclass
class PointWriter:
    """Writes what one batch says of metrics."""

    connection: Connection
    keys: Keys
    summaries: dict[tuple[int, str], Summary] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)

    def write(self, gathered: Gathered, touched: TouchedRuns) -> set[int]:
        """Write all points of the batch; returns the keys of the runs that got chunks."""
        for (slot, keys, _), parts in gathered.points.items():
            self._take(slot, keys, _joined(parts))
        bare = self._merge_known(touched.known)
        write_summaries(self.connection, self.summaries.values())
        return write_chunks(self.connection, self.keys, [*bare, *filter(None, map(self._without_bare, self.pieces))])

    def _take(self, slot: Slot, keys: tuple[str, ...], points: Points) -> None:
        self.pieces.append(Piece(slot.pk, slot.training, keys, points))
        for key, values in zip(keys, points.values, strict=True):
            summary = summarise(slot.pk, key, (points.steps, points.times), values, slot.training)
            known = self.summaries.setdefault((slot.pk, key), summary)
            if known is not summary:
                known.add(summary)

    def _merge_known(self, known: set[int]) -> list[Piece]:
        """Add what the store has already; returns the points that lived in their summary alone until now."""
        pks = {pk for pk, _ in self.summaries if pk in known}
        if not pks:
            return []
        found: list[Summary] = []
        for row in rows_in(self.connection, schema.metrics, "run_pk", pks):
            summary = self.summaries.get((row.run_pk, row.key))
            if summary is not None:
                before = Summary(**row._mapping)
                found.append(Summary(**row._mapping))
                before.add(summary)
                self.summaries[row.run_pk, row.key] = before
        single = [summary for summary in found if summary.count == 1]
        if not single:
            return []
        chunked = {
            (row.run_pk, row.key)
            for row in rows_in(
                self.connection, schema.metric_values, "run_pk", {s.run_pk for s in single}, only=("run_pk", "key")
            )
        }
        whole = {
            (piece.pk, key)
            for piece in self.pieces
            for key, values in zip(piece.keys, piece.points.values, strict=True)
            if values.dtype.kind != "f"
        }
        bare = [summary for summary in single if (summary.run_pk, summary.key) not in chunked]
        together: dict[tuple[int, int, int, int], list[Summary]] = defaultdict(list)
        for summary in bare:
            together[summary.run_pk, summary.training, summary.first_step, summary.first_time].append(summary)
        return [_points_of(group, whole) for group in together.values()]

    def _without_bare(self, piece: Piece) -> Piece | None:
        """The piece without the metrics whose summary is all their history."""
        points = piece.points
        if len(points.steps) > 1:
            return piece
        kept = [
            index
            for index, key in enumerate(piece.keys)
            if self.summaries[piece.pk, key].count > 1 or not _survives(points.values[index])
        ]
        if not kept:
            return None
        points = points._replace(values=tuple(points.values[index] for index in kept))
        return Piece(piece.pk, piece.training, tuple(piece.keys[index] for index in kept), points)


def _points_of(together: list[Summary], whole: set[tuple[int, str]]) -> Piece:
    """The only points so far of metrics that were logged together; whole numbers if the later ones are such."""
    one = together[0]
    values = tuple(
        np.array([summary.first], np.int64)
        if (summary.run_pk, summary.key) in whole and summary.first is not None and summary.first.is_integer()
        else np.array([np.nan if summary.first is None else summary.first])
        for summary in together
    )
    points = Points(np.array([one.first_step]), np.array([one.first_time]), values)
    return Piece(one.run_pk, one.training, tuple(summary.key for summary in together), points)


def write_summaries(connection: Connection, summaries: Iterable[Summary]) -> None:
    """Write summaries, in place of those that are there."""
    _metrics.write(connection, [_summary_row(summary) for summary in summaries])


def write_chunks(connection: Connection, keys: Keys, pieces: Iterable[Piece]) -> set[int]:
    """Write pieces as chunks; returns the keys of their runs."""
    parts = [part for piece in pieces for part in _cut(piece)]
    axes, values = [], []
    for pk, part in zip(keys.take(schema.metric_axes, len(parts)), parts, strict=True):
        points = part.points
        axis = encode_axis(points.steps, points.times)
        axes.append((pk, part.pk, len(points.steps), int(points.times.min()), part.training, axis))
        values += [
            (part.pk, key, pk, encode_values(array)) for key, array in zip(part.keys, points.values, strict=True)
        ]
    _axes.write(connection, axes)
    _values.write(connection, values)
    return {part.pk for part in parts}


def _survives(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind == "f" or bool(-_EXACT <= values[0] <= _EXACT)


def _joined(parts: list[Points]) -> Points:
    if len(parts) == 1:
        return parts[0]
    steps, times = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    return Points(
        steps, times, tuple(np.concatenate(arrays) for arrays in zip(*(p.values for p in parts), strict=True))
    )


def _cut(piece: Piece) -> Iterable[Piece]:
    """Equal pieces of at most FULL points."""
    count = len(piece.points.steps)
    if count <= FULL:
        return [piece]
    pieces = -(-count // FULL)
    edges = [count * index // pieces for index in range(pieces + 1)]
    return [
        Piece(piece.pk, piece.training, piece.keys, _between(piece.points, start, stop))
        for start, stop in itertools.pairwise(edges)
    ]


def _between(points: Points, start: int, stop: int) -> Points:
    values = tuple(array[start:stop] for array in points.values)
    return Points(points.steps[start:stop], points.times[start:stop], values)
