"""HTML of one run and of a table of runs, for notebooks; all displayed values are escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from autotrack import wording
from autotrack.ids import short_id
from autotrack.outputs.html import markup
from autotrack.outputs.html.sparkline import LARGE, LINES, sparkline
from autotrack.query.analysis import sense
from autotrack.query.curves import Curve, curves_of
from autotrack.query.groups import shown
from autotrack.roles import ROLES, is_timing, relevance, role_of, split_role

if TYPE_CHECKING:
    from autotrack.query.records import Record, Runs

_RUNS_SHOWN = 50
_PARAMS_SHOWN = 4
_METRICS_SHOWN = 5
_ROWS_SHOWN = 60
_CHARTS_SHOWN = 9
_LINES_IN_A_CHART = len(LINES)
_SINGLES_SHOWN = 24
_POINTS_READ = 300_000
_CURVE = 4  # points that a metric needs for a sparkline in the table of runs
_LONGEST_VALUE = 60


def runs_html(runs: Runs) -> str:
    """A table of the first runs: name, times, the params in which they differ, metrics with the best value in bold."""
    records = list(runs[:_RUNS_SHOWN])
    if not records:
        return markup.page('<div class="at-soft">0 runs</div>')
    params = _telling(differing_params(records), records)[:_PARAMS_SHOWN]
    metrics = shared_metrics(records)[:_METRICS_SHOWN]
    curves = _first_curves(runs[:_RUNS_SHOWN], records, metrics)
    columns = [
        _Column("", [markup.dot(record.status) for record in records]),
        _Column("run", [_name(record) for record in records]),
        _Column("experiment", [record.experiment for record in records]),
        _Column("started", [markup.span(_when(record.started), "soft") for record in records]),
        _Column("duration", [_took(record) for record in records], number=True),
        *(_param_column(records, key) for key in params),
        *(
            _Column(f"{key} over steps", [Markup(sparkline(found)) for found in per_run])
            for key, per_run in curves.items()
        ),
        *(_metric_column(records, key) for key in metrics),
    ]
    (experiment, *others) = dict.fromkeys(record.experiment for record in records)
    if not others:
        del columns[2]
    table = markup.table(
        [column.head for column in columns],
        zip(*(column.cells for column in columns), strict=True),
        numbers=[number for number, column in enumerate(columns) if column.number],
    )
    more = f'<div class="at-soft">… and {len(runs) - len(records)} more</div>' if len(runs) > len(records) else ""
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}{'' if others else f' of {experiment}'}"
    return markup.page(f'<div class="at-soft">{escape(count)}</div>{table}{more}')


def record_html(record: Record) -> str:
    """A card of the run: its heading, failure, metrics with charts, params, and folded details."""
    parts = [_head(record), _failure(record), _metrics(record), _params(record), *_rest(record)]
    return markup.page("".join(filter(None, parts)), boxed=True)


def differing_params(records: Sequence[Record]) -> list[str]:
    """The params that the user set, those first in which the records differ."""
    keys = dict.fromkeys(key for record in records for key in record.params if record.params.origin(key) == "set")
    same = {key: len({repr(record.params.get(key)) for record in records}) == 1 for key in keys}
    return sorted(keys, key=lambda key: same[key])


def shared_metrics(records: Sequence[Record]) -> list[str]:
    """The metrics of the records except system metrics: those of most records first, timings last."""
    counts: dict[str, int] = {}
    for record in records:
        for key in record.metrics:
            if not key.startswith("system/"):
                counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (is_timing(key), -counts[key], relevance(key)))


def _when(moment: datetime | None) -> str:
    """Format a time in the local zone: one of today without the date, others with it."""
    if moment is None:
        return ""
    local = moment.astimezone()
    return local.strftime("%H:%M:%S" if local.date() == datetime.now().date() else "%Y-%m-%d %H:%M")


def _took(record: Record) -> str:
    return "" if record.duration is None else wording.duration(record.duration)


def _head(record: Record) -> str:
    kind = markup.span(record.kind, "chip") if record.kind != "run" else ""
    first = (
        f"{markup.span(record.name, 'name')}{markup.status(record.status)}{kind}"
        f'<span class="at-soft at-mono">{escape(short_id(record.id))}</span>'
    )
    when = "" if record.started is None else wording.clock(record.started)
    facts = [record.experiment, when, _took(record), _place(record), _code(record)]
    second = " · ".join(escape(fact) for fact in facts if fact)
    tags = "".join(markup.span(f"{key} {value}".strip(), "chip") for key, value in record.tags.items())
    third = f'<div class="at-head" style="margin-top:6px">{tags}</div>' if tags else ""
    return f'<div class="at-head">{first}</div><div class="at-soft">{second}</div>{third}'


def _place(record: Record) -> str:
    return f"{record.user}@{record.host}" if record.user and record.host else record.host


def _code(record: Record) -> str:
    for artifact in record.artifacts:
        if artifact.name == "notebook/code.py" and "cell" in artifact.meta:
            return f"cell [{artifact.meta['cell']}]"
    commit = str(record.git.get("commit") or "")
    return f"commit {commit[:8]}{' with changes' if record.git.get('dirty') else ''}" if commit else ""


def _failure(record: Record) -> str:
    if not record.failure_type:
        return ""
    what = f"{record.failure_type}: {record.failure_message}" if record.failure_message else record.failure_type
    trace = markup.folded("traceback", f"<pre>{escape(record.traceback)}</pre>") if record.traceback else ""
    return f'<div class="at-alarm">{escape(what)}{trace}</div>'


def _metrics(record: Record) -> str:
    own = {key: found for key, found in record.metrics.items() if not key.startswith("system/")}
    curves = [key for key, found in own.items() if found.count > 1]
    single = [key for key, found in own.items() if found.count <= 1]
    charts = _charts(record, curves)
    lone = [markup.card(key, wording.number(own[key].last)) for key in sorted(single, key=_importance)[:_SINGLES_SHOWN]]
    left = [key for key in (*sorted(single, key=_importance)[_SINGLES_SHOWN:], *curves) if key not in charts]
    rows = [
        (key, wording.number(own[key].last), wording.number(own[key].min), wording.number(own[key].max), own[key].count)
        for key in left[:_ROWS_SHOWN]
    ]
    table = markup.table(["metric", "last", "min", "max", "points"], rows, numbers=(1, 2, 3, 4)) if rows else ""
    parts = [*dict.fromkeys(charts.values()), *lone]
    rest = f'<div style="margin-top:8px">{table}{_more(left, "metrics")}</div>' if table else ""
    return markup.title("metrics") + markup.cards(parts) + rest if parts or table else ""


def _charts(record: Record, keys: Sequence[str]) -> dict[str, str]:
    """Return the chart of each metric that is drawn; a metric's roles (`train/loss`, `val/loss`) share one chart."""
    families: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        families[key.partition("/")[2] if _role(key) else key].append(key)
    chosen: dict[str, list[str]] = {}
    points = 0
    for name in sorted(families, key=lambda name: _importance(families[name][0])):
        family = sorted(families[name], key=_role_order)[:_LINES_IN_A_CHART]
        points += sum(record.metrics[key].count for key in family)
        if points <= _POINTS_READ and len(chosen) < _CHARTS_SHOWN:
            chosen[name] = family
    found = curves_of(record.selection, [key for family in chosen.values() for key in family]) if chosen else {}
    charts = {}
    for name, family in chosen.items():
        drawn = sparkline([curve for key in family for curve in found[key][:1]], LARGE, label=", ".join(family))
        if drawn:
            charts.update(dict.fromkeys(family, _chart(record, name, family, drawn)))
    return charts


