"""The options of integrations, callbacks and loggers: each is declared once, here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Concatenate, ParamSpec

from autotrack.exceptions import ConfigurationError

POLICIES = ("none", "best", "last", "best+last", "all")  # which checkpoints are kept

P = ParamSpec("P")


@dataclass(frozen=True, kw_only=True)
class CallbackOptions:
    """The options of a callback or logger; the same words and meanings for every framework.

    `run` is the run to record in: an open one, or an id, which is resumed if there is such a run. `log_every` is how
    often steps are recorded: a number of steps, "epoch", "batch", or None for as often as the framework itself reports.
    `checkpoints` is which of the files that a framework writes are kept: "none", "best", "last", "best+last", "all".
    `watch` records norms and histograms of gradients and weights: every so many steps, True for every 100.
    `ConfigurationError` for a value that is none of these.
    """

    run: Any = None
    experiment: str | None = None
    name: str | None = None
    tags: Mapping[str, Any] | None = None
    log_every: int | str | None = None
    checkpoints: str = "best+last"
    log_models: bool = True
    watch: bool | int = False

    def __post_init__(self) -> None:
        if self.checkpoints not in POLICIES:
            raise ConfigurationError(f"checkpoints={self.checkpoints!r}: there are {', '.join(map(repr, POLICIES))}")


@dataclass(frozen=True, kw_only=True)
class Options(CallbackOptions):
    """The options of `autolog(…)`: those of callbacks, and which other facts are recorded. Subclasses may add some."""

    log_input_examples: bool = True
    log_training_metrics: bool = True
    log_datasets: bool = True


def takes(arguments: Callable[P, Any], **defaults: Any) -> Callable[..., Callable[Concatenate[Any, P], None]]:
    """Give an `__init__(self, **options)` the keyword arguments of `arguments`, of which some get other `defaults`.

    The decorated method receives all of them. Its signature shows them to `help`, to type checkers and to programs.
    """

    def decorate(method: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        taken = inspect.signature(arguments).parameters.values()
        parameters = [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(one.replace(default=defaults.get(one.name, one.default)) for one in taken),
        ]
        signature = inspect.Signature(parameters, return_annotation="None")

        @functools.wraps(method)
        def taking(self: Any, /, *args: Any, **options: Any) -> None:
            bound = signature.bind(self, *args, **options)
            bound.apply_defaults()
            method(**bound.arguments)

        taking.__signature__ = signature  # type: ignore[attr-defined]
        taking.__annotations__ = {one.name: one.annotation for one in taken} | {"return": "None"}
        return taking

    return decorate


class TakesOptions:
    """The first base of a callback or logger: its options, by keyword, become its `autotrack_options`.

    The hooks of a framework recognise a callback of ours by that attribute. A subclass implements `install_hooks`.
    """

    options_type: ClassVar[type[CallbackOptions]] = Options
    autotrack_options: Any

    @takes(CallbackOptions)
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.autotrack_options = self.options_type(**options)
        self.install_hooks()

    def install_hooks(self) -> None:
        """Install the hooks that call this object; called at the end of its construction."""
        raise NotImplementedError
