"""Trainings inside a run: one is the run's own, several are children of it, alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from autotrack import events
from autotrack.place import Place
from autotrack.store.blobs import Blobs

Recordings = Callable[..., Any]


def _train(journal: Any, run: str, number: int, at: float, **fields: Any) -> None:
    """A whole training with something of everything."""
    journal.emit(events.TrainingStarted, run, at=at, training=number, name=f"Model{number}", framework="sklearn")
    journal.params(run, {"C": number / 10, f"only.{number}": True}, at=at + 1, training=number)
    journal.log(run, {"train/loss": 1.0 / number}, step=0, at=at + 2, training=number)
    journal.log(run, {"train/loss": 0.5 / number}, step=1, at=at + 3, training=number)
    journal.log(run, {"score": 0.9}, at=at + 4, training=number)
    journal.emit(events.Dataset, run, at=at + 5, name=f"data{number}", training=number)
    journal.emit(events.Report, run, at=at + 5, what="w", message=f"m{number}", training=number)
    journal.emit(events.TrainingFinished, run, at=at + 6, training=number, status="finished", **fields)


def test_one_training_reads_as_its_run(recording: Recordings, contents: Any) -> None:
    """With one training there is one row: its facts are stored beside the run's own."""
    journal = recording()
    journal.start("r", at=0)
    journal.params("r", {"mine": 1}, at=1)
    _train(journal, "r", 1, at=10)
    journal.finish("r", at=20)
    assert contents.fold().runs() == ["r"]
    assert set(contents.mapping("params", "r")) == {"mine", "C", "only.1"}
    [training] = contents.rows("trainings", "r")
    assert (training["name"], training["framework"], training["status"]) == ("Model1", "sklearn", "finished")


@pytest.mark.parametrize("later", ["run", "training"])
@pytest.mark.parametrize("fold_between", [True, False])
def test_what_a_run_was_given_is_not_hidden_by_its_training(
    recording: Recordings, contents: Any, later: str, fold_between: bool
) -> None:
    """Whichever comes later, the param is the run's; the training's returns when it gets a row of its own."""
    journal = recording()
    journal.start("r", at=0)
    journal.params("r", {"C": "mine"}, at=50 if later == "run" else 1)
    _train(journal, "r", 1, at=10)
    if fold_between:
        contents.fold()
    journal.params("r", {"other": 1}, at=60)
    contents.fold()
    assert contents.mapping("params", "r")["C"] == '"mine"'
    _train(journal, "r", 2, at=70)
    contents.fold()
    assert contents.mapping("params", "r")["C"] == '"mine"'
    assert [contents.mapping("params", f"r~{number}")["C"] for number in (1, 2)] == ["0.1", "0.2"]


def _check_children(contents: Any) -> None:
    assert contents.runs() == ["r", "r~1", "r~2"]
    assert set(contents.mapping("params", "r")) == {"mine"}
    for number in (1, 2):
        child = f"r~{number}"
        row = contents.run(child)
        assert (row["name"], row["kind"], row["parent"]) == (f"Model{number}", "training", "r")
        assert (row["experiment"], row["user"], row["status"]) == ("digits", "ann", "finished")
        assert row["duration"] == 6.0
        assert contents.mapping("params", child) == {"C": str(number / 10), f"only.{number}": "true"}
        assert [value for _, _, value in contents.history(child, "train/loss")] == [1.0 / number, 0.5 / number]
        assert contents.summary(child, "train/loss")["min"] == 0.5 / number
        assert contents.summary(child, "score")["last"] == 0.9
        assert [row["name"] for row in contents.rows("datasets", child)] == [f"data{number}"]
        assert [row["message"] for row in contents.rows("reports", child)] == [f"m{number}"]
    for table in ("metrics", "metric_values", "metric_axes", "datasets", "reports"):
        assert contents.rows(table, "r") == []


def test_a_second_training_makes_both_children(recording: Recordings, contents: Any) -> None:
    """The facts of the first move out of the run when the second one comes, folded in between."""
    journal = recording()
    journal.start("r", at=0)
    journal.params("r", {"mine": 1}, at=1)
    _train(journal, "r", 1, at=10)
    assert contents.fold().runs() == ["r"]
    _train(journal, "r", 2, at=20)
    contents.fold()
    _check_children(contents)
    journal.log("r", {"late": 1.0}, at=40, training=1)
    journal.log("r", {"own": 1.0}, at=41)
    contents.fold()
    assert contents.summary("r~1", "late")["last"] == 1.0
    assert contents.summary("r", "own")["last"] == 1.0


def test_two_trainings_at_once_make_the_same(recording: Recordings, contents: Any) -> None:
    """Folded in one go, the outcome is the same as in steps."""
    journal = recording()
    journal.start("r", at=0)
    journal.params("r", {"mine": 1}, at=1)
    _train(journal, "r", 1, at=10)
    _train(journal, "r", 2, at=20)
    contents.fold()
    _check_children(contents)


