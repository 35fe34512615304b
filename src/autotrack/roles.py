"""What the name of a metric says: of which part of the data it is, and how much it says about a run.

A metric that a framework names is recorded with its role first (`val/loss`), one that a program names as the program
names it (`dev_loss`). Whoever reads either asks here, so that lists, charts and messages agree.
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
_RELEVANCE = ("test", "val", "train", "")  # a score on data that chose nothing says most
_CLOCKS = frozenset({"duration", "latency", "runtime", "seconds", "time"})


def role_of(key: str) -> str:
    """The role that a key begins with, as `val/loss`, `eval_loss` or `dev/loss` do: "train", "val", "test", else ""."""
    return split_role(key)[0]


def split_role(key: str) -> tuple[str, str, str]:
    """The role of a key, the "/" or "_" after it, and the rest of the key; empty strings where there is no role."""
    found = re.match(r"([a-z]+)([/_])(?=.)", key)
    role = _ROLE_OF.get(found[1], "") if found else ""
    return (role, found[2], key[found.end() :]) if found and role else ("", "", "")


def aliases(name: str) -> tuple[str, ...]:
    """The keys under which the metric that people call `name` may be stored: the name itself comes first.

    `val_X`, and every other spelling of validation, may be `val/X`, and `test_X` `test/X`; nothing else is guessed.
    """
    role, separator, rest = split_role(name)
    return (name, f"{role}/{rest}") if separator == "_" and role in ("val", "test") else (name,)


def relevance(key: str) -> int:
    """A rank, smallest first: metrics of test data, validation data, training data, no role; then times."""
    return len(_RELEVANCE) if is_timing(key) else _RELEVANCE.index(role_of(key))


def is_timing(key: str) -> bool:
    """Whether the metric is a time that something took."""
    return not _CLOCKS.isdisjoint(re.split(r"[^a-z0-9]+", key.lower()))
