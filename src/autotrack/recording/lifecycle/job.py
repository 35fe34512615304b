"""The run of a launched command (`autotrack run`), in which the processes of the command record.

The launcher owns the run and alone sets its status. The processes communicate through a folder in the place of the
data, which exists while the command runs:

    jobs/<run id>/trainings         one byte per training that has begun in any of the processes
    jobs/<run id>/joined            a line for each process that takes part: pid, version, implementation, path, venv
    jobs/<run id>/strangers         a line for each Python that cannot import autotrack: its path
    jobs/<run id>/<pid>.failure     the exception that ended a Python process
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autotrack._guard import guarded
from autotrack.events import Failure
from autotrack.place import Place, replace_text
from autotrack.recording import collector as collector_module
from autotrack.recording import ranks
from autotrack.recording.collector import Collector, collector, is_worker, recording_allowed
from autotrack.recording.failures import describe_failure
from autotrack.recording.lifecycle import ending, names
from autotrack.recording.run import Run

ID, NAME, FOLDER = "AUTOTRACK_JOB", "AUTOTRACK_JOB_NAME", "AUTOTRACK_JOB_FOLDER"
_LATE = 1 << 20  # lowest number of trainings that begin when the counter file is gone


@dataclass(frozen=True)
class Program:
    """A Python process of a command in which autotrack was active."""

    pid: int
    python: str
    implementation: str
    executable: str
    virtualenv: str


class Meeting:
    """The folder through which the processes of a command communicate, as used by the launcher."""

    def __init__(self, place: Place, run_id: str) -> None:
        self.folder = place.job(run_id)

    def open(self) -> None:
        """Create the folder and its files; `OSError` if they cannot be created."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("trainings", "joined", "strangers"):
            (self.folder / name).touch()

    def programs(self) -> list[Program]:
        """The Python processes that have taken part so far, in the order of their start."""
        found = []
        for line in self._lines("joined"):
            pid, *rest = line.split("\t")
            if pid.isdigit() and len(rest) == 4:
                found.append(Program(int(pid), *rest))
        return found

    def strangers(self) -> list[str]:
        """The paths of the Pythons in which autotrack could not be imported, each once."""
        return list(dict.fromkeys(self._lines("strangers")))

    def failures(self) -> list[Failure]:
        """The exceptions that ended Python processes of the command, the latest last."""
        found = []
        with suppress(OSError, msgspec.DecodeError):
            for path in sorted(self.folder.glob("*.failure"), key=lambda path: path.stat().st_mtime_ns):
                found.append(msgspec.json.decode(path.read_bytes(), type=Failure))
        return found

    def close(self) -> None:
        """Remove the folder; processes that start later do not take part."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="backslashreplace").splitlines()
        except OSError:
            return []


class JobRun(Run):
    """Handle of a command's run in a process that the command started: it adds facts and never finishes the run."""

    def __init__(self, owner: Collector, run_id: str, environment: Mapping[str, str]) -> None:
        self._meeting = Path(environment[FOLDER])
        experiment = environment.get("AUTOTRACK_EXPERIMENT") or names.entry_name()
        super().__init__(
            owner, run_id, name=environment.get(NAME) or run_id, experiment=experiment, kind="job", owned=False
        )

    def _new_number(self) -> int:
        try:
            return names.count(self._meeting / "trainings", create=False)
        except OSError:
            return _LATE + secrets.randbits(20)


def leave_failure(folder: str, error: BaseException) -> None:
    """Write the exception that ended this process of the command to the command's `folder`, for the launcher."""
    failure = msgspec.json.encode(describe_failure(error)).decode()
    replace_text(Path(folder, f"{os.getpid()}.failure"), failure)


_known: list[JobRun] = []
_knowing = threading.RLock()


def job_run() -> Run | None:
    """The run of the launched command that this process belongs to; None if there is none.

    Also None if this process records to another folder, if recording is off, and on ranks other than 0.
    """
    run_id = os.environ.get(ID)
    if not run_id or not recording_allowed(automatic=False) or ranks.is_follower():
        return None
    owner = collector()
    for run in _known:
        if run.id == run_id and run.collector is owner:
            return run
    with guarded("joining the run of the command"), _knowing:
        if str(owner.place.job(run_id)) != os.environ.get(FOLDER) or not os.path.isdir(os.environ[FOLDER]):
            return None
        run = JobRun(owner, run_id, os.environ)
        _known[:] = [run]
        if not collector_module.is_fork and not is_worker():
            from autotrack.recording.lifecycle.environment_capture import record_program

            ending.install(owner)
            record_program(run)
        return run
    return None
