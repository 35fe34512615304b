"""The tables of an export: their columns, and the rows that a run adds to each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autotrack.query.arrow import arrow, types
from autotrack.query.columns import as_float

if TYPE_CHECKING:
    import pyarrow as pa

    from autotrack.query.records import Record
else:
    pa = arrow("an export")

Row = tuple[Any, ...]

_TYPES = types()
_POINTS = ("first", "last", "min", "max")


@dataclass(frozen=True)
class ExportTable:
    """A table of the export: its columns, and the function that yields a run's rows."""

    schema: pa.Schema
    rows: Callable[[Record], Iterator[Row]]

    def of(self, rows: list[Row]) -> pa.Table:
        """Convert rows to an Arrow table with these columns."""
        columns = list(zip(*rows, strict=True)) or [()] * len(self.schema)
        arrays = [pa.array(values, column.type) for values, column in zip(columns, self.schema, strict=True)]
        return pa.table(arrays, schema=self.schema)


def _runs(record: Record) -> Iterator[Row]:
    notes = [note.text for note in record.notes]
    report = [str(line) for line in record.capture_report]
    yield (
        record.id, record.name, record.kind, record.status, record.started, record.ended, record.duration,
        record.parent, record.user, record.host, record.attempt, record.exit_code, record.failure_type,
        record.failure_message, notes, report, _json(record.environment),
    )  # fmt: skip


def _params(record: Record) -> Iterator[Row]:
    for key, value in record.params.items():
        number = as_float(value) if isinstance(value, bool | int | float) else None
        text = value if isinstance(value, str) else None
        yield record.id, key, record.params._json[key], number, text, record.params.origin(key)


def _metrics(record: Record) -> Iterator[Row]:
    for key, found in record.metrics.items():
        points = (getattr(found, f"{point}{part}", None) for point in _POINTS for part in ("", "_step"))
        yield record.id, key, found.count, found.nans, *points


def _tags(record: Record) -> Iterator[Row]:
    return ((record.id, key, value) for key, value in record.tags.items())


def _datasets(record: Record) -> Iterator[Row]:
    return ((record.id, d.name, d.role, d.version, d.source, d.digest, _json(d.meta)) for d in record.datasets)


def _artifacts(record: Record) -> Iterator[Row]:
    return (
        (record.id, a.name, a.kind, a.digest, a.size, a.media_type, a.step, a.time, a.source, a.stored)
        for a in record.artifacts
    )


def _models(record: Record) -> Iterator[Row]:
    return ((record.id, m.name, m.flavor, m.digest, m.size, m.time, m.stored, _json(m.meta)) for m in record.models)


def _schema(columns: str) -> pa.Schema:
    return pa.schema([(name, _TYPES[kind]) for name, kind in (column.split() for column in columns.split(","))])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


TABLES: dict[str, ExportTable] = {
    "runs": ExportTable(
        _schema(
            "run_id text, name text, kind text, status text, started time, ended time, duration real, parent text,"
            " user text, host text, attempt int, exit_code int, failure_type text, failure_message text, notes texts,"
            " capture_report texts, environment text"
        ),
        _runs,
    ),
    "params": ExportTable(_schema("run_id text, key text, json text, number real, text text, origin text"), _params),
    "metrics": ExportTable(
        _schema(
            "run_id text, key text, count int, nans int, first real, first_step int, last real, last_step int,"
            " min real, min_step int, max real, max_step int"
        ),
        _metrics,
    ),
    "tags": ExportTable(_schema("run_id text, key text, value text"), _tags),
    "datasets": ExportTable(
        _schema("run_id text, name text, role text, version text, source text, digest text, meta text"), _datasets
    ),
    "artifacts": ExportTable(
        _schema(
            "run_id text, name text, kind text, digest text, size int, media_type text, step int, time time,"
            " source text, stored bool"
        ),
        _artifacts,
    ),
    "models": ExportTable(
        _schema("run_id text, name text, flavor text, digest text, size int, time time, stored bool, meta text"),
        _models,
    ),
}

HISTORY = _schema("run_id text, metric text, step int, time time, value real")
