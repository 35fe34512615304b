"""What becomes of every event in the store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from autotrack import events
from autotrack.place import Place
from autotrack.store.blobs import Blobs
from autotrack.store.engine import Store
from autotrack.store.folding.fold import fold

Recordings = Callable[..., Any]


def test_a_run_that_ended_well_has_its_times_and_its_outcome(recording: Recordings, contents: Any) -> None:
    """Start and end of a run become its row and its one attempt."""
    journal = recording()
    journal.start("r", at=0, kind="search", parent="p")
    journal.finish("r", at=12.5, exit_code=0)
    row = contents.fold().run("r")
    assert (row["name"], row["experiment"], row["kind"], row["parent"]) == ("name of r", "digits", "search", "p")
    assert (row["status"], row["duration"], row["exit_code"], row["attempt"]) == ("finished", 12.5, 0, 1)
    assert (row["user"], row["host"], row["pid"], row["owner"]) == ("ann", "box", 7, journal.id)
    assert row["ended"] - row["started"] == 12_500_000 == row["last_event"] - row["started"]
    [attempt] = contents.rows("attempts", "r")
    assert (attempt["journal"], attempt["status"], attempt["ended"]) == (journal.id, "finished", row["ended"])


def test_a_failure_is_kept_with_its_traceback(recording: Recordings, contents: Any) -> None:
    """The exception that ended a run is stored in its row."""
    journal = recording()
    journal.start("r")
    failure = events.Failure(type="builtins.ValueError", message="no\nway", traceback="Traceback …")
    journal.finish("r", "failed", failure=failure, exit_code=1)
    row = contents.fold().run("r")
    assert (row["status"], row["failure_type"], row["failure_message"]) == ("failed", "builtins.ValueError", "no\nway")
    assert row["traceback"] == "Traceback …"


def test_events_before_the_start_wait_in_a_placeholder(recording: Recordings, contents: Any) -> None:
    """A worker's journal may be folded before the owner's: its facts wait for the start, and nothing is lost."""
    owner, worker = recording(), recording()
    worker.log("r", {"loss": 1.0}, step=5)
    worker.close()
    waiting = contents.fold().run("r")
    assert (waiting["started"], waiting["attempt"], waiting["status"]) == (None, 0, "running")
    owner.start("r", at=0)
    owner.finish("r", at=3)
    row = contents.fold().run("r")
    assert (row["name"], row["owner"], row["status"], row["duration"]) == ("name of r", owner.id, "finished", 3.0)
    assert contents.history("r", "loss")[0][2] == 1.0


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_latest_attempt_decides_in_whatever_order_journals_are_folded(
    order: str, recording: Recordings, contents: Any
) -> None:
    """A run that failed, was resumed and finished is finished, also when the second journal comes first."""
    first, second = recording(), recording()

    def fail() -> None:
        first.start("r", at=0)
        first.params("r", {"lr": 0.1, "old": 1}, at=1)
        first.emit(events.RunRenamed, "r", at=2, name="early name")
        first.log("r", {"loss": 3.0}, step=0, at=3)
        first.finish("r", "failed", at=10, failure=events.Failure(type="E", message="m"))

    def succeed() -> None:
        second.emit(events.RunResumed, "r", at=100, attempt=2, user="bob", host="other", pid=9)
        second.params("r", {"lr": 0.2}, at=101)
        second.emit(events.RunRenamed, "r", at=102, name="late name")
        second.log("r", {"loss": 2.0}, step=1, at=103)
        second.finish("r", attempt=2, at=120)

    for happen in (fail, succeed) if order == "first" else (succeed, fail):
        happen()
        contents.fold()
    row = contents.run("r")
    assert (row["status"], row["attempt"], row["owner"], row["host"]) == ("finished", 2, second.id, "other")
    assert (row["failure_type"], row["failure_message"], row["duration"]) == (None, None, 30.0)
    assert (row["name"], row["experiment"]) == ("late name", "digits")
    assert row["started"] == contents.rows("attempts", "r")[0]["started"]
    assert contents.mapping("params", "r") == {"lr": "0.2", "old": "1"}
    assert contents.history("r", "loss") == [(0, 3.0, 3.0), (1, 103.0, 2.0)]
    assert contents.summary("r", "loss")["last"] == 2.0


def test_only_the_owner_ends_a_run(recording: Recordings, contents: Any) -> None:
    """An end that a worker records does not count, whether it is folded before or after the owner's."""
    owner, worker = recording(), recording()
    worker.finish("r", "killed", at=5)
    contents.fold()
    owner.start("r", at=0)
    assert contents.fold().run("r")["status"] == "running"
    worker.finish("r", "killed", at=6)
    assert contents.fold().run("r")["status"] == "running"
    owner.finish("r", at=9)
    assert contents.fold().run("r")["status"] == "finished"


