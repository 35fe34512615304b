"""The trial fits of Lightning's learning-rate and batch-size finders: no trainings, only their results are recorded."""

from __future__ import annotations

import math
import weakref
from typing import Any

from autotrack.instrument.patching import Watch

_SKIPPED = slice(10, -1)  # of the losses, the ones that the finder looks at by default

_found: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


def is_tuning(trainer: Any) -> bool:
    """Whether the current fit is a trial of `Tuner` to find a learning rate or batch size."""
    return any(getattr(callback, "_early_exit", False) for callback in trainer.callbacks)


class TunerWatch(Watch):
    """Watch of a trial fit: keeps the finder's result, which the trainer's next fit records as params."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def returned(self, result: Any) -> None:
        noted = _found.setdefault(self._trainer, {})
        for callback in self._trainer.callbacks:
            if not getattr(callback, "_early_exit", False):
                continue
            optimal = getattr(callback, "optimal_lr", None)
            if optimal is not None:
                noted["lr_find"] = {"suggestion": _suggestion(optimal), "tried": len(optimal.results.get("lr", ()))}
            if getattr(callback, "optimal_batch_size", None) is not None:
                noted["scale_batch_size"] = callback.optimal_batch_size


def _suggestion(optimal: Any) -> float | None:
    """What the finder suggests; None, without the error that it would print once more, if it tried too few rates."""
    losses = [loss for loss in optimal.results.get("loss", ())[_SKIPPED] if math.isfinite(loss)]
    found: float | None = optimal.suggestion() if len(losses) > 1 else None
    return found


def tuned(trainer: Any) -> dict[str, Any]:
    """Remove and return the results of finders for this trainer since its last fit, by finder."""
    return _found.pop(trainer, {})
