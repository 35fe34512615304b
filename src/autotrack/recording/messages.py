"""The two lines that a user sees: where it is recorded, and what became of it. Never on stdout."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import suppress

from autotrack import wording
from autotrack._process import on_reset
from autotrack.ids import short_id
from autotrack.recording.collector import Collector, is_fork, is_worker
from autotrack.recording.ranks import is_follower
from autotrack.recording.run import Run, last_run
from autotrack.roles import relevance

_SHOWN = {"announced": False}
_missing: Counter[str] = Counter()


def recording(run: Run) -> None:
    """Say once per process where runs are recorded."""
    if _SHOWN["announced"] or not _speaks(run.collector):
        return
    _SHOWN["announced"] = True
    say(f"recording to {run.collector.place.path} · see: autotrack runs · off: AUTOTRACK=0")


@on_reset
def forget() -> None:
    """Start anew, as in a fresh process."""
    _SHOWN["announced"] = False
    _missing.clear()


def count_missing(run_id: str, count: int) -> None:
    """Remember that something of a run was not captured, for the closing line."""
    _missing[run_id] += count


def closing(owner: Collector) -> None:
    """Say at the end of the process what became of its runs."""
    run = last_run(owner)
    if not _SHOWN["announced"] or run is None or not _speaks(owner):
        return
    if owner.finished_runs > 1:
        missing = sum(_missing.values())
        more = f" · {missing} things not captured" if missing else ""
        say(f"{owner.finished_runs} runs recorded, the last one {run.name}{more} · autotrack runs")
        return
    parts = [f"{run.name} {run.status} after {wording.duration(time.time() - run.started)}"]
    main = main_metric(run)
    if main is not None:
        parts.append(f"{main[0]} {wording.number(main[1])}")
    if _missing[run.id]:
        parts.append(f"{_missing[run.id]} things not captured")
    say(" · ".join([*parts, f"autotrack show {short_id(run.id)}"]))


def main_metric(run: Run) -> tuple[str, float | int] | None:
    """The metric that says most about a run: one of test, validation or training data, else the first."""
    latest = {key: value for key, value in run.latest_metrics().items() if not key.startswith("system/")}
    return min(latest.items(), key=lambda item: relevance(item[0]), default=None)


def say(text: str) -> None:
    """Write one line to stderr, on a line of its own even below a progress bar."""
    with suppress(OSError, ValueError, AttributeError):  # stderr may be closed or None
        sys.stderr.write(f"autotrack: {text}\n")
        sys.stderr.flush()


def _speaks(owner: Collector) -> bool:
    return not (owner.settings.quiet or is_fork or is_worker() or is_follower())
