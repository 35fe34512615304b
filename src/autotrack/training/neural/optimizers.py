"""Torch optimizers and learning-rate schedulers as plain values: the settings they were created with.

Any object with `param_groups` and `defaults` is an optimizer, also inside wrappers (Lightning's, accelerate's,
DeepSpeed's).
"""

from __future__ import annotations

import functools
import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autotrack.values import plain

if TYPE_CHECKING:
    from autotrack.recording.recorder import Recorder

MOST_GROUPS = 20
MOST_ITEMS = 100
_DEPTH = 4
_OF_GROUPS = frozenset({
    "params", "param_names", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr",
})  # fmt: skip
_STATE = frozenset({
    "optimizer", "last_epoch", "base_lrs", "best", "num_bad_epochs", "cooldown_counter", "default_min_lr", "verbose",
    "mode_worse", "T_cur", "T_i", "last_lr", "max_lrs", "cycle_momentum_epoch",
})  # fmt: skip
_ABSENT = object()


@dataclass
class OptimizerFacts:
    """Settings of an optimizer or scheduler as nested plain values: those `chosen` by the user, and defaults."""

    chosen: dict[str, Any] = field(default_factory=dict)
    default: dict[str, Any] = field(default_factory=dict)


def record_optimizers(training: Recorder, optimizers: Any, *, first: int | None = None) -> None:
    """Record one optimizer as `optimizer.*`, several as `optimizer.0.*`, `optimizer.1.*`, …

    With `first` the numbers start there, and a single one is numbered too.
    """
    _record(training, "optimizer", [describe_optimizer(one) for one in as_list(optimizers)], first)


def record_schedulers(training: Recorder, schedulers: Any, *, first: int | None = None) -> None:
    """Record one scheduler as `scheduler.*`, several as `scheduler.0.*`, `scheduler.1.*`, …

    With `first` the numbers start there, and a single one is numbered too.
    """
    _record(training, "scheduler", [describe_scheduler(one) for one in as_list(schedulers)], first)


def _record(training: Recorder, word: str, found: Sequence[OptimizerFacts], first: int | None) -> None:
    is_one = len(found) == 1 and first is None
    for origin, parts in (("set", [one.chosen for one in found]), ("default", [one.default for one in found])):
        numbered = {str(number): part for number, part in enumerate(parts, start=first or 0) if part}
        params: Any = parts[0] if is_one else numbered
        if params:
            training.log_params({word: params}, origin=origin)


def describe_optimizer(optimizer: Any) -> OptimizerFacts:
    """Name, class and settings of an optimizer, and the settings in which further groups differ, by group number.

    A setting counts as set by the user if it differs from the default in the class's signature. The learning rate is
    the initial one, not the one that a scheduler has set since.
    """
    optimizer = unwrapped(optimizer)
    kind: Any = type(optimizer)
    groups = list(optimizer.param_groups)
    given = _signature_defaults(kind)
    facts = OptimizerFacts({"name": kind.__name__, "class": _qualified(kind)})
    first = _settings_of(groups[0]) if groups else dict(getattr(optimizer, "defaults", {}))
    for key, value in first.items():
        is_default = same(value, given[key]) if key in given else bool(given)  # no argument of that name: a default
        (facts.default if is_default else facts.chosen)[key] = plain_value(value)
    facts.default.update(_counts(groups[0]) if groups else {})
    if len(groups) > 1:
        facts.default["number_of_groups"] = len(groups)
        facts.default["groups"] = {
            str(number): _counts(group) for number, group in enumerate(groups[1:MOST_GROUPS], start=1)
        }
        different = {str(number): _difference(first, group) for number, group in enumerate(groups[:MOST_GROUPS])}
        facts.chosen["groups"] = {number: values for number, values in different.items() if values}
        if not facts.chosen["groups"]:
            del facts.chosen["groups"]
    return facts


