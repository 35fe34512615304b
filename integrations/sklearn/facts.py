"""Describes the inputs of a fit: the estimator's parameters, the arguments of the call, the data."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from autotrack._guard import guarded
from autotrack.recording.fingerprint import describe

TARGETS = ("y", "Y", "y_true", "target", "targets", "labels")
GRIDS = ("param_grid", "param_distributions", "search_spaces")  # where searches are given what to try
MOST_ITEMS = 100
MOST_LETTERS = 300
MOST_CLASSES = 50
MOST_LABELS = 1_000_000
_ABSENT = object()


@dataclass(frozen=True)
class EstimatorParams:
    """The parameters of an estimator and its nested estimators, split by whether they differ from their defaults."""

    chosen: dict[str, Any] = field(default_factory=dict)
    default: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a fit: inputs and target with their parameter names, and all others as given (`rest`).

    `chosen` and `default` are the arguments of `rest` in brief form, apart by whether they differ from the defaults.
    """

    inputs: Any = None
    inputs_name: str = "X"
    target: Any = None
    target_name: str = "y"
    chosen: dict[str, Any] = field(default_factory=dict)
    default: dict[str, Any] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> Any:
        """The weights of the rows, also where they were passed to the last step of a pipeline; None without any."""
        found = [value for name, value in self.rest.items() if _is_weights(name) and value is not None]
        return found[-1] if found else None


def _is_weights(name: str) -> bool:
    return name == "sample_weight" or name.endswith("__sample_weight")


def params_of(estimator: Any) -> EstimatorParams:
    """The parameters by scikit-learn's names (`C`, `clf__C`); `chosen` ones differ from the signature's default."""
    everything = _everything(estimator)
    found = EstimatorParams()
    for key, value in everything.items():
        outer, _, name = key.rpartition("__")
        owner = everything.get(outer) if outer else estimator
        is_default = owner is not None and _same(value, _defaults(type(owner).__init__).get(name, _ABSENT))
        (found.default if is_default else found.chosen)[key] = outlined(value) if name in GRIDS else brief(value)
    return found


def candidate_params(values: Mapping[str, Any], varied: Collection[str] = ()) -> EstimatorParams:
    """The parameters of a search's candidate; an estimator among the `values` brings its own (`clf`, `clf__C`).

    Those of it that have their default are chosen nevertheless if they are `varied`: others differ in them.
    """
    found = EstimatorParams()
    for name, value in values.items():
        if is_estimator(value):
            with guarded("the parameters of a candidate"):
                own = params_of(value)
                found.chosen.update({f"{name}__{key}": one for key, one in own.chosen.items()})
                for key, one in own.default.items():
                    full = f"{name}__{key}"
                    (found.chosen if full in varied else found.default)[full] = one
    first = {str(name): brief(value) for name, value in values.items()}
    chosen = first | {key: value for key, value in found.chosen.items() if key not in first}
    return EstimatorParams(chosen, {key: value for key, value in found.default.items() if key not in first})


def varied_params(search: Any) -> list[str]:
    """The parameters (`clf__C`) in which the estimators that a search's grid lists for one parameter may differ."""
    found: set[str] = set()
    for grids in (getattr(search, name, None) for name in GRIDS):
        for grid in grids if isinstance(grids, (list, tuple)) else (grids,):
            for name, values in grid.items() if isinstance(grid, Mapping) else ():
                for value in values[:MOST_ITEMS] if type(values) in (list, tuple) else ():
                    if is_estimator(value):
                        found.update(f"{name}__{key}" for key in params_of(value).chosen)
    return sorted(found)


def outlined(value: Any) -> Any:
    """Like `brief`, with the parameters that estimators were given: `LogisticRegression(C=0.1)`."""
    if is_estimator(value):
        given = ", ".join(f"{name}={one}" for name, one in params_of(value).chosen.items())
        return f"{type(value).__qualname__}({given})"[:MOST_LETTERS]
    if type(value) in (list, tuple) and len(value) <= MOST_ITEMS:
        return [outlined(item) for item in value]
    if type(value) is dict and len(value) <= MOST_ITEMS:
        return {str(key): outlined(item) for key, item in value.items()}
    return brief(value)


def _everything(estimator: Any) -> dict[str, Any]:
    """The result of `get_params(deep=True)`; read by cached parameter names where no estimators are nested (faster)."""
    kind, base = type(estimator), sys.modules["sklearn.base"].BaseEstimator
    if not hasattr(estimator, "get_params"):  # one that is an estimator because the program says so
        return _attributes(estimator)
    if kind.get_params is base.get_params:
        own = {name: getattr(estimator, name) for name in _parameter_names(kind)}  # type: ignore[arg-type]
        if not any(hasattr(value, "get_params") for value in own.values()):
            return own
    everything: dict[str, Any] = estimator.get_params(deep=True)
    return everything


def _attributes(estimator: Any) -> dict[str, Any]:
    """The arguments of the constructor that are attributes under the same name or, without an own one, plain values."""
    kept = {name: value for name, value in getattr(estimator, "__dict__", {}).items() if not name.startswith("_")}
    named = {name: kept[name] for name in inspect.signature(type(estimator)).parameters if name in kept}
    return named or {
        name: value for name, value in kept.items()
        if not name.endswith("_") and isinstance(value, (bool, int, float, str))
    }  # fmt: skip


