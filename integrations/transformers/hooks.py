"""Where transformers is hooked: its list of default callbacks, `Trainer.train` and `hyperparameter_search`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from autotrack.instrument.patching import Patches
from autotrack.integrations.base import Options, SharedPatches
from autotrack.integrations.transformers.carrier import Carrier
from autotrack.integrations.transformers.packages import TRAINER
from autotrack.integrations.transformers.recording import HyperparameterSearch, Recording, search_of
from autotrack.recording.collector import is_worker, recording_allowed

TRAIN, SEARCH = "transformers.train", "transformers.search"

_autolog: list[Options] = []


def _put(patches: Patches) -> None:
    patches.observe(TRAIN, _on_train)
    patches.observe(SEARCH, _on_search)
    trainer = sys.modules[TRAINER].Trainer
    patches.method(trainer, "train", TRAIN)
    patches.method(trainer, "hyperparameter_search", SEARCH)


hooks = SharedPatches(_put)


def switch_on(options: Options) -> None:
    """Observe `Trainer` for autolog, and add the carrier to the default callbacks of new trainers."""
    _autolog[:] = [options]
    hooks.hold("autolog")
    defaults = sys.modules[TRAINER].DEFAULT_CALLBACKS
    if Carrier not in defaults:
        defaults.append(Carrier)


def switch_off() -> None:
    """Remove the carrier from the default callbacks; trainers with a callback of the user's are still recorded."""
    _autolog.clear()
    hooks.release("autolog")
    defaults = sys.modules[TRAINER].DEFAULT_CALLBACKS
    if Carrier in defaults:
        defaults.remove(Carrier)


def carrier_of(trainer: Any) -> Any:
    """The first carrier among the trainer's callbacks; None without one."""
    callbacks = trainer.callback_handler.callbacks
    return next((one for one in callbacks if getattr(one, "autotrack_carrier", False)), None)


def options_for(trainer: Any) -> Options | None:
    """The options for this trainer: a callback's, else autolog's, else the defaults if it has a carrier, else None."""
    for one in trainer.callback_handler.callbacks:
        options = getattr(one, "autotrack_options", None)
        if options is not None:
            chosen: Options = options
            return chosen
    if _autolog:
        return _autolog[0]
    return Options() if carrier_of(trainer) is not None else None


def _wanted(trainer: Any) -> Options | None:
    options = options_for(trainer)
    if options is None or is_worker() or not recording_allowed(automatic=False):
        return None
    if carrier_of(trainer) is None:  # the trainer was made before recording was switched on
        trainer.add_callback(Carrier())
    return options


def _on_train(wrapped: Any, trainer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    options = _wanted(trainer)
    if options is None:
        return None
    given = dict(zip(("resume_from_checkpoint", "trial"), args, strict=False)) | dict(kwargs)
    recording = Recording.begin(trainer, options, given, search_of(trainer))
    return recording.carried_by(carrier_of(trainer))


def _on_search(wrapped: Any, trainer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    options = _wanted(trainer)
    return None if options is None else HyperparameterSearch(trainer, options, kwargs)
