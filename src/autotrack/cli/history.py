"""The command `history`: the points of metrics, as a table, CSV or JSON."""

from __future__ import annotations

import csv as csv_format
import datetime
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.session import Json, RunsArgument, UsageError, reading
from autotrack.cli.tables import Cell, Column, Table

if TYPE_CHECKING:
    from autotrack.query.history import History
    from autotrack.query.records import Record

FEW = 20
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_AT_ONCE = 10_000  # lines that are written together


@dataclass(frozen=True)
class Series:
    """One metric of one run: steps, times in microseconds since the epoch, and values, all of one length."""

    run: Record
    metric: str
    steps: list[int]
    times: list[int]
    values: list[float]

    def moments(self) -> Iterator[datetime.datetime]:
        """The times in UTC."""
        return (_EPOCH + datetime.timedelta(microseconds=time) for time in self.times)


def history(
    runs: RunsArgument,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", metavar="NAME", help="By default all but system/…; again for more."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: run_id, metric, step, time, value.")] = False,
    all: Annotated[bool, typer.Option("--all", "-a", help="Every point, where a terminal shows some.")] = False,  # noqa: A002
    json: Json = False,
) -> None:
    """Show the points of metrics, of one run or several.

    Into a pipe all points are written, with exact values.
    """
    if csv and json:
        raise UsageError("--csv or --json, not both")
    with reading("[]" if json else None, wanted=runs) as reader:
        records = list({record.id: record for record in map(reader.get, runs)}.values())
        found = read_series(records, metric)
        if json:
            screen.show_json_list(map(_shape, found))
        elif csv:
            _show_csv(found)
        elif screen.is_terminal() and not all:
            _show_some(found)
        else:
            _show_all(found)


def read_series(records: Sequence[Record], metrics: Sequence[str] | None) -> list[Series]:
    """Read the series of each run, in the order of `metrics`; by default all metrics except those of the system.

    `NotFoundError` for a metric that none of the runs has.
    """
    wanted = list(metrics or _own_metrics(records))
    if not wanted:
        return []
    from autotrack.query.history import read_history

    found: list[Series] = []
    for record in records:
        known = [name for name in wanted if len(records) == 1 or name in record.metrics]
        found += _series_of(record, read_history(record.selection, known)) if known else []
    if not found and metrics:
        read_history(records[0].selection, wanted)  # raises an error that lists the known metrics
    return found


def _own_metrics(records: Sequence[Record]) -> Iterator[str]:
    yield from dict.fromkeys(key for record in records for key in record.metrics if not key.startswith("system/"))


def _series_of(record: Record, history: History) -> Iterator[Series]:
    """The series of one run, in the order of their metrics."""
    steps, times, values = history.step.tolist(), history.time.tolist(), history.value.tolist()
    for _, metric, here in history.series():
        yield Series(record, history.names[metric], steps[here], times[here], values[here])


def _shape(series: Series) -> dict[str, Any]:
    return {
        "run": series.run.id,
        "metric": series.metric,
        "steps": series.steps,
        "times": list(series.moments()),
        "values": series.values,
    }


def _show_csv(found: Sequence[Series]) -> None:
    from autotrack.query.shapes import as_json

    buffer = io.StringIO()
    writer = csv_format.writer(buffer, lineterminator="\n")
    writer.writerow(("run_id", "metric", "step", "time", "value"))
    for number, row in enumerate(_rows(found)):
        writer.writerow((*row[:3], as_json(row[3]), wording.plain(row[4])))
        if number % _AT_ONCE == 0:
            screen.write(buffer.getvalue())
            buffer.seek(0)
            buffer.truncate()
    screen.write(buffer.getvalue())


def _show_all(found: Sequence[Series]) -> None:
    table = Table([Column("run"), Column("metric"), Column("step"), Column("time"), Column("value")])
    for run, metric, step, time, value in _rows(found):
        table.add(
            run,
            metric,
            Cell(str(step), number=True),
            time.astimezone().isoformat(),
            Cell(wording.plain(value), number=True),
        )
    table.show()


def _rows(found: Sequence[Series]) -> Iterator[tuple[str, str, int, datetime.datetime, float]]:
    for series in found:
        for step, time, value in zip(series.steps, series.moments(), series.values, strict=True):
            yield series.run.id, series.metric, step, time, value


def _show_some(found: Sequence[Series]) -> None:
    from autotrack.cli.tables import title

    for number, series in enumerate(found):
        count = len(series.values)
        course = wording.sparkline(series.values, 40)
        title(screen.visible(f"{series.metric} of {series.run.name}  {course}"), first=not number)
        table = Table([Column("step"), Column("after"), Column("value")], indent=2)
        moments = list(series.moments())
        start = series.run.started or moments[0]
        for place in thinned(count, FEW):
            after = wording.duration(max((moments[place] - start).total_seconds(), 0.0))
            table.add(
                Cell(str(series.steps[place]), number=True),
                Cell(after, number=True),
                Cell(wording.number(series.values[place]), number=True),
            )
        table.show()
        if count > FEW:
            screen.remark(f"  {FEW} of {count:,} points: --all, --csv or --json")


def thinned(count: int, few: int) -> list[int]:
    """Return at most `few` of `count` indices, evenly spaced, with the first and the last among them."""
    if count <= few:
        return list(range(count))
    return [round(place * (count - 1) / (few - 1)) for place in range(few)]