def test_trainings_of_a_run_not_yet_seen(recording: Recordings, contents: Any) -> None:
    """The children get the experiment and user of their run when its start is folded."""
    owner, worker = recording(), recording()
    _train(worker, "r", 1, at=10)
    _train(worker, "r", 2, at=20)
    contents.fold()
    assert contents.run("r~1")["experiment"] == ""
    owner.start("r", at=0)
    owner.params("r", {"mine": 1}, at=1)
    contents.fold()
    _check_children(contents)


def test_a_metric_logged_in_and_outside_a_training_is_parted(recording: Recordings, contents: Any) -> None:
    """Each side keeps its own points and a summary of them."""
    journal = recording()
    journal.start("r", at=0)
    for step in range(4):
        journal.log("r", {"loss": float(step)}, step=step, at=1 + step)
        journal.log("r", {"loss": 10.0 + step}, step=step, at=1.5 + step, training=1)
    assert contents.fold().summary("r", "loss")["count"] == 8
    journal.emit(events.TrainingStarted, "r", at=50, training=2, name="Second")
    contents.fold()
    assert [value for _, _, value in contents.history("r", "loss")] == [0.0, 1.0, 2.0, 3.0]
    assert [value for _, _, value in contents.history("r~1", "loss")] == [10.0, 11.0, 12.0, 13.0]
    assert (contents.summary("r", "loss")["max"], contents.summary("r~1", "loss")["min"]) == (3.0, 10.0)
    assert (contents.summary("r", "loss")["count"], contents.summary("r~1", "loss")["count"]) == (4, 4)


def test_a_training_that_failed_says_why(recording: Recordings, contents: Any) -> None:
    """Its exception is kept, and shown on the child once there is one."""
    journal = recording()
    journal.start("r", at=0)
    failure = events.Failure(type="E", message="diverged", traceback="t")
    journal.emit(events.TrainingStarted, "r", training=1, name="A")
    journal.emit(events.TrainingFinished, "r", training=1, status="failed", failure=failure)
    contents.fold()
    journal.emit(events.TrainingStarted, "r", training=2, name="B")
    contents.fold()
    row = contents.run("r~1")
    assert (row["status"], row["failure_type"], row["failure_message"], row["traceback"]) == (
        "failed",
        "E",
        "diverged",
        "t",
    )
    assert contents.run("r~2")["status"] == "running"


def test_a_training_cut_short_ends_with_its_run(recording: Recordings, contents: Any) -> None:
    """When the run ends while a training was on, the training ended in the same way."""
    journal = recording()
    journal.start("r", at=0)
    journal.emit(events.TrainingStarted, "r", at=1, training=1, name="A")
    journal.emit(events.TrainingFinished, "r", at=2, training=1, status="finished")
    journal.emit(events.TrainingStarted, "r", at=3, training=2, name="B")
    journal.finish("r", "killed", at=9)
    contents.fold()
    assert [contents.run(run)["status"] for run in ("r", "r~1", "r~2")] == ["killed", "finished", "killed"]
    assert [row["status"] for row in contents.rows("trainings", "r")] == ["finished", "killed"]


def test_a_late_tag_on_the_run_of_a_training_keeps_its_duration(recording: Recordings, contents: Any) -> None:
    """A tag set later on a training that is a run of its own changes nothing about its times."""
    journal, later = recording(), recording()
    journal.start("r", at=0)
    _train(journal, "r", 1, at=10)
    _train(journal, "r", 2, at=20)
    journal.finish("r", at=30)
    contents.fold()
    later.emit(events.Tags, "r~1", at=100, values={"best": "yes"})
    row = contents.fold().run("r~1")
    assert (row["duration"], row["status"], row["parent"]) == (6.0, "finished", "r")
    assert contents.mapping("tags", "r~1") == {"best": "yes"}


def test_files_of_a_training_follow_it(recording: Recordings, here: Place, contents: Any) -> None:
    """Artifacts, media, models and evaluations move with their training."""
    digest = Blobs(here.blobs).put(b"x")
    journal = recording()
    journal.start("r")
    journal.emit(events.Artifact, "r", training=1, name="a", digest=digest, size=1)
    journal.emit(events.Media, "r", training=1, key="k", kind="image", digest=digest, size=1)
    journal.emit(events.Model, "r", training=1, name="model", flavor="f", digest="d", size=1)
    journal.emit(events.Evaluation, "r", training=1, name="e", columns={"a": [1]})
    contents.fold()
    journal.emit(events.TrainingStarted, "r", training=2, name="B")
    contents.fold()
    for table in ("artifacts", "media", "models", "evaluations"):
        assert contents.rows(table, "r") == []
        assert len(contents.rows(table, "r~1")) == 1
    assert json.loads(contents.rows("evaluations", "r~1")[0]["columns"]) == {"a": [1]}


