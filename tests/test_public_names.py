"""The public names: one card of them, complete, documented, and nothing beside it."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import inspect
from pathlib import Path

import pytest

import autotrack

ON_THE_CARD = {
    "active_run", "autolog", "best", "configure", "diff", "finish", "get_run", "load_model", "log",
    "log_artifact", "log_artifacts", "log_dataset", "log_dict", "log_figure", "log_metric", "log_metrics",
    "log_model", "log_param", "log_params", "log_table", "log_text", "note", "paused", "runs", "set_experiment",
    "set_tags", "start_run",
}  # fmt: skip


def test_the_card_is_complete():
    """Every verb that the documentation promises is a public name."""
    assert set(autotrack.__all__) >= ON_THE_CARD


def test_names_are_sorted_and_listed_once():
    """A reader finds a name where the alphabet says."""
    assert list(autotrack.__all__) == sorted(set(autotrack.__all__))


def test_dir_shows_exactly_the_public_names():
    """Completion in a shell or a notebook offers the public names and no machinery."""
    shown = {name for name in dir(autotrack) if not name.startswith("_")}
    assert shown == {name for name in autotrack.__all__ if not name.startswith("_")}


@pytest.mark.parametrize("name", autotrack.__all__)
def test_a_public_name_is_there_and_says_what_it_is(name: str):
    """Every public name resolves to something with a docstring that opens with one sentence."""
    value = getattr(autotrack, name)
    if isinstance(value, str):
        return
    lines = (inspect.getdoc(value) or "").split("\n\n")[0]
    assert lines.endswith((".", ":")), f"autotrack.{name} does not say what it is"


def test_a_star_import_brings_the_public_names():
    """`from autotrack import *` loads every lazy name."""
    space: dict[str, object] = {}
    exec("from autotrack import *", space)
    assert set(autotrack.__all__) <= space.keys()


def test_an_unknown_name_is_an_ordinary_attribute_error():
    """A name that does not exist is refused as Python does it, so that `hasattr` works."""
    assert not hasattr(autotrack, "log_everything")
    with pytest.raises(AttributeError, match="log_everything"):
        _ = autotrack.log_everything


def test_the_version_is_that_of_the_distribution():
    """`autotrack.__version__` and the installed distribution agree."""
    assert autotrack.__version__ == importlib.metadata.version("autotrack-ml")


def test_the_package_is_marked_as_typed():
    """Type checkers of those who use autotrack see its types."""
    assert importlib.resources.files("autotrack").joinpath("py.typed").is_file()


def test_the_types_of_every_public_name_are_checked():
    """`tests/typing/api.py`, which the type checker reads, uses each of them."""
    used = (Path(__file__).parent / "typing" / "api.py").read_text()
    assert [name for name in autotrack.__all__ if f"autotrack.{name}" not in used] == []