def test_a_late_fact_keeps_the_status(recording: Recordings, contents: Any) -> None:
    """What is logged after the end is recorded, and the run stays as it ended."""
    journal = recording()
    journal.start("r", at=0)
    journal.finish("r", "failed", at=4)
    contents.fold()
    journal.log("r", {"test/accuracy": 0.9}, at=60)
    row = contents.fold().run("r")
    assert (row["status"], row["duration"]) == ("failed", 4.0)
    assert row["last_event"] - row["started"] == 60_000_000
    assert contents.summary("r", "test/accuracy")["last"] == 0.9


def test_params_are_typed_and_revised(recording: Recordings, contents: Any) -> None:
    """Numbers can be compared as numbers, text as text, and the exact JSON is kept; the latest value counts."""
    journal = recording()
    values = {
        "float": 0.1, "int": 3, "huge": 10**400, "bool": True, "none": None, "text": "adam", "quoted": '"x"',
        "list": [1, 2], "nan": math.nan, "inf": -math.inf, "long": "é" * 5000, "number in text": "12",
    }  # fmt: skip
    journal.start("r")
    journal.params("r", {"float": 5.0, "text": 1})
    journal.params("r", values, origin="default")
    rows = {row["key"]: row for row in contents.fold().rows("params", "r")}
    assert {key: json.loads(row["value"]) for key, row in rows.items() if key != "nan"} == {
        key: value for key, value in values.items() if key != "nan"
    }
    assert {key: row["number"] for key, row in rows.items()} == {
        "float": 0.1, "int": 3.0, "huge": math.inf, "bool": 1.0, "none": None, "text": None, "quoted": None,
        "list": None, "nan": None, "inf": -math.inf, "long": None, "number in text": None,
    }  # fmt: skip
    assert rows["nan"]["value"] == "NaN"
    assert (rows["text"]["text"], rows["quoted"]["text"], rows["list"]["text"]) == ("adam", '"x"', "[1, 2]")
    assert rows["long"]["text"] == "é" * 500
    assert {row["origin"] for row in rows.values()} == {"default"}


def test_tags_are_set_changed_and_removed(recording: Recordings, contents: Any) -> None:
    """The latest change of a tag counts, in one batch and in several."""
    journal = recording()
    journal.start("r")
    journal.emit(events.Tags, "r", values={"a": "1", "b": "1", "c": "1"})
    journal.emit(events.Tags, "r", values={"a": None, "b": "2", "d": None})
    assert contents.fold().mapping("tags", "r") == {"b": "2", "c": "1"}
    journal.emit(events.Tags, "r", values={"b": None, "a": "3"})
    assert contents.fold().mapping("tags", "r") == {"a": "3", "c": "1"}


