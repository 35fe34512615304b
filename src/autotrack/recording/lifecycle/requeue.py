"""Requeued jobs: a job that the scheduler restarts resumes its unfinished runs instead of opening new ones.

Under a scheduler that counts restarts, each top-level run that a job opens is listed in a small file named after the
job. In a restarted job, the latest run of the same kind, experiment and (if one is given) name is resumed unless it
has finished: as a further attempt of the same run.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from autotrack._guard import guarded
from autotrack.exceptions import AutotrackError
from autotrack.place import Place, SharedNote
from autotrack.recording.collector import Collector
from autotrack.recording.run import Run
from autotrack.schedulers import SCHEDULERS, Scheduler

_taken: set[str] = set()


class _Written(NamedTuple):
    run: str
    kind: str
    experiment: str
    name: str


def remember(run: Run) -> None:
    """Add `run` to the note about this job; does nothing without a scheduler that restarts jobs."""
    note = _note(run.collector.place)
    if note is None:
        return
    with guarded("remembering the run for a restart of the job"):
        _taken.add(run.id)
        note.append("\t".join(_Written(run.id, run.kind, run.experiment, run.name)).replace("\n", " "))


def interrupted(owner: Collector, kind: str, experiment: str, name: str | None) -> Run | None:
    """The next attempt of the latest matching run that an earlier start of this job left unfinished; or None."""
    note = _note(owner.place)
    if note is None or not _restarts():
        return None
    with guarded("looking for the run that the job left"):
        for written in reversed(_read(note)):
            fits = written.kind == kind and written.experiment == experiment and name in (None, written.name)
            if fits and written.run not in _taken:
                _taken.add(written.run)
                return _unfinished(owner, written.run)
    return None


def _unfinished(owner: Collector, run_id: str) -> Run | None:
    from autotrack.query.reader import open_reader
    from autotrack.recording.lifecycle.resume import earlier_attempt

    with open_reader(owner.settings, owner.place) as reader:
        if reader.get(run_id, exact=True).status == "finished":
            return None
    try:
        return earlier_attempt(owner, run_id=run_id, reference=None)
    except AutotrackError:  # its writer is alive, or seems to be: open a new run instead
        return None


def _read(note: SharedNote) -> list[_Written]:
    lines = note.read().splitlines()
    return [_Written(*parts) for line in lines if len(parts := line.split("\t")) == len(_Written._fields)]


def _note(place: Place) -> SharedNote | None:
    for scheduler in _restarting():
        # SLURM sets its counter only from the first restart on
        if scheduler.name == "slurm" or scheduler.first("restarts", os.environ) is not None:
            job = "|".join(f"{name}={os.environ.get(name, '')}" for name in scheduler.identity)
            return place.note("requeues", job)
    return None


def _restarts() -> int:
    counts = [scheduler.first("restarts", os.environ) or "0" for scheduler in _restarting()]
    return max((int(count) for count in counts if count.isdigit()), default=0)


def _restarting() -> list[Scheduler]:
    """The schedulers of this process that may start its job again, from the outermost to the innermost."""
    return [scheduler for scheduler in SCHEDULERS if "restarts" in scheduler.facts and scheduler.started(os.environ)]
