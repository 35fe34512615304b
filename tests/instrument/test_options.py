"""Options are declared once, and every callback takes them by keyword."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from autotrack.exceptions import ConfigurationError
from autotrack.instrument.options import CallbackOptions, Options, TakesOptions, takes


class Callback(TakesOptions):
    """A callback without a framework."""

    def install_hooks(self) -> None:
        self.installed_with = self.autotrack_options


class Eager(Callback):
    """One with another default."""

    @takes(CallbackOptions, log_every="batch")
    def __init__(self, **options):
        super().__init__(**options)


def test_a_callback_shows_the_options_that_it_takes():
    """`help` and the programs that build callbacks from a signature see each option with its default."""
    defaults = {field.name: field.default for field in fields(CallbackOptions)}
    shown = inspect.signature(Callback).parameters
    assert {name: one.default for name, one in shown.items()} == defaults
    assert {one.kind for one in shown.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert inspect.signature(Eager).parameters["log_every"].default == "batch"


def test_a_callback_has_its_options_when_its_hooks_are_installed():
    """What was given, and the defaults for the rest; the default of a subclass is a default only."""
    assert Callback(name="first").installed_with == Options(name="first")
    assert Eager().installed_with.log_every == "batch"
    assert Eager(log_every=5).installed_with.log_every == 5


def test_what_no_callback_takes_is_refused():
    """An option of `autolog` alone, a positional argument and a policy that does not exist are errors."""
    with pytest.raises(TypeError, match="log_datasets"):
        Callback(log_datasets=False)
    with pytest.raises(TypeError):
        Callback("first")
    with pytest.raises(ConfigurationError, match="checkpoints='some'"):
        Callback(checkpoints="some")
