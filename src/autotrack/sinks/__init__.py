"""Where recorded events are delivered, beside the local store: `Sink` is the contract, `Batch` what a sink receives.

`BlobReader` reads the files that events name; `BlobFolder` is the one over a local folder. `RunStates` works out the
status, name and attempts of runs from the changes that `changes_by_run` finds in a batch.
"""

from autotrack.journal.blobs import BlobFolder
from autotrack.journal.reader import Batch
from autotrack.journal.run_state import RunState, RunStates, changes_by_run
from autotrack.sinks.base import BlobReader, Sink

__all__ = ["Batch", "BlobFolder", "BlobReader", "RunState", "RunStates", "Sink", "changes_by_run"]
