"""The flavor of CatBoost."""

from __future__ import annotations

from typing import Any

from autotrack.models.boosters import class_of, imported
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.flavors import Flavor, Format
from autotrack.models.python import instance_of

_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")


def write(asked: Asked) -> Written:
    """Write a model of CatBoost as `model.cbm`."""
    path = asked.folder / "model.cbm"
    asked.model.save_model(str(path), format="cbm")
    kind = next(parent.__name__ for parent in type(asked.model).__mro__ if parent.__name__ in _CLASSES)
    return Written({path.name: path}, path.name, "cbm", runs_code=False, details={"class": kind})


def read(saved: Saved) -> Any:
    """Load a model of CatBoost."""
    catboost = imported("catboost")
    kind = class_of(saved, catboost, _CLASSES) or catboost.CatBoost
    return kind().load_model(blob=saved.data(), format="cbm")


FLAVOR = Flavor(
    write=write,
    recognises=instance_of(("catboost.core", "CatBoost")),
    before=("sklearn",),
    formats={"cbm": Format(read)},
    needs=("catboost",),
    shown=("catboost",),
)
