"""Keras under autolog: all of it hangs on the hooks that the callback uses, too."""

from __future__ import annotations

from typing import ClassVar

from autotrack.integrations.base import Integration, Options
from autotrack.integrations.keras import hooks
from autotrack.integrations.keras.options import KerasOptions


class KerasIntegration(Integration):
    """Records the outermost `fit` of every Keras model, and what is evaluated after it."""

    watches: ClassVar[tuple[str, ...]] = ("keras",)
    distribution: ClassVar[str] = "keras"
    requires: ClassVar[str] = ">=3.0"
    options_type: ClassVar[type[Options]] = KerasOptions

    def install(self) -> None:
        """Observe Keras' trainer and its list of callbacks."""
        hooks.hold(self)

    def uninstall(self) -> None:
        """Put Keras' classes back as they were, unless a callback of the user's still needs the hooks."""
        hooks.release(self)
        super().uninstall()
