"""The figures as tables for people and as JSON for programs."""

from __future__ import annotations

import statistics
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.machine import titles
from benchmarks.measures.base import Column, Figures
from benchmarks.session import Section
from benchmarks.trackers.registry import OURS


def print_section(console: Console, section: Section) -> None:
    """A table of one measure: medians, least to greatest, and how often autotrack's median goes into it."""
    measure, names = section.measure, titles()
    table = Table(
        title=Text(measure.heading), title_justify="left", caption=measure.note or None, caption_justify="left"
    )
    table.add_column("")
    for column in measure.columns.values():
        table.add_column(f"{column.title}\nmedian (min – max)", justify="right")
        table.add_column("vs\nautotrack", justify="right")
    for key in measure.trackers:
        if turns := section.turns.get(key):
            cells = [cell for name, column in measure.columns.items() for cell in _cells(section, turns, name, column)]
            table.add_row(names[key], *cells, style="bold" if key == OURS else None)
        elif key in section.absent:
            table.add_row(names[key], "–", style="dim")
    console.print(table)
    for key, reason in section.absent.items():
        console.print(f"  {names[key]}: {reason}", style="dim", markup=False)
    console.print()


def print_targets(console: Console, sections: list[Section]) -> None:
    """autotrack's medians beside their targets."""
    table = Table(title="autotrack against its targets", title_justify="left")
    for heading in ("what", "target", "autotrack", ""):
        table.add_column(heading, justify="left" if heading in ("what", "") else "right")
    for section in sections:
        for name, column in section.measure.columns.items():
            turns = section.turns.get(OURS)
            if column.target is None or not turns:
                continue
            found = statistics.median(turn[name] for turn in turns)
            met = found <= column.target if column.better == "less" else found >= column.target
            sign = "≤" if column.better == "less" else "≥"
            table.add_row(
                f"{section.measure.name}: {column.title}",
                f"{sign} {column.target:,g}",
                _number(found, column),
                "met" if met else "[bold red]missed[/]",
            )
    console.print(table)


def as_json(sections: list[Section], machine: dict[str, Any], versions: dict[str, str], quick: bool) -> dict[str, Any]:
    """Everything that was measured, turn by turn."""
    return {
        "machine": machine,
        "versions": versions,
        "quick": quick,
        "measures": {
            section.measure.name: {
                "title": section.measure.title,
                "size": section.measure.size,
                "targets": {name: column.target for name, column in section.measure.columns.items()},
                "turns": section.turns,
                "medians": {key: _medians(turns) for key, turns in section.turns.items() if turns},
                "absent": section.absent,
            }
            for section in sections
        },
    }


def _medians(turns: list[Figures]) -> Figures:
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}


def _cells(section: Section, turns: list[Figures], name: str, column: Column) -> tuple[str, str]:
    values = [turn[name] for turn in turns]
    middle = statistics.median(values)
    text = _number(middle, column)
    if len(values) > 1:
        text += f" ({_number(min(values), column)} – {_number(max(values), column)})"
    ours = [turn[name] for turn in section.turns.get(OURS, [])]
    base = statistics.median(ours) if ours else 0.0
    return text, f"{middle / base:,.2f}x" if base > 0 else ""


def _number(value: float, column: Column) -> str:
    return f"{value:,.{column.digits}f}"
