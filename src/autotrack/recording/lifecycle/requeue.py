"""Requeued jobs: a job that the scheduler restarts resumes its unfinished runs instead of opening new ones.

Under a scheduler that counts restarts, each top-level run that a job opens is listed in a small file named after the
job. In a restarted job, the latest run of the same kind, experiment and (if one is given) name is resumed unless it
has finished: as a further attempt of the same run.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from autotrack._guard import guarded
from autotrack.exceptions import AutotrackError
from autotrack.recording.collector import Collector
from autotrack.recording.run import Run

FOLDER = "requeues"

# The variables that identify a job, and the variable that counts its restarts.
_SCHEDULERS = (
    (("SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_ARRAY_TASK_ID"), "SLURM_RESTART_COUNT"),
    (("LSB_JOBID", "LSB_JOBINDEX"), "LSB_RESTART_COUNT"),
    (("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"), "TORCHELASTIC_RESTART_COUNT"),
)

_taken: set[str] = set()


class _Written(NamedTuple):
    run: str
    kind: str
    experiment: str
    name: str


def remember(run: Run) -> None:
    """Add `run` to the file of this job; does nothing without a scheduler that restarts jobs."""
    file = _file(run.collector.place.path)
    if file is None:
        return
    with guarded("remembering the run for a restart of the job"):
        _taken.add(run.id)
        file.parent.mkdir(parents=True, exist_ok=True)
        line = "\t".join(_Written(run.id, run.kind, run.experiment, run.name))
        with file.open("a", encoding="utf-8") as out:
            out.write(line.replace("\n", " ") + "\n")


def interrupted(owner: Collector, kind: str, experiment: str, name: str | None) -> Run | None:
    """The next attempt of the latest matching run that an earlier start of this job left unfinished; or None."""
    file = _file(owner.place.path)
    if file is None or not _restarts():
        return None
    with guarded("looking for the run that the job left"):
        for written in reversed(_read(file)):
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


def _read(file: Path) -> list[_Written]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [_Written(*parts) for line in lines if len(parts := line.split("\t")) == len(_Written._fields)]


def _file(place: Path) -> Path | None:
    for names, count in _SCHEDULERS:
        if names[0] in os.environ and (count in os.environ or names[0] == "SLURM_JOB_ID"):
            job = "|".join(f"{name}={os.environ.get(name, '')}" for name in names)
            return place / FOLDER / hashlib.sha256(job.encode()).hexdigest()[:24]
    return None


def _restarts() -> int:
    counts = [os.environ.get(count, "0") for names, count in _SCHEDULERS if names[0] in os.environ]
    return max((int(count) for count in counts if count.isdigit()), default=0)
