"""Selection of the params and metrics that a list of runs has room for, the most informative first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrack.roles import relevance

if TYPE_CHECKING:
    from autotrack.query.records import Record

ENOUGH = 6  # columns of each kind, however wide the terminal is
_CONSIDERED = 200  # only so many runs are examined


def telling_params(records: Sequence[Record]) -> list[str]:
    """Return the params in which the runs differ: those that the user set first, then those that most runs have.

    If no param has two values, those that the user set.
    """
    sample = records[:_CONSIDERED]
    values = [{key: _comparable(record.params[key]) for key in _choices(record)} for record in sample]
    by_user = {key for record in sample for key in record.params if record.params.origin(key) == "set"}
    keys = _differing(values) or [key for key in _keys(values) if key in by_user]
    ranked = sorted(keys, key=lambda key: (key not in by_user, -_coverage(values, key)))
    return _without_twins(ranked, values)[:ENOUGH]


def telling_metrics(records: Sequence[Record]) -> list[str]:
    """Return the metrics to show, most relevant first (test and validation before others); rare ones come last."""
    sample = records[:_CONSIDERED]
    values = [
        {key: _comparable(found.last) for key, found in record.metrics.items() if not key.startswith("system/")}
        for record in sample
    ]
    keys = _differing(values) or _keys(values)
    return sorted(keys, key=lambda key: (_coverage(values, key) < 0.5, relevance(key), -_coverage(values, key)))[
        :ENOUGH
    ]


def _choices(record: Record) -> list[str]:
    return [key for key in record.params if record.params.origin(key) != "config"]


def _comparable(value: Any) -> Any:
    return repr(value) if isinstance(value, (list, dict, float)) else value


def _keys(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for values in found for key in values))


def _differing(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys that have at least two values, in the order of their first occurrence."""
    return [key for key in _keys(found) if len({values[key] for values in found if key in values}) > 1]


def _coverage(found: Sequence[Mapping[str, Any]], key: str) -> float:
    """The share of runs that have the key, rounded to tenths, so that a few runs without it make no difference."""
    return round(sum(key in values for values in found) / len(found), 1)


def _without_twins(keys: Sequence[str], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys without those that only repeat how a sibling varies (`model.module` beside `model.class`)."""
    kept: dict[tuple[str, tuple[int, ...]], str] = {}
    for key in keys:
        values = [values.get(key) for values in found]
        parent = key.rpartition(".")[0] if all(isinstance(value, str) for value in values) else key
        kept.setdefault((parent, tuple(values.index(value) for value in values)), key)
    return list(kept.values())
