"""Records the history of skorch's networks, epoch by epoch while they train: losses and the program's own scores."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Patches
from autotrack.integrations.sklearn.facts import last_step
from autotrack.integrations.sklearn.fitting import Fit
from autotrack.recording.lifecycle.trainings import Training

EPOCH = "sklearn.skorch_epoch"

_ROLES = {"train_": "train/", "valid_": "val/"}
_NAMES = {"dur": "train/epoch_time", "event_lr": "train/learning_rate"}
_SILENT = ("_best", "_batch_count")

_patches = Patches()
_patching = threading.Lock()
_under_way: list[NetFit] = []


class NetFit(Fit):
    """The fit of a skorch network, alone or at the end of a pipeline."""

    _kept = 0

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Open the training, and listen to the beginnings of epochs, when the epoch before is complete."""
        super().begin(args, kwargs)
        if self._training is not None and self._is_detailed:
            net = last_step(self._estimator)
            self._kept = len(_history(net) or ()) if getattr(net, "warm_start", False) else 0
            _under_way.append(self)
            _listen()

    def measure(self) -> None:
        """Set `duration`, and record what the history holds by now."""
        super().measure()
        if self in _under_way:
            _under_way.remove(self)
            if self._training is not None:
                with guarded("the history of a network"):
                    self._keep(self._training)

    def has(self, history: Any) -> bool:
        """Whether the network keeps its epochs in `history`, itself or inside its own."""
        mine = _history(last_step(self._estimator))
        return mine is not None and (mine is history or getattr(mine, "_history", None) is history)

    def epoch_begins(self) -> None:
        """Record the epochs that are complete: all that the history holds."""
        if self._training is not None:
            self._keep(self._training)

    def _keep(self, training: Training) -> None:
        net = last_step(self._estimator)
        history = _history(net) or ()
        roles = _roles_of_scores(net)
        for row in list(history)[self._kept :]:
            values = epoch_values(row, roles)
            if values:
                self._followed.update(values)
                training.log({**values, "epoch": row.get("epoch", self._kept + 1)}, step=self._kept)
            self._kept += 1


def is_net(estimator: Any) -> bool:
    """Whether the estimator, or the last step of a pipeline, is a network of skorch."""
    module = sys.modules.get("skorch.net")
    return module is not None and isinstance(last_step(estimator), module.NeuralNet)


def epoch_values(row: Mapping[str, Any], roles: Mapping[str, str]) -> dict[str, float]:
    """The numbers of one epoch as metrics, role first: `train/loss`, `val/acc`; `roles` are those of scores by name."""
    values: dict[str, float] = {}
    for name, value in row.items():
        item = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
        if isinstance(item, bool) or not isinstance(item, (int, float)) or name == "epoch" or name.endswith(_SILENT):
            continue
        values[_NAMES.get(name) or _with_role(name, roles)] = float(item)
    return values


def _with_role(name: str, roles: Mapping[str, str]) -> str:
    for start, role in _ROLES.items():
        if name.startswith(start):
            return role + name.removeprefix(start)
    return roles.get(name, "") + name


def _roles_of_scores(net: Any) -> dict[str, str]:
    """The role of each score that a callback computes: it knows whether it looks at the training data."""
    callbacks = [callback for _, callback in vars(net).get("callbacks_") or ()]
    return {
        callback.name_: "train/" if callback.on_train else "val/"
        for callback in callbacks
        if type(getattr(callback, "name_", None)) is str and isinstance(getattr(callback, "on_train", None), bool)
    }


def _history(net: Any) -> Any:
    return vars(net).get("history_")


def _listen() -> None:
    """Observe skorch's histories, from the first fit of a network on."""
    with _patching:
        kind = getattr(sys.modules.get("skorch.history"), "History", None)
        if isinstance(kind, type) and _patches.method(kind, "new_epoch", EPOCH):
            _patches.observe(EPOCH, _on_epoch)


def _on_epoch(wrapped: Any, history: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    for fit in tuple(_under_way):
        if fit.has(history):
            fit.epoch_begins()


def stop() -> None:
    """Stop observing skorch."""
    _patches.undo()
