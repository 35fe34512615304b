"""The names that frameworks give to metrics, as aliases of the names under which these are recorded.

A metric that a framework names is recorded with its role first: Keras' `val_loss` and transformers' `eval_loss` are
`val/loss`. A query for the native name finds that metric in each run that has no metric of exactly the native name.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TypeVar

from autotrack.roles import aliases

_Value = TypeVar("_Value")


def drop_aliases(found: MutableMapping[tuple[int, str], _Value], names: Mapping[str, str]) -> None:
    """Remove, from runs that have a requested name itself, what was found by its alias; `names` maps keys to names."""
    for run, key in [place for place in found if names[place[1]] != place[1]]:
        if (run, names[key]) in found:
            del found[run, key]


class ByMetric(dict[str, _Value]):
    """Values by metric, found by the stored name of the metric and by its native name."""

    def _key(self, name: object) -> object:
        if isinstance(name, str):
            return next((key for key in aliases(name) if dict.__contains__(self, key)), name)
        return name

    def __missing__(self, name: str) -> _Value:
        key = self._key(name)
        if key == name:
            raise KeyError(name)
        return self[key]  # type: ignore[index]

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, self._key(name))

    def get(self, name: str, default: object = None) -> object:  # type: ignore[override]
        return self[name] if name in self else default  # noqa: SIM401 - `get` is what this is
