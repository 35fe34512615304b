"""Model flavors are plug-ins: third parties add theirs, and cannot take the place of what autotrack loads safely."""

from __future__ import annotations

import textwrap

import pytest

FILES = {
    "party-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: party\nVersion: 1.0\n",
    "party-1.0.dist-info/entry_points.txt": """
        [autotrack.flavors]
        tiny = party_flavor:FLAVOR
        pickles = party_flavor:PICKLES
        broken = no_such_module:FLAVOR
        """,
    "party_model.py": """
        from sklearn.base import BaseEstimator

        class Tiny(BaseEstimator):
            def __init__(self, weight=0):
                self.weight = weight
        """,
    "party_flavor.py": """
        from autotrack.models.files import Written
        from autotrack.models.flavors import Flavor, Format
        from autotrack.models.python import instance_of

        def write(asked):
            return Written({"weight.txt": str(asked.model.weight).encode()}, "weight.txt", "weight", runs_code=False)

        def read(saved):
            from party_model import Tiny
            return Tiny(int(saved.data()))

        FLAVOR = Flavor(
            write=write, recognises=instance_of(("party_model", "Tiny")), before=("sklearn",),
            formats={"weight": Format(read)}, needs=("party_model",), distributions={"party_model": "party"},
            shown=("party",),
        )
        PICKLES = Flavor(
            write=write, recognises=lambda model: False, formats={"pickle": Format(lambda saved: "taken over")}
        )
        """,
}


@pytest.fixture
def program(tmp_path, script):
    """Run a script in a world where this third party's distribution is installed."""
    folder = tmp_path / "site"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).strip() + "\n")
    return lambda source: script(
        f"import sys\nsys.path.insert(0, {str(folder)!r})\n" + textwrap.dedent(source), PYTHONWARNINGS="ignore"
    )


def test_a_third_partys_flavor_saves_and_loads_its_models(program):
    """It has its own models before the flavor that recognises them too, and its packages are required."""
    program(
        """
        from autotrack.models import load_model, save_model
        from party_model import Tiny
        saved = save_model(Tiny(7))
        assert (saved.flavor, saved.meta["format"]) == ("tiny", "weight")
        assert "party==1.0" in saved.meta["requirements"]
        assert load_model(saved.files).weight == 7
        """
    )


def test_a_third_partys_flavor_cannot_take_over_a_format_of_ours(program):
    """A pickle still is refused unless it is trusted; a flavor that cannot be loaded leaves the others alone."""
    program(
        """
        import pytest
        from autotrack.exceptions import UntrustedModelError
        from autotrack.models import load_model, save_model
        from autotrack.models.flavors import flavors
        assert "broken" not in flavors() and "pickles" in flavors()
        saved = save_model({"a": 1}, allow_pickle=True)
        with pytest.raises(UntrustedModelError):
            load_model(saved.files)
        assert load_model(saved.files, trust=True) == {"a": 1}
        """
    )
