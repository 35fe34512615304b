"""Where recorded events are delivered, beside the local store: `Sink` is the contract, `Batch` what a sink is given."""

from autotrack.journal.reader import Batch
from autotrack.sinks.base import Sink

__all__ = ["Batch", "Sink"]
