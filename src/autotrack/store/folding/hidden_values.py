"""Values that a run and its only training hide from each other, for as long as they share one row of `runs`.

While a run has one training, the later of a value that the run logged and one that the training logged is what the
run shows. When a second training parts them, each must have its own again: until then the other one is kept aside.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from autotrack.store import schema
from autotrack.store.bulk import Writer

_covered = Writer(schema.covered, key=("run_pk", "of", "key", "training"), newer="time")
_writers = {
    table.name: Writer(table, key=("run_pk", "key"), newer="time") for table in (schema.params, schema.tags)
}  # whose rows begin with run and key, and end with time and training


def write_latest(connection: Connection, table: Table, rows: Iterable[Sequence[Any]], shared: Collection[int]) -> None:
    """Write params or tags, each in place of an earlier one; what that hides in the runs `shared` is kept aside."""
    writer = _writers[table.name]
    plain: list[Sequence[Any]] = []
    groups: dict[tuple[int, int], list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        (groups[row[0], row[-1]] if row[0] in shared else plain).append(row)
    writer.write(connection, plain)
    for (pk, training), group in groups.items():
        others = _of_others(connection, table, pk, training)
        cover(connection, table, [others[row[1]] for row in group if row[1] in others])
        writer.write(connection, group)
        cover(connection, table, [row for row in group if row[1] in others and others[row[1]][-2] > row[-2]])


def cover(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Keep rows aside."""
    aside = [(row[0], table.name, row[1], row[-1], row[-2], json.dumps(list(row))) for row in rows]
    _covered.write(connection, aside)


def cover_key(connection: Connection, table: Table, pk: int, key: str, training: int) -> None:
    """Keep the value of a key aside, if anybody but `training` logged it."""
    row = _of_others(connection, table, pk, training).get(key)
    cover(connection, table, [row] if row is not None else [])


def uncover(connection: Connection, pk: int, children: Mapping[int, int]) -> None:
    """Give back what was kept aside for a run and its trainings, which have runs of their own now, by number."""
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
