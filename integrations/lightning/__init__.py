"""PyTorch Lightning, from either of its packages: every `Trainer.fit` is a training.

    from autotrack.integrations.lightning import AutotrackCallback, AutotrackLogger

Each name is loaded at its first access, not before: Lightning imports this package whenever a `Trainer` is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrack.integrations.lightning.callback import AutotrackCallback
    from autotrack.integrations.lightning.integration import LightningIntegration
    from autotrack.integrations.lightning.logger import AutotrackLogger

__all__ = ["AutotrackCallback", "AutotrackLogger", "LightningIntegration"]

_HOMES = {"AutotrackCallback": "callback", "AutotrackLogger": "logger", "LightningIntegration": "integration"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
