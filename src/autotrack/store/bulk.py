"""Writing many rows at once, by statements that are compiled for SQLite or PostgreSQL."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Connection, Table, any_, bindparam, func, literal, select, text

from autotrack.store import schema

_AT_ONCE = 500  # values in one IN (…)


def dialect_module(name: str) -> Any:
    """SQLAlchemy's module of a dialect, "sqlite" or "postgresql", imported only when needed, since that takes long."""
    return import_module(f"sqlalchemy.dialects.{name}")


@functools.cache
def _dialect(name: str) -> Any:
    return dialect_module(name).dialect(**({"paramstyle": "format"} if name == "postgresql" else {}))


class Writer:
    """Inserts rows given as tuples in the order of `columns`.

    `key` names the conflict columns if rows may exist already: the other columns are then replaced, but with `newer`
    only where the new row's value of that column is not smaller; with `ignore` the row that exists stays as it is.
    Columns in `without` are left to the database.
    """

    def __init__(
        self,
        table: Table,
        *,
        key: Sequence[str] = (),
        newer: str | None = None,
        without: Sequence[str] = (),
        ignore: bool = False,
    ) -> None:
        self.table = table
        self.columns = tuple(column.name for column in table.columns if column.name not in without)
        self._key = key
        self._newer = newer
        self._ignore = ignore
        self._statement = functools.cache(self._compile)

    def write(self, connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
        """Insert `rows`, if there are any."""
        found = rows if isinstance(rows, list) else list(rows)
        if connection.dialect.name == "postgresql":
            found = [tuple(map(_without_nul, row)) for row in found]
        if found:
            connection.exec_driver_sql(self._statement(connection.dialect.name), found)

    def _compile(self, name: str) -> str:
        insert: Any = dialect_module(name).insert(self.table)
        statement = insert.values({column: bindparam(f"_{column}") for column in self.columns})
        if self._key:
            statement = self._on_conflict(statement)
        return _compiled(statement, name, self.columns)

    def _on_conflict(self, statement: Any) -> Any:
        if self._ignore:
            return statement.on_conflict_do_nothing(index_elements=list(self._key))
        new, old = statement.excluded, self.table.c
        condition: ColumnElement[bool] | None = new[self._newer] >= old[self._newer] if self._newer else None
        changes = {name: new[name] for name in self.columns if name not in self._key}
        return statement.on_conflict_do_update(index_elements=list(self._key), set_=changes, where=condition)


def _without_nul(value: Any) -> Any:
    """Replace NUL characters in text, which PostgreSQL cannot store."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


class Updater:
    """Updates rows given as tuples in the order of `columns`, found by their column `key`.

    `only` names the columns to update; by default those that are not in `without`.
    """

    def __init__(self, table: Table, *, key: str, without: Sequence[str] = (), only: Sequence[str] = ()) -> None:
        names = only or [column.name for column in table.columns if column.name not in (key, *without)]
        self.columns = (*names, key)
        self._update = table.update().where(table.c[key] == bindparam(f"_{key}"))
        self._update = self._update.values({name: bindparam(f"_{name}") for name in names})
        self._statement = functools.cache(lambda name: _compiled(self._update, name, self.columns))

    def write(self, connection: Connection, rows: list[Any]) -> None:
        """Update `rows`, if there are any."""
        if rows:
            connection.exec_driver_sql(self._statement(connection.dialect.name), rows)


def _compiled(statement: Any, name: str, columns: Sequence[str]) -> str:
    compiled = statement.compile(dialect=_dialect(name))
    assert [name[1:] for name in compiled.positiontup or ()] == list(columns)
    return str(compiled)


class Keys:
    """Allocates unused values of a table's `pk`, within one write transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next: dict[str, int] = {}

    def take(self, table: Table, count: int) -> Sequence[int]:
        """Allocate `count` keys for new rows of `table`."""
        if not count:
            return ()
        if self._connection.dialect.name != "sqlite":
            statement = text("SELECT nextval(pg_get_serial_sequence(:name, 'pk')) FROM generate_series(1, :count)")
            return self._connection.execute(statement, {"name": table.name, "count": count}).scalars().all()
        if table.name not in self._next:
            self._next[table.name] = (self._connection.execute(select(func.max(table.c.pk))).scalar() or 0) + 1
        start = self._next[table.name]
        self._next[table.name] = start + count
        return range(start, start + count)


def insert_new(
    connection: Connection, keys: Keys, table: Table, digests: Iterable[str], row_of: Callable[[str], Sequence[Any]]
) -> tuple[dict[str, int], list[str]]:
    """Insert a row for each digest that `table` lacks; returns the keys of all, and the digests of the inserted rows.

    `row_of` returns the values of a row without its `pk`, the digest first. Another process may insert the same.
    """
    wanted = sorted(digests)  # in one order in all processes, so that none waits for another in a circle
    pks = _keys_of(connection, table, wanted)
    new = [digest for digest in wanted if digest not in pks]
    if not new:
        return pks, []
    mine = dict(zip(new, keys.take(table, len(new)), strict=True))
    _adding(table).write(connection, [(mine[digest], *row_of(digest)) for digest in new])
    pks |= mine if connection.dialect.name == "sqlite" else _keys_of(connection, table, new)
    return pks, [digest for digest in new if pks[digest] == mine[digest]]


def _keys_of(connection: Connection, table: Table, digests: Sequence[str]) -> dict[str, int]:
    return {row.digest: row.pk for row in rows_in(connection, table, "digest", digests, only=("pk", "digest"))}


@functools.cache
def _adding(table: Table) -> Writer:
    return Writer(table, key=("digest",), ignore=True)


def rows_in(
    connection: Connection, table: Table, column: str, values: Iterable[Any], *, only: Sequence[str] = ()
) -> list[Any]:
    """The rows of `table` whose `column` is one of `values`, of any number; `only` names the columns to read.

    Rows of `runs` are locked if the database locks rows, since they are read to be updated.
    """
    found: list[Any] = []
    wanted = list(values)
    columns = [table.c[name] for name in only] if only else list(table.c)
    for start in range(0, len(wanted), _AT_ONCE):
        statement = select(*columns).where(table.c[column].in_(wanted[start : start + _AT_ONCE]))
        if table is schema.runs:
            statement = statement.with_for_update()
        found += connection.execute(statement).all()
    return found


def one_of(column: Column[Any] | ColumnElement[Any], values: Iterable[Any], dialect: str) -> ColumnElement[bool]:
    """The condition that `column` is one of `values`: a single bound parameter for any number of them."""
    values = list(values)
    if dialect == "sqlite":
        listed = func.json_each(json.dumps(values)).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(literal(values, ARRAY(column.type)))
