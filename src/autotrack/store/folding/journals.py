"""One fold of the journals of a place: batch after batch, each in a transaction that begins by claiming its range."""

from __future__ import annotations

import platform
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, literal_column, select, update
from sqlalchemy.exc import OperationalError

from autotrack._locks import FileLock
from autotrack.events import Artifact, Media, MetricRows
from autotrack.exceptions import StoreError
from autotrack.journal.confirmations import is_confirmed
from autotrack.journal.host import boot_id
from autotrack.journal.layout import LOCK_NAME, Header
from autotrack.journal.reader import Batch, JournalReader, State, journals
from autotrack.place import Place
from autotrack.store import schema
from autotrack.store.bulk import Keys, rows_in
from autotrack.store.engine import Store
from autotrack.store.folding.compact import compact
from autotrack.store.folding.report import FoldReport, Progress
from autotrack.store.folding.rows import GatheredRows
from autotrack.store.folding.run_rows import TouchedRuns
from autotrack.store.folding.writing import REFUSALS, claim, write_batch, write_singly

STORE = "store"  # the name of the store itself among the sinks of a journal
FOREIGN_KEPT = 7 * 86_400.0  # seconds for which the journal of a silent writer on another machine is kept
INCOMPLETE_KEPT = 3_600.0  # seconds until a journal whose creation was interrupted is deleted
_TRIES = 3
_RUNNING: ColumnElement[str] = literal_column("'running'")  # no parameter, so that the partial index is used
_SEEN_EVERY = 5_000_000  # microseconds between two updates of a writer's heartbeat


@dataclass
class _KnownJournal:
    """A journal, with its state in the store before the fold and its state now.

    `position`, `state` and `last_seen` (microseconds) are the stored ones, `found` is the state now. `moved` is set
    once a batch was folded, `complete` once all of it is folded and its writer is gone.
    """

    reader: JournalReader
    position: int = 0
    state: str = ""
    last_seen: int = 0
    found: State | None = None
    moved: bool = False
    complete: bool = field(default=False)


class JournalFold:
    """One call of `fold`, with its report."""

    def __init__(
        self, store: Store, directory: Path, blobs: Path | None, report: FoldReport, progress: Progress | None
    ) -> None:
        self.store = store
        self.directory = directory
        self.blobs = blobs or (store.place.blobs if store.place else directory.parent / "blobs")
        self.report = report
        self._progress = progress
        self._done = self._total = 0

    def run(self, *, delete: bool) -> FoldReport:
        """Fold all journals, into the store or else into a copy; then delete those that every sink has confirmed."""
        why = self.store.hindrance()
        if why is None:
            try:
                self.store.use_original()
                return self._run(delete=delete)
            except OperationalError as error:
                if self.store.embedded is None:
                    raise StoreError(f"the store cannot be written: {error.orig}") from error
                why = str(error.orig)
        for _ in range(_TRIES):
            self.store.use_copy(why)
            self._run(delete=False)
            if not self.store.outdated:  # else another process may have folded a journal and deleted it after the copy
                break
        return self.report

    def _run(self, *, delete: bool) -> FoldReport:
        found = self._known([_KnownJournal(reader) for reader in journals(self.directory)])
        self.report.journals = len(found)
        if self._progress is not None:
            self._total = sum(journal.reader.size() for journal in found if journal.state != State.DEAD.value)
        for journal in found:
            if journal.state == State.DEAD.value:
                journal.complete = True  # its writer was dead when it was last folded, so nothing is left to fold
            else:
                self._fold(journal)
                self._advance(journal.reader.size())
        self._update_states([journal for journal in found if journal.found is not None])
        if delete:
            self._delete([journal for journal in found if journal.complete and self._is_confirmed(journal.reader)])
            remove_incomplete(self.directory)
        self.report.kept = self.report.journals - self.report.deleted
        return self.report

    def _known(self, found: list[_KnownJournal]) -> list[_KnownJournal]:
        by_id = {journal.reader.id: journal for journal in found}
        with self.store.engine.connect() as connection:
            for row in rows_in(connection, schema.journals, "id", by_id):
                journal = by_id[row.id]
                journal.position, journal.state, journal.last_seen = row.position, row.state, row.last_seen
        return found

    def _fold(self, journal: _KnownJournal) -> None:
        journal.found = state = _state(journal.reader, shared=self.store.shared)
        # fold a live journal only up to its present end, or the fold might follow the writer for ever
        until = journal.reader.committed() if state is not State.DEAD else None
        while until is None or journal.position < until:
            batch = journal.reader.read(journal.position, state=state)
            if not batch:
                break
            if until is None and state is not State.DEAD:
                until = batch.end
            touched = fold_batch(self.store, batch, self.blobs, journal.reader.header)
            if touched is not None:
                journal.position, journal.moved = batch.end, True
                self._count(batch, touched)
            else:
                journal.position = self._position(journal.reader.id)
        journal.complete = state is State.DEAD

    def _position(self, journal: str) -> int:
        with self.store.engine.connect() as connection:
            position = connection.execute(
                select(schema.journals.c.position).where(schema.journals.c.id == journal)
            ).scalar()
        return position or 0

    def _count(self, batch: Batch, touched: TouchedRuns) -> None:
        report = self.report
        report.runs.update(touched.runs)
        for event in batch.events:
            if isinstance(event, MetricRows):
                report.points += len(event.steps) * len(event.values)
            else:
                report.events += 1
        report.damaged += len(batch.damaged)

    def _advance(self, size: int) -> None:
        if self._progress is not None:
            self._done = min(self._total, self._done + size)
            self._progress(self._done, self._total)

    def _update_states(self, found: list[_KnownJournal]) -> None:
        changes = [change for journal in found if (change := _change(journal)) is not None]
        if not changes:
            return
        with self.store.transaction() as connection:
            for journal, state, last_seen in changes:
                _update_state(connection, journal, state, last_seen)

    def _is_confirmed(self, reader: JournalReader) -> bool:
        others = (sink for sink in reader.header.sinks if sink != STORE)
        return all(is_confirmed(Place(self.directory.parent), sink, reader) for sink in others)

    def _delete(self, finished: list[_KnownJournal]) -> None:
        old = [journal for journal in finished if not _is_too_young(journal.reader)]
        if not old:
            return
        self._flush_database()
        for journal in old:
            self.report.deleted += journal.reader.delete()

    def _flush_database(self) -> None:
        """Flush folded events to disk, so that they survive a power failure once their journals are deleted."""
        if self.store.embedded is not None:
            connection = self.store.engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(FULL)")
            finally:
                connection.close()


