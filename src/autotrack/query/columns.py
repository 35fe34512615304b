"""One value per run of many runs, by its name in the filter language, read with one query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, FromClause, Select, select

from autotrack.exceptions import FilterError
from autotrack.query.comparisons import Context, Times
from autotrack.query.facets import moment
from autotrack.query.fields import EnvironmentFact, Fact, Field, Name, find_field, is_namespaced
from autotrack.query.params import from_json
from autotrack.query.selection import Selection
from autotrack.store import schema
from autotrack.store.bulk import one_of
from autotrack.store.schema import now


def column(runs: Selection, name: str) -> list[Any]:
    """The value of `name` in each run, in their order; None where a run has none, or a metric that is NaN.

    `params.lr` is typed, `metrics.val/loss` the last value (or `.first`, `.min`, `.max`, `.count`), `run.duration` in
    seconds, `run.started` a point in time. `FilterError` for an unknown name or one with several values per run.
    """
    with runs.store.engine.connect() as connection:
        dialect = connection.dialect.name
        field = find_field(Name(name, name, 0), Context(dialect, now(), lambda query: []))
        statement, pk, read = _question(field)
        rows = connection.execute(statement.where(one_of(pk, runs.pks, dialect)))
        found = {row[0]: read(row) for row in rows}
    return [found.get(pk) for pk in runs.pks]


def numbers(runs: Selection, name: str) -> npt.NDArray[np.float64]:
    """`column` as float64, shape (runs,); NaN where there is no number."""
    return np.array([as_float(found) for found in column(runs, name)], dtype=np.float64)


def metrics_of(runs: Selection) -> tuple[str, ...]:
    """The names of all metrics of the runs except `system/…`, sorted."""
    keys = schema.metrics.c.key
    with runs.store.engine.connect() as connection:
        mine = one_of(schema.metrics.c.run_pk, runs.pks, connection.dialect.name)
        found = connection.execute(select(keys).where(mine).distinct()).scalars().all()
    return tuple(sorted(name for name in found if not name.startswith("system/")))


def qualified(name: str, namespace: str) -> str:
    """The name itself if it has a namespace, else the name in `namespace`: `lr` becomes `params.lr`."""
    return name if is_namespaced(name) else f"{namespace}.{name}"


def as_float(value: Any) -> float:
    """The nearest float64 of a number or bool, NaN for anything else; an int beyond all floats is infinite."""
    if not isinstance(value, bool | int | float):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _question(field: Field) -> tuple[Select[Any], ColumnElement[Any], Callable[[Any], Any]]:
    """The statement that selects a field, its column with the run's key, and a function that reads a row's value."""
    if isinstance(field, EnvironmentFact):
        shared, runs = field.rows(), schema.runs.c
        columns: Select[Any] = select(runs.pk, shared.c.number, shared.c.text)
        return columns.where(shared.c.environment_pk == runs.environment), runs.pk, _fact_in
    if not isinstance(field, Fact):
        value = field.values(schema.runs)
        pk: ColumnElement[Any] = schema.runs.c.pk
        return select(pk, value.column), pk, _moment_in if isinstance(value, Times) else _second_in  # type: ignore[attr-defined]
    if not field.keys:
        raise FilterError(f"a run may have several of {field.name}: it has no one value")
    rows = field.table.c
    table: FromClause = field.table
    if table is schema.params:
        statement, read = select(rows.run_pk, rows.value), _json_in
    else:
        statement, read = select(rows.run_pk, field.values(table).column), _second_in  # type: ignore[attr-defined]
    return statement.where(*field.found_in(field.table)), rows.run_pk, read


def _second_in(row: Any) -> Any:
    return row[1]


def _moment_in(row: Any) -> Any:
    return moment(row[1])


def _json_in(row: Any) -> Any:
    return from_json(row[1])


def _fact_in(row: Any) -> Any:
    return row[2] if row[1] is None else row[1]
