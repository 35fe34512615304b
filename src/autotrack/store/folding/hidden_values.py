"""Param and tag values that are hidden while a run and its only training share a row of `runs`.

If both log a value of the same key, the row shows the run's own param, or the later tag; the other is kept in the table
`covered`. When a second training splits the run, each gets its own value back.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from autotrack.store import schema
from autotrack.store.bulk import Writer, one_of

_hidden = Writer(schema.covered, key=("run_pk", "of", "key", "training"), newer="time")
_writers = {
    table.name: Writer(table, key=("run_pk", "key"), newer="time") for table in (schema.params, schema.tags)
}  # rows of both tables begin with run and key, and end with time and training


def write_latest(connection: Connection, table: Table, rows: Iterable[Sequence[Any]], shared: Collection[int]) -> None:
    """Write params or tags over earlier values of their keys, and keep the values that this hides.

    `shared` are the keys of the runs that share their row with a training. Rows end with time and training.
    """
    writer = _writers[table.name]
    plain: list[Sequence[Any]] = []
    groups: dict[tuple[int, int], list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        (groups[row[0], row[-1]] if row[0] in shared else plain).append(row)
    writer.write(connection, plain)
    for (pk, training), group in groups.items():
        others = _of_others(connection, table, pk, training)
        if table is schema.params:
            _write_params(connection, writer, pk, training, group, others)
            continue
        _hide(connection, table, [others[row[1]] for row in group if row[1] in others])
        writer.write(connection, group)
        _hide(connection, table, [row for row in group if row[1] in others and others[row[1]][-2] > row[-2]])


def _write_params(
    connection: Connection, writer: Writer, pk: int, training: int, group: Sequence[Sequence[Any]],
    others: Mapping[str, Sequence[Any]],
) -> None:  # fmt: skip
    """Write params of a run over those of its training, whichever is later."""
    table = schema.params
    clashing = [row for row in group if row[1] in others]
    if training:
        _hide(connection, table, clashing)
        writer.write(connection, [row for row in group if row[1] not in others])
        return
    if clashing:
        _hide(connection, table, [others[row[1]] for row in clashing])
        hidden = one_of(table.c.key, [row[1] for row in clashing], connection.dialect.name)
        connection.execute(table.delete().where((table.c.run_pk == pk) & hidden))
    writer.write(connection, group)


def _hide(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Keep rows of params or tags in the table `covered`."""
    hidden = [(row[0], table.name, row[1], row[-1], row[-2], json.dumps(list(row))) for row in rows]
    _hidden.write(connection, hidden)


def hide_key(connection: Connection, table: Table, pk: int, key: str, training: int) -> None:
    """Copy the shown value of a key to the table `covered`, unless `training` logged it."""
    row = _of_others(connection, table, pk, training).get(key)
    _hide(connection, table, [row] if row is not None else [])


def restore_hidden(connection: Connection, pk: int, children: Mapping[int, int]) -> None:
    """Restore the hidden values of a run and its trainings; `children` maps training numbers to keys of runs."""
    mine = schema.covered.c.run_pk == pk
    found: dict[str, list[list[Any]]] = defaultdict(list)
    for row in connection.execute(select(schema.covered).where(mine)):
        values = json.loads(row.row)
        if row.training:
            values[0], values[-1] = children[row.training], 0
        found[row.of].append(values)
    for name, rows in found.items():
        _writers[name].write(connection, [tuple(row) for row in rows])
    connection.execute(schema.covered.delete().where(mine))


def _of_others(connection: Connection, table: Table, pk: int, training: int) -> dict[str, Sequence[Any]]:
    statement = select(table).where((table.c.run_pk == pk) & (table.c.training != training))
    return {row.key: tuple(row) for row in connection.execute(statement)}
