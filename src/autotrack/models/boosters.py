"""XGBoost, LightGBM and CatBoost: models in their libraries' own formats, which load without running code.

A scikit-learn class of theirs comes back as that class, with the parameters that were set. One that carries functions
of the user's (an objective, say), or is a subclass of the user's, is kept as any scikit-learn estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.models import sklearn
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.references import as_plain, from_plain

_XGBOOST = ("XGBModel", "XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
_LIGHTGBM = ("LGBMModel", "LGBMClassifier", "LGBMRegressor", "LGBMRanker")
_CATBOOST = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")

# What an estimator of LightGBM knows of its fit besides the booster, where it is plain.
_FITTED = (
    "_best_iteration", "_fitted_with_feature_names", "_n_classes", "_n_features", "_n_features_in", "_objective",
)  # fmt: skip


def write_xgboost(asked: Asked) -> Written:
    """A `Booster`, or an estimator of XGBoost, as `model.ubj`."""
    return _native(asked, "model.ubj", _XGBOOST, lambda model, path: model.save_model(path), lambda model: {})


def write_lightgbm(asked: Asked) -> Written:
    """A `Booster`, or an estimator of LightGBM, as `model.txt`: its trees up to the best iteration."""

    def save(model: Any, path: str) -> None:
        getattr(model, "booster_", model).save_model(path)

    return _native(asked, "model.txt", _LIGHTGBM, save, _fitted)


def write_catboost(asked: Asked) -> Written:
    """A model of CatBoost as `model.cbm`."""
    path = asked.folder / "model.cbm"
    asked.model.save_model(str(path), format="cbm")
    kind = next(parent.__name__ for parent in type(asked.model).__mro__ if parent.__name__ in _CATBOOST)
    return Written({path.name: path}, path.name, "cbm", runs_code=False, details={"class": kind})


def read_xgboost(saved: Saved) -> Any:
    """The booster or estimator."""
    xgboost = _imported("xgboost")
    kind = _class_of(saved, xgboost, _XGBOOST)
    if kind is None:
        return xgboost.Booster(model_file=bytearray(saved.data()))
    model = kind(**from_plain(dict(saved.details["params"])))
    asked = model.get_params()
    model.load_model(bytearray(saved.data()))
    return model.set_params(**asked)  # loading puts some that were found in place of those asked for


def read_lightgbm(saved: Saved) -> Any:
    """The booster or estimator."""
    lightgbm = _imported("lightgbm")
    booster = lightgbm.Booster(model_str=saved.data().decode())
    kind = _class_of(saved, lightgbm, _LIGHTGBM)
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


def read_catboost(saved: Saved) -> Any:
    """The model."""
    catboost = _imported("catboost")
    kind = _class_of(saved, catboost, _CATBOOST) or catboost.CatBoost
    return kind().load_model(blob=saved.data(), format="cbm")


def _native(
    asked: Asked,
    file: str,
    estimators: tuple[str, ...],
    save: Callable[[Any, str], None],
    more: Callable[[Any], Mapping[str, Any]],
) -> Written:
    kind = type(asked.model)
    details: dict[str, Any] = {}
    if kind.__name__ != "Booster":
        library = kind.__module__.partition(".")[0]
        if kind.__name__ not in estimators or library not in ("xgboost", "lightgbm"):
            return sklearn.write(asked)
        try:
            details = {"class": kind.__name__, "params": _set_params(asked.model), **more(asked.model)}
        except InvalidValueError:
            return sklearn.write(asked)
    path = asked.folder / file
    save(asked.model, str(path))
    return Written({file: path}, file, path.suffix[1:], runs_code=False, details=details)


def _set_params(model: Any) -> dict[str, Any]:
    """The parameters that are not what a new estimator has, as plain data."""
    defaults = type(model)().get_params()
    changed = {
        name: value
        for name, value in model.get_params().items()
        if name not in defaults or repr(value) != repr(defaults[name])
    }
    plain: dict[str, Any] = as_plain(changed, f"{type(model).__name__}")
    return plain


def _fitted(model: Any) -> dict[str, Any]:
    known = {name: as_plain(vars(model)[name], name) for name in _FITTED if name in vars(model)}
    classes = getattr(model, "_classes", None)
    return {
        "fitted": known,
        "classes": None if classes is None else as_plain(classes.tolist(), "classes"),
        "classes_dtype": None if classes is None else str(classes.dtype),
    }


def _class_of(saved: Saved, library: ModuleType, known: tuple[str, ...]) -> Any:
    """The estimator's class; None for a booster."""
    name = saved.details.get("class") or str(saved.meta.get("class", "")).rpartition(".")[2]
    if name in known:
        return getattr(library, name)
    if name in ("Booster", ""):
        return None
    raise InvalidValueError(f"{saved.shown} names the class {name}, which is none of: {', '.join(known)}")


def _imported(library: str) -> Any:
    from importlib import import_module

    try:
        return import_module(library)
    except ImportError as error:
        raise MissingDependencyError(library, library, f"loading a model of {library}") from error
