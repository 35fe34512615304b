"""The bound arguments of a call of `fit` or `evaluate`, data apart from settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DATA = ("x", "y", "sample_weight", "validation_data")
NOT_SETTINGS = (*DATA, "callbacks", "kwargs", "return_dict")


@dataclass(frozen=True)
class Call:
    """The arguments of one call by parameter name: data, settings that were passed, settings left at their default."""

    data: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    default: dict[str, Any] = field(default_factory=dict)
    callbacks: Any = None

    def setting(self, name: str) -> Any:
        """The value of the setting `name`, passed or default; None if there is none."""
        return self.chosen.get(name, self.default.get(name))


def bound_call(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
    """The arguments of the call; None if they do not fit the signature, so that the call itself will raise `TypeError`.

    The first of `args` is the model.
    """
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    given = dict(list(bound.arguments.items())[1:])
    defaults = {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not parameter.empty and name not in given
    }
    return Call(
        {name: given[name] for name in DATA if given.get(name) is not None},
        {name: value for name, value in given.items() if name not in NOT_SETTINGS},
        {name: value for name, value in defaults.items() if name not in NOT_SETTINGS},
        given.get("callbacks"),
    )
