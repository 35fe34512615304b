"""What was recorded once is read the same for ever: every run, and every point, as `--json` prints them.

`recorded.tar.xz` holds the journals and files of the programs beside it, as `record.py` made them; `expected.json` what
was read from them then. Keys may be added to what is printed; nothing that is there may change.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autotrack.cli.app import app

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())


@pytest.fixture
def atelier(place: Path) -> Path:
    """The recorded place, as its machine left it long ago."""
    with tarfile.open(HERE / "recorded.tar.xz") as archive:
        archive.extractall(place, filter="data")
    for path in place.rglob("*"):
        os.utime(path, (1_750_000_000, 1_750_000_000))
    return place


def printed(*words: str) -> Any:
    """What a command prints as JSON."""
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def what_is_read() -> dict[str, Any]:
    """All that is recorded at the place: the list of runs, each run as a whole, and the points of its metrics."""
    listed = printed("runs", "--all", "--limit", "0")
    return {
        "listed": listed,
        "shown": {run["id"]: printed("show", run["id"]) for run in listed},
        "points": {run["id"]: printed("history", run["id"]) for run in listed},
    }


def without_what_was_added(found: Any, expected: Any) -> Any:
    """`found` without the keys of mappings that `expected` does not have."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return {key: without_what_was_added(found[key], expected[key]) for key in found if key in expected}
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        return [without_what_was_added(one, other) for one, other in zip(found, expected, strict=True)]
    return found


def test_what_was_recorded_is_read_the_same(atelier: Path):
    """Lists, runs and points are what they were when they were recorded."""
    found = what_is_read()
    assert found["listed"], "the recorded place is empty"
    for part in EXPECTED:
        assert without_what_was_added(found[part], EXPECTED[part]) == EXPECTED[part]