def learning_rates(optimizers: Any) -> dict[str, Any]:
    """The present learning rate of each group: `train/learning_rate`, then `train/learning_rate.1`, ….

    Groups are numbered across all optimizers, `MOST_GROUPS` at most. A rate that is a tensor is returned unchanged.
    """
    rates: dict[str, Any] = {}
    for optimizer in as_list(optimizers):
        for group in getattr(optimizer, "param_groups", None) or unwrapped(optimizer).param_groups:
            if len(rates) == MOST_GROUPS:
                return rates
            rates[f"train/learning_rate.{len(rates)}" if rates else "train/learning_rate"] = group["lr"]
    return rates


def describe_scheduler(scheduler: Any) -> OptimizerFacts:
    """Name, class and settings of a scheduler; inner schedulers by number, functions by name, no memory addresses."""
    return _scheduler(unwrapped(scheduler, "scheduler"), 0)


def _scheduler(scheduler: Any, depth: int) -> OptimizerFacts:
    kind: Any = type(scheduler)
    facts = OptimizerFacts({"name": kind.__name__, "class": _qualified(kind)})
    attributes = getattr(scheduler, "__dict__", {})
    given = _signature_defaults(kind)
    for key, default in given.items():
        value = _setting(scheduler, attributes, key)
        if value is _ABSENT or key in _STATE:
            continue
        if key == "schedulers":
            _add_inner(facts, value, depth)
        else:
            (facts.default if same(value, default) else facts.chosen)[key] = plain_value(value)
    for key, value in attributes.items():
        if key not in given and key not in _STATE and not key.startswith("_") and f"{key[:-1]}" not in given:
            simple = simple_value(value)
            if simple is not _ABSENT:
                facts.default[key] = simple
    return facts


def _add_inner(facts: OptimizerFacts, schedulers: Any, depth: int) -> None:
    """Add the settings of a scheduler's inner schedulers, by number, down to `_DEPTH`."""
    if depth == _DEPTH:
        return
    inner = {str(number): _scheduler(one, depth + 1) for number, one in enumerate(as_list(schedulers))}
    facts.chosen["schedulers"] = {number: one.chosen for number, one in inner.items()}
    filled_in = {number: one.default for number, one in inner.items() if one.default}
    if filled_in:
        facts.default["schedulers"] = filled_in


def _setting(scheduler: Any, attributes: Mapping[str, Any], name: str) -> Any:
    """The value of the argument `name` of a scheduler's signature, from its attributes or groups; else `_ABSENT`."""
    for key in (name, f"_{name}", f"{name}s", f"_{name}s"):
        if key in attributes and not inspect.ismethod(attributes[key]):
            value = attributes[key]
            if isinstance(value, Counter):  # MultiStepLR's milestones
                return sorted(value.elements())
            if key.endswith("s") and not name.endswith("s") and isinstance(value, (list, tuple)) and value:
                return value[0] if all(one is value[0] or same(one, value[0]) for one in value) else list(value)
            return value
    groups = getattr(attributes.get("optimizer"), "param_groups", None) or ()
    if name in {"max_lr", "min_lr", "swa_lr"} and groups and name in groups[0]:  # kept with the groups
        values = [group.get(name) for group in groups]
        return values[0] if all(same(value, values[0]) for value in values) else values
    return _ABSENT


def as_list(several: Any) -> list[Any]:
    """One optimizer or scheduler, or a list or mapping of them, as a list without None."""
    if several is None:
        return []
    if isinstance(several, Mapping):
        several = several.values()
    elif not isinstance(several, Iterable) or hasattr(several, "param_groups"):
        several = (several,)
    return [one for one in several if one is not None]


def unwrapped(outer: Any, inner: str = "optimizer") -> Any:
    """The torch optimizer (or, with `inner` "scheduler", scheduler) inside wrappers of other libraries."""
    for _ in range(_DEPTH):
        attributes = getattr(outer, "__dict__", {})
        found = attributes.get(f"_{inner}", attributes.get(inner))
        if found is None or found is outer or not _is_inner(found, inner):
            return outer
        outer = found
    return outer


