"""Merges the small chunks that folding a live run leaves behind.

While a run is live, sixteen chunks of about one size are merged into one of the next size, so that a point is rewritten
only a few times; when the run ends, its chunks that are less than half full are merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from autotrack.exceptions import IntegrityError
from autotrack.store import schema
from autotrack.store.bulk import Keys, rows_in
from autotrack.store.chunks import decode_axis, decode_values, kind_of
from autotrack.store.folding.chunk_rows import FULL, Piece, write_chunks
from autotrack.store.folding.rows import MetricPoints

TOGETHER = 16  # chunks of one size that are merged
_ENOUGH = FULL // 2  # points from which on a chunk is not merged any more


@dataclass(frozen=True)
class _Axis:
    pk: int
    run_pk: int
    count: int
    first_time: int
    training: int
    metrics: tuple[tuple[str, str], ...]  # keys, and the letter of their number type ("d", "q")


def compact(connection: Connection, keys: Keys, live: Iterable[int], ended: Iterable[int]) -> None:
    """Merge chunks of the live and the ended runs with these keys, in a transaction that holds the right to write."""
    whole = set(ended)
    for run_pk, count in _small_axes(connection, whole | set(live)):
        if count < (2 if run_pk in whole else TOGETHER):
            continue
        for group in _groups(_axes(connection, run_pk), whole=run_pk in whole):
            _merge(connection, keys, run_pk, group)


def _small_axes(connection: Connection, pks: Iterable[int]) -> list[Any]:
    axes = schema.metric_axes.c
    found: list[Any] = []
    wanted = sorted(pks)
    for start in range(0, len(wanted), 500):
        mine = axes.run_pk.in_(wanted[start : start + 500]) & (axes.count < _ENOUGH)
        found += connection.execute(select(axes.run_pk, func.count()).where(mine).group_by(axes.run_pk)).all()
    return found


def _axes(connection: Connection, run_pk: int) -> list[_Axis]:
    axes, values = schema.metric_axes.c, schema.metric_values.c
    kinds: dict[int, list[tuple[str, str]]] = defaultdict(list)
    small = select(axes.pk).where((axes.run_pk == run_pk) & (axes.count < _ENOUGH))
    letters = select(values.axis_pk, values.key, func.substr(values.data, 1, 1)).where(
        (values.run_pk == run_pk) & values.axis_pk.in_(small)
    )
    for axis_pk, key, letter in connection.execute(letters):
        kinds[axis_pk].append((key, kind_of(letter)))
    columns = (axes.pk, axes.run_pk, axes.count, axes.first_time, axes.training)
    found = connection.execute(select(*columns).where(axes.pk.in_(small)).order_by(axes.first_time, axes.pk))
    return [_Axis(*row, tuple(sorted(kinds[row.pk]))) for row in found]


def _groups(axes: list[_Axis], *, whole: bool) -> list[list[_Axis]]:
    """The chunks to merge: same metrics of the same training and, while the run is live, about the same size."""
    groups: dict[tuple[Any, ...], list[_Axis]] = defaultdict(list)
    for axis in axes:
        size = 0 if whole else (axis.count.bit_length() - 1) // 4
        groups[axis.training, axis.metrics, size].append(axis)
    return [group for group in groups.values() if len(group) >= (2 if whole else TOGETHER)]


def _merge(connection: Connection, keys: Keys, run_pk: int, group: list[_Axis]) -> None:
    names = tuple(key for key, _ in group[0].metrics)
    found = _decoded(connection, run_pk, [axis.pk for axis in group], names)
    if len(found) < 2:
        return
    steps, times, *arrays = (np.concatenate(column) for column in zip(*found.values(), strict=True))
    if np.any(times[1:] < times[:-1]):
        order = np.argsort(times, kind="stable")
        steps, times, arrays = steps[order], times[order], [array[order] for array in arrays]
    points = MetricPoints(steps, times, tuple(arrays))
    write_chunks(connection, keys, [Piece(run_pk, group[0].training, names, points)])
    _delete(connection, run_pk, list(found))


def _decoded(connection: Connection, run_pk: int, pks: list[int], names: tuple[str, ...]) -> dict[int, list[Any]]:
    """By axis its steps, its times and the values of each metric; without damaged chunks, which are never merged."""
    axes = {row.pk: row.data for row in rows_in(connection, schema.metric_axes, "pk", pks)}
    values = {(row.axis_pk, row.key): row.data for row in _values(connection, run_pk, pks)}
    found: dict[int, list[Any]] = {}
    for pk in pks:
        with suppress(IntegrityError):
            found[pk] = [*decode_axis(axes[pk]), *(decode_values(values[pk, name]) for name in names)]
    return found


def _values(connection: Connection, run_pk: int, pks: list[int]) -> list[Any]:
    values = schema.metric_values
    found: list[Any] = []
    for start in range(0, len(pks), 500):
        some = values.c.axis_pk.in_(pks[start : start + 500])
        found += connection.execute(select(values).where((values.c.run_pk == run_pk) & some)).all()
    return found


def _delete(connection: Connection, run_pk: int, pks: list[int]) -> None:
    axes, values = schema.metric_axes, schema.metric_values
    for start in range(0, len(pks), 500):
        some = pks[start : start + 500]
        connection.execute(values.delete().where((values.c.run_pk == run_pk) & values.c.axis_pk.in_(some)))
        connection.execute(axes.delete().where(axes.c.pk.in_(some)))