def test_metric_summaries_skip_nan_and_know_their_steps(recording: Recordings, contents: Any) -> None:
    """First, last, least and greatest come with their steps; NaN counts as a point and as NaN, ±Inf as a number."""
    journal = recording()
    journal.start("r")
    for step, value in enumerate([math.nan, 2.0, -1.0, math.inf, 5.0, math.nan]):
        journal.log("r", {"loss": value}, step=10 * step)
    expected = {
        "count": 6, "nans": 2, "first": None, "first_step": 0, "last": None, "last_step": 50,
        "min": -1.0, "min_step": 20, "max": math.inf, "max_step": 30, "training": 0,
    }  # fmt: skip
    assert contents.fold().summary("r", "loss") == expected
    values = [value for _, _, value in contents.history("r", "loss")]
    assert [math.isnan(value) for value in values] == [True, False, False, False, False, True]
    assert values[1:5] == [2.0, -1.0, math.inf, 5.0]


def test_a_summary_is_the_same_however_often_a_run_is_folded(recording: Recordings, contents: Any) -> None:
    """Folding after every point ends where folding once ends, with steps that repeat and go back."""
    steps = [0, 1, 2, 1, 1, 7, -3, 8] * 6
    piecewise, at_once = recording(), recording()
    for run, journal in (("often", piecewise), ("once", at_once)):
        journal.start(run, at=0)
    for index, step in enumerate(steps):
        piecewise.log("often", {"x": math.sin(index), "n": index}, step, at=index)
        at_once.log("once", {"x": math.sin(index), "n": index}, step, at=index)
        if index < len(steps) - 1:
            fold(contents.store)
            at_once_rows = contents.history("often", "x")
            assert len(at_once_rows) == index + 1
    contents.fold()
    for key in ("x", "n"):
        assert contents.summary("often", key) == contents.summary("once", key)
        assert contents.history("often", key) == contents.history("once", key)
        assert [step for step, _, _ in contents.history("once", key)] == steps
    assert all(isinstance(value, int) for _, _, value in contents.history("often", "n"))


def test_a_metric_with_one_point_takes_no_chunk(recording: Recordings, contents: Any) -> None:
    """The summary of a single point is all that is stored, unless a double cannot hold the integer."""
    journal = recording()
    journal.start("r")
    journal.log("r", {"a": 0.5, "b": 3, "nan": math.nan}, step=4, at=1)
    journal.log("r", {"huge": 2**60 + 1}, step=4, at=2)
    contents.fold()
    assert [row["key"] for row in contents.rows("metric_values", "r")] == ["huge"]
    assert contents.history("r", "a") == [(4, 1.0, 0.5)]
    assert contents.history("r", "huge") == [(4, 2.0, 2**60 + 1)]
    journal.log("r", {"a": 1.5}, step=9, at=3)
    journal.log("r", {"b": 2**60 + 1}, step=9, at=4)
    contents.fold()
    assert contents.history("r", "a") == [(4, 1.0, 0.5), (9, 3.0, 1.5)]
    assert contents.history("r", "b") == [(4, 1.0, 3), (9, 4.0, 2**60 + 1)]
    assert contents.summary("r", "a")["count"] == 2


def test_two_ranks_append_to_one_run(recording: Recordings, contents: Any) -> None:
    """Points from several journals make one history, ordered by time; first and last are so by time, too."""
    leader, other = recording(), recording()
    other.log("r", {"x": 1.0}, step=1, at=2)
    other.log("r", {"x": 3.0}, step=3, at=6)
    contents.fold()
    leader.start("r", at=0)
    leader.log("r", {"x": 0.0}, step=0, at=1)
    leader.log("r", {"x": 2.0}, step=2, at=4)
    leader.finish("r", at=9)
    contents.fold()
    assert contents.history("r", "x") == [(0, 1.0, 0.0), (1, 2.0, 1.0), (2, 4.0, 2.0), (3, 6.0, 3.0)]
    summary = contents.summary("r", "x")
    assert (summary["first"], summary["last"], summary["count"]) == (0.0, 3.0, 4)


