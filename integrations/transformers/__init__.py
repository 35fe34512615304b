"""Hugging Face transformers: every `Trainer.train` is a training, in libraries built on `Trainer` too.

    from autotrack.integrations.transformers import AutotrackCallback

Each name is loaded at its first access: the callback imports transformers, the integration waits for its import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autotrack.integrations.transformers.callback import AutotrackCallback
    from autotrack.integrations.transformers.integration import TransformersIntegration

__all__ = ["AutotrackCallback", "TransformersIntegration"]

_HOMES = {"AutotrackCallback": "callback", "TransformersIntegration": "integration"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