def _chart(record: Record, name: str, family: Sequence[str], drawn: str) -> str:
    values = []
    for number, key in enumerate(family):
        role = escape(_role(key)) if len(family) > 1 or _role(key) else ""
        value = f"<b>{wording.number(record.metrics[key].last)}</b>"
        values.append(f'<span style="color:{LINES[number]}">{role} {value}</span>')
    steps = [step for key in family for step in (record.metrics[key].first_step, record.metrics[key].last_step)]
    known = [step for step in steps if step is not None]
    span = f"step {min(known)} – {max(known)}" if known else ""
    return (
        f'<div class="at-card"><div>{escape(name)} <span class="at-soft">{span}</span></div>{drawn}'
        f'<div class="at-number" style="text-align:left">{" &nbsp; ".join(values)}</div></div>'
    )


def _params(record: Record) -> str:
    chosen = [key for key in record.params if record.params.origin(key) == "set"]
    rest = [key for key in record.params if record.params.origin(key) != "set"]

    def table(keys: Sequence[str]) -> str:
        rows = [(key, _short(record.params[key])) for key in keys[:_ROWS_SHOWN]]
        return markup.table((), rows, wraps=True) + _more(keys, "params")

    shown_first = markup.title("params") + table(chosen) if chosen else ""
    return shown_first + (markup.folded(f"{len(rest)} params at their defaults", table(rest)) if rest else "")


