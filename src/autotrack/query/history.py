"""Metric history: the points of some metrics of many runs, in columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, select

from autotrack.query.facets import missing
from autotrack.query.frames import ids_of
from autotrack.query.metric_aliases import drop_aliases
from autotrack.query.selection import Selection
from autotrack.roles import aliases
from autotrack.store.bulk import one_of
from autotrack.store.chunks import decode_axis, decode_values
from autotrack.store.schema import metric_axes, metric_values, metrics

Ints = npt.NDArray[np.int64]
Series = tuple[int, str]  # a run's pk, a metric's key


@dataclass(frozen=True)
class Points:
    """Points of one metric of one run, in order: steps, times in microseconds, and values, all of one length."""

    steps: Ints
    times: Ints
    values: npt.NDArray[Any]
    typed: bool = True  # False if the type is lost, as in a summary

    @property
    def is_whole(self) -> bool:
        """Whether the values are ints, or a single value of lost type that may have been one."""
        return self.values.dtype.kind == "i" or (not self.typed and float(self.values[0]).is_integer())


@dataclass(frozen=True)
class History:
    """Points in columns of one length, ordered by run, then by metric, then as they were logged.

    `run` and `metric` (int32) are indices into `ids` and `names`; `step` is int64, `time` int64 in microseconds since
    the epoch, `value` int64 if nothing but ints was logged, else float64.
    """

    ids: list[str]
    names: list[str]
    run: npt.NDArray[np.int32]
    metric: npt.NDArray[np.int32]
    step: Ints
    time: Ints
    value: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.step)

    def series(self) -> Iterator[tuple[int, int, slice]]:
        """Yield, for each metric of each run with points, the indices of run and metric and the slice of the points."""
        changes = np.flatnonzero((np.diff(self.run) != 0) | (np.diff(self.metric) != 0)) + 1
        for begin, end in pairwise([0, *changes.tolist(), len(self)]):
            if begin < end:
                yield int(self.run[begin]), int(self.metric[begin]), slice(begin, end)


def read_history(runs: Selection, wanted: str | Iterable[str] | None = None) -> History:
    """Read the points of the metrics `wanted`, by default of all; `NotFoundError` for one that no run has."""
    names = None if wanted is None else [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
    spelled = None if names is None else _spelled(names)
    with runs.store.engine.connect() as connection:
        pks = runs.pks
        pieces = _stored(connection, pks, spelled)
        _add_single_points(connection, pks, spelled, pieces)
        if names is None:
            names = sorted({key for _, key in pieces}, key=lambda key: (key.startswith("system/"), key))
            spelled = {name: name for name in names}
        elif spelled is not None:
            drop_aliases(pieces, spelled)
            _check_known(connection, pks, names, {key for _, key in pieces})
    return _in_columns(pieces, runs, names, spelled or {})


def _spelled(names: Sequence[str]) -> dict[str, str]:
    """Map the keys to read to the requested names; a key that is itself requested maps to itself."""
    return {key: name for name in names for key in aliases(name)} | {name: name for name in names}


def _stored(connection: Connection, pks: Sequence[int], keys: Mapping[str, str] | None) -> dict[Series, list[Points]]:
    """Read the points in chunks, by run and metric, ordered by the chunks' first time."""
    values, axes = metric_values.c, metric_axes.c
    dialect = connection.dialect.name
    statement = select(values.run_pk, values.key, values.axis_pk, values.data).where(
        one_of(values.run_pk, pks, dialect)
    )
    if keys is not None:
        statement = statement.where(values.key.in_(list(keys)))
    rows = connection.execute(statement).all()
    wanted = {row.axis_pk for row in rows}
    found = connection.execute(
        select(axes.pk, axes.data).where(one_of(axes.pk, wanted, dialect)).order_by(axes.first_time, axes.pk)
    )
    decoded = {pk: (order, *decode_axis(data)) for order, (pk, data) in enumerate(found)}
    ordered: defaultdict[Series, list[tuple[int, Points]]] = defaultdict(list)
    for pk, key, axis_pk, data in rows:
        order, steps, times = decoded[axis_pk]
        ordered[pk, key].append((order, Points(steps, times, decode_values(data))))
    return {
        series: [points for _, points in sorted(parts, key=lambda part: part[0])] for series, parts in ordered.items()
    }


def _add_single_points(
    connection: Connection, pks: Sequence[int], keys: Mapping[str, str] | None, pieces: dict[Series, list[Points]]
) -> None:
    """Add the metrics with a single point, which is stored in the summary only."""
    columns = metrics.c
    statement = select(columns.run_pk, columns.key, columns.first, columns.first_step, columns.first_time).where(
        one_of(columns.run_pk, pks, connection.dialect.name), columns.count == 1
    )
    if keys is not None:
        statement = statement.where(columns.key.in_(list(keys)))
    for row in connection.execute(statement):
        if (row.run_pk, row.key) not in pieces:
            pieces[row.run_pk, row.key] = [_single(row)]


def _single(row: Any) -> Points:
    value = np.nan if row.first is None else row.first
    return Points(
        np.array([row.first_step], np.int64), np.array([row.first_time], np.int64), np.array([value]), typed=False
    )


def _check_known(connection: Connection, pks: Sequence[int], names: Sequence[str], found: set[str]) -> None:
    for name in names:
        if found.isdisjoint(aliases(name)):
            statement = select(metrics.c.key).where(one_of(metrics.c.run_pk, pks, connection.dialect.name)).distinct()
            raise missing(name, connection.execute(statement).scalars())


def _in_columns(
    pieces: Mapping[Series, list[Points]], runs: Selection, names: list[str], spelled: Mapping[str, str]
) -> History:
    """Concatenate the series, ordered by run and then by metric."""
    place = {name: index for index, name in enumerate(names)}
    row_of = {pk: index for index, pk in enumerate(runs.pks)}
    series = sorted(((row_of[pk], place[spelled[key]]), _in_time(parts)) for (pk, key), parts in pieces.items())
    codes = np.array([code for code, _ in series], np.int32).reshape(-1, 2)
    points = [points for _, points in series]
    lengths = [len(part.steps) for part in points]
    return History(
        ids_of(runs),
        names,
        np.repeat(codes[:, 0], lengths),
        np.repeat(codes[:, 1], lengths),
        _joined([part.steps for part in points], np.int64),
        _joined([part.times for part in points], np.int64),
        _values(points),
    )


def _in_time(parts: Sequence[Points]) -> Points:
    """Concatenate the points of several chunks; chunks that overlap are sorted by time."""
    if len(parts) == 1:
        return parts[0]
    joined = Points(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
    )
    if all(before.times.max() <= after.times.min() for before, after in pairwise(parts)):
        return joined
    order = np.argsort(joined.times, kind="stable")
    return Points(joined.steps[order], joined.times[order], joined.values[order])


def _values(points: Sequence[Points]) -> npt.NDArray[Any]:
    """All values in one array: int64 if nothing but ints was logged, else float64."""
    ints = any(part.values.dtype.kind == "i" for part in points) and all(part.is_whole for part in points)
    kind: Any = np.int64 if ints else np.float64
    return _joined([part.values.astype(kind, copy=False) for part in points], kind)


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: Any) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, kind)
