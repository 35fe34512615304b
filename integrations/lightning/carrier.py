"""The callback that forwards the events of Lightning's loop to a recording; autotrack adds it to trainers.

It has no state but what `Recording.hand_over` attaches for the processes of a trainer: the recording is looked up by
the trainer. So any number of carriers does no harm, and neither checkpoints nor pickles of a trainer hold a recording.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.lightning.packages import base_classes
from autotrack.integrations.lightning.recording import Recording, recording_of
from autotrack.recording.collector import is_worker


class Carrying:
    """The callback hooks of Lightning, each forwarded to the recording of its trainer."""

    autotrack_carrier = True

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage != "fit":
            return
        handed = vars(self).get("autotrack_handed")
        if handed is not None and is_worker() and recording_of(trainer) is None:
            with guarded("continuing in a process of the trainer"):
                Recording.of_worker(trainer, pl_module, handed)
        self._tell(trainer, "meeting the other ranks", Recording.lead)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self._tell(trainer, "what a fit was asked for", Recording.describe, trainer, pl_module)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._tell(trainer, "the data of a fit", Recording.data, trainer)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._tell(trainer, "the beginning of an epoch", Recording.epoch_begins, trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._tell(trainer, "the end of an epoch", Recording.epoch_ends, trainer)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._tell(trainer, "the learning rates", Recording.batch_begins, trainer)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self._tell(trainer, "watching the gradients", Recording.watch, trainer)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit" and is_worker():
            self._tell(trainer, "the end of a fit", Recording.wind_up, trainer)

    def _tell(self, trainer: Any, what: str, method: Callable[..., None], *args: Any) -> None:
        recording = self._recording(trainer)
        if recording is not None:
            with recording.stopwatch, guarded(what):
                method(recording, *args)

    def _recording(self, trainer: Any) -> Recording | None:
        """The trainer's recording, if this is the first carrier among its callbacks: only that one forwards."""
        first = next(callback for callback in trainer.callbacks if hasattr(callback, "autotrack_carrier"))
        return recording_of(trainer) if first is self else None


CALLBACK_BASES = base_classes("callbacks", "Callback", wanted_by="AutotrackCallback")

# Made dynamically: its bases, from the packages that are imported, are known only at run time.
Carrier: Any = type(
    "AutotrackCarrier", (Carrying, *CALLBACK_BASES), {"__module__": __name__, "__doc__": "Added by itself."}
)
AutotrackCarrier = Carrier  # the name under which it pickles
