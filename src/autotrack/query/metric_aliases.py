"""The names that frameworks give to metrics, as aliases of those under which they are recorded.

A metric that a framework names is recorded with its role first: Keras' `val_loss` and transformers' `eval_loss` are
`val/loss`. Who asks for the native name means that one, in each run that has no metric of exactly the name asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TypeVar

from autotrack.roles import aliases

_Value = TypeVar("_Value")


def drop_aliases(found: MutableMapping[tuple[int, str], _Value], names: Mapping[str, str]) -> None:
    """Of what was found by run and key, drop what `names` (key to name asked for) only takes for want of the name."""
    for run, key in [place for place in found if names[place[1]] != place[1]]:
        if (run, names[key]) in found:
            del found[run, key]


class ByMetric(dict[str, _Value]):
    """Something per metric: found by the name it is stored under, and by its native name."""

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