def fold_batch(store: Store, batch: Batch, blobs: Path, header: Header) -> TouchedRuns | None:
    """Write a batch whose files are in `blobs`, in one transaction; None if another process has folded its range.

    An event that the database refuses does not prevent the others: it becomes a line in its run's capture report.
    """
    missing = copy_blobs(store, batch, blobs)
    gathered = GatheredRows(batch, missing)
    try:
        with store.transaction() as connection:
            return write_batch(connection, gathered) if claim(connection, batch, header) else None
    except REFUSALS:
        with store.transaction() as connection:
            return write_singly(connection, batch, missing) if claim(connection, batch, header) else None


def copy_blobs(store: Store, batch: Batch, folder: Path) -> set[str]:
    """Copy the files that the batch names into the store; returns the digests of those that are missing."""
    named = {event.digest for event in batch.events if isinstance(event, Artifact | Media) and event.digest}
    return {digest for digest in named if not store.blobs.bring(folder, digest)}


def remove_incomplete(directory: Path) -> None:
    """Remove the folders of journals whose creation was interrupted `INCOMPLETE_KEPT` seconds ago."""
    for folder in directory.glob("*.new"):
        try:
            if time.time() - folder.stat().st_mtime < INCOMPLETE_KEPT:
                continue
            with FileLock(folder / LOCK_NAME) as lock:
                if lock.acquire():
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def _state(reader: JournalReader, *, shared: bool) -> State:
    """The state of the writer; on a disk that is not shared, a writer from before this machine's restart is dead."""
    state = reader.state()
    if state is State.SILENT and not shared and reader.header.host == platform.node():
        return State.DEAD
    return state


def _change(journal: _KnownJournal) -> tuple[_KnownJournal, str, int] | None:
    assert journal.found is not None
    last_seen = round(journal.reader.last_seen() * 1e6)
    state = journal.found.value
    if state == journal.state and not journal.moved and last_seen - journal.last_seen < _SEEN_EVERY:
        return None
    return journal, state, last_seen


def _update_state(connection: Connection, journal: _KnownJournal, state: str, last_seen: int) -> None:
    journals_, runs = schema.journals.c, schema.runs.c
    mine = (journals_.id == journal.reader.id) & (journals_.position == journal.position)
    if state != State.DEAD.value:
        mine &= journals_.state != State.DEAD.value  # another process has found the writer dead meanwhile
    changed = connection.execute(update(schema.journals).where(mine).values(state=state, last_seen=last_seen)).rowcount
    if changed and state == State.DEAD.value:
        unfinished = (runs.owner == journal.reader.id) & (runs.status == _RUNNING)
        compact(connection, Keys(connection), (), connection.execute(select(runs.pk).where(unfinished)).scalars())


def _is_too_young(reader: JournalReader) -> bool:
    return reader.header.boot != boot_id() and time.time() - reader.last_seen() < FOREIGN_KEPT
