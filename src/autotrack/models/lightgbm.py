"""The flavor of LightGBM: boosters, and its estimators."""

from __future__ import annotations

from typing import Any

from autotrack.models.boosters import class_of, imported, write_native
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.flavors import Flavor, Format
from autotrack.models.python import instance_of
from autotrack.models.references import as_plain, from_plain

_ESTIMATORS = ("LGBMModel", "LGBMClassifier", "LGBMRegressor", "LGBMRanker")

# The attributes of a fitted estimator that are kept besides its booster.
_FITTED = (
    "_best_iteration", "_fitted_with_feature_names", "_n_classes", "_n_features", "_n_features_in", "_objective",
)  # fmt: skip


def write(asked: Asked) -> Written:
    """Write a `Booster`, or an estimator of LightGBM, as `model.txt`: its trees up to the best iteration."""

    def save(model: Any, path: str) -> None:
        getattr(model, "booster_", model).save_model(path)

    return write_native(asked, "model.txt", _ESTIMATORS, save, _fitted)


def read(saved: Saved) -> Any:
    """Load a booster or an estimator of LightGBM."""
    lightgbm = imported("lightgbm")
    booster = lightgbm.Booster(model_str=saved.data().decode())
    kind = class_of(saved, lightgbm, _ESTIMATORS)
    if kind is None:
        return booster
    details = saved.details
    model = kind(**from_plain(dict(details["params"])))
    vars(model).update(details["fitted"], _Booster=booster, fitted_=True)
    if details["classes"] is not None:
        import numpy
        from lightgbm.compat import _LGBMLabelEncoder

        model._classes = numpy.array(details["classes"], dtype=details["classes_dtype"])
        model._le = _LGBMLabelEncoder().fit(model._classes)
        model._class_map = {label: number for number, label in enumerate(model._classes)}
    return model


def _fitted(model: Any) -> dict[str, Any]:
    known = {name: as_plain(vars(model)[name], name) for name in _FITTED if name in vars(model)}
    classes = getattr(model, "_classes", None)
    return {
        "fitted": known,
        "classes": None if classes is None else as_plain(classes.tolist(), "classes"),
        "classes_dtype": None if classes is None else str(classes.dtype),
    }


FLAVOR = Flavor(
    write=write,
    recognises=instance_of(("lightgbm.basic", "Booster"), ("lightgbm.sklearn", "LGBMModel")),
    before=("sklearn",),
    formats={"txt": Format(read)},
    needs=("lightgbm",),
    shown=("lightgbm",),
)
