"""The store as a sink among others: what delivery hands batches to when the store lies elsewhere."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from autotrack.exceptions import StoreError
from autotrack.journal.reader import Batch
from autotrack.sinks.base import Sink
from autotrack.sinks.opening import sink_name
from autotrack.store import schema
from autotrack.store.engine import Store, open_store
from autotrack.store.folding.folding import take


class StoreSink(Sink):
    """Writes batches into a store; a batch that was taken before changes nothing."""

    def __init__(self, url: str, *, blobs: str | None = None, name: str | None = None) -> None:
        """The store in the folder or at the URL `url`, with its files in the folder or at the URL `blobs`."""
        self.url = url
        self.name = name or sink_name(url)
        self._blobs = blobs
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The store, opened when it is first needed; `StoreError` if that fails."""
        if self._store is None:
            self._store = open_store(self.url, blobs=self._blobs)
        return self._store

    def position(self, journal: str) -> int:
        """How far the store has taken the journal."""
        cursor = select(schema.journals.c.position).where(schema.journals.c.id == journal)
        with self.store.engine.connect() as connection:
            return connection.execute(cursor).scalar() or 0

    def write(self, batch: Batch, blobs: Path) -> None:
        """Apply the batch and move the position with it; `StoreError` if it does not begin at the position."""
        if take(self.store, batch, blobs) is not None:
            return
        position = self.position(batch.journal)
        if position < batch.end:
            raise StoreError(f"journal {batch.journal} was taken up to {position}, the batch begins at {batch.start}")

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()
            self._store = None