def is_kind(estimator: Any, kind: str) -> bool:
    """Whether scikit-learn takes the estimator for a `classifier` or `regressor`; False of classes it does not know."""
    base = sys.modules["sklearn.base"]
    return isinstance(estimator, base.BaseEstimator) and bool(getattr(base, f"is_{kind}")(estimator))


def parts_of(estimator: Any) -> Iterator[Any]:
    """The estimator and all estimators that are parameters of it, at any depth."""
    yield estimator
    for value in estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ():
        if is_estimator(value):
            yield value


def last_step(estimator: Any) -> Any:
    """The estimator itself; of a pipeline its last step."""
    while type(getattr(estimator, "steps", None)) is list and estimator.steps:
        estimator = estimator.steps[-1][1]
    return estimator


def arguments_of(
    wrapped: Callable[..., Any], estimator: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Arguments:
    """The arguments of `fit` by parameter name, whether passed by position or by keyword.

    Empty if they do not match its signature: the call itself will raise the `TypeError`.
    """
    signature = _signature(wrapped)
    try:
        bound = signature.bind_partial(estimator, *args, **kwargs)
    except TypeError:
        return Arguments()
    given = dict(list(bound.arguments.items())[1:])
    defaults: dict[str, Any] = {}
    for name, parameter in list(signature.parameters.items())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            given.update(given.pop(name, {}))
        elif parameter.default is not parameter.empty:
            defaults[name] = parameter.default
    names = [name for name in (*list(signature.parameters)[1:], *given) if name in given]
    inputs = names[0] if names else "X"
    target = next((name for name in names[1:] if name in TARGETS), "y")
    rest = {**defaults, **given}
    values = rest.pop(inputs, None), rest.pop(target, None)
    unchanged = {name for name in rest if name in defaults and _same(rest[name], defaults[name])}
    return Arguments(
        values[0], inputs, values[1], target,
        {f"fit.{name}": brief(value) for name, value in rest.items() if name not in unchanged},
        {f"fit.{name}": brief(value) for name, value in rest.items() if name in unchanged},
        rest,
    )  # fmt: skip


def brief(value: Any) -> Any:
    """A short form of a parameter's value: estimators by class, large data by shape, everything else as it is."""
    if is_estimator(value):
        return type(value).__qualname__
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and hasattr(value, "dtype") and _size(shape) > MOST_ITEMS:
        return f"{type(value).__name__} of shape {shape} and dtype {value.dtype}"
    if isinstance(shape, tuple) and not hasattr(value, "dtype"):
        return f"{type(value).__name__} of shape {shape}"
    if type(value) in (list, tuple):
        shown = [brief(item) for item in value[:MOST_ITEMS]]
        return shown if len(value) <= MOST_ITEMS else [*shown, f"… {len(value):,} in all"]
    if type(value) is dict and len(value) <= MOST_ITEMS:
        return {str(key): brief(item) for key, item in value.items()}
    if type(value) is dict:
        return f"dict of {len(value):,}"
    return value


def is_estimator(value: Any) -> bool:
    """Whether `value` is an estimator instance rather than a class or a plain value."""
    return hasattr(value, "get_params") and hasattr(value, "fit") and not isinstance(value, type)


def dataset(data: Any, *, labels: bool = False) -> tuple[str, dict[str, Any]]:
    """Digest and description of `data`; for `labels` with the number of rows per class."""
    digest, meta = describe(data)
    balance = _class_balance(data) if labels else None
    return digest, meta if balance is None else {**meta, "classes": balance}


def _class_balance(labels: Any) -> dict[str, int] | None:
    """Rows per class, for one-dimensional labels of few classes."""
    import numpy

    shape = getattr(labels, "shape", None)
    if shape is None and type(labels) in (list, tuple):
        shape = (len(labels),)
    if shape is None or len(shape) != 1 or not 0 < shape[0] <= MOST_LABELS:
        return None
    values = numpy.asarray(labels)
    if values.dtype.kind not in "biuUSO":
        return None
    if values.dtype.kind in "iu" and int(values.max()) - int(values.min()) >= 10 * MOST_CLASSES:
        return None
    if values.dtype.kind == "O" and not all(type(value) in (str, int, bool) for value in values[:MOST_CLASSES]):
        return None
    found, counts = numpy.unique(values, return_counts=True)
    if len(found) > MOST_CLASSES:
        return None
    return {str(name): int(count) for name, count in zip(found.tolist(), counts.tolist(), strict=True)}


@functools.lru_cache(maxsize=512)
def _parameter_names(kind: Any) -> list[str]:
    names: list[str] = kind._get_param_names()
    return names


@functools.lru_cache(maxsize=512)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@functools.lru_cache(maxsize=512)
def _defaults(init: Callable[..., Any]) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(init).parameters.items()
        if parameter.default is not parameter.empty
    }


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    if type(value) is not type(default):
        return False
    if type(value) in (str, int, bool, float, tuple, list, dict, type(None)):
        if type(value) in (tuple, list):
            return len(value) == len(default) and all(map(_same, value, default))
        return bool(value == default) or (type(value) is float and math.isnan(value) and math.isnan(default))
    return False


def _size(shape: tuple[Any, ...]) -> int:
    size = 1
    for length in shape:
        size *= int(length)
    return size
