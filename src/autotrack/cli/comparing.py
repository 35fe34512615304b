"""The command `compare`: what differs between runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.session import RUN_HELP, Json, UsageError, complete_run, reading
from autotrack.cli.tables import Cell, Column, Table
from autotrack.exceptions import NotFoundError
from autotrack.ids import short_id

if TYPE_CHECKING:
    from autotrack.query.diff import Comparison, Values
    from autotrack.query.records import Record

_TITLES = {"run": "Run", "params": "Params", "metrics": "Metrics", "tags": "Tags", "datasets": "Data", "code": "Code"}
_PATCH_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN…", help=f"{RUN_HELP} By default the last two.", autocompletion=complete_run),
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="Also how the uncommitted changes of two runs differ.")] = False,
    all: Annotated[bool, typer.Option("--all", "-a", help="Also what is the same.")] = False,  # noqa: A002
    json: Json = False,
) -> None:
    """Show what differs between runs: params, metrics, data, code."""
    with reading("null" if json else None, wanted=runs or ()) as reader:
        from autotrack.query.diff import compare as compared
        from autotrack.query.diff import diff

        if runs is not None and len(runs) == 1:
            raise UsageError("one run differs from nothing: name two or more, or none for the last two")
        records = [reader.get(run) for run in runs] if runs else _last_two(reader.runs())
        if code and len(records) != 2:
            raise UsageError("--code compares two runs")
        found = diff(*records, all=all) if code else compared(records, all=all)
        if json:
            screen.show_json(found.to_dict())
            return
        _show(found, everything=all)
        if code:
            _show_patch(getattr(found, "patch", ""))


def _last_two(runs: Sequence[Record]) -> list[Record]:
    if len(runs) < 2:
        raise NotFoundError(f"it takes two runs to compare; there is {wording.counted(len(runs), 'run')}")
    return [runs[1], runs[0]]


def _show(found: Comparison, *, everything: bool) -> None:
    """Print one table, so that the columns of all sections are aligned, with a heading before each section."""

    if not found.sections:
        screen.show("no difference")
        return
    columns = [Column("", shortest=16, longest=36, soft=True, style="cyan")]
    columns += [
        Column(record.name, shortest=14, longest=40, soft=True, rank=max(place - 1, 0))
        for place, record in enumerate(found.runs)
    ]
    ids = [Cell(short_id(record.id), "dim", exact=record.id) for record in found.runs]
    table = Table(columns, [[Cell(""), *ids]], indent=2)
    parts: list[tuple[str, int, int]] = []
    for section, rows in found.sections.items():
        shown = list(_differing_first(rows if everything else _telling(found, section, rows)))
        parts.append((section, len(shown), len(rows) - len(shown)))
        for name, values in shown:
            table.add(name, *_cells(name, values))
    hidden = _print_in_parts(table, parts)
    if hidden:
        screen.remark("", f"{wording.counted(hidden, 'more run')}: widen")


def _telling(found: Comparison, section: str, rows: Mapping[str, Values]) -> Mapping[str, Values]:
    """Drop the default params that only some of the runs have: they only repeat that the models differ."""
    from autotrack.query.diff import ABSENT

    if section != "params":
        return rows

    def is_default(name: str) -> bool:
        return all(name not in run.params or run.params.origin(name) != "set" for run in found.runs)

    return {name: values for name, values in rows.items() if not (ABSENT in values and is_default(name))}


def _differing_first(rows: Mapping[str, Values]) -> Iterator[tuple[str, Values]]:
    from autotrack.query.diff import differs

    yield from ((name, values) for name, values in rows.items() if differs(values))
    yield from ((name, values) for name, values in rows.items() if not differs(values))


def _print_in_parts(table: Table, parts: Sequence[tuple[str, int, int]]) -> int:
    """Print the table by `parts` (section, rows shown, rows left out); returns the number of columns left out."""
    from autotrack.cli.tables import title

    lines, hidden = table.lines(screen.width())
    screen.show(*lines[:2])
    start = 2
    for section, count, left in parts:
        more = f"and {wording.counted(left, 'default')} that not all of them have: --all" if left else ""
        title(_TITLES.get(section, section.capitalize()), more)
        screen.show(*lines[start : start + count])
        start += count
    return hidden


def _cells(name: str, values: Values) -> list[Cell]:
    from autotrack.query.diff import differs

    style = "" if differs(values) else "dim"
    return [Cell(_said(name, value), style) for value in values]


def _said(name: str, value: Any) -> str:
    from autotrack.query.diff import ABSENT

    if value is ABSENT:
        return "–"
    if name == "duration" and isinstance(value, float):
        return wording.duration(value)
    return wording.number(value) if isinstance(value, float) else wording.plain(value)


def _show_patch(patch: str) -> None:
    from rich.text import Text

    from autotrack.cli.tables import title

    title("Uncommitted changes")
    if not patch:
        screen.show("  no difference")
        return
    screen.show(
        *(Text(screen.visible(f"  {line}"), style=_PATCH_STYLES.get(line[:1], "")) for line in patch.splitlines())
    )
