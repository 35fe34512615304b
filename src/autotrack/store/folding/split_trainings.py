"""Moves the stored facts of a training to a run of its own, when its run gets a second training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, select

from autotrack.exceptions import IntegrityError
from autotrack.store import schema
from autotrack.store.bulk import rows_in
from autotrack.store.chunks import decode_axis, decode_values
from autotrack.store.folding.summaries import MetricSummary, summarise, write_summaries

_PLAIN = (
    schema.params, schema.tags, schema.artifacts, schema.media, schema.datasets, schema.models,
    schema.evaluations, schema.reports,
)  # fmt: skip


def move_training(connection: Connection, run_pk: int, number: int, child_pk: int) -> None:
    """Move the facts of training `number`, but for its sections, from the run with the key `run_pk` to `child_pk`'s."""
    for table in _PLAIN:
        mine = (table.c.run_pk == run_pk) & (table.c.training == number)
        connection.execute(table.update().where(mine).values(run_pk=child_pk, training=0))
    shared = _move_history(connection, run_pk, number, child_pk)
    metrics = schema.metrics
    connection.execute(metrics.delete().where((metrics.c.run_pk == run_pk) & metrics.c.key.in_(shared)))
    mine = (metrics.c.run_pk == run_pk) & (metrics.c.training == number)
    connection.execute(metrics.update().where(mine).values(run_pk=child_pk, training=0))
    write_summaries(connection, _summaries(connection, (run_pk, child_pk), shared))


def _move_history(connection: Connection, run_pk: int, number: int, child_pk: int) -> list[str]:
    """Move the chunks of the training; returns the metrics that have chunks in both runs now."""
    axes, values = schema.metric_axes, schema.metric_values
    mine = (axes.c.run_pk == run_pk) & (axes.c.training == number)
    moved = set(connection.execute(select(axes.c.pk).where(mine)).scalars())
    sides: dict[str, set[bool]] = defaultdict(set)
    for row in rows_in(connection, values, "run_pk", [run_pk], only=("key", "axis_pk")):
        sides[row.key].add(row.axis_pk in moved)
    belongs = values.c.axis_pk.in_(select(axes.c.pk).where(mine))
    connection.execute(values.update().where((values.c.run_pk == run_pk) & belongs).values(run_pk=child_pk))
    connection.execute(axes.update().where(mine).values(run_pk=child_pk, training=0))
    return [key for key, found in sides.items() if len(found) == 2]


def _summaries(connection: Connection, pks: Iterable[int], keys: list[str]) -> list[MetricSummary]:
    """The summaries of these metrics of these runs, computed from their chunks."""
    axes, values = schema.metric_axes.c, schema.metric_values.c
    found: dict[tuple[int, str], MetricSummary] = {}
    for pk in pks if keys else ():
        chunks = (
            select(values.key, axes.data.label("axis"), values.data)
            .where((values.run_pk == pk) & values.key.in_(keys) & (axes.pk == values.axis_pk))
            .order_by(axes.first_time, axes.pk)
        )
        for key, axis, data in connection.execute(chunks):
            try:
                summary = summarise(pk, key, decode_axis(axis), decode_values(data), 0)
            except IntegrityError:
                continue  # a damaged chunk: whoever reads the history is told
            known = found.setdefault((pk, key), summary)
            if known is not summary:
                known.add(summary)
    return list(found.values())
