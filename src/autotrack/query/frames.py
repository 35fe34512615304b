"""Runs as tables, one row each: Arrow first, pandas and polars from there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import ColumnElement, Select, select

from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.query.fields import AGGREGATES
from autotrack.query.params import from_json
from autotrack.query.statements import duration, status
from autotrack.store import schema
from autotrack.store.bulk import one_of
from autotrack.store.schema import now

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from autotrack.store.engine import Store

_TIME = pa.timestamp("us", tz="UTC")
_OF_RUN = {
    "id": pa.string(), "name": pa.string(), "experiment": pa.string(), "kind": pa.string(), "status": pa.string(),
    "started": _TIME, "ended": _TIME, "duration": pa.float64(), "parent": pa.string(), "user": pa.string(),
    "host": pa.string(), "attempt": pa.int64(),
}  # fmt: skip
_NULLABLE = {pa.int64(): "Int64", pa.bool_(): "boolean"}
_INT64 = range(-(1 << 63), 1 << 63)
_EXACT = 1 << 53
_ARROW = {bool: pa.bool_(), float: pa.float64(), str: pa.string()}
_NAN = float("nan")
_RANK = {"set": 0, "default": 1, "config": 2}


@dataclass(frozen=True)
class Column:
    """A column's values, None where a run has none. Its type is None where the values differ in type."""

    values: list[Any]
    type: pa.DataType | None

    def to_arrow(self) -> pa.Array:
        """The values as an array; as text if they differ in type."""
        if self.type is not None:
            return pa.array(self.values, self.type)
        return pa.array([None if value is None else _as_text(value) for value in self.values], pa.string())


def ids_of(store: Store, pks: Sequence[int]) -> list[str]:
    """The ids of the runs, in their order."""
    found = {row.pk: row.id for row in _read(store, select(schema.runs.c.pk, schema.runs.c.id), schema.runs.c.pk, pks)}
    return [found[pk] for pk in pks]


def to_arrow(store: Store, pks: Sequence[int], aggregates: Sequence[str] = ("last",)) -> pa.Table:
    """One row per run; a column whose values differ in type is text."""
    return pa.table({name: column.to_arrow() for name, column in columns_of(store, pks, aggregates).items()})


def to_pandas(store: Store, pks: Sequence[int], aggregates: Sequence[str] = ("last",)) -> pd.DataFrame:
    """One row per run; ints and bools that some runs lack are nullable, columns of mixed types hold objects."""
    pandas = _pandas("to_pandas")

    def series(column: Column) -> Any:
        if column.type is None:
            return pandas.Series(column.values, dtype=object)
        if column.type in _NULLABLE and None in column.values:
            return pandas.array(column.values, dtype=_NULLABLE[column.type])
        return column.to_arrow().to_pandas()

    frame: pd.DataFrame = pandas.DataFrame(
        {name: series(column) for name, column in columns_of(store, pks, aggregates).items()}
    )
    return frame


def to_polars(store: Store, pks: Sequence[int], aggregates: Sequence[str] = ("last",)) -> pl.DataFrame:
    """One row per run."""
    try:
        import polars
    except ImportError as error:
        raise MissingDependencyError("polars", "polars", "to_polars") from error
    frame = polars.from_arrow(to_arrow(store, pks, aggregates))
    assert isinstance(frame, polars.DataFrame)
    return frame


def as_pandas(table: pa.Table, purpose: str) -> pd.DataFrame:
    """An Arrow table as a DataFrame; `MissingDependencyError` without pandas."""
    _pandas(purpose)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def columns_of(store: Store, pks: Sequence[int], aggregates: Sequence[str] = ("last",)) -> dict[str, Column]:
    """All columns by name: of the run, params (those that were set and that differ first), metrics, tags."""
    place = {pk: index for index, pk in enumerate(pks)}
    return {
        **_run_columns(store, pks),
        **_param_columns(store, pks, place),
        **_metric_columns(store, pks, place, aggregates),
        **_tag_columns(store, pks, place),
    }


