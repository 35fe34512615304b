"""Where recorded events are delivered, beside the local store: `Sink` is the contract, `Batch` what a sink receives.

`BlobReader` reads the files that events name; `BlobFolder` is the one over a local folder.
"""

from autotrack.journal.blobs import BlobFolder
from autotrack.journal.reader import Batch
from autotrack.sinks.base import BlobReader, Sink

__all__ = ["Batch", "BlobFolder", "BlobReader", "Sink"]
