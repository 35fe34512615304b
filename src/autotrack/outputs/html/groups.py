"""HTML of groups of runs, for notebooks."""

from __future__ import annotations

from markupsafe import escape

from autotrack.query.groups import Groups


def groups_html(groups: Groups) -> str:
    """A table with a row per group, followed by remarks on what it leaves out."""
    head, *body = ([escape(cell) for cell in row] for row in groups.cells())
    rows = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in body)
    rest = "".join(f"<p>{escape(line)}</p>" for line in groups.remarks())
    return f"<table><thead><tr><th>{'</th><th>'.join(head)}</th></tr></thead><tbody>{rows}</tbody></table>{rest}"
