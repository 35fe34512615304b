"""The callback of ours that is in Keras' list of callbacks for the time of a training and forwards its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras.callbacks import Callback

from autotrack._guard import guarded
from autotrack.integrations.keras.measuring import Epochs


class Reporter(Callback):  # type: ignore[misc, unused-ignore]
    """Forwards the events of a training; on thread-safe backends those of batches come from other threads.

    `begins` is called with Keras' parameters of the training, `epoch_ended` with the number of the epoch.
    """

    async_safe = True

    def __init__(
        self, epochs: Epochs, *, begins: Callable[[Mapping[str, Any]], None], epoch_ended: Callable[[int], None]
    ) -> None:
        super().__init__()
        self._begins = begins
        self._epoch_ended = epoch_ended
        self._epochs = epochs
        self.on_train_batch_end = epochs.batch_ended  # one call less for every batch
        if epochs.needs_begins:
            self.on_train_batch_begin = epochs.batch_begins

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the beginning of a training"):
            self._begins(self.params or {})

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the beginning of an epoch"):
            self._epochs.epoch_begins(epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the end of an epoch"):
            self._epochs.epoch_ended(epoch, logs or {})
            self._epoch_ended(epoch)

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the beginning of a validation"):
            self._epochs.validation_begins()

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        with self._epochs.stopwatch, guarded("the end of a validation"):
            self._epochs.validation_ended()
