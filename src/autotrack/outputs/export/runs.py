"""Runs as files for other engines: Parquet by experiment, or CSV.

    <destination>/
      _export.json                       the manifest; `complete` is true once everything is written
      runs/experiment=<name>/part-0.parquet        one row per run
      params/…      run_id, key, json (exact), number, text, origin
      metrics/…     run_id, key, count, nans, first, first_step, last, … : a summary of each metric
      tags/…        run_id, key, value
      datasets/… artifacts/… models/…
      history/…     run_id, metric, step, time, value: every point

Hive partitions: names are percent-encoded, which DuckDB, Spark and Trino read back. In DuckDB:

    SELECT r.name, p.number AS lr, m.max AS accuracy
    FROM 'out/runs/*/*.parquet' r
    JOIN 'out/params/*/*.parquet' p ON p.run_id = r.run_id AND p.key = 'lr'
    JOIN 'out/metrics/*/*.parquet' m ON m.run_id = r.run_id AND m.key = 'val/accuracy';

As CSV: `runs.csv` with a column per param, metric (last value) and tag, and `history.csv`.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from autotrack.exceptions import InvalidValueError
from autotrack.outputs.export.places import MANIFEST, place_for
from autotrack.outputs.export.tables import HISTORY, TABLES
from autotrack.query.columns import column

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from autotrack.query.records import Runs

Progress = Callable[[int, int], None]
Format = Literal["parquet", "csv"]

_LAYOUT = 1
_RUNS_AT_ONCE = 500
_POINTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class ExportReport:
    """The result of an export: the destination, its files (relative names), the numbers of runs, points and bytes."""

    destination: str
    files: tuple[str, ...]
    runs: int
    points: int
    bytes: int


def export_runs(
    runs: Runs,
    destination: Any,
    format: Format = "parquet",  # noqa: A002 - the word people use
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write runs with everything but the contents of their files.

    `destination` is a folder, a URL (`s3://…`, `gs://…`, `az://…`) or an obstore store. A folder appears whole or not
    at all; in object storage `_export.json` is marked `complete` at the end. An existing destination is replaced only
    with `overwrite`, and only if it is an earlier export. Values in `history` are doubles. `progress(done, of)` counts
    runs.

    `ConfigurationError` if the destination cannot be used, `InvalidValueError` for another format.
    """
    if format not in ("parquet", "csv"):
        raise InvalidValueError(f"the format is 'parquet' or 'csv', not {format!r}")
    place = place_for(destination)
    place.check(overwrite)
    counter = _Counter(len(runs), progress)
    with tempfile.TemporaryDirectory(prefix=".autotrack-export-", dir=place.workshop()) as workshop:
        folder = Path(workshop) / "export"
        folder.mkdir()
        points = (_write_parquet if format == "parquet" else _write_csv)(runs, folder, counter)
        files = sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*") if path.is_file())
        size = sum((folder / name).stat().st_size for name in files)
        about = {
            "written_by": "autotrack", "layout": _LAYOUT, "format": format, "made": time.time(), "runs": len(runs),
            "points": points, "complete": True, "files": files,
        }  # fmt: skip
        (folder / MANIFEST).write_text(json.dumps(about, indent=1), encoding="utf-8")
        place.publish(folder, files)
    return ExportReport(str(place), tuple(files), len(runs), points, size)


@dataclass
class _Counter:
    total: int
    progress: Progress | None
    done: int = 0

    def add(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)


def _write_parquet(runs: Runs, folder: Path, counter: _Counter) -> int:
    """Write one file per experiment and table; returns the number of points."""
    counter.add(0)
    places: dict[str, list[int]] = {}
    for place, experiment in enumerate(column(runs, "run.experiment")):
        places.setdefault(experiment, []).append(place)
    return sum(_write_experiment(runs.take(mine), name, folder, counter) for name, mine in places.items())


def _write_experiment(runs: Runs, experiment: str, folder: Path, counter: _Counter) -> int:
    import pyarrow.parquet as pq

    points = 0
    partition = f"experiment={quote(experiment, safe=' ')}"
    with ExitStack() as stack:

        def open_table(name: str, schema: pa.Schema) -> pq.ParquetWriter:
            path = folder / name / partition / "part-0.parquet"
            path.parent.mkdir(parents=True)
            return stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))

        writers = {name: open_table(name, table.schema) for name, table in TABLES.items()}
        history = open_table("history", HISTORY)
        for start in range(0, len(runs), _RUNS_AT_ONCE):
            some = runs[start : start + _RUNS_AT_ONCE]
            for name, table in TABLES.items():
                writers[name].write_table(table.of([row for record in some for row in table.rows(record)]))
            for batch in _histories(some):
                history.write_table(batch)
                points += len(batch)
            counter.add(len(some))
    return points


def _write_csv(runs: Runs, folder: Path, counter: _Counter) -> int:
    import pyarrow as pa
    import pyarrow.csv

    counter.add(0)
    table = runs.to_arrow()
    table = pa.table([_writable(table.column(name)) for name in table.column_names], names=table.column_names)
    pyarrow.csv.write_csv(table, folder / "runs.csv")
    points = 0
    with pyarrow.csv.CSVWriter(folder / "history.csv", HISTORY) as history:
        for start in range(0, len(runs), _RUNS_AT_ONCE):
            some = runs[start : start + _RUNS_AT_ONCE]
            for batch in _histories(some):
                history.write_table(batch)
                points += len(batch)
            counter.add(len(some))
    return points


def _writable(values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return values.cast(pa.string()) if pa.types.is_null(values.type) else values


def _histories(runs: Runs) -> Iterator[pa.Table]:
    """Yield all points of the runs, in batches of runs that fit into memory."""
    import pyarrow as pa

    for places in _batches([sum(found.count for found in record.metrics.values()) for record in runs]):
        table = runs.take(places).history_arrow()
        yield pa.table([table.column(field.name).cast(field.type) for field in HISTORY], schema=HISTORY)


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    total = 0
    for place, size in enumerate(sizes):
        if batch and total + size > _POINTS_AT_ONCE:
            yield batch
            batch, total = [], 0
        if size:
            batch.append(place)
            total += size
    if batch:
        yield batch
