"""Finding runs: by a filter, in an order, or one by a reference such as its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, select

from autotrack.exceptions import InvalidValueError
from autotrack.query.comparisons import Context
from autotrack.query.filters import compile_filter, compile_order
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
        statement = _ordered(clauses, order_by, context).limit(limit)
        return Runs(store, connection.execute(statement).scalars().all(), emit=emit)


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


def _ordered(clauses: list[ColumnElement[bool]], order_by: str | Sequence[str] | None, context: Context) -> Select[Any]:
    order = compile_order(order_by or "", context)
    source: Any = runs
    for rows, on in order.joins:
        source = source.outerjoin(rows, on)
    return select(runs.c.pk).select_from(source).where(*clauses).order_by(*order.terms, *newest_first())


def _known(connection: Connection, query: Select[Any]) -> Sequence[str]:
    return connection.execute(query).scalars().all()
