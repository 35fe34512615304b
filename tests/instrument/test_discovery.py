"""Integrations are found, installed when their framework arrives, and told apart when something is wrong."""

from __future__ import annotations

import textwrap

import pytest

from autotrack.exceptions import ConfigurationError
from autotrack.instrument import discovery
from autotrack.instrument.plugins import plugins

# A package index of its own: frameworks, and integrations of third parties for them.
FILES = {
    "party-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: party\nVersion: 1.0\n",
    "party-1.0.dist-info/entry_points.txt": """
        [autotrack.integrations]
        good = party_good:Good
        broken = party_broken:Broken
        absent = party_absent:Absent
        old = party_good:Old
        failing = party_good:Failing
        needy = party_needy:Needy
        late = party_late:Late

        [autotrack.watches]
        frame = late
        """,
    "frame-2.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: frame\nVersion: 2.3\n",
    "frame.py": "__version__ = '2.3'\nclass Model:\n    def fit(self):\n        return 'fitted'\n",
    "party_good.py": """
        from dataclasses import dataclass
        from autotrack.integrations.base import Integration, Options

        @dataclass(frozen=True)
        class GoodOptions(Options):
            depth: int = 1

        class Good(Integration):
            watches, distribution, requires, options_type = ("frame",), "frame", ">=2,<3", GoodOptions
            calls = []

            def install(self):
                import sys
                self.patches.observe("good.fit", lambda *call: self.calls.append(self.options))
                self.patches.method(sys.modules["frame"].Model, "fit", "good.fit")

        class Old(Good):
            requires = ">=3"

        class Failing(Good):
            def install(self):
                super().install()
                raise RuntimeError("hook moved")
        """,
    "party_broken.py": "raise RuntimeError('bad wheel')",
    "party_absent.py": """
        from autotrack.integrations.base import Integration

        class Absent(Integration):
            watches, distribution = ("no_such_framework",), "no-such-framework"
        """,
    "party_needy.py": "import no_such_library",
    "party_late.py": """
        from party_good import Good

        class Late(Good):
            calls = []

            def install(self):
                self.calls.append("late")
        """,
}


@pytest.fixture
def program(tmp_path, script):
    """Run a script in a world where these third parties are installed."""
    folder = tmp_path / "site"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).strip() + "\n")

    def run(source: str, **options):
        return script(f"import sys\nsys.path.insert(0, {str(folder)!r})\n" + textwrap.dedent(source), **options)

    return run


def test_each_state_is_told_from_the_others(program):
    """Active, waiting, not installed, unsupported and broken, with the reason; no framework is imported to find out."""
    done = program(
        """
        import warnings
        warnings.simplefilter("error")
        from autotrack.instrument import discovery
        for state in discovery.states():
            print(state.name, "|", state.state, "|", state.version, "|", state.detail)
        assert "frame" not in sys.modules and "sklearn" not in sys.modules
        """
    )
    found = {line.split(" | ")[0]: line.split(" | ")[1:] for line in done.stdout.splitlines()}
    assert found["good"] == ["waiting for import", "2.3", ""]
    assert found["sklearn"][0] == "waiting for import"
    assert found["absent"] == ["not installed", "", "no-such-framework is not installed"]
    assert found["needy"] == ["not installed", "", "it needs no_such_library, which is not installed"]
    assert found["broken"] == ["broken", "", "RuntimeError: bad wheel"]
    assert found["old"] == ["unsupported version", "2.3", "supported are >=3"]


def test_an_integration_is_installed_when_its_framework_is_imported(program):
    """Waiting before the import, active after it, and gone after disabling."""
    program(
        """
        import autotrack
        from autotrack.instrument import discovery
        state = lambda: next(s.state for s in discovery.states() if s.name == "good")
        autotrack.autolog("good", depth=4, experiment="x")
        assert state() == "waiting for import"
        import frame, party_good
        plain = dict(vars(frame.Model))
        assert state() == "active"
        assert frame.Model().fit() == "fitted"
        (options,) = party_good.Good.calls
        assert (options.depth, options.experiment, options.log_models) == (4, "x", True)
        autotrack.autolog(depth=5)
        frame.Model().fit()
        assert party_good.Good.calls[-1].depth == 5
        autotrack.autolog(disable=True)
        frame.Model().fit()
        assert len(party_good.Good.calls) == 2 and state() == "waiting for import"
        """,
    )


def test_one_broken_integration_leaves_the_others_alone(program):
    """`autolog()` warns once of each that is broken or unsupported, and installs the rest; imports never fail."""
    done = program(
        """
        import autotrack
        autotrack.autolog()
        import frame
        from sklearn.linear_model import Ridge
        from autotrack.instrument import discovery
        print({s.name: s.state for s in discovery.states()})
        print(frame.Model().fit(), "__autotrack__" in vars(Ridge)["fit"].__dict__)
        """
    )
    states, fitted = done.stdout.splitlines()
    assert "'good': 'active'" in states
    assert "'sklearn': 'active'" in states
    assert "'failing': 'broken'" in states
    assert fitted == "fitted True"
    assert done.stderr.count("loading the broken integration failed (RuntimeError: bad wheel)") == 1
    assert done.stderr.count("installing the failing integration failed (RuntimeError: hook moved)") == 1
    assert "frame 2.3 is not supported, only >=3" in done.stderr


def test_asking_for_something_that_is_not_there(program):
    """A wrong name and a wrong option are errors that list what there is; a missing framework is a warning."""
    program(
        """
        import pytest, autotrack
        from autotrack.exceptions import ConfigurationError
        with pytest.raises(ConfigurationError, match="'sklern'; there are: .*sklearn"):
            autotrack.autolog("sklern")
        with pytest.raises(ConfigurationError, match="no option 'log_modles' for good; there are: .*log_models"):
            autotrack.autolog("good", log_modles=False)
        with pytest.warns(UserWarning, match="no-such-framework is not installed"):
            autotrack.autolog("absent")
        """
    )


def test_disabling_what_is_not_on_is_nothing():
    """Switching off twice, or without having switched on, is harmless; an unknown name is still an error."""
    discovery.uninstall()
    discovery.uninstall(["sklearn"])
    assert not discovery.is_active("sklearn")
    with pytest.raises(ConfigurationError):
        discovery.uninstall(["sklern"])


def test_what_is_declared_is_what_the_classes_say():
    """The modules listed under `autotrack.watches` are those that our integrations' classes watch."""
    declared: dict[str, set[str]] = {}
    for point in plugins(discovery.WATCHES):
        declared.setdefault(point.value, set()).add(point.name)
    classes = {point.name: point.load() for point in plugins(discovery.GROUP)}
    assert declared == {name: set(kind.watches) for name, kind in classes.items()}


def test_a_class_is_loaded_when_its_framework_is_imported(program):
    """Declared modules keep a class from being loaded until one of them is; without them, or for options, it is."""
    program(
        """
        import pytest, autotrack
        autotrack.autolog("late")
        assert "party_late" not in sys.modules
        import frame
        assert sys.modules["party_late"].Late.calls == ["late"]
        autotrack.autolog(disable=True)
        del sys.modules["frame"], sys.modules["party_late"]
        with pytest.raises(autotrack.AutotrackError, match="no option 'log_modles' for late"):
            autotrack.autolog("late", log_modles=False)
        """
    )
    program("import autotrack; autotrack.autolog('late', depth=2); assert 'party_late' in sys.modules")
    program("import autotrack; autotrack.autolog('good'); assert 'party_good' in sys.modules")
