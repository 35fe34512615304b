"""Keras models: as `.keras` files, loaded in Keras' safe mode unless they are trusted.

Keras finds classes of the program only if they are registered. So the modules that the file names are imported first,
and their classes that are derived from Keras' own are passed as custom objects.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from autotrack.exceptions import InvalidValueError, MissingDependencyError, NotFoundError, UntrustedModelError
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.flavors import Flavor, Format
from autotrack.models.python import instance_of

FILE = "model.keras"
_CODE = b'"__lambda__"'  # the class name under which Keras keeps a Python function by its bytecode


def write(asked: Asked) -> Written:
    """Write a model with its weights, optimizer and compile arguments. Raises whatever the user's layers raise."""
    path = asked.folder / FILE
    asked.model.save(path)
    with zipfile.ZipFile(path) as archive:
        runs_code = _CODE in archive.read("config.json")
    return Written(
        {FILE: path}, FILE, "keras", runs_code=runs_code, details=_surroundings(), signature=_signature(asked.model)
    )


def _signature(model: Any) -> dict[str, Any] | None:
    """The inputs and outputs of a model of layers; None for a subclassed model, which has them only in calls."""
    try:
        sides = {"inputs": model.inputs, "outputs": model.outputs}
    except AttributeError:  # a subclassed model has none, nor has a Sequential one that was never built
        return None
    return {side: _schema(tensors) for side, tensors in sides.items()} if all(sides.values()) else None


def _schema(tensors: list[Any]) -> dict[str, Any]:
    found = [
        {"kind": "array", "dtype": str(tensor.dtype), "shape": list(tensor.shape), "name": tensor.name}
        for tensor in tensors
    ]
    return found[0] if len(found) == 1 else {"kind": "several", "parts": found}


def _surroundings() -> dict[str, Any]:
    import keras

    return {"backend": keras.config.backend()}


def read(saved: Saved) -> Any:
    """Load a model.

    `UntrustedModelError` if it contains code and is not trusted, `NotFoundError` if a class of it is missing.
    """
    try:
        import keras
    except ImportError as error:
        raise MissingDependencyError("keras", "keras", "loading a Keras model") from error
    with saved.opened() as path:
        try:
            return keras.saving.load_model(path, custom_objects=_own_classes(path), safe_mode=not saved.trust)
        except (TypeError, ValueError) as error:
            raise _explained(saved, error) from error


def _own_classes(path: Path) -> dict[str, type]:
    """The program's own classes that the file names, as far as they can be imported, by their names in the file."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    found = {}
    for module, name, registered in set(_named(config)):
        try:
            kind = getattr(import_module(module), name, None)
        except ImportError:
            continue
        if isinstance(kind, type) and any(parent.__module__.startswith("keras.") for parent in kind.__mro__):
            found[registered or name] = kind
    return found


def _named(config: Any) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and registered name of each class in a config that is not Keras' own."""
    if isinstance(config, list):
        for item in config:
            yield from _named(item)
    elif isinstance(config, dict):
        module, name, registered = (config.get(key) for key in ("module", "class_name", "registered_name"))
        if isinstance(module, str) and isinstance(name, str) and module.partition(".")[0] not in ("keras", "builtins"):
            yield module, name, str(registered or "")
        for item in config.values():
            yield from _named(item)


def _explained(saved: Saved, error: Exception) -> Exception:
    text = str(error)
    if "safe_mode" in text or "enable_unsafe_deserialization" in text:
        return UntrustedModelError(
            f"{saved.shown} holds Python functions, whose code would run; "
            "if you know where it comes from, pass trust=True"
        )
    missing = re.search(r"Could not locate (\w+) '([^']+)'", text)
    if missing:
        return NotFoundError(
            f"{saved.shown} needs the {missing[1]} {missing[2]}, which is not here: import the module that defines it "
            "(or move it into one from the script that saved the model), and register functions with "
            "keras.saving.register_keras_serializable"
        )
    return InvalidValueError(f"{saved.shown} cannot be built by this Keras: {text}")


FLAVOR = Flavor(
    write=write,
    recognises=instance_of(("keras", "Model")),
    before=("lightning", "torch"),  # with the torch backend, a Keras model is a torch module, too
    formats={"keras": Format(read)},
    needs=("keras",),
    shown=("keras", "tensorflow", "jax"),
)