def _candidates(journal: Any, run: str, number: int, at: float) -> None:
    """Two runs that belong to training `number` of `run`."""
    for name in ("a", "b"):
        candidate = f"{run}{number}{name}"
        journal.start(candidate, at=at, parent=run, training=number, kind="trial")
        journal.params(candidate, {"C": number}, at=at + 1)
        journal.finish(candidate, at=at + 2)


def _parents(contents: Any) -> dict[str, str | None]:
    return {run: contents.run(run)["parent"] for run in contents.runs()}


SPLIT = {"r": None, "r~1": "r", "r~2": "r", "r1a": "r~1", "r1b": "r~1", "r2a": "r~2", "r2b": "r~2"}


def test_the_runs_of_a_training_are_the_runs_own_while_it_is_alone(recording: Recordings, contents: Any) -> None:
    """The candidates of the only search of a run are children of the run."""
    journal = recording()
    journal.start("r", at=0)
    journal.emit(events.TrainingStarted, "r", at=1, training=1, name="Search", kind="search")
    _candidates(journal, "r", 1, at=2)
    assert _parents(contents.fold()) == {"r": None, "r1a": "r", "r1b": "r"}


def test_the_runs_of_a_training_follow_it(recording: Recordings, contents: Any) -> None:
    """With a second search each has its candidates, whatever is folded when."""
    journal = recording()
    journal.start("r", at=0)
    journal.emit(events.TrainingStarted, "r", at=1, training=1, name="Search")
    _candidates(journal, "r", 1, at=2)
    contents.fold()
    journal.emit(events.TrainingStarted, "r", at=5, training=2, name="Search")
    contents.fold()
    _candidates(journal, "r", 2, at=6)
    journal.params("r1a", {"late": 1})
    assert _parents(contents.fold()) == SPLIT
    assert set(contents.mapping("params", "r1a")) == {"C", "late"}


def test_the_runs_of_a_training_follow_it_in_one_go(recording: Recordings, contents: Any) -> None:
    """Folded all at once, each search has its candidates, too; runs that name no training stay with the run."""
    journal = recording()
    journal.start("r", at=0)
    journal.emit(events.TrainingStarted, "r", at=1, training=1, name="Search")
    _candidates(journal, "r", 1, at=2)
    journal.emit(events.TrainingStarted, "r", at=5, training=2, name="Search")
    _candidates(journal, "r", 2, at=6)
    journal.start("own", parent="r")
    assert _parents(contents.fold()) == SPLIT | {"own": "r"}


def test_the_runs_of_a_training_may_come_first(recording: Recordings, contents: Any) -> None:
    """Candidates from another journal, seen before or after the trainings of their parent."""
    early, owner, late = recording(), recording(), recording()
    _candidates(early, "r", 1, at=2)
    contents.fold()
    owner.start("r", at=0)
    for number in (1, 2):
        owner.emit(events.TrainingStarted, "r", at=number, training=number, name="Search")
    contents.fold()
    _candidates(late, "r", 2, at=6)
    assert _parents(contents.fold()) == SPLIT


def _section(journal: Any, run: str, training: int, value: Any, **fields: Any) -> None:
    journal.emit(events.Section, run, name="search", data={"space": value}, training=training, **fields)


def _sections(contents: Any, run: str) -> tuple[list[Any], list[Any]]:
    data = [json.loads(row["data"])["space"] for row in contents.rows("sections", run)]
    return data, [row["text"] for row in contents.rows("facts", run)]


def test_sections_of_trainings_do_not_meet(recording: Recordings, contents: Any) -> None:
    """Each training keeps its section of the same name beside the run's own, and what is searched follows it."""
    journal = recording()
    journal.start("r")
    _section(journal, "r", 0, "own")
    _section(journal, "r", 1, "first")
    assert _sections(contents.fold(), "r") == (["own", "first"], ["first"])
    _section(journal, "r", 2, "second")
    contents.fold()
    assert _sections(contents, "r") == (["own"], ["own"])
    assert _sections(contents, "r~1") == (["first"], ["first"])
    assert _sections(contents, "r~2") == (["second"], ["second"])


def test_sections_of_trainings_do_not_meet_in_one_go(recording: Recordings, contents: Any) -> None:
    """The same, folded all at once."""
    journal = recording()
    journal.start("r")
    _section(journal, "r", 2, "second")
    _section(journal, "r", 1, "first")
    _section(journal, "r", 0, "own")
    contents.fold()
    assert [_sections(contents, run)[1] for run in ("r", "r~1", "r~2")] == [["own"], ["first"], ["second"]]
