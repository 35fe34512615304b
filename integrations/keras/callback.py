"""The callback that users pass to `fit` to have it recorded, with autolog on or off."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from keras.callbacks import Callback

from autotrack.integrations.base import CallbackOptions, TakesOptions, takes
from autotrack.integrations.keras import hooks
from autotrack.integrations.keras.options import KerasOptions


class AutotrackCallback(TakesOptions, Callback):  # type: ignore[misc, unused-ignore]
    """Records the trainings that it is given to: `model.fit(x, y, callbacks=[AutotrackCallback()])`.

    Each `fit` is recorded in the run that is open, in `run` if one is named, or else in a run of its own. Together with
    `autotrack.autolog()` a training is still recorded once, with the options of the callback. The same callback may
    serve any number of trainings, one after another or at once, also by `keras.callbacks.CallbackList` in a loop of
    one's own.

    `log_every` is "epoch", "batch" or a number of batches; `checkpoints` is "none", "best", "last", "best+last" or
    "all"; `watch=True` adds norms of weights. `ConfigurationError` for a value that none of them has.
    """

    options_type: ClassVar[type[CallbackOptions]] = KerasOptions

    @takes(CallbackOptions, log_every="epoch")
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    async_safe = True  # it has no hooks of its own that a batch would have to wait for

    @property
    def options(self) -> KerasOptions:
        """The options as they were given."""
        found: KerasOptions = self.autotrack_options
        return found

    def install_hooks(self) -> None:
        hooks.hold(self)

    def __reduce__(self) -> Any:
        return _made, ({field.name: getattr(self.options, field.name) for field in fields(CallbackOptions)},)


def _made(options: dict[str, Any]) -> AutotrackCallback:
    return AutotrackCallback(**options)
