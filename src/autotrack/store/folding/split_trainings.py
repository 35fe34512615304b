"""Moves the stored facts of a training to a run of its own, when its run gets a second training."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, select

from autotrack.store import schema
from autotrack.store.bulk import Writer, rows_in
from autotrack.store.chunks import decode_axis, decode_values
from autotrack.store.folding.rows import leaves
from autotrack.store.folding.summaries import MetricSummary, summarise, write_summaries

_PLAIN = (
    schema.params, schema.tags, schema.artifacts, schema.media, schema.datasets, schema.models,
    schema.evaluations, schema.reports,
)  # fmt: skip
_facts = Writer(schema.facts, key=("run_pk", "key"))


def move_training(connection: Connection, run_pk: int, number: int, child_pk: int) -> None:
    """Move the facts of training `number` from the run with the key `run_pk` to the run with the key `child_pk`."""
    for table in _PLAIN:
        mine = (table.c.run_pk == run_pk) & (table.c.training == number)
        connection.execute(table.update().where(mine).values(run_pk=child_pk, training=0))
    _move_sections(connection, run_pk, number, child_pk)
    shared = _move_history(connection, run_pk, number, child_pk)
    metrics = schema.metrics
    connection.execute(metrics.delete().where((metrics.c.run_pk == run_pk) & metrics.c.key.in_(shared)))
    mine = (metrics.c.run_pk == run_pk) & (metrics.c.training == number)
    connection.execute(metrics.update().where(mine).values(run_pk=child_pk, training=0))
    write_summaries(connection, _summaries(connection, (run_pk, child_pk), shared))


def write_facts(connection: Connection, rows: list[tuple[int, str, float | None, str]]) -> None:
    """Write leaves of sections, given as key of the run, dotted path, number and text."""
    _facts.write(connection, rows)


def forget_facts(connection: Connection, pk: int, section: str) -> None:
    """Remove the leaves of one section of a run."""
    facts = schema.facts.c
    mine = (facts.run_pk == pk) & (facts.key >= f"{section}.") & (facts.key < f"{section}/")
    connection.execute(schema.facts.delete().where(mine))


def _move_sections(connection: Connection, run_pk: int, number: int, child_pk: int) -> None:
    sections = schema.sections
    mine = (sections.c.run_pk == run_pk) & (sections.c.training == number)
    names = connection.execute(select(sections.c.name).where(mine).distinct()).scalars().all()
    connection.execute(sections.update().where(mine).values(run_pk=child_pk, training=0))
    for pk in (run_pk, child_pk) if names else ():
        latest = {row.name: row for row in connection.execute(_sections_of(pk))}
        for name in names:
            forget_facts(connection, pk, name)
            if name in latest:
                write_facts(connection, [(pk, *leaf) for leaf in leaves(json.loads(latest[name].data), name)])


def _sections_of(pk: int) -> Select[Any]:
    """The statement for the sections of a run by attempt and training; the last one of a name is searchable."""
    sections = schema.sections.c
    return (
        select(sections.name, sections.data).where(sections.run_pk == pk).order_by(sections.attempt, sections.training)
    )


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
            summary = summarise(pk, key, decode_axis(axis), decode_values(data), 0)
            known = found.setdefault((pk, key), summary)
            if known is not summary:
                known.add(summary)
    return list(found.values())
