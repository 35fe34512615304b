"""Shared by the flavors of XGBoost, LightGBM and CatBoost: models in native formats, which load without running code.

A scikit-learn estimator of these libraries is loaded as its class, with the parameters that were set. One with
functions of the user (an objective, say), or of a subclass of the user's, is saved as any scikit-learn estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.models import sklearn
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.references import as_plain


def write_native(
    asked: Asked,
    file: str,
    estimators: tuple[str, ...],
    save: Callable[[Any, str], None],
    more: Callable[[Any], Mapping[str, Any]] = lambda model: {},
) -> Written:
    """Write a `Booster` or one of the `estimators` by `save(model, path)`; `more(model)` returns further details.

    Other estimators, and those with parameters that are no plain data, are written as scikit-learn estimators.
    """
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
    """The parameters that differ from those of a new estimator, as plain data."""
    defaults = type(model)().get_params()
    changed = {
        name: value
        for name, value in model.get_params().items()
        if name not in defaults or repr(value) != repr(defaults[name])
    }
    plain: dict[str, Any] = as_plain(changed, f"{type(model).__name__}")
    return plain


def class_of(saved: Saved, library: ModuleType, known: tuple[str, ...]) -> Any:
    """The class of a saved estimator; None for a booster. `InvalidValueError` for a class that is not `known`."""
    name = saved.details.get("class") or str(saved.meta.get("class", "")).rpartition(".")[2]
    if name in known:
        return getattr(library, name)
    if name in ("Booster", ""):
        return None
    raise InvalidValueError(f"{saved.shown} names the class {name}, which is none of: {', '.join(known)}")


def imported(library: str) -> Any:
    """Import the library; `MissingDependencyError` if it is not installed."""
    from importlib import import_module

    try:
        return import_module(library)
    except ImportError as error:
        raise MissingDependencyError(library, library, f"loading a model of {library}") from error
