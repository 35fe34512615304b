"""The rows of a page of runs, read table by table on first access, for all runs of the page at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, Select, Table, func, select

from autotrack.query.statements import duration, status
from autotrack.store import schema
from autotrack.store.bulk import one_of
from autotrack.store.schema import now

if TYPE_CHECKING:
    from autotrack.store.engine import Store

_ORDERS: dict[str, tuple[str, ...]] = {
    "notes": ("time", "pk"),
    "media": ("key", "step", "pk"),
    "evaluations": ("name", "pk"),
    "reports": ("time", "pk"),
    "trainings": ("number",),
    "attempts": ("attempt",),
}


class Page:
    """Some runs of a store, by their `pk`; each table is queried once for all of them."""

    def __init__(self, store: Store, pks: Sequence[int]) -> None:
        self.store = store
        self.pks = pks
        self._rows: dict[str, Mapping[int, list[Row[Any]]]] = {}
        self._runs: dict[int, Row[Any]] | None = None
        self._sections: dict[int, list[Row[Any]]] | None = None

    def runs(self) -> Mapping[int, Row[Any]]:
        """The rows of the runs themselves, with status and duration as of now and `children` counted."""
        if self._runs is None:
            with self.store.engine.connect() as connection:
                rows = connection.execute(self._select_runs()).all()
            self._runs = {row.pk: row for row in rows}
        return self._runs

    def rows(self, table: Table) -> Mapping[int, list[Row[Any]]]:
        """The rows of `table` for each run, in the order that `_ORDERS` gives, else by primary key."""
        found = self._rows.get(table.name)
        if found is None:
            found = self._rows[table.name] = self._read(table)
        return found

    def sections(self, environment: int | None) -> list[Row[Any]]:
        """The sections of an environment of one of these runs, by name, attempt and training."""
        if self._sections is None:
            with self.store.engine.connect() as connection:
                rows = connection.execute(self._select_sections()).all()
            self._sections = defaultdict(list)
            for row in rows:
                self._sections[row.environment_pk].append(row)
        return [] if environment is None else self._sections[environment]

    def among(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition that `column` is the `pk` of one of these runs."""
        return one_of(column, self.pks, self.store.engine.dialect.name)

    def _read(self, table: Table) -> Mapping[int, list[Row[Any]]]:
        order = _ORDERS.get(table.name) or [column.name for column in table.primary_key if column.name != "run_pk"]
        statement = select(table).where(self.among(table.c.run_pk)).order_by(*(table.c[name] for name in order))
        found: defaultdict[int, list[Row[Any]]] = defaultdict(list)
        with self.store.engine.connect() as connection:
            for row in connection.execute(statement).all():
                found[row.run_pk].append(row)
        return found

    def _select_sections(self) -> Select[Any]:
        members, sections = schema.environment_sections.c, schema.sections
        mine = {row.environment for row in self.runs().values()} - {None}
        return (
            select(members.environment_pk, sections)
            .where(one_of(members.environment_pk, mine, self.store.engine.dialect.name))
            .where(sections.c.pk == members.section_pk)
            .order_by(sections.c.name, members.attempt, members.training)
        )

    def _select_runs(self) -> Select[Any]:
        runs, child = schema.runs, schema.runs.alias("child")
        children = select(func.count()).where(child.c.parent == runs.c.id, child.c.deleted.is_(None))
        recorded = [column for column in runs.c if column.name not in {"status", "duration"}]
        return select(
            *recorded,
            status().label("status"),
            duration(now()).label("duration"),
            children.correlate(runs).scalar_subquery().label("children"),
        ).where(self.among(runs.c.pk))


def children_of(store: Store, run_id: str) -> Sequence[int]:
    """The keys of the runs directly below a run, oldest first."""
    runs = schema.runs.c
    statement = select(runs.pk).where(runs.parent == run_id, runs.deleted.is_(None))
    with store.engine.connect() as connection:
        return connection.execute(statement.order_by(runs.started.asc().nulls_last(), runs.pk)).scalars().all()
