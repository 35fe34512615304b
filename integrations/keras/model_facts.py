"""Facts of a model and its training, by Keras' serialization: layers, size, compile settings, backend, precision."""

from __future__ import annotations

import inspect
import math
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from autotrack._guard import guarded
from autotrack.recording.recorder import Recorder

MOST_LAYERS = 2000
MOST_SHAPES = 5
_silence = threading.RLock()  # warning filters are process-wide: threads change them one by one


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings in the block, such as Keras' warning that a lambda does not serialize well."""
    with _silence, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def plan(model: Any, params: Mapping[str, Any], first_epoch: int, batch_size: int | None) -> dict[str, Any]:
    """The resolved settings: version, backend, precision, seed, batch size, planned steps, distribution."""
    keras: Any = sys.modules["keras"]
    steps, epochs = params.get("steps"), params.get("epochs")
    found: dict[str, Any] = {
        "keras.version": keras.__version__,
        "keras.backend": keras.backend.backend(),
        "keras.floatx": keras.config.floatx(),
        "precision": _name(getattr(model, "dtype_policy", None)),
        "first_epoch": first_epoch,
        "seed": keras.src.utils.rng_utils.get_random_seed() if hasattr(keras, "src") else None,
    }
    if batch_size is not None:
        found["batch_size"] = batch_size
    if isinstance(steps, int):
        found["steps_in_epoch"] = steps
        if isinstance(epochs, int):
            found["planned_steps"] = max(epochs - first_epoch, 0) * steps
    distribution = keras.distribution.distribution()
    if distribution is not None:
        found["distribution"] = {
            "class": type(distribution).__name__,
            "shape": list(distribution.device_mesh.shape),
            "axes": list(distribution.device_mesh.axis_names),
        }
    return {key: value for key, value in found.items() if value is not None}


def record(training: Recorder, model: Any) -> None:
    """Record the model and its compile settings; a fact that cannot be read is named in the capture report."""
    with guarded("how the model was compiled"):
        _record_compiled(training, model)
    with guarded("the layers of the model"):
        _record_layers(training, model)
    with guarded("the config of the model"):
        _record_config(training, model)


def _record_compiled(training: Recorder, model: Any) -> None:
    try:
        with quiet():
            config = model.get_compile_config()
    except Exception as error:  # noqa: BLE001 - parts of the user's own decide what their configs are
        training.report("compile", f"not read: {type(error).__name__}: {error}")
        return
    if not config:
        training.report("compile", "the model has no compile config: its class compiles itself")
        return
    config = {name: flat_config(value) for name, value in config.items()}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and isinstance(config.get("optimizer"), dict):
        _record_optimizer(training, optimizer, config.pop("optimizer"))
    set_ones, left = _apart(config, type(model), "compile")
    training.log_params(set_ones)
    training.log_params(left, origin="default")


def _record_optimizer(training: Recorder, optimizer: Any, config: dict[str, Any]) -> None:
    """`optimizer.*`, and `scheduler.*` if the learning rate follows a schedule."""
    kind = type(optimizer)
    label, rate = config.pop("name", None), config.get("learning_rate")
    config.pop("class", None)
    chosen, default = _apart(_with_short_rate(config), kind)
    names = {"name": kind.__name__, "class": f"{kind.__module__}.{kind.__qualname__}"}
    if label is not None and str(label).lower() != kind.__name__.lower():
        names["label"] = label
    if isinstance(rate, Mapping):
        chosen.pop("learning_rate", None)
        settings = {key: value for key, value in rate.items() if key not in ("class", "name") or value is None}
        training.log_params({"scheduler": {"name": rate.get("class"), **settings}})
    training.log_params({"optimizer": {**names, **chosen}})
    training.log_params({"optimizer": default}, origin="default")


def _apart(config: Mapping[str, Any], kind: type, method: str = "__init__") -> tuple[dict[str, Any], dict[str, Any]]:
    """The values that differ from the defaults of `kind`'s method, and those that do not."""
    parameters = inspect.signature(getattr(kind, method)).parameters
    chosen: dict[str, Any] = {}
    default: dict[str, Any] = {}
    for key, value in config.items():
        parameter = parameters.get(key)
        same = parameter is not None and parameter.default is not parameter.empty and _same(value, parameter.default)
        (default if same else chosen)[key] = value
    return chosen, default


