"""Resuming earlier runs: finding them, and locking them against resumption by another process."""

from __future__ import annotations

from typing import cast

from autotrack._locks import FileLock
from autotrack.events import RunKind
from autotrack.exceptions import NotFoundError, RunActiveError
from autotrack.recording.collector import Collector
from autotrack.recording.run import Run

_claims: dict[str, FileLock] = {}


def earlier_attempt(owner: Collector, *, run_id: str | None, reference: str | None) -> Run | None:
    """A handle for the next attempt of an earlier run, or None if there is no run `run_id`.

    Also locks the id, so that no other process opens this run at the same time.
    `RunActiveError` if another process writes or is starting the run, `NotFoundError` if `reference` names no run.
    """
    from autotrack.query.reader import open_reader

    with open_reader(owner.settings, owner.place) as reader:
        try:
            record = reader.get(reference or run_id or "", exact=reference is None)
        except NotFoundError:
            if reference is not None:
                raise
            record = None
        if record is not None and record.status == "running":
            raise RunActiveError(
                f"run {record.id} ({record.name}) is being written by process {record.pid} on {record.host}; "
                "finish it there, or start a run with another id"
            )
        _claim(owner, record.id if record is not None else str(run_id))
        if record is None:
            return None
        return Run(
            owner,
            record.id,
            name=record.name,
            experiment=record.experiment,
            kind=cast("RunKind", record.kind),
            parent=record.parent,
            attempt=record.attempt + 1,
        )


def _claim(owner: Collector, run_id: str) -> None:
    note = owner.place.note("claims", run_id)
    note.prepare()
    lock = FileLock(note.path)
    earlier = _claims.pop(run_id, None)
    if earlier is not None:
        earlier.release()
    if not lock.acquire():
        raise RunActiveError(f"run {run_id} is being started by another process at this moment")
    _claims[run_id] = lock
