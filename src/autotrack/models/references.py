"""References to classes, and the arguments they were called with, as plain data.

A reference is `{"module": …, "qualname": …}`, never code. Resolving one imports a module of the program or of a package
that it has installed; the named object must be a subclass of a given class, so that a file that claims to be a model
cannot call other functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from autotrack.exceptions import InvalidValueError, NotFoundError

_PLAIN = (str, int, float, bool, type(None))
_TUPLE = "(tuple)"


def reference_to(kind: type) -> dict[str, str]:
    """The reference to `kind`."""
    return {"module": kind.__module__, "qualname": kind.__qualname__}


def why_unreachable(kind: type) -> str:
    """Why no other program can import the class, in a few words; "" if it can."""
    if kind.__module__ == "__main__":
        return f"its class {kind.__qualname__} is defined in the script itself (__main__)"
    if "<locals>" in kind.__qualname__:
        return f"its class {kind.__qualname__} is defined inside a function"
    return ""


def resolve(reference: Mapping[str, str], base: type, shown: str, instead: str) -> type:
    """The class that a reference names, a subclass of `base`.

    Raises `NotFoundError` if it cannot be imported, with the alternative `instead` in the message; `InvalidValueError`
    if it is not such a class.
    """
    module, qualname = reference["module"], reference["qualname"]
    named = f"{module}.{qualname}"
    try:
        found: Any = import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        where = (
            f"it was defined in the script that saved it: move the class {qualname} into a module that both can import"
            if module == "__main__"
            else f"{error}; make the module {module} importable, as it was where the model was saved"
        )
        raise NotFoundError(f"{shown} needs the class {named}, which is not here: {where}, or {instead}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InvalidValueError(f"{shown} names {named} as its class, which is no {base.__module__}.{base.__name__}")
    return found


def as_plain(value: Any, what: str) -> Any:
    """Convert an argument to JSON data that `from_plain` converts back; `InvalidValueError` if that is impossible."""
    if type(value) in _PLAIN:
        return value
    if type(value) is tuple:
        return {_TUPLE: [as_plain(item, what) for item in value]}
    if type(value) is list:
        return [as_plain(item, what) for item in value]
    if isinstance(value, Mapping) and all(type(key) is str for key in value):
        return {key: as_plain(item, what) for key, item in value.items()}
    raise InvalidValueError(
        f"{what} has a {type(value).__module__}.{type(value).__qualname__}, which is no plain value"
    )


def from_plain(value: Any) -> Any:
    """Convert the JSON data of `as_plain` back into an equal value."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {_TUPLE}:
            return tuple(from_plain(item) for item in value[_TUPLE])
        return {key: from_plain(item) for key, item in value.items()}
    return value


def parameters_of(kind: type) -> list[inspect.Parameter]:
    """The parameters of a class's constructor, without `self`."""
    return list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]


def call_of(init: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The constructor's arguments `{"args": […], "kwargs": {…}}` that the user gave, as plain data.

    `InvalidValueError` if `kind` does not accept them, or one of them is no plain value.
    """
    unknown = init.keys() - {"args", "kwargs"}
    if unknown:
        raise InvalidValueError(f"init={dict(init)!r}: use the keys 'args' (a list) and 'kwargs' (a dict)")
    args, kwargs = list(init.get("args", ())), dict(init.get("kwargs", {}))
    try:
        inspect.signature(kind).bind(*args, **kwargs)
    except TypeError as error:
        raise InvalidValueError(f"init={dict(init)!r} are no arguments of {kind.__qualname__}: {error}") from error
    return {
        "args": [as_plain(value, f"init of {kind.__qualname__}") for value in args],
        "kwargs": as_plain(kwargs, f"init of {kind.__qualname__}"),
    }
