"""The callback that people put into a `fit` to have it recorded, with autolog on or off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras.callbacks import Callback

from autotrack.integrations.keras import hooks
from autotrack.integrations.keras.options import KerasOptions
from autotrack.recording.run import Run


class AutotrackCallback(Callback):  # type: ignore[misc, unused-ignore]
    """Records the trainings that it is given to: `model.fit(x, y, callbacks=[AutotrackCallback()])`.

    Each `fit` is recorded in the run that is open, in `run` if one is named, or else in a run of its own. Together with
    `autotrack.autolog()` a training is still recorded once, with the options of the callback. The same callback may
    serve any number of trainings, one after another or at once, also by `keras.callbacks.CallbackList` in a loop of
    one's own.

    `log_every` is "epoch", "batch" or a number of batches; `checkpoints` is "none", "best", "last", "best+last" or
    "all"; `watch=True` adds norms of weights. `ConfigurationError` for a value that none of them has.
    """

    def __init__(
        self,
        *,
        run: Run | str | None = None,
        experiment: str | None = None,
        name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        log_every: int | str = "epoch",
        checkpoints: str = "best+last",
        log_models: bool = True,
        watch: bool | int = False,
    ) -> None:
        super().__init__()
        self.options = KerasOptions(
            run=run, experiment=experiment, name=name, tags=dict(tags or {}), log_every=log_every,
            checkpoints=checkpoints, log_models=log_models, watch=watch,
        )  # fmt: skip
        hooks.hold(self)

    async_safe = True  # it has no hooks of its own that a batch would have to wait for

    def __reduce__(self) -> Any:
        return _made, ({name: getattr(self.options, name) for name in _ARGUMENTS},)


_ARGUMENTS = ("run", "experiment", "name", "tags", "log_every", "checkpoints", "log_models", "watch")


def _made(options: dict[str, Any]) -> AutotrackCallback:
    return AutotrackCallback(**options)
