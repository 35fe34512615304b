"""Imports are heard of, never caused and never broken."""

from __future__ import annotations

import sys

import pytest

from autotrack.instrument import hooks

OWNER = "test"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that nobody has imported yet."""
    name = f"arrives_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    hooks.forget(name, OWNER)
    sys.modules.pop(name, None)


def test_the_listener_is_called_once_the_module_is_complete(module):
    """Not before the import, and with everything the module defines already there."""
    heard = []
    hooks.when_imported(module, OWNER, lambda name: heard.append((name, sys.modules[name].value)))
    assert heard == []
    assert not hooks.is_imported(module)
    __import__(module)
    assert heard == [(module, 1)]


def test_a_module_that_is_there_is_heard_of_at_once(module):
    """Retroactively: the import came first."""
    __import__(module)
    heard = []
    hooks.when_imported(module, OWNER, heard.append)
    assert heard == [module]


def test_a_forgotten_listener_is_not_called(module):
    """After `forget` the import happens as if nobody had listened; another listener may come later."""
    heard = []
    hooks.when_imported(module, OWNER, heard.append)
    hooks.forget(module, OWNER)
    __import__(module)
    assert heard == []
    hooks.when_imported(module, OWNER, heard.append)
    assert heard == [module]


def test_several_owners_hear_of_one_module(module):
    """Each owner has its own listener; forgetting one leaves the other."""
    heard = []
    for owner in ("first", "second", "third"):
        hooks.when_imported(module, owner, lambda _, owner=owner: heard.append(owner))
    hooks.forget(module, "second")
    __import__(module)
    assert heard == ["first", "third"]


@pytest.mark.swallows
def test_a_failing_listener_does_not_fail_the_import(module):
    """The user's import succeeds; there is one warning."""

    def failing(_):
        raise RuntimeError("ours")

    hooks.when_imported(module, OWNER, failing)
    with pytest.warns(UserWarning, match=f"after the import of {module} failed"):
        assert __import__(module).value == 1


def test_a_module_that_fails_to_import_fails_as_before(tmp_path, monkeypatch):
    """The user's ImportError is theirs, and the listener is not called."""
    (tmp_path / "never_arrives.py").write_text("raise ImportError('theirs')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    heard = []
    hooks.when_imported("never_arrives", OWNER, heard.append)
    with pytest.raises(ImportError, match="theirs"):
        __import__("never_arrives")
    assert heard == []
    hooks.forget("never_arrives", OWNER)
