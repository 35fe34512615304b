"""Tables of runs: the cells of each column, and the choice of the columns in which the runs differ."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from autotrack import wording
from autotrack.cli import choosing
from autotrack.cli.tables import Cell, Column, Table
from autotrack.ids import short_id

if TYPE_CHECKING:
    from autotrack.query.records import Record, Runs

STATUS_STYLES = {
    "running": "cyan", "finished": "green", "failed": "red", "crashed": "red", "killed": "yellow",
    "preempted": "magenta",
}  # fmt: skip
ATTRIBUTES = (
    "id", "name", "experiment", "kind", "status", "started", "ended", "duration", "parent", "user", "host", "attempt",
    "exit_code", "failure", "children", "deleted", "took",
)  # fmt: skip
_FIELDS = {"children": "child_count", "failure": "failure_type", "took": "duration"}
_Columns = list[tuple[Column, list[Cell]]]


def table_of_runs(runs: Runs, extra: Sequence[str] = (), *, indent: int = 0) -> Table:
    """A table of name, id, status, times, and the params and metrics in which the runs differ.

    `extra` names further columns; where room is short, they are left out after the params and metrics.
    """
    telling = [_told(runs, name, rank) for name, rank in _interesting(runs, extra)]
    return Table.of(_fixed(runs) + telling, indent=indent)


def table_of_columns(runs: Runs, names: Sequence[str]) -> Table:
    """A table of exactly the columns `names`."""
    now = utc_now()
    return Table.of((Column(name, shortest=None if name == "id" else 6), _named(runs, name, now)) for name in names)


def values_of(runs: Runs, name: str) -> list[Any]:
    """Return the value of `name` in each run, None where a run has none; `FilterError` for an unknown name.

    A bare name is a metric, param or tag that some run has, else an attribute of the run (as `run.NAME` always is);
    other names have the meaning that they have in filters.
    """
    plain, known = name.removeprefix("run."), _whose(runs, name)
    if plain in ATTRIBUTES and (plain != name or not known):
        return [getattr(record, _FIELDS.get(plain, plain)) for record in runs]
    root, key = (known, name) if known else name.split(".", 1) if "." in name else ("", name)
    if root in ("params", "tags"):
        return [getattr(record, root).get(key) for record in runs]
    metric, aggregate = _metric(runs, key) if root == "metrics" else ("", "")
    if metric:
        return [getattr(record.metrics.get(metric), aggregate, None) for record in runs]
    from autotrack.query.columns import column

    return column(runs, f"{root}.{key}" if known else name)


def _whose(runs: Iterable[Record], name: str) -> str:
    """The namespace ("metrics", "params" or "tags") in which some run has the bare name; "" if there is none."""
    for root in ("metrics", "params", "tags"):
        if any(name in getattr(record, root) for record in runs):
            return root
    return "metrics" if _metric(runs, name)[0] else ""


def _metric(runs: Iterable[Record], key: str) -> tuple[str, str]:
    """Split a key into a metric that some run has and the aggregate; both are empty if the key needs filter grammar."""
    from autotrack.query.fields import AGGREGATES

    stem, _, aggregate = key.rpartition(".")
    for metric, wanted in ((key, "last"), (stem, aggregate if aggregate in AGGREGATES else "")):
        if wanted and any(metric in record.metrics for record in runs):
            return metric, wanted
    return "", ""


def run_id(record: Record) -> Cell:
    """The short id of a run in a terminal, the whole id in a pipe; an id chosen by the user is never cut."""
    return Cell(short_id(record.id), "dim", exact=record.id)


def status(record: Record, seen: datetime.datetime | None, now: datetime.datetime) -> Cell:
    """The status and, for a silent run, when it was last seen."""
    remark = f" (last seen {wording.age(seen, now)})" if seen is not None else ""
    return Cell(record.status + remark, STATUS_STYLES.get(record.status, ""), exact=record.status)


def moment(when: datetime.datetime | None, now: datetime.datetime) -> Cell:
    """A time: its age in a terminal, the local date and time in a pipe."""
    return Cell(wording.age(when, now), exact="" if when is None else when.astimezone().isoformat(timespec="seconds"))


def took(record: Record, *, exact: bool = False) -> Cell:
    """The duration in words; with `exact`, in a pipe, in seconds."""
    seconds = "" if record.duration is None else f"{record.duration:.6f}"
    return Cell(wording.duration(record.duration), exact=seconds if exact else None, number=True)


def value(found: Any, *, exact: bool = False) -> Cell:
    """Any value, with numbers rounded; with `exact`, in a pipe, all their digits."""
    if found is None:
        return Cell("")
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return Cell(wording.number(found), exact=wording.plain(found) if exact else None, number=True)
    return Cell(wording.plain(found))


def utc_now() -> datetime.datetime:
    """The current time in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def _fixed(runs: Runs) -> _Columns:
    from autotrack.query.upkeep import silent_since

    records, now = list(runs), utc_now()
    silent = silent_since(runs.store, records)
    columns: _Columns = [
        (Column("name", shortest=12, longest=32, ends=True, style="bold"), [Cell(record.name) for record in records]),
        (Column("id"), [run_id(record) for record in records]),
        (Column("status"), [status(record, silent.get(record.id), now) for record in records]),
        (Column("started", rank=3), [moment(record.started, now) for record in records]),
        (Column("took", rank=3), [took(record) for record in records]),
    ]
    if len({record.experiment for record in records}) > 1:
        columns.append((Column("experiment", rank=4, longest=20), [Cell(record.experiment) for record in records]))
    if any(record.child_count for record in records):
        counts = [Cell(str(record.child_count) if record.child_count else "", number=True) for record in records]
        columns.append((Column("children", rank=4), counts))
    if any(record.deleted for record in records):
        columns.append((Column("deleted"), [moment(record.deleted, now) for record in records]))
    return columns


def _interesting(records: Sequence[Record], extra: Sequence[str]) -> list[tuple[str, int]]:
    """Names and ranks of columns, params before metrics; ranks alternate, so that a narrow table shows both."""
    given = [name for name in extra if name.removeprefix("run.") not in ATTRIBUTES]
    known = {*given, *map(_without_aggregate, given)}
    params = [f"params.{key}" for key in choosing.telling_params(records)]
    metrics = [f"metrics.{key}" for key in choosing.telling_metrics(records)]
    ranked = [(name, 1) for name in given]
    ranked += [(name, 2 + 3 * place) for place, name in enumerate(metrics) if name not in known]
    ranked += [(name, 4 + 2 * place) for place, name in enumerate(params) if name not in known]
    return sorted(ranked, key=lambda pair: (not pair[0].startswith("params."), pair[0] not in given))


def _without_aggregate(name: str) -> str:
    from autotrack.query.fields import AGGREGATES

    stem, _, aggregate = name.rpartition(".")
    return stem if stem.partition(".")[2] and aggregate in AGGREGATES else name


def _told(runs: Runs, name: str, rank: int) -> tuple[Column, list[Cell]]:
    title = name.removeprefix("params.").removeprefix("metrics.")
    return Column(title, rank=rank, longest=24), [value(found) for found in values_of(runs, name)]


def _named(runs: Runs, name: str, now: datetime.datetime) -> list[Cell]:
    plain = name.removeprefix("run.")
    if plain == "status":
        return [status(record, None, now) for record in runs]
    if plain == "id":
        return [run_id(record) for record in runs]
    if plain in ("duration", "took"):
        return [took(record, exact=True) for record in runs]
    return [
        moment(found, now) if isinstance(found, datetime.datetime) else value(found, exact=True)
        for found in values_of(runs, name)
    ]
