"""Columns of values with one row per run, for tables and DataFrames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Select, select

from autotrack.exceptions import InvalidValueError
from autotrack.query.fields import AGGREGATES
from autotrack.query.params import from_json
from autotrack.query.selection import Selection
from autotrack.query.statements import duration, status
from autotrack.store import schema
from autotrack.store.bulk import one_of
from autotrack.store.schema import now

Kind: TypeAlias = Literal["text", "int", "real", "bool", "time", "nothing"]

_OF_RUN: dict[str, Kind] = {
    "id": "text", "name": "text", "experiment": "text", "kind": "text", "status": "text", "started": "time",
    "ended": "time", "duration": "real", "parent": "text", "user": "text", "host": "text", "attempt": "int",
}  # fmt: skip
_INT64 = range(-(1 << 63), 1 << 63)
_EXACT = 1 << 53
_KINDS: dict[type, Kind] = {bool: "bool", float: "real", str: "text"}
_NAN = float("nan")
_RANK = {"set": 0, "default": 1, "config": 2}


@dataclass(frozen=True)
class FrameColumn:
    """The values of a column, None where a run has none; times in microseconds since the epoch.

    `kind` is None where the values differ in type.
    """

    values: list[Any]
    kind: Kind | None

    def texts(self) -> list[str | None]:
        """The values as text: strings as they are, others as JSON, None as None."""
        return [None if value is None else _as_text(value) for value in self.values]


def ids_of(runs: Selection) -> list[str]:
    """The ids of the runs, in their order."""
    found = {row.pk: row.id for row in _read(runs, select(schema.runs.c.pk, schema.runs.c.id), schema.runs.c.pk)}
    return [found[pk] for pk in runs.pks]


def columns_of(runs: Selection, aggregates: Sequence[str] = ("last",)) -> dict[str, FrameColumn]:
    """All columns by name: attributes of the run, params (set ones first, then differing ones), metrics, tags."""
    place = {pk: index for index, pk in enumerate(runs.pks)}
    return {
        **_run_columns(runs),
        **_param_columns(runs, place),
        **_metric_columns(runs, place, aggregates),
        **_tag_columns(runs, place),
    }


def _run_columns(runs: Selection) -> dict[str, FrameColumn]:
    columns = schema.runs.c
    worked_out: dict[str, ColumnElement[Any]] = {"status": status(), "duration": duration(now())}
    statement = select(columns.pk, *(worked_out.get(name, columns[name]).label(name) for name in _OF_RUN))
    found = {row.pk: row for row in _read(runs, statement, columns.pk)}
    rows = [found[pk] for pk in runs.pks]
    return {f"run.{name}": FrameColumn([getattr(row, name) for row in rows], kind) for name, kind in _OF_RUN.items()}


def _param_columns(runs: Selection, place: Mapping[int, int]) -> dict[str, FrameColumn]:
    params = schema.params.c
    texts: dict[str, list[str | None]] = {}
    ranks: dict[str, int] = {}
    statement = select(params.run_pk, params.key, params.value, params.origin)
    for pk, key, text, origin in _read(runs, statement, params.run_pk):
        if key not in texts:
            texts[key] = [None] * len(runs)
            ranks[key] = len(_RANK)
        texts[key][place[pk]] = text
        ranks[key] = min(ranks[key], _RANK.get(origin, len(_RANK)))
    ordered = sorted(texts, key=lambda key: (ranks[key], len(set(texts[key])) == 1, key))
    return {f"params.{key}": _from_json(texts[key]) for key in ordered}


def _from_json(texts: list[str | None]) -> FrameColumn:
    value_of = {text: None if text is None else from_json(text) for text in set(texts)}
    return FrameColumn([value_of[text] for text in texts], _common_kind(value_of.values()))


def _metric_columns(runs: Selection, place: Mapping[int, int], aggregates: Sequence[str]) -> dict[str, FrameColumn]:
    for aggregate in aggregates:
        if aggregate not in AGGREGATES:
            raise InvalidValueError(f"{aggregate!r} is no aggregate of a metric; there are {', '.join(AGGREGATES)}")
    metrics = schema.metrics.c
    found: dict[str, list[list[Any]]] = {}
    statement = select(metrics.run_pk, metrics.key, *(metrics[aggregate] for aggregate in aggregates))
    for pk, key, *values in _read(runs, statement, metrics.run_pk):
        if key not in found:
            found[key] = [[None] * len(runs) for _ in aggregates]
        for column, value in zip(found[key], values, strict=True):
            column[place[pk]] = _NAN if value is None else value
    plain = tuple(aggregates) == ("last",)
    return {
        f"metrics.{key}" if plain else f"metrics.{key}.{aggregate}": FrameColumn(
            values, "int" if aggregate == "count" else "real"
        )
        for key in sorted(found, key=lambda key: (key.startswith("system/"), key))
        for aggregate, values in zip(aggregates, found[key], strict=True)
    }


def _tag_columns(runs: Selection, place: Mapping[int, int]) -> dict[str, FrameColumn]:
    tags = schema.tags.c
    found: dict[str, list[str | None]] = {}
    for pk, key, value in _read(runs, select(tags.run_pk, tags.key, tags.value), tags.run_pk):
        if key not in found:
            found[key] = [None] * len(runs)
        found[key][place[pk]] = value
    return {f"tags.{key}": FrameColumn(found[key], "text") for key in sorted(found)}


def _common_kind(values: Iterable[Any]) -> Kind | None:
    kinds = {type(value) for value in values if value is not None}
    ints = [value for value in values if type(value) is int]
    if kinds == {int}:
        return "int" if all(value in _INT64 for value in ints) else None
    if kinds == {int, float}:
        return "real" if all(abs(value) <= _EXACT for value in ints) else None
    return _KINDS.get(next(iter(kinds))) if len(kinds) == 1 else "nothing" if not kinds else None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(runs: Selection, statement: Select[Any], column: ColumnElement[Any]) -> Sequence[Any]:
    with runs.store.engine.connect() as connection:
        return connection.execute(statement.where(one_of(column, runs.pks, connection.dialect.name))).all()
