"""Writing the page from the data and the template, style sheet and scripts beside this file."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from autotrack.outputs.report.content import Content, Progress
from autotrack.outputs.report.encoding import encode

if TYPE_CHECKING:
    from autotrack.query.records import Runs

_SCRIPTS = ("state", "table", "charts", "curves", "tradeoffs", "compare", "start")


def write_report(
    runs: Runs, path: str | os.PathLike[str], *, title: str | None = None, progress: Progress | None = None
) -> Path:
    """Write one page of HTML about the runs, which opens in any browser and loads nothing from anywhere.

    It has a table to sort and filter, curves, a scatter of trade-offs with the Pareto front, and the differences of
    any two runs. Long curves are thinned out, extremes kept; what is left out for its size is named at the foot.
    `progress(done, of)` is called per run. The file appears whole or not at all; returns its path. `OSError` if it
    cannot be written.
    """
    target = Path(path).expanduser().absolute()
    text = render(runs, title=title, progress=progress)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target


def render(runs: Runs, *, title: str | None = None, progress: Progress | None = None) -> str:
    """Return the page as HTML."""
    content = Content(runs, progress).build()
    script = "\n".join(_part(f"{name}.js") for name in _SCRIPTS)
    parts = {
        "title": escape((title or _title(content["runs"])).encode("utf-8", "replace").decode()),
        "style": _part("page.css"),
        "script": f'(() => {{\n"use strict";\n{script}\n}})();',
        "data": encode(content),
    }
    return re.sub("@@([a-z]+)@@", lambda place: parts[place[1]], _part("page.html"))


def _part(name: str) -> str:
    return files("autotrack.outputs.report").joinpath(name).read_text(encoding="utf-8")


def _title(runs: list[dict[str, str]]) -> str:
    experiments = list(dict.fromkeys(run["experiment"] for run in runs))
    named = ", ".join(experiments[:3]) + (" …" if len(experiments) > 3 else "")
    return named or f"Runs of {datetime.now():%Y-%m-%d}"
