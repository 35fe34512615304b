"""The callback of ours that joins Keras' list for the time of a training, and passes on what it hears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras.callbacks import Callback

from autotrack._guard import guarded

if TYPE_CHECKING:
    from autotrack.integrations.keras.fitting import Fit
    from autotrack.integrations.keras.measuring import Epochs


class Reporter(Callback):  # type: ignore[misc, unused-ignore]
    """Hears a training on behalf of a `Fit`; on thread-safe backends its batches come from other threads."""

    async_safe = True

    def __init__(self, fit: Fit, epochs: Epochs) -> None:
        super().__init__()
        self._fit = fit
        self._epochs = epochs
        self.on_train_batch_end = epochs.batch_ended  # one call less for every batch
        if epochs.is_watched:
            self.on_train_batch_begin = epochs.batch_begins

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the beginning of a training"):
            self._fit.training_begins(self.params or {})

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the beginning of an epoch"):
            self._epochs.epoch_begins(epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the end of an epoch"):
            self._epochs.epoch_ended(epoch, logs or {})
            self._fit.after_epoch_end(epoch)

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the beginning of a validation"):
            self._epochs.validation_begins()

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the end of a validation"):
            self._epochs.validation_ended()
