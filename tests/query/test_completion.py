"""What the shell's completion reads: the latest runs, without folding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotrack.place import Place
from autotrack.query.completion import latest_runs

pytestmark = pytest.mark.parametrize("seed", ["sqlite", "postgresql"], indirect=True)


def test_completion_knows_the_latest_runs_of_every_kind_of_store(seed: Any) -> None:
    """The latest first, no more than asked for, none that was deleted, in a file as on a server."""
    ids = [seed(name) for name in ("first", "second", "third")]
    seed("gone", deleted=1)
    engine = seed.store.engine
    url = engine.url.render_as_string(hide_password=False) if engine.dialect.name == "postgresql" else None
    found = latest_runs(seed.store.place, url, 2)
    assert found == [(ids[2], "third", "digits"), (ids[1], "second", "digits")]


def test_where_there_is_no_store_there_is_nothing_to_offer(seed: Any, tmp_path: Path) -> None:
    """No error, and no file or folder that was not there before."""
    place = Place(tmp_path / "elsewhere", "for the test")
    url = None if seed.store.engine.dialect.name == "sqlite" else "postgresql://nobody@127.0.0.1:1/none"
    assert latest_runs(place, url, 10) == []
    assert not place.path.exists()
