"""The class of this integration, which is loaded without Lightning."""

from __future__ import annotations

import sys
from typing import ClassVar

from autotrack.integrations.base import Integration
from autotrack.integrations.lightning.packages import PACKAGES


class LightningIntegration(Integration):
    """Records every fit of every `Trainer`, and evaluations by `validate` and `test`."""

    watches: ClassVar[tuple[str, ...]] = tuple(f"{package}.trainer.trainer" for package in PACKAGES)
    distribution: ClassVar[str] = ""  # one of two: lightning or pytorch-lightning
    requires: ClassVar[str] = ">=2.0"

    def install(self) -> None:
        """Observe the trainers of the packages that are imported."""
        from autotrack.integrations.lightning import hooks

        hooks.switch_on(self.options)

    def uninstall(self) -> None:
        """Observe only trainers with a callback or logger of ours."""
        hooks = sys.modules.get("autotrack.integrations.lightning.hooks")
        if hooks is not None:
            hooks.switch_off()
        super().uninstall()
