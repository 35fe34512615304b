"""HTML of a comparison of runs, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from markupsafe import Markup, escape

from autotrack.ids import short_id
from autotrack.outputs.html import markup
from autotrack.query.analysis import sense
from autotrack.query.diff import Comparison, Diff, Values, differs

_ROWS_SHOWN = 40
_LONGEST_VALUE = 90


def comparison_html(comparison: Comparison) -> str:
    """A table with a column per run and a block per section; differing values are bold, two runs show the change."""
    runs = comparison.runs
    patch = comparison.patch if isinstance(comparison, Diff) else ""
    heads = "".join(
        f'<th class="at-number">{markup.dot(record.status)}{escape(record.name)}'
        f'<br><span class="at-mono">{escape(short_id(record.id))}</span></th>'
        for record in runs
    )
    pair = len(runs) == 2
    blocks = []
    for section, rows in comparison.sections.items():
        blocks.append(f'<tr class="at-section"><th colspan="{len(runs) + 1 + pair}">{escape(section)}</th></tr>')
        for name, values in islice(rows.items(), _ROWS_SHOWN):
            weight = " at-best" if differs(values) else ""
            cells = "".join(f'<td class="at-number at-wrap{weight}">{escape(_cut(value))}</td>' for value in values)
            change = f"<td>{_change(section, name, values)}</td>" if pair else ""
            blocks.append(f"<tr><td>{escape(name)}</td>{cells}{change}</tr>")
        if len(rows) > _ROWS_SHOWN:
            blocks.append(f'<tr><td class="at-soft">… and {len(rows) - _ROWS_SHOWN} more</td></tr>')
    if not comparison.sections:
        blocks.append('<tr><td class="at-soft">no difference</td></tr>')
    top = f"<thead><tr><th></th>{heads}{'<th></th>' if pair else ''}</tr></thead>"
    changes = markup.folded("uncommitted changes", markup.patch(patch)) if patch else ""
    table = f'<div class="at-wide"><table>{top}<tbody>{"".join(blocks)}</tbody></table></div>'
    return markup.page(table + changes)


def _cut(value: Any) -> str:
    from autotrack.query.diff import ABSENT
    from autotrack.query.groups import shown

    text = "–" if value is ABSENT else " ".join(shown(value).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _change(section: str, name: str, values: Values) -> Markup:
    """How far the second of two numbers is from the first, in percent; in colour where the better one is known."""
    from autotrack.query.diff import change

    text = change(values).strip(" ()")
    if not text:
        return Markup("")
    way = sense(name) if section in ("metrics", "run") else None
    if way is None:
        return markup.span(text, "soft")
    return markup.span(text, "plus" if _is_better(values, way) else "minus")


def _is_better(values: Sequence[Any], way: str) -> bool:
    return bool(values[1] > values[0]) == (way == "max")
