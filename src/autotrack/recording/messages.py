"""The two messages on stderr: where runs are recorded, and a summary of them at the end of the process."""

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
    """Print once per process where runs are recorded."""
    if _SHOWN["announced"] or not _speaks(run.collector):
        return
    _SHOWN["announced"] = True
    say(f"recording to {run.collector.place.path} · see: autotrack runs · off: AUTOTRACK=0")


@on_reset
def forget() -> None:
    """Reset the messages to the state of a new process."""
    _SHOWN["announced"] = False
    _missing.clear()


def count_missing(run_id: str, count: int) -> None:
    """Add `count` to the things of a run that were not captured, for the closing message."""
    _missing[run_id] += count


def closing(owner: Collector) -> None:
    """Print a summary of the process's runs, at its end."""
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
    """Key and latest value of the most relevant metric of a run (test before validation before training); or None."""
    latest = {key: value for key, value in run.latest_metrics().items() if not key.startswith("system/")}
    return min(latest.items(), key=lambda item: relevance(item[0]), default=None)


def say(text: str) -> None:
    """Write one line to stderr; does nothing if stderr is closed."""
    with suppress(OSError, ValueError, AttributeError):  # stderr may be closed or None
        sys.stderr.write(f"autotrack: {text}\n")
        sys.stderr.flush()


def _speaks(owner: Collector) -> bool:
    return not (owner.settings.quiet or is_fork or is_worker() or is_follower())
