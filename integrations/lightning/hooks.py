"""The hooks in Lightning: `Trainer.fit`, `validate` and `test`, the connector to loggers, the saving of checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Patches, Watch
from autotrack.integrations.base import Options, SharedPatches
from autotrack.integrations.lightning.carrier import Carrier
from autotrack.integrations.lightning.packages import PACKAGES
from autotrack.integrations.lightning.recording import Recording, recording_of
from autotrack.integrations.lightning.tuning import TunerWatch, is_tuning
from autotrack.recording.collector import is_worker, recording_allowed

FIT, EVALUATE, METRICS, CHECKPOINT = "lightning.fit", "lightning.evaluate", "lightning.metrics", "lightning.checkpoint"

_connector_speaks: ContextVar[bool] = ContextVar("autotrack_lightning_connector", default=False)
_autolog: list[Options] = []


def _put(patches: Patches) -> None:
    patches.observe(FIT, _on_fit)
    patches.observe(EVALUATE, _on_evaluate)
    patches.observe(METRICS, _on_metrics)
    patches.observe(CHECKPOINT, _on_checkpoint)
    for package in PACKAGES:
        trainer = getattr(sys.modules.get(f"{package}.trainer.trainer"), "Trainer", None)
        connector = sys.modules.get(f"{package}.trainer.connectors.logger_connector.logger_connector")
        if trainer is None or connector is None:
            continue
        patches.method(trainer, "fit", FIT)
        for name in ("validate", "test"):
            patches.method(trainer, name, EVALUATE)
        patches.method(trainer, "save_checkpoint", CHECKPOINT)
        patches.method(connector._LoggerConnector, "log_metrics", METRICS)


hooks = SharedPatches(_put)


def switch_on(options: Options) -> None:
    """Observe all trainers for autolog, with or without a callback or logger of ours."""
    _autolog[:] = [options]
    hooks.hold("autolog")


def switch_off() -> None:
    """Observe only trainers with a callback or logger of ours."""
    _autolog.clear()
    hooks.release("autolog")


def observe_in_worker() -> None:
    """Observe the trainer in a process that a trainer has started."""
    hooks.hold("worker")


def callbacks_for_trainer() -> list[Any]:
    """The callbacks to add to a new trainer: a carrier while the hooks are installed, else none."""
    return [Carrier()] if hooks.holders else []


def connector_speaks() -> bool:
    """Whether Lightning itself is passing metrics to its loggers at this moment; these are recorded already."""
    return _connector_speaks.get()


def options_for(trainer: Any) -> Options | None:
    """The options for this trainer, from a callback or logger of ours, else from autolog; None without any."""
    for ours in (*trainer.callbacks, *trainer.loggers):
        options = getattr(ours, "autotrack_options", None)
        if isinstance(options, Options):  # the logger of `fast_dev_run` has a method of any name
            return options
    return _autolog[0] if _autolog else None


def _carry(trainer: Any) -> None:
    """Add a carrier to the callbacks if there is none, as when the trainer was made before the hooks were installed."""
    if not Recording.is_carried(trainer):
        trainer.callbacks = [Carrier(), *trainer.callbacks]  # a new list: the old one may be the user's own


def _on_fit(wrapped: Any, trainer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    options = options_for(trainer)
    if options is None or is_worker() or not recording_allowed(automatic=False):
        return None
    if is_tuning(trainer):
        return TunerWatch(trainer)
    _carry(trainer)
    return Recording.of_fit(trainer, wrapped, args, kwargs, options, observe_in_worker)


def _on_evaluate(wrapped: Any, trainer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    options = options_for(trainer)
    if options is None or is_worker() or not recording_allowed(automatic=False):
        return None
    model = args[0] if args else kwargs.get("model")
    found = recording_of(trainer, model)
    if found is None:
        _carry(trainer)
        return Recording.of_evaluation(trainer, model, wrapped.__name__, options)
    found.adopt(trainer)
    return None


def _on_metrics(wrapped: Any, connector: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    trainer = connector.trainer
    recording = recording_of(trainer)
    if recording is None or not recording.is_carried(trainer):
        return None
    metrics = args[0] if args else kwargs["metrics"]
    step = args[1] if len(args) > 1 else kwargs.get("step")
    if metrics:
        with recording.stopwatch:
            recording.metrics(trainer, metrics, step)
    return _Speaking()


class _Speaking:
    """Watch of the connector: sets `connector_speaks` while Lightning passes metrics to its loggers."""

    def __init__(self) -> None:
        self._token = _connector_speaks.set(True)

    def returned(self, result: Any) -> None:
        _connector_speaks.reset(self._token)

    def raised(self, error: BaseException) -> None:
        _connector_speaks.reset(self._token)


def _on_checkpoint(wrapped: Any, trainer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    recording = recording_of(trainer)
    if recording is None or not recording.is_carried(trainer):
        return None
    return _Saving(recording, trainer, args[0] if args else kwargs.get("filepath"))


class _Saving(Watch):
    """Watch of `Trainer.save_checkpoint`: records the checkpoint."""

    def __init__(self, recording: Recording, trainer: Any, path: Any) -> None:
        self._recording = recording
        self._trainer = trainer
        self._path = path

    def returned(self, result: Any) -> None:
        with self._recording.stopwatch, guarded("recording a checkpoint"):
            self._recording.checkpoint(self._trainer, self._path)
