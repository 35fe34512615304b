"""From a real run through its journal and the fold to what readers get."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import autotrack
from autotrack.recording.collector import collector


def test_a_run_is_found_by_what_it_logged(tmp_path: Path) -> None:
    """What a program logs can be asked for in every namespace, and comes back as it was."""
    with autotrack.start_run("baseline", experiment="digits", params={"lr": 0.1, "net": {"layers": [8, 2]}}) as run:
        for step in range(100):
            run.log(
                {"train/loss": 1 / (step + 1), "val/accuracy": 0.9 if step == 50 else 0.5, "tokens": step}, step=step
            )
        run.log({"test/accuracy": 0.8})
        run.log_text("hello", "notes/hello.txt")
        run.set_tags({"team": "vision"})
    with autotrack.start_run("other", params={"lr": 0.001}):
        pass
    assert collector().background.wait(170) == []
    runs = autotrack.runs(
        "params.lr > 0.01 and metrics.val/accuracy.max >= 0.9 and tags.team = vision and artifacts.name like '%hello%'"
        " and env.python >= 3.10 and packages.numpy >= 1.0 and run.started > -1h and run.status = finished",
        order_by="-metrics.val/accuracy.max",
    )
    assert [record.name for record in runs] == ["baseline"]
    record = runs[0]
    assert record.params["net.layers"] == [8, 2]
    assert record.artifacts["notes/hello.txt"].text() == "hello"
    assert (record.metrics["val/accuracy"].max, record.metrics["val/accuracy"].max_step) == (0.9, 50)
    frame = runs.history(["tokens", "test/accuracy"])
    assert len(frame) == 101
    assert list(runs.history("tokens")["value"]) == list(range(100))
    assert record.environment["process"]["pid"] == os.getpid()
    assert record.attempts[0].status == "finished"


def test_a_record_of_the_past_is_changed() -> None:
    """Tags, notes and a new name, given to a finished run, are there for the next reader."""
    with autotrack.start_run("first"):
        pass
    record = autotrack.get_run("first")
    record.set_tags({"best": True})
    record.note("keep this one")
    record.rename("champion")
    found = autotrack.get_run("champion")
    assert found == record
    assert (found.tags, [str(note) for note in found.notes]) == ({"best": "True"}, ["keep this one"])
    assert not autotrack.runs("run.name = first")


def test_a_process_that_died_is_seen_as_crashed(tmp_path: Path) -> None:
    """A run whose process ended without a word is crashed for whoever looks, with all that it had logged."""
    source = (
        "import autotrack, os\n"
        "run = autotrack.start_run('lost', params={'lr': 0.5})\n"
        "[run.log({'loss': 1.0 / (step + 1)}, step=step) for step in range(50)]\n"
        "os._exit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", source], cwd=tmp_path).returncode == 3
    runs = autotrack.runs("run.status = 'crashed'")
    assert [record.name for record in runs] == ["lost"]
    assert runs[0].metrics["loss"].count == len(runs.history("loss")) == 50
    assert runs[0].duration is not None


def test_trainings_and_their_parent(tmp_path: Path) -> None:
    """Runs inside a run are its children: counted in the list, shown when asked for."""
    with autotrack.start_run("search", experiment="nested"):
        for depth in (1, 2):
            with autotrack.start_run(f"depth-{depth}", params={"depth": depth}) as child:
                child.log({"accuracy": depth / 10})
    assert [(record.name, record.child_count) for record in autotrack.runs(experiment="nested")] == [("search", 2)]
    parent = autotrack.get_run("search")
    assert [record.name for record in parent.children()] == ["depth-1", "depth-2"]
    found = autotrack.runs(f"run.parent = '{parent.id}' and params.depth >= 2")
    assert [record.name for record in found] == ["depth-2"]
    assert parent.children().history("accuracy")["value"].tolist() == [0.1, 0.2]
