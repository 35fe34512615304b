"""Imports are heard of, never caused and never broken."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from importlib.machinery import SourceFileLoader

import pytest

from autotrack.instrument import import_hooks

OWNER = "test"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that nobody has imported yet."""
    name = f"arrives_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    import_hooks.forget(name, OWNER)
    sys.modules.pop(name, None)


def test_the_listener_is_called_once_the_module_is_complete(module):
    """Not before the import, and with everything the module defines already there."""
    heard = []
    import_hooks.when_imported(module, OWNER, lambda name: heard.append((name, sys.modules[name].value)))
    assert heard == []
    assert not import_hooks.is_imported(module)
    __import__(module)
    assert heard == [(module, 1)]


def test_a_module_that_is_there_is_heard_of_at_once(module):
    """Retroactively: the import came first."""
    __import__(module)
    heard = []
    import_hooks.when_imported(module, OWNER, heard.append)
    assert heard == [module]


def test_a_forgotten_listener_is_not_called(module):
    """After `forget` the import happens as if nobody had listened; another listener may come later."""
    heard = []
    import_hooks.when_imported(module, OWNER, heard.append)
    import_hooks.forget(module, OWNER)
    __import__(module)
    assert heard == []
    import_hooks.when_imported(module, OWNER, heard.append)
    assert heard == [module]


def test_several_owners_hear_of_one_module(module):
    """Each owner has its own listener; forgetting one leaves the other."""
    heard = []
    for owner in ("first", "second", "third"):
        import_hooks.when_imported(module, owner, lambda _, owner=owner: heard.append(owner))
    import_hooks.forget(module, "second")
    __import__(module)
    assert heard == ["first", "third"]


@pytest.mark.swallows
def test_a_failing_listener_does_not_fail_the_import(module):
    """The user's import succeeds; there is one warning."""

    def failing(_):
        raise RuntimeError("ours")

    import_hooks.when_imported(module, OWNER, failing)
    with pytest.warns(UserWarning, match=f"after the import of {module} failed"):
        assert __import__(module).value == 1


def test_a_module_that_fails_to_import_fails_as_before(tmp_path, monkeypatch):
    """The user's ImportError is theirs, and the listener is not called."""
    (tmp_path / "never_arrives.py").write_text("raise ImportError('theirs')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    heard = []
    import_hooks.when_imported("never_arrives", OWNER, heard.append)
    with pytest.raises(ImportError, match="theirs"):
        __import__("never_arrives")
    assert heard == []
    import_hooks.forget("never_arrives", OWNER)


def test_the_module_keeps_its_own_loader(module):
    """What was lent to the import is gone afterwards: the module looks as if nobody had listened, and reloads."""
    heard = []
    import_hooks.when_imported(module, OWNER, heard.append)
    found = importlib.import_module(module)
    assert type(found.__loader__) is type(found.__spec__.loader) is SourceFileLoader
    assert inspect.getsource(found) == "value = 1\n"
    importlib.reload(found)
    assert heard == [module, module]


def test_nothing_stays_in_the_import_system(module):
    """With the last listener the finder goes."""
    before = list(sys.meta_path)
    import_hooks.when_imported(module, OWNER, print)
    assert importlib.util.find_spec(module).origin.endswith(f"{module}.py")
    import_hooks.forget(module, OWNER)
    assert sys.meta_path == before


def test_a_module_that_is_not_there_is_not_found_as_before():
    """Waiting for a module does not make it importable, and the error is Python's own."""
    import_hooks.when_imported("is_not_there", OWNER, print)
    with pytest.raises(ModuleNotFoundError, match="No module named 'is_not_there'"):
        importlib.import_module("is_not_there")
    assert importlib.util.find_spec("is_not_there") is None
    import_hooks.forget("is_not_there", OWNER)


def test_parts_of_packages_and_lazy_loaders(tmp_path, monkeypatch):
    """A module below a package is heard of, and one that is loaded lazily when it is really loaded."""
    package = tmp_path / "arriving"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("value = 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    heard = []
    import_hooks.when_imported("arriving.part", OWNER, heard.append)
    spec = importlib.util.find_spec("arriving.part")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    lazy = importlib.util.module_from_spec(spec)
    sys.modules["arriving.part"] = lazy
    spec.loader.exec_module(lazy)
    assert heard == []
    assert lazy.value == 2
    assert heard == ["arriving.part"]
    import_hooks.forget("arriving.part", OWNER)
    for name in ("arriving.part", "arriving"):
        sys.modules.pop(name)