def test_sections_become_searchable_facts(recording: Recordings, contents: Any) -> None:
    """A section is kept whole, and its leaves can be searched; long strings are only in the section."""
    journal = recording()
    journal.start("r")
    data = {
        "python": "3.11", "argv": ["a.py", "--x"], "env": {"CUDA": "0"}, "cores": 8, "load": 0.5, "on": True,
        "patch": "x" * 1001, "nothing": None, "odd.key": "v", "not a number": math.nan,
    }  # fmt: skip
    journal.emit(events.Section, "r", name="process", data=data, masked=["env.TOKEN"])
    journal.emit(events.Section, "r", name="git", unavailable="git is not installed")
    contents.fold()
    texts = contents.mapping("facts", "r", "text")
    assert texts == {
        "process.python": "3.11", "process.argv.0": "a.py", "process.argv.1": "--x", "process.env.CUDA": "0",
        "process.cores": "8", "process.load": "0.5", "process.on": "true", "process.odd.key": "v",
        "process.not a number": "NaN",
    }  # fmt: skip
    assert contents.mapping("facts", "r", "number")["process.cores"] == 8.0
    git, process = contents.rows("sections", "r")
    assert (git["unavailable"], json.loads(process["masked"])) == ("git is not installed", ["env.TOKEN"])
    assert json.loads(process["data"])["patch"] == data["patch"]


def test_facts_are_those_of_the_latest_attempt(recording: Recordings, contents: Any) -> None:
    """Each attempt keeps its sections; searches see the latest one, in whatever order they arrive."""
    first, second = recording(), recording()
    second.emit(events.RunResumed, "r", at=50, attempt=2)
    second.emit(events.Section, "r", at=51, name="process", data={"host": "new"}, attempt=2)
    contents.fold()
    first.start("r", at=0)
    first.emit(events.Section, "r", at=1, name="process", data={"host": "old", "gone": 1})
    first.emit(events.Section, "r", at=1, name="processes", data={"n": 1})
    contents.fold()
    assert contents.mapping("facts", "r", "text") == {"process.host": "new", "processes.n": "1"}
    second.emit(events.Section, "r", at=52, name="process", data={"host": "newer", "pid": 3}, attempt=2)
    assert contents.fold().mapping("facts", "r", "text") == {
        "process.host": "newer", "process.pid": "3", "processes.n": "1",
    }  # fmt: skip
    assert [row["attempt"] for row in contents.rows("sections", "r")] == [1, 2, 1]


def test_everything_else_is_kept_as_it_was_recorded(recording: Recordings, here: Place, contents: Any) -> None:
    """Artifacts, media, datasets, models, evaluations, notes, console output and reports, each in its table."""
    digest = Blobs(here.blobs).put(b"bytes")
    journal = recording()
    journal.start("r")
    journal.emit(events.Artifact, "r", name="a/b.txt", digest=digest, size=5, step=3, source="/x", meta={"k": [1]})
    journal.emit(events.Artifact, "r", name="big.bin", digest="", size=9, stored=False, kind="checkpoint")
    journal.emit(events.Media, "r", key="samples", kind="image", digest=digest, size=5, step=2)
    journal.emit(events.Dataset, "r", name="train", role="train", version="2", digest="d", meta={"rows": 10})
    journal.emit(events.Model, "r", name="model", flavor="sklearn", digest="m", size=7, meta={"class": "LR"})
    journal.emit(events.Evaluation, "r", name="confusion", columns={"a": [1, 2], "b": [math.inf, None]})
    journal.emit(events.Note, "r", text="fine", user="bob")
    journal.emit(events.Console, "r", stream="stderr", text="line\n")
    journal.emit(events.Report, "r", what="git", message="no repository", level="info", count=2)
    contents.fold()
    kept, named = contents.rows("artifacts", "r")
    assert (kept["name"], kept["digest"], kept["step"], kept["source"]) == ("a/b.txt", digest, 3, "/x")
    assert (kept["stored"], json.loads(kept["meta"])) == (True, {"k": [1]})
    assert (named["stored"], named["kind"]) == (False, "checkpoint")
    [media], [dataset], [model] = (contents.rows(name, "r") for name in ("media", "datasets", "models"))
    assert (media["key"], media["kind"], media["step"]) == ("samples", "image", 2)
    assert (dataset["role"], dataset["version"], json.loads(dataset["meta"])) == ("train", "2", {"rows": 10})
    assert (model["flavor"], model["size"]) == ("sklearn", 7)
    [evaluation], [note], [console], [report] = (
        contents.rows(name, "r") for name in ("evaluations", "notes", "console", "reports")
    )
    assert json.loads(evaluation["columns"]) == {"a": [1, 2], "b": [math.inf, None]}
    assert (note["text"], note["user"]) == ("fine", "bob")
    assert (console["stream"], console["text"]) == ("stderr", "line\n")
    assert (report["what"], report["message"], report["level"], report["count"]) == ("git", "no repository", "info", 2)


