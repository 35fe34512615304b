"""Finding runs: by a filter, in an order, or one by a reference such as its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, select

from autotrack.exceptions import InvalidValueError
from autotrack.query.comparisons import Context
from autotrack.query.filters import Order, compile_filter, compile_order
from autotrack.query.records import Emit, Record, Runs
from autotrack.query.references import resolve
from autotrack.query.statements import newest_first, top_level
from autotrack.store.schema import now, runs

if TYPE_CHECKING:
    from autotrack.store.engine import Store

_SHOWS_ALL = {"run.kind", "run.parent"}


def find_runs(
    store: Store,
    filter: str = "",  # noqa: A002 - the word people use
    *,
    order_by: str | Sequence[str] | None = None,
    limit: int | None = None,
    experiment: str | Sequence[str] | None = None,
    all: bool = False,  # noqa: A002 - the word people use
    deleted: bool = False,
    emit: Emit | None = None,
) -> Runs:
    """Find the runs that match `filter`, in the order of `order_by` (newest first by default and for ties).

    Only top-level runs are found, unless `all` is set or the filter uses `run.kind` or `run.parent`; with `deleted`,
    only deleted runs, of every level. `emit` records later changes to the found runs (tags, notes, names). Raises
    `FilterError` with the position of the error.
    """
    if limit is not None and limit < 0:
        raise InvalidValueError(f"a limit cannot be {limit}")
    with store.engine.connect() as connection:
        context = Context(connection.dialect.name, now(), lambda query: _known(connection, query))
        condition = compile_filter(filter, context)
        everything = all or deleted or (condition is not None and not condition.names.isdisjoint(_SHOWS_ALL))
        clauses: list[ColumnElement[bool]] = [runs.c.deleted.is_not(None) if deleted else runs.c.deleted.is_(None)]
        if not everything:
            clauses.append(top_level())
        if experiment is not None:
            names = [experiment] if isinstance(experiment, str) else list(experiment)
            clauses.append(runs.c.experiment.in_(names))
        if condition is not None:
            clauses.append(condition.clause)
        order = compile_order(order_by or "", context)
        return Runs(store, _found(connection, clauses, order, limit), emit=emit)


def get_record(
    store: Store, reference: str, *, exact: bool = False, deleted: bool = False, emit: Emit | None = None
) -> Record:
    """One record by id, unique prefix of an id, name, `last` or `last~2`; with `exact` by id alone.

    A deleted run is found by its whole id only; with `deleted`, the other references find only deleted runs.
    `NotFoundError` if no run fits or, with the candidates, if several do.
    """
    with store.engine.connect() as connection:
        pk = resolve(connection, reference, exact=exact, deleted=deleted)
    return Runs(store, [pk], emit=emit)[0]


def _found(
    connection: Connection, clauses: list[ColumnElement[bool]], order: Order, limit: int | None
) -> Sequence[int]:
    """The keys of the runs in their order.

    Of an order by a metric or param the first few are sought among the runs that have it, in the order of its index;
    only if these are too few are all runs sorted.
    """
    if limit and order.leading is not None:
        few = _keys(connection, _ordered([*clauses, order.leading.is_not(None)], order, inner=True).limit(limit))
        if len(few) == limit:
            return few
    return _keys(connection, _ordered(clauses, order).limit(limit))


def _ordered(clauses: list[ColumnElement[bool]], order: Order, *, inner: bool = False) -> Select[Any]:
    source: Any = runs
    for place, (rows, on) in enumerate(order.joins):
        source = source.join(rows, on, isouter=not (inner and place == 0))
    return select(runs.c.pk).select_from(source).where(*clauses).order_by(*order.terms, *newest_first())


def _keys(connection: Connection, statement: Select[Any]) -> list[int]:
    cursor = connection.execute(statement).cursor  # without a Row for each of perhaps 100,000 runs
    return [] if cursor is None else [pk for (pk,) in cursor.fetchall()]


def _known(connection: Connection, query: Select[Any]) -> Sequence[str]:
    return connection.execute(query).scalars().all()
