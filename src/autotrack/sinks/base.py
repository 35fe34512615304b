"""What a sink is: where delivered events go.

A sink takes batches, each a stretch of one journal, at least once and in order within a journal; runs may have
events in many journals, in any order between them, so a sink takes facts of a run whose start it has not seen.
It is idempotent by position: a batch that starts before what the sink has already taken of that journal must not
be applied twice. One process at a time delivers to a sink, under a lease that delivery holds; a sink may be called
from any thread, never from two at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autotrack.journal.reader import Batch


class Sink(ABC):
    """Where events go. Construct it with what the URL says; connect in `position` or `write`, not before.

    `name` identifies the sink in journals and messages: stable, unique per destination, without credentials.
    """

    name: str

    @abstractmethod
    def position(self, journal: str) -> int:
        """How far this sink has durably taken the journal with this id; 0 if it does not know it."""

    @abstractmethod
    def write(self, batch: Batch, blobs: Path) -> None:
        """Take a batch, durably, and move the position to `batch.end` with it.

        `blobs` is the folder of content-addressed files that the events may name. Any exception means that
        nothing is promised: the same batch comes again later.
        """

    def close(self) -> None:
        """Let go of connections; the last call."""
        return
