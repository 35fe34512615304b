"""The callback that forwards the events of `Trainer`'s loop to a recording; a default callback under autolog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers.trainer_callback import TrainerCallback

from autotrack._guard import guarded
from autotrack.integrations.transformers.recording import Recording


class Carrier(TrainerCallback):
    """Forwards the events of a training to its recording, which is left out when a trainer is pickled."""

    autotrack_carrier = True
    autotrack_recording: Recording | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell("what a training was asked for", Recording.describe, state, kwargs)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell("watching the gradients", Recording.watch, state)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell("the beginning of an epoch", Recording.epoch_begins)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell("the end of an epoch", Recording.epoch_ends, state)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs:
            self._tell("logged metrics", Recording.metrics, state, logs)

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:
        self._tell("the metrics of a prediction", Recording.predicted, state, metrics)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell("a checkpoint", Recording.checkpoint, state)

    def _tell(self, what: str, method: Callable[..., None], *args: Any) -> None:
        recording = self.autotrack_recording
        if recording is not None:
            with recording.stopwatch, guarded(what):
                method(recording, *args)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "autotrack_recording"}
