"""The flavor of any Python object: a pickle, where that is allowed."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from typing import Any

from autotrack.exceptions import InvalidValueError
from autotrack.models.files import Asked, Saved, Written
from autotrack.models.flavors import Flavor, Format
from autotrack.models.pickling import pickle_bytes

FILE = "model.pkl"


def class_name(model: Any) -> str:
    """The qualified name of the model's class."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def is_a(model: Any, module: str, name: str) -> bool:
    """Whether `model` is an instance of `module.name`; False unless that module is imported. Imports nothing."""
    kind = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return isinstance(kind, type) and isinstance(model, kind)


def instance_of(*classes: tuple[str, str]) -> Callable[[Any], bool]:
    """A function that returns whether a model is an instance of one of the `classes` (module, name)."""
    return lambda model: any(is_a(model, module, name) for module, name in classes)


def write(asked: Asked) -> Written:
    """Write any object as a pickle; `InvalidValueError` unless pickles are allowed."""
    if not asked.allow_pickle:
        raise InvalidValueError(
            f"a {class_name(asked.model)} can only be kept as a pickle, which runs code when it is loaded: "
            "allow_pickle=True does that"
        )
    data, kind = pickle_bytes(asked.model, limit=asked.limit)
    return Written({FILE: data}, FILE, kind, runs_code=True)


def read(saved: Saved) -> Any:
    """Load a pickle; `UntrustedModelError` unless it is trusted."""
    saved.refuse_untrusted(f"is a pickle of a {saved.meta.get('class', 'model')}: loading it runs code")
    return pickle.Unpickler(io.BytesIO(saved.data())).load()


FLAVOR = Flavor(
    write=write,
    recognises=lambda model: False,  # `flavor_of` returns it if no other flavor recognises a model
    formats={"pickle": Format(read), "cloudpickle": Format(read, needs=("cloudpickle",))},
)
