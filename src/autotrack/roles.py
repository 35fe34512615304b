"""Roles of metrics by their names: the part of the data (training, validation, test), and the order of relevance.

A metric that a framework names is recorded with its role first (`val/loss`), one that a program names under that name
(`dev_loss`). All lists, charts and messages use these functions for both, so that they agree.
"""

from __future__ import annotations

import re

WORDS = {
    "train": ("train", "training", "learn"),
    "val": ("val", "valid", "validation", "eval", "dev"),
    "test": ("test", "testing", "holdout"),
}  # roles, in the order in which charts show them, and their spellings
ROLES = tuple(WORDS)
_ROLE_OF = {word: role for role, words in WORDS.items() for word in words}
_RELEVANCE = ("test", "val", "train", "")  # a score on data that was not used for selection is the most relevant
_CLOCKS = frozenset({"duration", "latency", "runtime", "seconds", "time"})


def role_of(key: str) -> str:
    """The role at the start of a key such as `val/loss`, `eval_loss` or `dev/loss`: "train", "val", "test", else ""."""
    return split_role(key)[0]


def split_role(key: str) -> tuple[str, str, str]:
    """The role of a key, the "/" or "_" after it, and the rest of the key; empty strings where there is no role."""
    found = re.match(r"([a-z]+)([/_])(?=.)", key)
    role = _ROLE_OF.get(found[1], "") if found else ""
    return (role, found[2], key[found.end() :]) if found and role else ("", "", "")


def aliases(name: str) -> tuple[str, ...]:
    """The keys under which a metric that a user calls `name` may be stored, `name` itself first.

    For `val_X`, and every other spelling of validation, also `val/X`, and for `test_X` also `test/X`; no others.
    """
    role, separator, rest = split_role(name)
    return (name, f"{role}/{rest}") if separator == "_" and role in ("val", "test") else (name,)


def relevance(key: str) -> int:
    """The sort rank of a metric: test data first, then validation, training, no role, and last durations."""
    return len(_RELEVANCE) if is_timing(key) else _RELEVANCE.index(role_of(key))


def is_timing(key: str) -> bool:
    """Whether the metric is a duration, by the words in its name."""
    return not _CLOCKS.isdisjoint(re.split(r"[^a-z0-9]+", key.lower()))
