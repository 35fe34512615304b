"""The flavor of XGBoost: boosters, and its estimators."""

from __future__ import annotations

from typing import Any

from autotrack.models.boosters import class_of, imported, write_native
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.flavors import Flavor, Format
from autotrack.models.python import instance_of
from autotrack.models.references import from_plain

_ESTIMATORS = ("XGBModel", "XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")


def write(asked: Asked) -> Written:
    """Write a `Booster`, or an estimator of XGBoost, as `model.ubj`."""
    return write_native(asked, "model.ubj", _ESTIMATORS, lambda model, path: model.save_model(path))


def read(saved: Saved) -> Any:
    """Load a booster or an estimator of XGBoost."""
    xgboost = imported("xgboost")
    kind = class_of(saved, xgboost, _ESTIMATORS)
    if kind is None:
        return xgboost.Booster(model_file=bytearray(saved.data()))
    model = kind(**from_plain(dict(saved.details["params"])))
    asked = model.get_params()
    model.load_model(bytearray(saved.data()))
    return model.set_params(**asked)  # loading overwrites some with those in the file


FLAVOR = Flavor(
    write=write,
    recognises=instance_of(("xgboost.core", "Booster"), ("xgboost.sklearn", "XGBModel")),
    before=("sklearn",),
    formats={"ubj": Format(read)},
    needs=("xgboost",),
    shown=("xgboost",),
)
