"""The callback that users pass to a trainer."""

from __future__ import annotations

from autotrack.integrations.base import TakesOptions
from autotrack.integrations.lightning.carrier import CALLBACK_BASES, Carrying
from autotrack.integrations.lightning.hooks import hooks


class AutotrackCallback(TakesOptions, Carrying, *CALLBACK_BASES):  # type: ignore[misc]
    """Records the fits of the trainer that it is given to, with or without autolog.

        Trainer(callbacks=[AutotrackCallback(experiment="digits")])

    Options are those of `autotrack.integrations.base.Options`.
    """

    def install_hooks(self) -> None:
        hooks.hold("callback")
