"""The command `show`: one run, from its params to what could not be captured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.environment import environment_rows
from autotrack.cli.history import read_series
from autotrack.cli.session import Json, LastRunArgument, reading
from autotrack.cli.tables import Cell, Column, Table, listed, title
from autotrack.ids import short_id

if TYPE_CHECKING:
    import datetime

    from rich.text import Text

    from autotrack.query.records import Record

FEW = 12
MANY = 40
SPARK_POINTS = 3_000_000  # sparklines are left out if they would need more points than these


def show(
    run: LastRunArgument = "last",
    all_params: Annotated[
        bool, typer.Option("--all-params", help="Also the framework's defaults and configuration.")
    ] = False,
    all: Annotated[bool, typer.Option("--all", "-a", help="Everything: all params, metrics, files, children.")] = False,  # noqa: A002
    json: Json = False,
) -> None:
    """Show one run: params, metrics, files, environment, gaps."""
    with reading("null" if json else None, wanted=[run] if run != "last" else ()) as reader:
        record = reader.get(run)
        if json:
            from autotrack.query.shapes import whole_run_shape

            screen.show_json(whole_run_shape(record))
            return
        from autotrack.query.upkeep import silent_since

        few = 1 << 60 if all else FEW
        _header(record, silent_since(reader.store, [record]).get(record.id))
        _failure(record)
        _params(record, everything=all or all_params)
        _metrics(record, everything=all)
        _children(record, few)
        _data(record, few)
        _files(record, few)
        _environment(record)
        _notes(record)
        _capture_report(record)


def _header(record: Record, seen: datetime.datetime | None) -> None:
    """Print the name, status and facts of a run; `seen` is when a silent run was last seen."""
    from rich.text import Text

    from autotrack.cli.run_table import status, utc_now

    now = utc_now()
    state = status(record, seen, now)
    name = Text(screen.visible(record.name), style="bold").append("  ")
    screen.show(name.append(state.text, state.style or "not bold").append(f"  {record.id}", "dim not bold"))
    screen.show(Text(screen.visible(" · ".join(filter(None, _facts(record, now)))), style="dim"))
    if record.parent:
        screen.show(Text(f"child of {screen.visible(record.parent)}", style="dim"))
    if record.tags:
        screen.show(screen.visible("  ".join(f"{key}={value}" for key, value in record.tags.items())))


def _facts(record: Record, now: datetime.datetime) -> Iterator[str]:
    """Yield what is known of a run as a whole, in a few words each; some may be empty."""
    yield record.experiment
    if record.kind != "run":
        yield record.kind
    yield "started " + (wording.age(record.started, now) if screen.is_terminal() else wording.clock(record.started))
    if record.duration is not None:
        yield f"{'for' if record.status == 'running' else 'took'} {wording.duration(record.duration)}"
    if record.attempt > 1:
        yield f"attempt {record.attempt}"
    yield "@".join(part for part in (record.user, record.host) if part)
    if record.exit_code:
        yield f"exit code {record.exit_code}"
    if record.deleted:
        yield f"deleted {wording.age(record.deleted, now)}"


def _failure(record: Record) -> None:
    if record.failure_type is None:
        return
    from rich.text import Text

    title(record.status.capitalize())
    last = f"{record.failure_type}: {record.failure_message}"
    trace = screen.visible((record.traceback or last).rstrip("\n")).splitlines()
    error = max(
        (number for number, line in enumerate(trace) if line.startswith(record.failure_type)), default=len(trace) - 1
    )
    screen.show(*(Text(f"  {line}", style="red" if number >= error else "dim") for number, line in enumerate(trace)))


def _params(record: Record, *, everything: bool) -> None:
    if not record.params:
        return
    origins = {key: record.params.origin(key) for key in record.params}
    own = [key for key, origin in origins.items() if origin == "set"]
    shown = list(origins) if everything else own[:MANY]
    more = [f"{len(shown)} of {len(own):,}"] if len(own) > len(shown) else []
    for origin, word in (("default", "default"), ("config", "config value")):
        count = list(origins.values()).count(origin)
        more += [f"and {wording.counted(count, word)}"] if count else []
    title("Params", "" if everything or not more else f"{', '.join(more)}: --all-params")
    styles = {"set": ""}
    listed((key, Cell(wording.plain(record.params[key]), styles.get(origins[key], "dim"))) for key in shown).show()


def _metrics(record: Record, *, everything: bool) -> None:
    if not record.metrics:
        return
    own = [key for key in record.metrics if everything or not key.startswith("system/")]
    shown = own if everything else own[:MANY]
    system = len(record.metrics) - len(own)
    more = [f"{len(shown)} of {len(own)}"] if len(own) > len(shown) else []
    more += [f"and {wording.counted(system, 'system metric')}"] if system else []
    title("Metrics", f"{', '.join(more)}: --all" if more else "")
    Table.of(_metric_columns(record, shown), indent=2).show()


def _metric_columns(record: Record, keys: Sequence[str]) -> Iterator[tuple[Column, list[Cell]]]:
    """Yield the columns of a table of metrics; those about their course only if one has several points."""
    found = [record.metrics[key] for key in keys]
    yield Column("", shortest=12, longest=40, style="cyan"), [Cell(key) for key in keys]
    yield Column("last"), [_number(metric.last) for metric in found]
    if any(metric.count > 1 for metric in found):
        curves = _curves(record, keys)
        yield Column("min", rank=2), [_number(metric.min) if metric.count > 1 else Cell("") for metric in found]
        yield Column("max", rank=2), [_number(metric.max) if metric.count > 1 else Cell("") for metric in found]
        yield Column("points", rank=3), [Cell(f"{metric.count:,}", number=True) for metric in found]
        yield Column("", rank=1), [Cell(curves.get(key, ""), "blue") for key in keys]


def _curves(record: Record, keys: Sequence[str]) -> dict[str, str]:
    """Return the sparkline of each metric with several points; empty if there are too many points to read."""
    several = [key for key in keys if record.metrics[key].count > 1]
    if not several or sum(record.metrics[key].count for key in several) > SPARK_POINTS:
        return {}
    return {series.metric: wording.sparkline(series.values) for series in read_series([record], several)}


def _children(record: Record, few: int) -> None:
    if not record.child_count:
        return
    from autotrack.cli.run_table import table_of_runs

    children = record.children()
    title("Children", _more(len(children), few))
    table_of_runs(children[:few], indent=2).show()


def _data(record: Record, few: int) -> None:
    if record.datasets:
        title("Data", _more(len(record.datasets), few))
        table = Table(
            [Column("", longest=40, shortest=8, style="cyan"), Column(""), Column("", shortest=10)],
            indent=2,
            titles=False,
        )
        for data in record.datasets[:few]:
            facts = (data.version and f"version {data.version}", _shape(data.meta), data.digest[:12], data.source)
            table.add(
                data.name, "" if data.role == "unknown" else data.role, " · ".join(fact for fact in facts if fact)
            )
        table.show()
    if record.evaluations:
        title("Evaluations", _more(len(record.evaluations), few))
        rows = ((found.name, ", ".join(found.columns)) for found in record.evaluations[:few])
        listed(rows).show()


def _files(record: Record, few: int) -> None:
    columns = [Column("", longest=48, shortest=12, style="cyan"), Column(""), Column(""), Column("", shortest=8)]
    if record.models:
        title("Models", _more(len(record.models), few))
        table = Table(columns, indent=2, titles=False)
        for model in record.models[:few]:
            kept = f"autotrack.load_model('runs:/{short_id(record.id)}/{model.name}')" if model.stored else "not kept"
            table.add(model.name, model.flavor, _size(model.size), Cell(kept, "dim"))
        table.show()
    files = [file for file in record.artifacts if file.kind not in ("model", "environment")]
    if files:
        title("Files", _more(len(files), few))
        table = Table(columns, indent=2, titles=False)
        for file in files[:few]:
            facts = (
                "" if file.step is None else f"step {file.step}",
                "" if file.stored else f"not kept, was {file.source}",
            )
            kind = "" if file.kind == "artifact" else file.kind
            table.add(file.name, kind, _size(file.size), Cell(" · ".join(fact for fact in facts if fact), "dim"))
        table.show()
    if record.media:
        title("Media")
        keys = dict.fromkeys((media.key, media.kind) for media in record.media)
        rows = (
            (key, f"{kind}, {wording.counted(sum(m.key == key for m in record.media), 'time')}") for key, kind in keys
        )
        listed(rows).show()


def _environment(record: Record) -> None:
    rows = list(environment_rows(record))
    if rows:
        title("Environment")
        listed(rows).show()


def _notes(record: Record) -> None:
    if not record.notes:
        return
    title("Notes")
    for note in record.notes:
        by = f"  ({note.user}, {wording.clock(note.time)})" if note.user else f"  ({wording.clock(note.time)})"
        lines = screen.visible(note.text).splitlines() or [""]
        screen.show(*(f"  {line}" for line in lines[:-1]), f"  {lines[-1]}{by}")


def _capture_report(record: Record) -> None:
    from rich.text import Text

    for level, heading in (("missing", "Not captured"), ("info", "About the capture")):
        found = [line for line in record.capture_report if line.level == level]
        if found:
            title(heading)
            screen.show(*_wrapped(found, Text))


def _wrapped(lines: Sequence[str], text: type[Text]) -> Iterator[Text]:
    """Yield each line with a dash before it, wrapped at the width of the terminal."""
    import textwrap

    width = screen.width()
    for line in lines:
        said = screen.visible(" ".join(line.split()))
        folded = [said] if width is None else textwrap.wrap(said, max(width - 4, 20)) or [said]
        yield from (text(("  - " if not number else "    ") + part) for number, part in enumerate(folded))


def _more(count: int, few: int) -> str:
    return f"{few} of {count}: --all" if count > few else ""


def _number(value: float) -> Cell:
    return Cell(wording.number(value), number=True)


def _size(count: int) -> Cell:
    return Cell(wording.size(count), number=True)


def _shape(meta: dict[str, object]) -> str:
    rows, columns = meta.get("rows"), meta.get("columns")
    if isinstance(columns, (list, dict)):
        columns = len(columns)
    if not isinstance(rows, int):
        return ""
    return f"{rows:,} × {columns}" if isinstance(columns, int) else wording.counted(rows, "row")
