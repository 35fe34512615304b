"""How a training ended: the callback that stopped it, the epoch whose weights were restored."""

from __future__ import annotations

from typing import Any

from autotrack.integrations.keras.measuring import Epochs

HOOKS = ("on_epoch_end", "on_train_batch_end", "on_batch_end", "on_test_end")


class Stop:
    """Watches `model.stop_training` between the hooks, to find out which callback has set it."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._within = ""
        self._before = False

    def before_callbacks(self, model: Any) -> None:
        """Note `model.stop_training` at the end of an epoch, before the callbacks are called."""
        self._before = bool(getattr(model, "stop_training", False))

    def after_callbacks(self, model: Any, epoch: int) -> None:
        """Note the epoch at whose end `model.stop_training` is first set, and whether it was set during its batches."""
        if getattr(model, "stop_training", False) and self._epoch is None:
            self._epoch = epoch
            self._within = "batches" if self._before else "on_epoch_end"

    def facts(self, model: Any, callbacks: list[Any], epochs: Epochs | None) -> dict[str, Any]:
        """`end.*`: the reason, the epochs, which callback stopped it and at which epoch, which epoch was restored."""
        facts: dict[str, Any] = {"reason": "finished" if self._epoch is None else "stopped early"}
        if epochs is not None:
            facts.update(epochs.reached())
        if self._epoch is not None:
            facts["stopped_epoch"] = self._epoch
            facts["stopped_by"] = self._by(callbacks)
        for one in callbacks:
            if is_from_keras(one, "EarlyStopping") and one.restore_best_weights and one.best_weights is not None:
                facts["restored_from"] = one.best_epoch
                facts["restored_by"] = type(one).__name__
        return facts

    def _by(self, callbacks: list[Any]) -> str:
        for one in callbacks:
            if is_from_keras(one, "EarlyStopping") and one.stopped_epoch == self._epoch and one.stopped_epoch:
                return type(one).__name__
        hooks = ("on_epoch_end",) if self._within == "on_epoch_end" else HOOKS[1:]
        known = [one for one in callbacks if not is_from_keras(one) or is_from_keras(one, "TerminateOnNaN")]
        able = [type(one).__name__ for one in known if any(_overrides(one, hook) for hook in hooks)]
        if len(able) == 1:
            return able[0]
        return "one of " + ", ".join(able) if able else "the program itself"


def callback_params(callbacks: list[Any]) -> dict[str, Any]:
    """The callbacks in use, each with its plain settings, in the order in which they are called."""
    found: dict[str, Any] = {}
    names: dict[str, int] = {}
    for one in callbacks:
        name = type(one).__name__
        if is_from_keras(one, "History") or is_from_keras(one, "ProgbarLogger") or name == "AutotrackCallback":
            continue
        names[name] = names.get(name, 0) + 1
        key = name if names[name] == 1 else f"{name}-{names[name]}"
        found[key] = _settings(one)
    return {"callbacks": found} if found else {}


def is_from_keras(callback: Any, name: str = "") -> bool:
    """Whether a callback is Keras' own, or a subclass of the one called `name`."""
    for kind in type(callback).__mro__ if name else (type(callback),):
        if kind.__module__.startswith("keras.") and name in ("", kind.__name__):
            return True
    return False


def _overrides(callback: Any, hook: str) -> bool:
    method = getattr(type(callback), hook, None)
    return method is not None and not getattr(method, "_is_default", False)


def _settings(callback: Any) -> dict[str, Any]:
    """Public attributes of plain types: for Keras' callbacks these are the arguments that they were made with."""
    return {
        name: value
        for name, value in vars(callback).items()
        if not name.startswith("_") and name not in _STATE and isinstance(value, (bool, int, float, str))
    }


_STATE = {"wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter", "seen", "epochs_since_last_save", "params"}
