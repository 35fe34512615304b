"""Conversion of users' values to what can be recorded faithfully: numbers for metrics, JSON text for parameters.

No array library is imported: NumPy, torch, JAX and pandas values are recognised by their attributes, so that a program
pays only for what it uses. A value that cannot be recorded raises `InvalidValueError` with the key in its message.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from autotrack.exceptions import InvalidValueError

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
LONGEST_ARRAY = 1000
LONGEST_KEY = 1000
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (float, int, str)


def checked_key(key: object) -> str:
    """`key` if it can name a metric, parameter or tag; else `InvalidValueError`."""
    if not isinstance(key, str):
        raise InvalidValueError(f"the name {key!r} is a {type(key).__name__}; names are strings")
    if not key or len(key) > LONGEST_KEY or "\0" in key:
        shown = key if len(key) <= 50 else key[:50] + "…"
        raise InvalidValueError(f"the name {shown!r} must have 1 to {LONGEST_KEY} characters and no NUL")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InvalidValueError(f"the name {key!r} is not valid Unicode: {error}") from error
    return str(key)


def as_number(key: str, value: Any) -> float | int | None:
    """The value of a metric as int64 or float64; None if it is not a number (text, a figure, …).

    Zero-dimensional arrays and tensors in main memory are read. `InvalidValueError` for ints beyond 64 bits, complex
    numbers and arrays of more than one value.
    """
    if isinstance(value, (bool, int)):
        if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidValueError(
                f"metric {key!r}: {_shortened(value)} does not fit into 64 bits; log it as a float or as a param"
            )
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        raise InvalidValueError(f"metric {key!r}: {value!r} is complex; log its parts")
    item = getattr(value, "item", None)
    if callable(item) and hasattr(value, "dtype"):
        size = getattr(value, "size", 1)
        size = value.numel() if callable(size) else size
        if size != 1:
            raise InvalidValueError(f"metric {key!r} has {size} values; log one number, or the array as a table")
        return as_number(key, item())
    if hasattr(value, "__float__") and not isinstance(value, (str, bytes)):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidValueError(f"metric {key!r}: {value!r} cannot be read as a number: {error}") from error
    return None


def flat_params(params: Mapping[Any, Any]) -> dict[str, str]:
    """Nested parameters as flat dotted keys with JSON values.

    `{"optimizer": {"lr": 0.1}}` becomes `{"optimizer.lr": "0.1"}`; lists stay lists. `InvalidValueError` if two values
    have the same flat key.
    """
    if not isinstance(params, Mapping):
        raise InvalidValueError(f"params are a mapping of names to values, not a {type(params).__name__}")
    flat: dict[str, str] = {}
    for key, value in _leaves(params, "", ()):
        if key in flat:
            raise InvalidValueError(f"param {key!r} is given twice: nested names are joined with dots")
        flat[key] = value if value is _EMPTY else json_text(key, value)
    return flat


_EMPTY = "{}"


def _leaves(params: Mapping[Any, Any], prefix: str, above: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    if id(params) in above:
        raise InvalidValueError(f"param {prefix!r} contains itself")
    for name, value in params.items():
        key = prefix + (name if type(name) is str else checked_key(str(name)))
        if type(value) in _PLAIN:
            yield (key if prefix or 0 < len(key) <= LONGEST_KEY else checked_key(key)), value
            continue
        checked_key(key)
        nested = _as_mapping(value)
        if nested is None:
            yield key, value
        elif nested:
            yield from _leaves(nested, key + ".", (*above, id(params)))
        else:
            yield key, _EMPTY


def _as_mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__name__ == "Namespace" and type(value).__module__ == "argparse":
        return dict(vars(value))
    return None


def json_text(key: str, value: Any) -> str:
    """The value of a parameter as JSON text; ints of any size, NaN and infinities are kept exactly."""
    try:
        return json.dumps(plain(value), ensure_ascii=False)
    except RecursionError as error:
        raise InvalidValueError(f"param {key!r} contains itself or is nested too deeply") from error
    except (ValueError, TypeError) as error:
        raise InvalidValueError(f"param {key!r}: {_shortened(value)} cannot be kept: {error}") from error


def plain(value: Any) -> Any:
    """The value as None, bool, int, float, str, list or dict, as faithfully as possible.

    Arrays up to 1,000 values become lists, larger ones a text with their shape and dtype. Enums, classes and functions
    become their name, paths and dates their text; any other object its `repr` without memory addresses.
    """
    if value is None or type(value) in (bool, int, float, str):
        return _valid_text(value) if type(value) is str else value
    for known, convert in _CONVERSIONS:
        if isinstance(value, known):
            return convert(value)
    nested = _as_mapping(value)
    if nested is not None:
        return {str(name): plain(part) for name, part in nested.items()}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _plain_array(value)
    if callable(value):
        return _function_name(value)
    try:
        return _ADDRESS.sub("", repr(value))
    except Exception as error:  # noqa: BLE001 - somebody else's __repr__ may do anything
        return f"<{type(value).__module__}.{type(value).__qualname__}, whose repr failed: {type(error).__name__}>"


def _function_name(value: Any) -> str:
    function = getattr(value, "func", value)  # functools.partial
    name = getattr(function, "__qualname__", None)
    if name is None:
        return _ADDRESS.sub("", repr(value))
    module = getattr(function, "__module__", None)
    full = f"{module}.{name}" if module and module != "builtins" else str(name)
    if function is value:
        return full
    arguments = [_ADDRESS.sub("", repr(part)) for part in value.args]
    arguments += [f"{key}={_ADDRESS.sub('', repr(part))}" for key, part in value.keywords.items()]
    return f"{full}({', '.join(arguments)})"


def _plain_array(value: Any) -> Any:
    shape = tuple(value.shape)
    size = 1
    for length in shape:
        size *= int(length)
    if size <= LONGEST_ARRAY and hasattr(value, "tolist"):
        listed = value.tolist()
        return plain(listed) if isinstance(listed, (list, int, float, str, bool)) else repr(value)
    return f"<{type(value).__name__} of shape {shape} and dtype {value.dtype}>"


def _valid_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text.replace("\0", "\\x00")


_CONVERSIONS: tuple[tuple[Any, Any], ...] = (
    (enum.Enum, lambda value: value.name),
    (bool, bool),
    (int, int),
    (float, float),
    (str, lambda value: _valid_text(str(value))),
    (Mapping, lambda value: {str(name): plain(part) for name, part in value.items()}),
    ((list, tuple), lambda value: [plain(part) for part in value]),
    ((set, frozenset), lambda value: sorted((plain(part) for part in value), key=repr)),
    (os.PathLike, lambda value: _valid_text(os.fsdecode(os.fspath(value)))),
    ((bytes, bytearray), lambda value: repr(bytes(value))),
    ((datetime.date, datetime.time), lambda value: value.isoformat()),
    (datetime.timedelta, lambda value: value.total_seconds()),
    (range, repr),
)


def _shortened(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __repr__ may do anything
        return f"a {type(value).__name__} whose repr failed ({type(error).__name__})"
    return text if len(text) <= 80 else text[:60] + "…" + text[-10:]
