"""Finds the params that a run and its training have under one name, so that both are kept.

The name is the run's: what the program gave a run, or a study its trial, is not what a training makes of it. The
training's value stands below the training's name as well (`logisticregression.C`).
"""

from __future__ import annotations

from collections.abc import Mapping

MOST_NAMES = 10_000

ByOrigin = dict[str, dict[str, str]]


class Clashes:
    """The params of one run and those of its first training, as JSON by name; later ones have rows of their own."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._trained: ByOrigin = {}
        self._name = ""

    def given(self, values: Mapping[str, str]) -> ByOrigin:
        """Remember params of the run; returns those of its training that they now hide, under the training's name."""
        _remember(self._given, values)
        if not self._trained:
            return {}
        mine = {origin: values.keys() & known.keys() for origin, known in tuple(self._trained.items())}
        hidden = {
            origin: self._hidden(self._name, {key: self._trained[origin][key] for key in keys})
            for origin, keys in mine.items()
        }
        return {origin: found for origin, found in hidden.items() if found}

    def trained(self, name: str, number: int, values: Mapping[str, str], origin: str) -> dict[str, str]:
        """Remember params of training `number`; returns those that the run hides, under the training's `name`."""
        if number == 1:
            self._name = name
            _remember(self._trained.setdefault(origin, {}), values)
        return self._hidden(name, values)

    def _hidden(self, name: str, values: Mapping[str, str]) -> dict[str, str]:
        given = self._given
        return {f"{name}.{key}": text for key, text in values.items() if name and given.get(key, text) != text}


def _remember(known: dict[str, str], values: Mapping[str, str]) -> None:
    if len(known) < MOST_NAMES:
        known.update(values)