def _rest(record: Record) -> Iterator[str]:
    rows: list[Sequence[markup.Cell]]
    if record.notes:
        yield markup.title("notes") + "".join(f"<div>{escape(note.text)}</div>" for note in record.notes[-5:])
    if record.child_count:
        children = [child for child, _ in zip(record.children(), range(_RUNS_SHOWN), strict=False)]
        rows = [(markup.dot(child.status), child.name, _took(child)) for child in children]
        yield markup.folded(f"{record.child_count} runs inside", markup.table((), rows, numbers=(2,)))
    if record.datasets:
        rows = [(data.name, data.role, _rows_of(data.meta), data.digest[:12]) for data in record.datasets]
        head = ["data", "role", "rows", "digest"]
        yield markup.folded(f"{len(rows)} data sets", markup.table(head, rows, numbers=(2,)))
    if record.artifacts:
        files = list(record.artifacts)
        rows = [(file.name, file.kind, wording.size(file.size)) for file in files[:_ROWS_SHOWN]]
        yield markup.folded(f"{len(files)} files", markup.table((), rows, numbers=(2,)) + _more(files, "files"))
    system = [key for key in record.metrics if key.startswith("system/")]
    if system:
        rows = [
            (key, wording.number(record.metrics[key].last), wording.number(record.metrics[key].max)) for key in system
        ]
        yield markup.folded("machine", markup.table(["", "last", "max"], rows, numbers=(1, 2)))
    yield _report(record)


def _report(record: Record) -> str:
    missing = [line for line in record.capture_report if line.level == "missing"]
    about = [line for line in record.capture_report if line.level != "missing"]
    parts = []
    for word, lines in ((f"{len(missing)} not captured", missing), ("about the capture", about)):
        if lines:
            items = "".join(f"<li>{escape(line)}</li>" for line in lines)
            parts.append(markup.folded(word, f"<ul>{items}</ul>"))
    return "".join(parts)


def _name(record: Record) -> Markup:
    inside = f' <span class="at-soft">+{record.child_count}</span>' if record.child_count else ""
    return Markup(f"<b>{escape(record.name)}</b>{inside}")


@dataclass(frozen=True)
class _Column:
    """One column of the table of runs, a cell per run."""

    head: str
    cells: Sequence[markup.Cell]
    number: bool = False


def _param_column(records: Sequence[Record], key: str) -> _Column:
    values = [record.params[key] for record in records if key in record.params]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    cells = [_short(record.params[key]) if key in record.params else "" for record in records]
    return _Column(key, cells, numeric)


def _metric_column(records: Sequence[Record], key: str) -> _Column:
    best = _best(records, key)
    values = [record.metrics[key].last if key in record.metrics else None for record in records]
    cells: list[markup.Cell] = [
        "" if value is None else markup.span(wording.number(value), "best") if value == best else wording.number(value)
        for value in values
    ]
    return _Column(key, cells, number=True)


def _telling(params: Sequence[str], records: Sequence[Record]) -> list[str]:
    """The params in which the records differ, those of most records first; for a single record, all params."""
    if len(records) == 1:
        return list(params)
    telling = [key for key in params if len({repr(record.params.get(key)) for record in records}) > 1]
    if "model.class" in telling and "model.module" in telling:
        telling.remove("model.module")  # redundant beside the class
    return sorted(telling, key=lambda key: -sum(key in record.params for record in records))


def _best(records: Sequence[Record], key: str) -> float | None:
    """The best of the displayed values; None if they are all equal or the metric's direction is unknown."""
    shown_values = (record.metrics[key].last for record in records if key in record.metrics)
    values = [value for value in shown_values if not isnan(value)]
    way = "min" if key.endswith(".rank") else None if key.endswith(".std") else sense(key)
    if way is None or len(set(values)) < 2:
        return None
    return max(values) if way == "max" else min(values)


def _first_curves(runs: Runs, records: Sequence[Record], metrics: Sequence[str]) -> Mapping[str, list[list[Curve]]]:
    """The curves per run of the first metric that has curves, validation metrics preferred; empty if there is none."""
    candidates = [key for key in metrics if any(r.metrics[key].count >= _CURVE for r in records if key in r.metrics)]
    for key in sorted(candidates, key=lambda key: (role_of(key) != "val", _importance(key))):
        if sum(record.metrics[key].count for record in records if key in record.metrics) <= _POINTS_READ:
            per_run: list[list[Curve]] = [[] for _ in records]
            for curve in curves_of(runs, [key])[key]:
                per_run[curve.run].append(curve)
            return {key: per_run}
    return {}


def _role(key: str) -> str:
    """The role prefix of a key, spelled as in the key; empty if the key has no prefix that ends with a slash."""
    return key.partition("/")[0] if split_role(key)[1] == "/" else ""


def _role_order(key: str) -> int:
    return ROLES.index(role_of(key)) if _role(key) else len(ROLES)


def _importance(key: str) -> tuple[bool, bool, str]:
    """Sort key: metrics with a known direction first, then other metrics, then timings."""
    return is_timing(key), sense(key) is None, key


def _rows_of(meta: Mapping[str, Any]) -> str:
    return f"{meta['rows']:,}" if isinstance(meta.get("rows"), int) else ""


def _short(value: Any) -> str:
    text = " ".join(shown(value).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _more(items: Sequence[Any], what: str) -> str:
    rest = len(items) - _ROWS_SHOWN
    return f'<div class="at-soft">… and {rest} more {what}</div>' if rest > 0 else ""
