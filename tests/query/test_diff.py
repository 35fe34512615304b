"""What differs between two runs or more, as data, as text and as HTML."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.exceptions import InvalidValueError
from autotrack.query.diff import ABSENT, compare, diff
from autotrack.query.queries import find_runs
from autotrack.query.records import Runs

TRAIN = """
import autotrack, sys
with autotrack.start_run(sys.argv[1], params={"lr": float(sys.argv[2])}) as run:
    run.log({"loss": float(sys.argv[2]) * 2})
    run.log_dataset([[1.0], [2.0]], name="digits", role="train", version=sys.argv[1])
"""


def pair(seed: Any) -> Runs:
    """The seeded runs, oldest first."""
    return find_runs(seed.store, order_by="run.started")


def test_only_what_differs_is_listed(seed: Any) -> None:
    """Values as they were logged; 1 and 1.0 are the same, as are two NaN; what one run lacks is ABSENT."""
    same = {"batch": 64, "limit": math.nan, "layers": [1, 2]}
    seed(
        "a",
        params={**same, "lr": 0.1, "depth": 1, "flag": True},
        metrics={"loss": 0.5, "nan": math.nan},
        tags={"t": "x"},
    )
    seed("b", params={**same, "lr": 0.2, "depth": 1.0, "flag": 1}, metrics={"loss": 0.4, "nan": math.nan, "f1": 1.0})
    found = diff(*pair(seed))
    assert found.params == {"flag": (True, 1), "lr": (0.1, 0.2)}
    assert found.metrics == {"loss": (0.5, 0.4), "f1": (ABSENT, 1.0)}
    assert found.tags == {"t": ("x", ABSENT)}
    assert found.packages == found.datasets == {}
    assert found


def test_all_shows_what_is_the_same_as_well(seed: Any) -> None:
    """With `all` the batch size is there; what differs is still told apart."""
    seed("a", params={"batch": 64, "lr": 0.1})
    seed("b", params={"batch": 64, "lr": 0.2})
    found = diff(*pair(seed), all=True)
    assert found.params["batch"] == (64, 64)
    assert found.run["host"] == ("box", "box")


def test_a_run_does_not_differ_from_itself(seed: Any) -> None:
    """It is false, and says so in a sentence."""
    seed("a", params={"x": math.nan}, metrics={"loss": [1.0, math.nan]})
    (record,) = pair(seed)
    found = diff(record, record)
    assert not found
    assert "no difference" in str(found)
    with pytest.raises(AttributeError, match="there are: run, params"):
        _ = found.nothing


def test_packages_code_and_machine_are_compared_by_their_leaves(seed: Any) -> None:
    """The commit is code, a GPU is environment; a process id differs always and says nothing."""
    for name, torch, commit, pid in [("a", "2.1", "c0ffee", 1), ("b", "2.2", "decade", 2)]:
        seed(
            name,
            sections={
                "packages": {"torch": torch, "numpy": "2.0"},
                "git": {"commit": commit, "branch": "main"},
                "process": {"pid": pid, "python": "3.11.7", "script_digest": commit * 2},
                "hardware": {"gpus": [{"name": "H200", "memory": 1}], "cpu": name},
            },
        )
    found = diff(*pair(seed))
    assert found.packages == {"torch": ("2.1", "2.2")}
    assert found.code == {"commit": ("c0ffee", "decade"), "script_digest": ("c0ffeec0ffee", "decadedecade")}
    assert found.environment == {"hardware.cpu": ("a", "b")}


def test_it_reads_well_in_a_terminal(seed: Any) -> None:
    """A heading per run, a line per fact, the change in percent, and no line longer than its values demand."""
    seed("first", params={"lr": 0.1, "text": "long " * 100}, metrics={"loss": 0.5})
    seed("second", params={"lr": 0.2, "text": "short"}, metrics={"loss": 0.4})
    lines = str(diff(*pair(seed))).splitlines()
    assert "first (" in lines[0]
    assert "second (" in lines[0]
    assert [line.split() for line in lines if "lr" in line] == [["lr", "0.1", "0.2", "(+100.0%)"]]
    assert [line.split() for line in lines if "loss" in line] == [["loss", "0.5", "0.4", "(-20.0%)"]]
    assert max(map(len, lines)) < 140


def test_names_cannot_break_the_page(seed: Any) -> None:
    """Everything that was recorded is escaped in a notebook."""
    seed("<b>a", params={"<i>": "<script>alert(1)</script>"}, metrics={"<u>": 1.0})
    seed("<b>b", params={"<i>": "x"})
    html = diff(*pair(seed), all=True)._repr_html_()
    assert not any(tag in html for tag in ("<b>", "<i>", "<u>", "<script>"))
    assert "&lt;script&gt;" in html


def test_any_number_of_runs_side_by_side(seed: Any) -> None:
    """What is not the same in all of them, in the order of the runs; as plain data it can be JSON."""
    for name, lr in [("a", 0.1), ("b", 0.1), ("c", 0.3)]:
        seed(name, params={"lr": lr, "batch": 64})
    found = compare(list(pair(seed)))
    assert found.params == {"lr": (0.1, 0.1, 0.3)}
    ids = [record.id for record in found.runs]
    assert json.loads(json.dumps(found.to_dict()))["params"] == {"lr": dict(zip(ids, (0.1, 0.1, 0.3), strict=True))}
    assert [name in str(found) for name in "abc"] == [True, True, True]
    with pytest.raises(InvalidValueError):
        compare([])


def test_uncommitted_changes_of_two_real_runs_are_compared_as_text(tmp_path: Path, script: Any) -> None:
    """Two runs of one script, edited in between without a commit: the edit is in the diff, line by line."""
    for command in (["init", "-q"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    model = tmp_path / "model.py"
    model.write_text("width = 1\n")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=tmp_path, check=True)
    for name, lr in [("narrow", "0.1"), ("wide", "0.2")]:
        model.write_text(f"width = '{name}'\n")
        script(TRAIN, name, lr)
    found = autotrack.diff("narrow", "wide")
    assert found.params == {"lr": (0.1, 0.2)}
    assert found.metrics == {"loss": (0.2, 0.4)}
    assert found.datasets["digits (train) version"] == ("narrow", "wide")
    assert "commit" not in found.code
    assert "-+width = 'narrow'" in found.patch.splitlines()
    assert "++width = 'wide'" in found.patch.splitlines()
    assert found.patch in str(found)
    assert found.to_dict()["patch"] == found.patch
