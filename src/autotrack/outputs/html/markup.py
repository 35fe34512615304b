"""Building blocks of the HTML for notebooks: one small style sheet, tables, cards; no script, no external resources.

Text and lines take the page's own colour at several strengths, so that light and dark themes both fit. Where a viewer
strips the style, plain tables remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from markupsafe import Markup, escape

from autotrack import wording
from autotrack.ids import short_id

COLORS = {
    "finished": "#2da44e", "running": "#3b8eea", "failed": "#e5534b", "crashed": "#e5534b", "killed": "#d29922",
    "preempted": "#d29922",
}  # fmt: skip
QUIET = "#8b949e"
_VALUES_SHOWN = 12

_STYLE = """
.autotrack{font:13px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif;max-width:1100px;margin:.3em 0;text-align:left}
.autotrack *{box-sizing:border-box}
.autotrack .at-box{border:1px solid rgba(128,128,128,.28);border-radius:8px;padding:12px 14px}
.autotrack .at-head{display:flex;flex-wrap:wrap;align-items:center;gap:4px 10px;margin:0}
.autotrack .at-name{font-size:16px;font-weight:650}
.autotrack .at-soft{opacity:.64}
.autotrack .at-mono,.autotrack pre{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;font-size:12px}
.autotrack .at-status{font-weight:600;white-space:nowrap}
.autotrack .at-dot{display:inline-block;width:.62em;height:.62em;border-radius:50%;margin-right:.45em}
.autotrack .at-chip{border:1px solid rgba(128,128,128,.35);border-radius:99px;padding:0 .6em;font-size:12px}
.autotrack .at-title{font-size:11px;font-weight:650;letter-spacing:.06em;text-transform:uppercase;opacity:.6;
margin:14px 0 4px}
.autotrack .at-cards{display:flex;flex-wrap:wrap;gap:8px}
.autotrack .at-card{border:1px solid rgba(128,128,128,.22);border-radius:6px;padding:7px 10px;min-width:112px}
.autotrack .at-value{font-size:17px;font-weight:600;font-variant-numeric:tabular-nums}
.autotrack .at-alarm{border-left:3px solid #e5534b;padding:4px 10px;margin:10px 0 0;background:rgba(229,83,75,.09)}
.autotrack table{border-collapse:collapse;border:0;margin:0;font-size:13px}
.autotrack th,.autotrack td{border:0;padding:3px 14px 3px 0;text-align:left;vertical-align:middle;max-width:30em;
overflow-wrap:break-word;white-space:nowrap;background:none}
.autotrack .at-wide{overflow-x:auto;max-width:100%}
.autotrack .at-text td,.autotrack .at-text th,.autotrack .at-wrap{white-space:normal!important;overflow-wrap:anywhere}
.autotrack thead th{font-weight:600;opacity:.64;border-bottom:1px solid rgba(128,128,128,.35);
vertical-align:bottom;overflow-wrap:normal}
.autotrack tbody tr,.autotrack tbody tr:nth-child(odd),.autotrack tbody tr:nth-child(even){background:none!important}
.autotrack tbody tr:hover{background:rgba(128,128,128,.1)!important}
.autotrack tbody td{border-bottom:1px solid rgba(128,128,128,.13)}
.autotrack td.at-number,.autotrack th.at-number{text-align:right}
.autotrack .at-number{font-variant-numeric:tabular-nums;white-space:nowrap}
.autotrack .at-best{font-weight:700}
.autotrack .at-section th{padding-top:12px;font-size:11px;letter-spacing:.06em;text-transform:uppercase;opacity:.6}
.autotrack details{margin-top:8px}
.autotrack summary{cursor:pointer;opacity:.75}
.autotrack pre{margin:6px 0 0;padding:8px 10px;border-radius:6px;background:rgba(128,128,128,.1);overflow:auto;
max-height:24em;white-space:pre;line-height:1.4}
.autotrack svg{display:block;overflow:visible}
.autotrack .at-plus{color:#2da44e}.autotrack .at-minus{color:#e5534b}
""".replace("\n", "")


Cell = str | int  # text is escaped, `Markup` is not


def page(content: str, *, boxed: bool = False) -> str:
    """The content with its style, in a frame if `boxed`."""
    inner = f'<div class="at-box">{content}</div>' if boxed else content
    return f'<div class="autotrack"><style>{_STYLE}</style>{inner}</div>'


def span(text: Cell, kind: str) -> Markup:
    """Text with the class `at-<kind>` of the style sheet."""
    return Markup(f'<span class="at-{kind}">{escape(text)}</span>')


def status(word: str) -> Markup:
    """The status of a run: a coloured dot and the word."""
    return Markup(f'<span class="at-status">{dot(word)}{escape(word)}</span>')


def dot(word: str) -> Markup:
    """A dot in the colour of a status."""
    color = COLORS.get(word, QUIET)
    return Markup(f'<span class="at-dot" style="background:{color}" title="{escape(word)}"></span>')


def table(
    head: Sequence[Cell], rows: Iterable[Sequence[Cell]], *, numbers: Iterable[int] = (), wraps: bool = False
) -> str:
    """A table; the columns `numbers` are set flush right. Long texts wrap, or else the whole table scrolls sideways."""
    right = set(numbers)

    def line(cells: Sequence[Cell], tag: str) -> str:
        marks = (' class="at-number"' if column in right else "" for column in range(len(cells)))
        return "".join(f"<{tag}{mark}>{escape(cell)}</{tag}>" for cell, mark in zip(cells, marks, strict=True))

    lines = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    top = f"<thead><tr>{line(head, 'th')}</tr></thead>" if head else ""
    whole = f"<table>{top}<tbody>{lines}</tbody></table>"
    return f'<div class="at-{"text" if wraps else "wide"}">{whole}</div>'


def title(text: str) -> str:
    """A small heading."""
    return f'<div class="at-title">{escape(text)}</div>'


def card(name: Cell, value: Cell, below: Cell = "") -> str:
    """A named value, with an optional line below it."""
    under = f'<div class="at-soft">{escape(below)}</div>' if below else ""
    inner = f'<div class="at-soft">{escape(name)}</div><div class="at-value">{escape(value)}</div>{under}'
    return f'<div class="at-card">{inner}</div>'


def cards(parts: Iterable[str]) -> str:
    """Cards side by side, as many as fit."""
    return f'<div class="at-cards">{"".join(parts)}</div>'


def folded(summary: str, content: str) -> str:
    """Content that a click unfolds."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def patch(text: str) -> str:
    """A patch, with added and removed lines in colour."""
    marks = {"+": "plus", "-": "minus", "@": "soft"}
    lines = (span(line, marks[line[0]]) if line[:1] in marks else escape(line) for line in text.splitlines())
    return f"<pre>{chr(10).join(lines)}</pre>"


def run_card(name: str, run: str, word: str, experiment: str, latest: Mapping[str, float | int]) -> str:
    """A card of a run that is being recorded, from the given latest values; reads nothing from the store."""
    head = (
        f'<div class="at-head">{span(name, "name")}{status(word)}'
        f'<span class="at-soft at-mono">{escape(short_id(run))}</span>{span(experiment, "soft")}</div>'
    )
    values = cards(card(key, wording.number(value)) for key, value in islice(latest.items(), _VALUES_SHOWN))
    return page(head + (f'<div style="margin-top:8px">{values}</div>' if latest else ""), boxed=True)
