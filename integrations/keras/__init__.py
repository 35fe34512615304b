"""Keras 3: every outermost `fit` of a model is a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.integrations.keras.integration import KerasIntegration

if TYPE_CHECKING:
    from autotrack.integrations.keras.callback import AutotrackCallback

__all__ = ["AutotrackCallback", "KerasIntegration"]


def __getattr__(name: str) -> Any:
    if name == "AutotrackCallback":  # it is a Keras callback: Keras is imported when somebody asks for it
        from autotrack.integrations.keras.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
