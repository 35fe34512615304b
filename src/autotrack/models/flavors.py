"""The flavors of models: how each is told from a model, written, and read by its format. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autotrack.models import boosters, keras, lightning, python, sklearn, torch, transformers
from autotrack.models.files import Asked, Saved, Written

WRITERS: dict[str, Callable[[Asked], Written]] = {
    "sklearn": sklearn.write,
    "lightning": lightning.write,
    "torch": torch.write,
    "transformers": transformers.write,
    "keras": keras.write,
    "xgboost": boosters.write_xgboost,
    "lightgbm": boosters.write_lightgbm,
    "catboost": boosters.write_catboost,
    "python": python.write,
}

READERS: dict[str, Callable[[Saved], Any]] = {
    "skops": sklearn.read,
    "safetensors": torch.read,
    "transformers": transformers.read,
    "keras": keras.read,
    "ubj": boosters.read_xgboost,
    "txt": boosters.read_lightgbm,
    "cbm": boosters.read_catboost,
    "pickle": python.read,
    "cloudpickle": python.read,
}

# The first row whose class the model is an instance of: a Keras model can be a torch module, too.
_CLASSES = (
    ("xgboost", "xgboost.core", "Booster"),
    ("xgboost", "xgboost.sklearn", "XGBModel"),
    ("lightgbm", "lightgbm.basic", "Booster"),
    ("lightgbm", "lightgbm.sklearn", "LGBMModel"),
    ("catboost", "catboost.core", "CatBoost"),
    ("sklearn", "sklearn.base", "BaseEstimator"),
    ("keras", "keras", "Model"),
    ("lightning", "lightning.pytorch", "LightningModule"),
    ("lightning", "pytorch_lightning", "LightningModule"),
    ("torch", "torch.nn", "Module"),
)


def flavor_of(model: Any) -> str:
    """The flavor that fits the model, told from its class; wrappers of torch around it do not count."""
    if python.is_a(model, "torch.nn", "Module") and not python.is_a(model, "keras", "Model"):
        model = torch.unwrapped(model)
    if transformers.is_transformers(model):
        return "transformers"
    return next((flavor for flavor, module, name in _CLASSES if python.is_a(model, module, name)), "python")
