"""The folder of the data: what is stored where below it, and for how long.

    .autotrack/
        journals/<journal>              what a process recorded, until every sink has it
        blobs/<digest>                  files by the digest of their content, until no run names them
        store.db, store.lease           the embedded store; which host folds, on a file system of several hosts
        folding.lock                    held by the process that folds beside a training
        names/<name>                    a counter for runs without a name of their own; one byte per run, kept for ever
        claims/<key>                    a lock, held while a process writes a further attempt of a run
        requeues/<key>                  the runs that a job of a scheduler has opened
        ranks/<key>                     the run of rank 0 of a distributed training
        origins/<key>                   the run that wrote a checkpoint
        jobs/<run>/                     where the processes of a launched command meet, as long as it runs
        delivery/<sink>/<journal>       up to which position a sink has confirmed a journal

A `<key>` or `<sink>` is the digest of a text that may be no file name. `Place.remove_stale` deletes what is of no
further use; `autotrack gc` calls it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autotrack._locks import FileLock

NoteKind = Literal["claims", "origins", "ranks", "requeues"]

DELIVERY_LEASE = "lease"  # beside the notes of a sink: held by the process that delivers to it
DAY = 86_400.0  # seconds
CLAIMS_KEPT = ORIGINS_KEPT = JOBS_KEPT = CONFIRMATIONS_KEPT = DAY  # at least; then as long as they are in use
RANKS_KEPT = 30 * DAY  # the ranks of a training start within that time
REQUEUES_KEPT = 90 * DAY  # a scheduler starts a job again within that time of its last run


@dataclass(frozen=True)
class SharedNote:
    """A small text file that processes leave for one another."""

    path: Path

    def read(self) -> str:
        """The text; empty if there is none, or it cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def write(self, text: str) -> None:
        """Replace the text, which readers see whole or not at all; `OSError` if that fails."""
        self.prepare()
        replace_text(self.path, text)

    def append(self, line: str) -> None:
        """Add a line; `OSError` if that fails."""
        self.prepare()
        with self.path.open("a", encoding="utf-8") as out:
            out.write(line + "\n")

    def prepare(self) -> None:
        """Create the folder that the note is stored in."""
        self.path.parent.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Place:
    """The folder of the data of one or more programs, and the reason why it is that one."""

    path: Path
    reason: str = ""

    @property
    def journals(self) -> Path:
        """The folder of the journals."""
        return self.path / "journals"

    @property
    def blobs(self) -> Path:
        """The folder of the content-addressed files."""
        return self.path / "blobs"

    @property
    def database(self) -> Path:
        """The file of the embedded store."""
        return self.path / "store.db"

    @property
    def folding_lock(self) -> Path:
        """The lock of the process that folds beside a training."""
        return self.path / "folding.lock"

    @property
    def names(self) -> Path:
        """The folder of the counters of names."""
        return self.path / "names"

    def job(self, run_id: str) -> Path:
        """The folder in which the processes of the launched command that is recorded as `run_id` meet."""
        return self.path / "jobs" / run_id

    def delivery(self, sink: str) -> Path:
        """The folder of the notes about what the sink with this name has confirmed."""
        return self.path / "delivery" / hashlib.sha256(sink.encode()).hexdigest()[:16]

    def note(self, kind: NoteKind, key: str) -> SharedNote:
        """The note about `key`, which may be any text, a path included."""
        return SharedNote(self.path / kind / hashlib.sha256(os.fsencode(key)).hexdigest()[:32])

    def remove_stale(self, *, runs: Collection[str], running: Collection[str], now: float | None = None) -> None:
        """Delete the notes and folders that no process can use any more.

        `runs` are the ids of all runs in the store, `running` those that may still be written. What cannot be deleted
        stays for the next time.
        """
        now = time.time() if now is None else now
        for path in self._older("requeues", now - REQUEUES_KEPT):
            _remove(path)
        for path in self._older("ranks", now - RANKS_KEPT):
            _remove(path)
        for path in self._older("origins", now - ORIGINS_KEPT):
            if SharedNote(path).read() not in runs:
                _remove(path)
        for path in self._older("claims", now - CLAIMS_KEPT):
            _remove_unlocked(path)
        for path in self._older("jobs", now - JOBS_KEPT):
            if path.name not in running:
                shutil.rmtree(path, ignore_errors=True)
        for path in self._older("delivery", now - CONFIRMATIONS_KEPT, "*/*"):
            if path.name != DELIVERY_LEASE and not (self.journals / path.name).exists():
                _remove(path)

    def _older(self, folder: str, moment: float, pattern: str = "*") -> Iterator[Path]:
        for path in (self.path / folder).glob(pattern):
            with suppress(OSError):
                if path.stat().st_mtime < moment:
                    yield path


def replace_text(path: Path, text: str) -> None:
    """Write a file that readers in other processes see whole or not at all; `OSError` if its folder is missing."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def prepare(place: Place) -> None:
    """Create the place's folders, and keep them out of git; `OSError` if that cannot be done."""
    place.journals.mkdir(parents=True, exist_ok=True)
    place.blobs.mkdir(exist_ok=True)
    ignore = place.path / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    if not os.access(place.journals, os.W_OK):
        raise PermissionError(13, "the folder cannot be written", str(place.journals))


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError), FileLock(path) as lock:
        if lock.acquire():
            path.unlink()
