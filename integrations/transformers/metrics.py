"""transformers' names of metrics, with the role first: `eval_loss` is `val/loss`, `loss` is `train/loss`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_ROLES = {"eval_": "val/", "test_": "test/", "train_": "train/"}
_AS_THEY_ARE = frozenset({"epoch", "total_flos", "num_input_tokens_seen", "num_tokens"})
# Means over all steps, logged once at the end: prefix rules would give them the keys of single steps' values.
_SUMMARIES = {"train_loss": "train/mean_loss"}


@lru_cache(maxsize=1024)
def role_first(name: str) -> str:
    """The metric key for a name of transformers', with the role first."""
    if name in _AS_THEY_ARE or "/" in name.split("_", maxsplit=1)[0]:
        return name
    if name in _SUMMARIES:
        return _SUMMARIES[name]
    for prefix, role in _ROLES.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            return role + name[len(prefix) :]
    return f"train/{name}"


def _prefix_of_user(logs: Mapping[str, Any]) -> str:
    """The `metric_key_prefix` of an evaluation, as `holdout_`, if it is one of the user's own; else empty."""
    name = next((name for name in logs if name.endswith("_runtime")), "")
    prefix = name.removesuffix("runtime")
    return "" if prefix.startswith(tuple(_ROLES)) else prefix


def renamed(logs: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The numbers in `logs` by metric key, and the names of values that are not numbers."""
    numbers: dict[str, Any] = {}
    others: list[str] = []
    prefix = _prefix_of_user(logs)
    for name, value in logs.items():
        if isinstance(value, (int, float)) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0):
            own = prefix and name.startswith(prefix) and len(name) > len(prefix)
            numbers[f"{prefix[:-1]}/{name[len(prefix) :]}" if own else role_first(name)] = value
        else:
            others.append(name)
    return numbers, others
