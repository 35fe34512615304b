"""Keras 3: every outermost `fit` of a model is a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.integrations.keras.integration import KerasIntegration

if TYPE_CHECKING:
    from autotrack.integrations.keras.callback import AutotrackCallback

__all__ = ["AutotrackCallback", "KerasIntegration"]


def __getattr__(name: str) -> Any:
    if name == "AutotrackCallback":  # a subclass of Keras' `Callback`: imports Keras at its first access
        from autotrack.integrations.keras.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
