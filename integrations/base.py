"""All that an integration needs of autotrack: one module to import from, for third parties too.

An integration subclasses `Integration` and is listed under the entry point groups `autotrack.integrations` and
`autotrack.watches`. Its module imports nothing of the framework at the top: `install` is called once the program has
imported the framework.
"""

from __future__ import annotations

from autotrack._guard import guarded
from autotrack.instrument.import_hooks import forget, when_imported
from autotrack.instrument.integration import Integration, SharedPatches
from autotrack.instrument.options import CallbackOptions, Options, TakesOptions, takes
from autotrack.instrument.patching import Patches, Watch
from autotrack.recording.collector import is_worker, recording_allowed
from autotrack.recording.failures import how_it_ended
from autotrack.recording.lifecycle.trainings import Training, begin_training, begin_trial
from autotrack.recording.run import Run, active_run
from autotrack.training.checkpoints import Checkpoints

__all__ = [
    "CallbackOptions", "Checkpoints", "Integration", "Options", "Patches", "Run", "SharedPatches", "TakesOptions",
    "Training", "Watch", "active_run", "begin_training", "begin_trial", "forget", "guarded", "how_it_ended",
    "is_worker", "recording_allowed", "takes", "when_imported",
]  # fmt: skip
