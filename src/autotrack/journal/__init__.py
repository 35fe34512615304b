"""One append-only, checksummed log per process: the durable queue between training and every sink."""

from autotrack.journal.layout import Header
from autotrack.journal.writer import JournalWriter, RowPacker

__all__ = ["Header", "JournalWriter", "RowPacker"]