def _run_columns(store: Store, pks: Sequence[int]) -> dict[str, Column]:
    runs = schema.runs.c
    worked_out: dict[str, ColumnElement[Any]] = {"status": status(), "duration": duration(now())}
    statement = select(runs.pk, *(worked_out.get(name, runs[name]).label(name) for name in _OF_RUN))
    found = {row.pk: row for row in _read(store, statement, runs.pk, pks)}
    rows = [found[pk] for pk in pks]
    return {f"run.{name}": Column([getattr(row, name) for row in rows], kind) for name, kind in _OF_RUN.items()}


def _param_columns(store: Store, pks: Sequence[int], place: Mapping[int, int]) -> dict[str, Column]:
    params = schema.params.c
    texts: dict[str, list[str | None]] = {}
    ranks: dict[str, int] = {}
    statement = select(params.run_pk, params.key, params.value, params.origin)
    for pk, key, text, origin in _read(store, statement, params.run_pk, pks):
        if key not in texts:
            texts[key] = [None] * len(pks)
            ranks[key] = len(_RANK)
        texts[key][place[pk]] = text
        ranks[key] = min(ranks[key], _RANK.get(origin, len(_RANK)))
    ordered = sorted(texts, key=lambda key: (ranks[key], len(set(texts[key])) == 1, key))
    return {f"params.{key}": _from_json(texts[key]) for key in ordered}


def _from_json(texts: list[str | None]) -> Column:
    value_of = {text: None if text is None else from_json(text) for text in set(texts)}
    return Column([value_of[text] for text in texts], _common_type(value_of.values()))


def _metric_columns(
    store: Store, pks: Sequence[int], place: Mapping[int, int], aggregates: Sequence[str]
) -> dict[str, Column]:
    for aggregate in aggregates:
        if aggregate not in AGGREGATES:
            raise InvalidValueError(f"{aggregate!r} is no aggregate of a metric; there are {', '.join(AGGREGATES)}")
    metrics = schema.metrics.c
    found: dict[str, list[list[Any]]] = {}
    statement = select(metrics.run_pk, metrics.key, *(metrics[aggregate] for aggregate in aggregates))
    for pk, key, *values in _read(store, statement, metrics.run_pk, pks):
        if key not in found:
            found[key] = [[None] * len(pks) for _ in aggregates]
        for column, value in zip(found[key], values, strict=True):
            column[place[pk]] = _NAN if value is None else value
    plain = tuple(aggregates) == ("last",)
    return {
        f"metrics.{key}" if plain else f"metrics.{key}.{aggregate}": Column(
            values, pa.int64() if aggregate == "count" else pa.float64()
        )
        for key in sorted(found, key=lambda key: (key.startswith("system/"), key))
        for aggregate, values in zip(aggregates, found[key], strict=True)
    }


def _tag_columns(store: Store, pks: Sequence[int], place: Mapping[int, int]) -> dict[str, Column]:
    tags = schema.tags.c
    found: dict[str, list[str | None]] = {}
    for pk, key, value in _read(store, select(tags.run_pk, tags.key, tags.value), tags.run_pk, pks):
        if key not in found:
            found[key] = [None] * len(pks)
        found[key][place[pk]] = value
    return {f"tags.{key}": Column(found[key], pa.string()) for key in sorted(found)}


def _common_type(values: Iterable[Any]) -> pa.DataType | None:
    kinds = {type(value) for value in values if value is not None}
    ints = [value for value in values if type(value) is int]
    if kinds == {int}:
        return pa.int64() if all(value in _INT64 for value in ints) else None
    if kinds == {int, float}:
        return pa.float64() if all(abs(value) <= _EXACT for value in ints) else None
    return _ARROW.get(next(iter(kinds))) if len(kinds) == 1 else pa.null() if not kinds else None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(store: Store, statement: Select[Any], column: ColumnElement[Any], pks: Sequence[int]) -> Sequence[Any]:
    with store.engine.connect() as connection:
        return connection.execute(statement.where(one_of(column, pks, connection.dialect.name))).all()


def _pandas(purpose: str) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError("pandas", "pandas", purpose) from error
    return pandas
