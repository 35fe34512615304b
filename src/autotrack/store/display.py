"""Records and runs as HTML, for notebooks: plain tables, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrack.store.records import Record
    from autotrack.store.runs import Runs

_RUNS_SHOWN = 50
_COLUMNS_SHOWN = 6
_ROWS_SHOWN = 40


def runs_html(runs: Runs) -> str:
    """A table of the first runs: what they are, the params in which they differ, their metrics."""
    records = list(runs[:_RUNS_SHOWN])
    params = differing_params(records)[:_COLUMNS_SHOWN]
    metrics = shared_metrics(records)[:_COLUMNS_SHOWN]
    head = ["run", "experiment", "status", "started", "duration", *params, *metrics]
    rows = [
        [
            record.name, record.experiment, record.status, show_time(record.started), show_duration(record.duration),
            *(record.params.get(key, "") for key in params),
            *(show_number(record.metrics[key].last) if key in record.metrics else "" for key in metrics),
        ]
        for record in records
    ]  # fmt: skip
    more = f"<p>… and {len(runs) - len(records)} more</p>" if len(runs) > len(records) else ""
    return f"<p>{len(runs)} runs</p>{_table(head, rows)}{more}"


def record_html(record: Record) -> str:
    """What a record is about, in small tables."""
    about = [
        ("id", record.id), ("experiment", record.experiment), ("status", record.status),
        ("started", show_time(record.started)), ("duration", show_duration(record.duration)),
        ("user", f"{record.user}@{record.host}"), *record.tags.items(),
    ]  # fmt: skip
    if record.failure_type:
        about.append(("failure", f"{record.failure_type}: {record.failure_message}"))
    metrics = [
        (key, show_number(found.last), show_number(found.min), show_number(found.max), found.count)
        for key, found in record.metrics.items()
    ]
    parts = [f"<h4>{escape(record.name)}</h4>", _table(["", ""], about)]
    if metrics:
        parts.append(_cut(["metric", "last", "min", "max", "points"], metrics))
    if record.params:
        parts.append(_cut(["param", "value"], list(record.params.items())))
    missing = [line for line in record.capture_report if line.level == "missing"]
    if missing:
        parts.append(f"<p>{len(missing)} things not captured</p><ul>{''.join(_item(line) for line in missing)}</ul>")
    return "".join(parts)


def differing_params(records: Sequence[Record]) -> list[str]:
    """The params that the user set, those first in which the records differ."""
    keys = dict.fromkeys(key for record in records for key in record.params if record.params.origin(key) == "set")
    same = {key: len({repr(record.params.get(key)) for record in records}) == 1 for key in keys}
    return sorted(keys, key=lambda key: same[key])


def shared_metrics(records: Sequence[Record]) -> list[str]:
    """The metrics of the records, what most of them have first, without those of the system."""
    counts: dict[str, int] = {}
    for record in records:
        for key in record.metrics:
            if not key.startswith("system/"):
                counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: -counts[key])


def show_time(moment: datetime | None) -> str:
    """A time in the local zone, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def show_duration(seconds: float | None) -> str:
    """Seconds, minutes or hours, as short as it makes sense."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def show_number(value: float) -> str:
    """A number in at most six digits."""
    return f"{value:.6g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    titles = "".join(f"<th>{escape(str(title))}</th>" for title in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    top = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    return f"<table>{top}<tbody>{lines}</tbody></table>"


def _cut(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    more = f"<p>… and {len(rows) - _ROWS_SHOWN} more</p>" if len(rows) > _ROWS_SHOWN else ""
    return _table(head, rows[:_ROWS_SHOWN]) + more


def _item(text: str) -> str:
    return f"<li>{escape(text)}</li>"
