"""The flavors of models: how each is told from a model, written, and read by its format. Imports no framework."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from autotrack.models import lightning, python, sklearn, torch
from autotrack.models.files import Asked, Saved, Written

WRITERS: dict[str, Callable[[Asked], Written]] = {
    "sklearn": sklearn.write,
    "lightning": lightning.write,
    "torch": torch.write,
    "python": python.write,
}

READERS: dict[str, Callable[[Saved], Any]] = {
    "skops": sklearn.read,
    "safetensors": torch.read,
    "pickle": python.read,
    "cloudpickle": python.read,
}

# The first row whose class the model is an instance of: a Keras model can be a torch module, too.
_CLASSES = (
    ("sklearn", "sklearn.base", "BaseEstimator"),
    ("lightning", "lightning.pytorch", "LightningModule"),
    ("lightning", "pytorch_lightning", "LightningModule"),
    ("torch", "torch.nn", "Module"),
)


def flavor_of(model: Any) -> str:
    """The flavor that fits the model, told from its class."""
    for flavor, module, name in _CLASSES:
        kind = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if isinstance(kind, type) and isinstance(model, kind):
            return flavor
    return "python"