def _with_short_rate(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the learning rate as the user wrote it: Keras' float32 turns 0.001 into 0.0010000000474974513."""
    import numpy

    rate = config.get("learning_rate")
    if isinstance(rate, float) and float(numpy.float32(rate)) == rate:
        return {**config, "learning_rate": float(str(numpy.float32(rate)))}
    return config


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def flat_config(value: Any) -> Any:
    """A config as Keras serializes it, without the wrapping: the class, and its own settings beside it."""
    if isinstance(value, Mapping):
        if "class_name" in value and "config" in value:
            inner = value["config"]
            if value["class_name"] == "function" and isinstance(inner, str):
                return inner
            if value["class_name"] == "__lambda__":  # its compiled code is of no use to a reader
                return "<lambda>"
            if value["class_name"] == "__numpy__" or not isinstance(inner, Mapping):
                return flat_config(inner)
            return {"class": value["class_name"], **{key: flat_config(part) for key, part in inner.items()}}
        return {str(key): flat_config(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [flat_config(part) for part in value]
    return value


def _record_layers(training: Recorder, model: Any) -> None:
    layers = [layer for layer in model._flatten_layers(include_self=False) if type(layer).__name__ != "InputLayer"]
    own = _own_sizes(model, layers)
    shown = layers[:MOST_LAYERS]
    if layers:
        training.log_evaluation(
            "model/layers",
            {
                "name": [str(getattr(layer, "path", layer.name)) for layer in shown],
                "type": [type(layer).__name__ for layer in shown],
                "output_shape": [_output_shape(layer) for layer in shown],
                "parameters": [own.get(id(layer), 0) for layer in shown],
                "trainable": [bool(layer.trainable) for layer in shown],
            },
        )
    if len(layers) > MOST_LAYERS:
        training.report("model", f"the table shows the first {MOST_LAYERS} of {len(layers)} layers", level="info")
    trainable, total = list(map(_size, model.trainable_variables)), list(map(_size, model.weights))
    training.log_params(
        {
            "model.layers": len(getattr(model, "layers", layers)),
            "model.parameters": sum(total),
            "model.trainable_parameters": sum(trainable),
            "model.bytes": bytes_of(model),
        }
    )


def _own_sizes(model: Any, layers: list[Any]) -> dict[int, int]:
    """The number of weights of each layer itself, without those of the layers inside it."""
    seen: set[int] = set()
    sizes: dict[int, int] = {}
    for layer in reversed(layers):  # inner layers come after the layers that contain them
        sizes[id(layer)] = 0
        for variable in layer.weights:  # without the states of random generators, which `count_params` leaves out, too
            if id(variable) not in seen:
                seen.add(id(variable))
                sizes[id(layer)] += _size(variable)
    return sizes


def _size(variable: Any) -> int:
    return math.prod(int(length) for length in variable.shape)


def bytes_of(model: Any) -> int:
    """The size of a model's variables in memory."""
    return sum(_size(one) * _bytes_of(one) for one in model.variables)


def _bytes_of(variable: Any) -> int:
    digits = "".join(letter for letter in str(variable.dtype) if letter.isdigit())
    return max(int(digits or 8) // 8, 1)


def _output_shape(layer: Any) -> str:
    nodes = getattr(layer, "_inbound_nodes", None) or ()
    shapes = list(_shapes(nodes))
    return " ".join(str(shape) for shape in shapes[:MOST_SHAPES])


def _shapes(nodes: Any) -> Iterator[tuple[Any, ...]]:
    for node in nodes[-1:]:
        for tensor in getattr(node, "output_tensors", ()):
            yield tuple(tensor.shape)


def _record_config(training: Recorder, model: Any) -> None:
    keras: Any = sys.modules["keras"]
    try:
        with quiet():
            config = keras.saving.serialize_keras_object(model)
    except Exception as error:  # noqa: BLE001 - get_config is often the user's own
        training.report("model config", f"not recorded: {type(error).__name__}: {error}")
        return
    training.log_dict(config, "model/config.json")


def _name(policy: Any) -> str | None:
    return None if policy is None else str(getattr(policy, "name", policy))
