"""Names of recorded metrics and parameters of boosted trees."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autotrack.events import Role

_TRAIN = re.compile(r"(d?train|training|learn)")
_VAL = re.compile(r"d?(val|valid|validation|eval|evals)(_?\d+)?")
_TEST = re.compile(r"d?test")


def role_of(name: str, *, is_training: bool = False) -> Role:
    """The role of an evaluation set: "train" if it is the training data itself, else by its name."""
    word = name.lower()
    if is_training or _TRAIN.fullmatch(word):
        return "train"
    return "val" if _VAL.fullmatch(word) else "test" if _TEST.fullmatch(word) else "unknown"


def prefixes(sets: Iterable[tuple[str, bool]]) -> dict[str, str]:
    """The prefix of the metric keys of each evaluation set, by the set's name.

    `sets` are pairs of name and whether the set is the training data. The prefix is the set's role, or its name if no
    role is recognised; if several sets have one role, the name is appended (`val/<name>`).
    """
    found: dict[str, str] = {}
    for name, is_training in sets:
        role = role_of(name, is_training=is_training)
        found[name] = (name or "unnamed") if role == "unknown" else role
    counts = Counter(found.values())
    return {name: prefix if counts[prefix] == 1 else f"{prefix}/{name}" for name, prefix in found.items()}


def call_params(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], leave_out: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """All arguments of a call by name; then its parameters that differ from their defaults, and those that do not.

    `leave_out` are the names of arguments that are not parameters. Callbacks are recorded by names and settings.
    """
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    given = dict(bound.arguments)
    chosen: dict[str, Any] = {}
    default: dict[str, Any] = {}
    left_out = {*leave_out, "callbacks", "self"}
    for name, value in given.items():
        if name in left_out:
            continue
        standard = signature.parameters[name].default
        same = value is standard or (type(value) is type(standard) and value == standard)
        (default if same else chosen)[name] = value
    if given.get("callbacks"):
        chosen["callbacks"] = _settings(given["callbacks"])
    return given, chosen, default


def name_of(callback: Any) -> str:
    """The name of a function, or of the class of an object."""
    named = callback if inspect.isroutine(callback) or isinstance(callback, type) else type(callback)
    return str(named.__name__)


def _settings(callbacks: Any) -> dict[str, dict[str, Any]]:
    """The callbacks by name, each with its public plain attributes, which before a training are its settings."""
    found: dict[str, dict[str, Any]] = {}
    for one in callbacks if isinstance(callbacks, (list, tuple)) else ():  # an iterator is left for the library
        name = name_of(one)
        found[name if name not in found else f"{name}-{len(found) + 1}"] = {
            key: value
            for key, value in getattr(one, "__dict__", {}).items()
            if not key.startswith("_") and key not in _STATE and isinstance(value, (bool, int, float, str))
        }
    return found


_STATE = {"current_rounds", "starting_round", "order", "before_iteration", "enabled", "first_metric"}