def _is_inner(found: Any, inner: str) -> bool:
    return hasattr(found, "param_groups") if inner == "optimizer" else hasattr(found, "state_dict")


def plain_value(value: Any, depth: int = 0) -> Any:
    """A setting as plain values: functions by qualified name, objects by class and plain attributes."""
    simple = simple_value(value)
    if simple is not _ABSENT:
        return simple
    if isinstance(value, (list, tuple)) and depth < _DEPTH:
        return [plain_value(item, depth + 1) for item in value[:MOST_ITEMS]]
    if isinstance(value, Mapping) and depth < _DEPTH:
        return {str(key): plain_value(item, depth + 1) for key, item in list(value.items())[:MOST_ITEMS]}
    if isinstance(value, functools.partial):
        positional = [plain_value(item, depth + 1) for item in value.args]
        named = {key: plain_value(item, depth + 1) for key, item in value.keywords.items()}
        return {"function": _qualified(value.func), **({"args": positional} if positional else {}), **named}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return plain(value.detach() if hasattr(value, "detach") else value)
    if isinstance(value, type) or hasattr(value, "__qualname__"):
        return _qualified(value)
    return _plain_callable(value) if callable(value) else plain(value)


def simple_value(value: Any, depth: int = 0) -> Any:
    """None, a number, a text or a list of them as a plain value; `_ABSENT` for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return plain(value)
    if isinstance(value, (list, tuple)) and depth < _DEPTH:
        items = [simple_value(item, depth + 1) for item in value[:MOST_ITEMS]]
        return _ABSENT if any(item is _ABSENT for item in items) else items
    return _ABSENT


def _plain_callable(value: Any) -> Any:
    kept = {
        key: simple for key, item in getattr(value, "__dict__", {}).items()
        if key[:1] != "_" and (simple := simple_value(item)) is not _ABSENT
    }  # fmt: skip
    return {"function": _qualified(type(value)), **kept} if kept else _qualified(type(value))


def same(value: Any, default: Any) -> bool:
    """Whether a setting has its default value; never compares arrays or foreign objects."""
    if value is default:
        return True
    if isinstance(value, bool) or isinstance(default, bool):
        return False
    if isinstance(value, (int, float)) and isinstance(default, (int, float)):
        return value == default or (math.isnan(value) and math.isnan(default))
    if isinstance(value, str) and isinstance(default, str):
        return value == default
    if isinstance(value, (list, tuple)) and isinstance(default, (list, tuple)):
        return len(value) == len(default) and all(map(same, value, default))
    return False


def _settings_of(group: Mapping[str, Any]) -> dict[str, Any]:
    settings = {key: value for key, value in group.items() if key not in _OF_GROUPS}
    if "initial_lr" in group:
        settings["lr"] = group["initial_lr"]
    return settings


def _difference(first: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    settings = _settings_of(group)
    return {key: plain_value(value) for key, value in settings.items() if not same(value, first.get(key, _ABSENT))}


def _counts(group: Mapping[str, Any]) -> dict[str, int]:
    params = group["params"]
    return {"tensors": len(params), "parameters": sum(map(number_of_values, params))}


def number_of_values(tensor: Any) -> int:
    """The number of values of a parameter, including its shards on other ranks; 0 for a lazy one."""
    whole = getattr(tensor, "ds_numel", None)  # DeepSpeed's ZeRO 3 replaces the parameter by an empty tensor
    if isinstance(whole, int):
        return whole
    if type(tensor).__name__.startswith("Uninitialized"):
        return 0
    return int(tensor.numel())


@functools.lru_cache(maxsize=128)
def _signature_defaults(kind: Any) -> dict[str, Any]:
    """The parameters of a class's signature by name, with their defaults."""
    try:
        parameters: Any = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {
        parameter.name: _ABSENT if parameter.default is parameter.empty else parameter.default
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _qualified(named: type | Callable[..., Any]) -> str:
    name = getattr(named, "__qualname__", type(named).__qualname__)
    module = getattr(named, "__module__", None)
    return f"{module}.{name}" if module and module != "builtins" else name
