"""Metric history: the points of some metrics of many runs, in columns."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Select, func, select

from autotrack._guard import AutotrackWarning
from autotrack.exceptions import IntegrityError
from autotrack.ids import short_id
from autotrack.query.facets import missing
from autotrack.query.frames import ids_of
from autotrack.query.metric_aliases import drop_aliases
from autotrack.query.selection import Selection
from autotrack.roles import aliases
from autotrack.store.bulk import one_of
from autotrack.store.chunks import decode_axis, decode_values, kind_of
from autotrack.store.schema import metric_axes, metric_values, metrics

if TYPE_CHECKING:
    from autotrack.store.engine import Store

_CHUNKS = 64  # that are read from the database at a time

Ints = npt.NDArray[np.int64]
Series = tuple[int, str]  # a run's pk, a metric's key


class Chunk(NamedTuple):
    """Points of one metric of one run that are stored together; without an axis, one point that its summary holds."""

    first_time: int
    axis_pk: int | None
    length: int
    is_whole: bool  # ints, or a single value that may have been one, since its type is lost
    row: Any = None  # of `metrics`, if there is no axis


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
    """Read the points of the metrics `wanted`, by default of all; `NotFoundError` for one that no run has.

    Damaged chunks are left out, with a warning. Beside the result this takes no more memory than a few chunks.
    """
    names = None if wanted is None else [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
    spelled = None if names is None else _spelled(names)
    with _snapshot(runs.store) as connection:
        chunks = _chunks(connection, runs.pks, spelled)
        if names is None:
            names = sorted({key for _, key in chunks}, key=lambda key: (key.startswith("system/"), key))
            spelled = {name: name for name in names}
        elif spelled is not None:
            drop_aliases(chunks, spelled)
            _check_known(connection, runs.pks, names, {key for _, key in chunks})
        reading = _Reading(chunks, runs, names, spelled or {})
        return reading.result(connection)


@contextmanager
def _snapshot(store: Store) -> Iterator[Connection]:
    """A connection to which the store does not change: no chunk is merged into another between two statements."""
    with store.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection  # SQLite's transactions are snapshots


def _spelled(names: Sequence[str]) -> dict[str, str]:
    """Map the keys to read to the requested names; a key that is itself requested maps to itself."""
    return {key: name for name in names for key in aliases(name)} | {name: name for name in names}


def _chunks(connection: Connection, pks: Sequence[int], keys: Iterable[str] | None) -> dict[Series, list[Chunk]]:
    """The chunks of each metric of each run, by their first time, without their points."""
    values, axes, dialect = metric_values.c, metric_axes.c, connection.dialect.name
    letter = func.substr(values.data, 1, 1)
    statement = select(values.run_pk, values.key, axes.first_time, axes.pk, axes.count, letter).where(
        one_of(values.run_pk, pks, dialect), axes.pk == values.axis_pk
    )
    single = select(metrics).where(one_of(metrics.c.run_pk, pks, dialect), metrics.c.count == 1)
    if keys is not None:
        wanted = list(keys)
        statement, single = statement.where(values.key.in_(wanted)), single.where(metrics.c.key.in_(wanted))
    found: defaultdict[Series, list[Chunk]] = defaultdict(list)
    for run_pk, key, first_time, axis_pk, count, kind in connection.execute(statement):
        found[run_pk, key].append(Chunk(first_time, axis_pk, count, kind_of(kind) == "q"))
    for row in connection.execute(single):
        if (row.run_pk, row.key) not in found:
            is_whole = row.first is not None and float(row.first).is_integer()
            found[row.run_pk, row.key].append(Chunk(row.first_time, None, 1, is_whole, row))
    for chunks in found.values():
        chunks.sort(key=lambda chunk: (chunk.first_time, chunk.axis_pk or 0))
    return found


def _check_known(connection: Connection, pks: Sequence[int], names: Sequence[str], found: set[str]) -> None:
    for name in names:
        if found.isdisjoint(aliases(name)):
            statement = select(metrics.c.key).where(one_of(metrics.c.run_pk, pks, connection.dialect.name)).distinct()
            raise missing(name, connection.execute(statement).scalars())


class _Reading:
    """The columns of a history, of which every chunk fills its slice as it is read."""

    def __init__(
        self, chunks: Mapping[Series, list[Chunk]], runs: Selection, names: list[str], spelled: Mapping[str, str]
    ) -> None:
        self._runs = runs
        self._names = names
        self._slices: dict[tuple[Series, int], slice] = {}
        self._of_axis: defaultdict[int, list[slice]] = defaultdict(list)
        self._lost: list[tuple[Series, slice]] = []
        self._several: list[list[slice]] = []
        place, row_of = {name: index for index, name in enumerate(names)}, _places(runs.pks)
        order = sorted(chunks, key=lambda series: (row_of[series[0]], place[spelled[series[1]]]))
        parts = [chunk for series in order for chunk in chunks[series]]
        ints = any(chunk.is_whole and chunk.row is None for chunk in parts) and all(chunk.is_whole for chunk in parts)
        lengths = [sum(chunk.length for chunk in chunks[series]) for series in order]
        total = sum(lengths)
        self._run = np.repeat(np.array([row_of[run] for run, _ in order], np.int32), lengths)
        self._metric = np.repeat(np.array([place[spelled[key]] for _, key in order], np.int32), lengths)
        self._step, self._time = np.empty(total, np.int64), np.empty(total, np.int64)
        self._value: npt.NDArray[Any] = np.empty(total, np.int64 if ints else np.float64)
        self._lay_out(order, chunks)

    def _lay_out(self, order: Iterable[Series], chunks: Mapping[Series, list[Chunk]]) -> None:
        """Give each chunk its slice; a single point fills it at once."""
        begin = 0
        for series in order:
            slices = []
            for chunk in chunks[series]:
                here = slice(begin, begin + chunk.length)
                slices.append(here)
                begin = here.stop
                if chunk.axis_pk is None:
                    self._step[here], self._time[here] = chunk.row.first_step, chunk.row.first_time
                    self._value[here] = np.nan if chunk.row.first is None else chunk.row.first
                else:
                    self._slices[series, chunk.axis_pk] = here
                    self._of_axis[chunk.axis_pk].append(here)
            if len(slices) > 1:
                self._several.append(slices)

    def result(self, connection: Connection) -> History:
        """Read the points of all chunks."""
        if self._of_axis:
            self._read_axes(connection)
            self._read_values(connection)
        for slices in self._several:
            self._sort(slices)
        kept: Any = slice(None)
        if self._lost:
            kept = np.ones(len(self._run), dtype=bool)
            for _, here in self._lost:
                kept[here] = False
            self._warn()
        codes, points = (self._run[kept], self._metric[kept]), (self._step[kept], self._time[kept], self._value[kept])
        return History(ids_of(self._runs), self._names, *codes, *points)

    def _read_axes(self, connection: Connection) -> None:
        axes = metric_axes.c
        wanted = one_of(axes.pk, self._of_axis, connection.dialect.name)
        for pk, data in _streamed(connection, select(axes.pk, axes.data).where(wanted)):
            try:
                steps, times = decode_axis(data)
                for here in self._of_axis[pk]:
                    self._fill(here, steps, times)
            except IntegrityError:
                lost = self._of_axis[pk]
                self._lost += [(series, here) for (series, axis), here in self._slices.items() if here in lost]

    def _read_values(self, connection: Connection) -> None:
        values, dialect = metric_values.c, connection.dialect.name
        pks, keys = ({series[place] for series, _ in self._slices} for place in (0, 1))
        statement = select(values.run_pk, values.key, values.axis_pk, values.data).where(
            one_of(values.run_pk, pks, dialect), one_of(values.key, keys, dialect)
        )
        for run_pk, key, axis_pk, data in _streamed(connection, statement):
            series = (run_pk, key)
            here = self._slices.get((series, axis_pk))  # None for a chunk that was folded meanwhile
            if here is None:
                continue
            try:
                self._fill_values(here, decode_values(data))
            except IntegrityError:
                self._lost.append((series, here))

    def _fill(self, here: slice, steps: Ints, times: Ints) -> None:
        if len(steps) != here.stop - here.start:
            raise IntegrityError("a chunk of metric history has another length than was recorded")
        self._step[here], self._time[here] = steps, times

    def _fill_values(self, here: slice, values: npt.NDArray[Any]) -> None:
        if len(values) != here.stop - here.start:
            raise IntegrityError("a chunk of metric history has another length than was recorded")
        self._value[here] = values

    def _sort(self, slices: list[slice]) -> None:
        """Order the points of one metric by time, where its chunks overlap."""
        times = [self._time[here] for here in slices]
        if all(before.max() <= after.min() for before, after in pairwise(times)):
            return
        whole = slice(slices[0].start, slices[-1].stop)
        order = np.argsort(self._time[whole], kind="stable")
        for column in (self._step, self._time, self._value):
            column[whole] = column[whole][order]

    def _warn(self) -> None:
        ids = dict(zip(self._runs.pks, ids_of(self._runs), strict=True))
        series = sorted({f"{key} of run {short_id(ids[run])}" for (run, key), _ in self._lost})
        more = f" and {len(series) - 3} more" if len(series) > 3 else ""
        points = sum(here.stop - here.start for here in {here.start: here for _, here in self._lost}.values())
        warnings.warn(
            f"the store is damaged: {points:,} points cannot be read and are left out: {', '.join(series[:3])}{more}"
            " (autotrack doctor --check looks at everything)",
            AutotrackWarning,
            stacklevel=5,
        )


def _places(pks: Sequence[int]) -> dict[int, int]:
    return {pk: index for index, pk in enumerate(pks)}


def _streamed(connection: Connection, statement: Select[Any]) -> Iterator[Any]:
    """The rows of a statement, a few chunks at a time."""
    yield from connection.execution_options(yield_per=_CHUNKS).execute(statement)
