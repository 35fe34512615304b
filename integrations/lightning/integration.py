"""What there is to know of this integration before Lightning is imported."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import ClassVar

from autotrack.exceptions import MissingDependencyError
from autotrack.integrations.base import Integration

PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def base_classes(module: str, name: str, *, wanted_by: str) -> tuple[type, ...]:
    """The class `name` of `module` from each package that is imported; of the first installed one, if none is.

    `MissingDependencyError`, naming `wanted_by`, if neither is installed.
    """
    present = [package for package in PACKAGES if f"{package}.{module}" in sys.modules]
    if not present:
        present = [package for package in PACKAGES if find_spec(package.partition(".")[0]) is not None][:1]
    if not present:
        raise MissingDependencyError("lightning", "lightning", wanted_by)
    return tuple(getattr(import_module(f"{package}.{module}"), name) for package in present)


class LightningIntegration(Integration):
    """Records every fit of every `Trainer`, and the evaluations of what was fitted."""

    watches: ClassVar[tuple[str, ...]] = tuple(f"{package}.trainer.trainer" for package in PACKAGES)
    distribution: ClassVar[str] = ""  # one of two: lightning or pytorch-lightning
    requires: ClassVar[str] = ">=2.0"

    def install(self) -> None:
        """Observe all trainers that are imported."""
        from autotrack.integrations.lightning import hooking

        hooking.switch_on(self.options)

    def uninstall(self) -> None:
        """Observe only those that were given a callback or logger of ours."""
        hooking = sys.modules.get("autotrack.integrations.lightning.hooking")
        if hooking is not None:
            hooking.switch_off()
        super().uninstall()
