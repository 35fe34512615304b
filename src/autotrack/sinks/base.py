"""The contract of a sink, a destination of delivered events, and of the files that it may read with them.

A sink receives batches, each a stretch of one journal, at least once and in order within a journal. A run may have
events in many journals, in any order between them, so a sink accepts facts of a run whose start has not arrived yet.
It is idempotent by position: a batch that begins before the position already reached in its journal must not be applied
twice. One process at a time delivers to a sink, under a lease that delivery holds; a sink may be called from any
thread, never from two at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from autotrack.journal.reader import Batch


class BlobReader(Protocol):
    """The files that events name, found by `digest`: the SHA-256 of their bytes, in lower-case hex.

    They may be in a local folder or in object storage. Every method raises `NotFoundError` for a file that is not
    there. Files that an event names do go missing: a training deletes superseded checkpoints, an artifact of
    `stored=False` was never copied. A sink then keeps the event without the bytes.
    """

    def open(self, digest: str) -> BinaryIO:
        """The file, opened for reading from its start; the caller closes it."""
        ...

    def read(self, digest: str) -> bytes:
        """All bytes of the file."""
        ...

    def path(self, digest: str) -> Path | None:
        """The path of the file, never to be written to, if it is a local one; else None, and only `open` reads it."""
        ...


class Sink(ABC):
    """A destination of events. Construct it from its URL; connect in `position` or `write`, not before.

    `name` identifies the sink in journals and messages: stable, unique per destination, without credentials.
    """

    name: str

    @abstractmethod
    def position(self, journal: str) -> int:
        """The position up to which the sink durably holds the journal with this id; 0 for an unknown journal."""

    @abstractmethod
    def write(self, batch: Batch, blobs: BlobReader) -> None:
        """Store a batch durably, and move the journal's position to `batch.end` with it.

        `blobs` reads the files that the events name. After any exception the batch counts as not delivered: it is
        delivered again later.
        """

    def close(self) -> None:
        """Release connections; no other call follows."""
        return
