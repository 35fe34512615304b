"""The class of this integration, which is loaded without transformers."""

from __future__ import annotations

import sys
from typing import ClassVar

from autotrack.integrations.base import Integration
from autotrack.integrations.transformers.packages import TRAINER


class TransformersIntegration(Integration):
    """Records every training of every `Trainer`, those of TRL, sentence-transformers and others too."""

    watches: ClassVar[tuple[str, ...]] = (TRAINER,)
    distribution: ClassVar[str] = "transformers"
    requires: ClassVar[str] = ">=4.40"

    def install(self) -> None:
        """Observe `Trainer`, add the carrier to its default callbacks, and register `report_to="autotrack"`."""
        from autotrack.integrations.transformers import callback, hooks

        hooks.switch_on(self.options)
        callback.offer()

    def uninstall(self) -> None:
        """Remove the carrier from the default callbacks; trainers with a callback of the user's are still recorded."""
        hooks = sys.modules.get("autotrack.integrations.transformers.hooks")
        if hooks is not None:
            hooks.switch_off()
        super().uninstall()
