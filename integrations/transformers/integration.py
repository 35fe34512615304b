"""What there is to know of this integration before transformers is imported."""

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
        """Observe `Trainer`, and be among the callbacks of each one that is made."""
        from autotrack.integrations.transformers import callback, hooking

        hooking.switch_on(self.options)
        callback.offer()

    def uninstall(self) -> None:
        """Be no default any more; a callback that somebody made himself goes on."""
        hooking = sys.modules.get("autotrack.integrations.transformers.hooking")
        if hooking is not None:
            hooking.switch_off()
        super().uninstall()
