"""The Keras integration for autolog; it shares its hooks with the callback."""

from __future__ import annotations

import sys
from typing import ClassVar

from autotrack.instrument.import_hooks import forget, when_imported
from autotrack.integrations.base import Integration, Options
from autotrack.integrations.keras import hooks
from autotrack.integrations.keras.options import KerasOptions
from autotrack.integrations.keras.tuning import TunerHooks

TUNER = "keras_tuner"


class KerasIntegration(Integration):
    """Records every outermost `fit` of a Keras model, calls of `evaluate`, and loops of `train_on_batch`."""

    watches: ClassVar[tuple[str, ...]] = ("keras",)
    distribution: ClassVar[str] = "keras"
    requires: ClassVar[str] = ">=3.0"
    options_type: ClassVar[type[Options]] = KerasOptions

    def install(self) -> None:
        """Observe Keras' trainer and its list of callbacks, and KerasTuner's tuners once they are imported."""
        hooks.switch_on(self)
        when_imported(TUNER, type(self).__name__, self._install_tuner)

    def uninstall(self) -> None:
        """Put Keras' classes back as they were, unless a callback of the user's still needs the hooks."""
        forget(TUNER, type(self).__name__)
        hooks.switch_off(self)
        super().uninstall()

    def _install_tuner(self, module: str) -> None:
        tuner = sys.modules[module].Tuner
        base = next(kind for kind in tuner.__mro__ if "search" in vars(kind))
        TunerHooks(self.patches, self._tuner_options).install(base)

    def _tuner_options(self) -> KerasOptions:
        return self.options if isinstance(self.options, KerasOptions) else KerasOptions()