def test_an_artifact_whose_bytes_are_nowhere_is_not_called_stored(recording: Recordings, contents: Any) -> None:
    """The record and the capture report state that the bytes are missing."""
    journal = recording()
    journal.start("r")
    journal.emit(events.Artifact, "r", name="gone.txt", digest="ab" * 32, size=5)
    contents.fold()
    assert contents.rows("artifacts", "r")[0]["stored"] is False
    assert "gone.txt" in contents.rows("reports", "r")[0]["message"]


def test_odd_texts_survive(recording: Recordings, contents: Any) -> None:
    """Unicode, quotes, line ends and percent signs are data, in names and in values."""
    journal = recording()
    odd = "naïve 'quo\"ted' %s %(x)s :x \n\t日本 🙂 ?;--"
    journal.start("r", name=odd, experiment=odd)
    journal.params("r", {odd: odd})
    journal.log("r", {odd: 1.0})
    journal.emit(events.Tags, "r", values={odd: odd})
    contents.fold()
    assert (contents.run("r")["name"], contents.run("r")["experiment"]) == (odd, odd)
    assert contents.mapping("tags", "r") == {odd: odd}
    assert contents.mapping("params", "r", "text") == {odd: odd}
    assert contents.summary("r", odd)["last"] == 1.0


def test_a_hundred_thousand_params(recording: Recordings, store: Store, contents: Any) -> None:
    """One run may have as many."""
    journal = recording()
    journal.start("r")
    values = {f"p.{index}": index for index in range(100_000)}
    journal.params("r", values)
    journal.params("r", {"p.5": -1})
    found = contents.fold().mapping("params", "r", "number")
    assert found == {**values, "p.5": -1}


def test_an_event_that_the_database_refuses_does_not_keep_the_others_out(recording: Recordings, contents: Any) -> None:
    """A size beyond 64 bits cannot be stored: the capture report of the run names it, and all else is stored."""
    journal = recording()
    journal.start("r")
    journal.emit(events.Note, "r", text="before")
    journal.emit(events.Artifact, "r", name="absurd", digest="", size=2**63 + 1, stored=False)
    journal.log("r", {"x": 1.0})
    journal.log("r", {"x": 2.0}, step=1)
    journal.emit(events.Note, "r", text="after")
    contents.fold()
    assert [row["text"] for row in contents.rows("notes", "r")] == ["before", "after"]
    assert [value for _, _, value in contents.history("r", "x")] == [1.0, 2.0]
    assert contents.rows("artifacts", "r") == []
    [line] = contents.rows("reports", "r")
    assert (line["what"], line["level"]) == ("Artifact", "missing")
    journal.finish("r")
    assert contents.fold().run("r")["status"] == "finished"


def test_a_character_that_a_database_cannot_hold(recording: Recordings, contents: Any) -> None:
    """The character NUL in a text costs that character at most."""
    journal = recording()
    journal.start("r", name="a\0b")
    journal.emit(events.Note, "r", text="c\0d")
    contents.fold()
    assert contents.run("r")["name"] in ("a\0b", "a\ufffdb")
    assert contents.rows("notes", "r")[0]["text"] in ("c\0d", "c\ufffdd")
