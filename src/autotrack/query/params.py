"""The params of a record: typed values by flat dotted key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Row

_RANK = {"set": 0, "default": 1, "config": 2}


class Params(Mapping[str, Any]):
    """Values by flat dotted key (`optimizer.name`), those that the user set first, then defaults, then `config.…`.

    `origin` returns where a value comes from, `nested` the tree that the dots describe.
    """

    def __init__(self, items: Iterable[tuple[str, str, str]]) -> None:
        """Sort `items`, triples of key, JSON and origin, by origin and key."""
        ordered = sorted(items, key=lambda item: (_RANK.get(item[2], 3), item[0]))
        self._json = {key: text for key, text, _ in ordered}
        self._origins = {key: origin for key, _, origin in ordered}
        self._values: dict[str, Any] = {}

    @classmethod
    def of(cls, rows: Iterable[Row[Any]]) -> Params:
        """The params in rows of the table `params`."""
        return cls((row.key, row.value, row.origin) for row in rows)

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            self._values[key] = from_json(self._json[key])
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._json)

    def __len__(self) -> int:
        return len(self._json)

    def __contains__(self, key: object) -> bool:
        return key in self._json

    def __repr__(self) -> str:
        return f"Params({dict(self)!r})"

    def origin(self, key: str) -> str:
        """The origin of the value: "set" by the user, "default" of the framework, or "config" for part of a config."""
        return self._origins[key]

    def of_origin(self, origin: str) -> dict[str, Any]:
        """The params with one origin."""
        return {key: self[key] for key, found in self._origins.items() if found == origin}

    def nested(self) -> dict[str, Any]:
        """The values as nested dicts; a value whose key also begins deeper keys is stored there under ""."""
        tree: dict[str, Any] = {}
        for key in sorted(self, key=lambda key: (key.count("."), key)):
            node, parts = tree, key.split(".")
            for part in parts[:-1]:
                below = node.setdefault(part, {})
                if not isinstance(below, _Branch):
                    below = node[part] = _Branch({"": below} if below != {} else {})
                node = below
            node[parts[-1]] = self[key]
        return _plain(tree)


class _Branch(dict[str, Any]):
    """A dict made by `nested`, as opposed to one that was logged."""


def _plain(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) if isinstance(value, _Branch) else value for key, value in tree.items()}


def from_json(text: str) -> Any:
    """Decode the JSON of a param exactly, including NaN, infinities and ints of any length."""
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text, parse_int=_long_int)


def _long_int(digits: str) -> int:
    """Convert digits that exceed Python's limit for decimal conversion into an int."""
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    value = 0
    for start in range(0, len(digits), 4000):
        part = digits[start : start + 4000]
        value = value * 10 ** len(part) + int(part)
    return sign * value
