"""Where the facts of other trackers go, and which of them are taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.recording.lifecycle.trainings import begin_training
from autotrack.training import other_trackers
from autotrack.training.other_trackers import Heard


def points(record: Any, metric: str) -> list[tuple[int, float]]:
    """Steps and values of a metric."""
    history = record.history(metric)
    return list(zip(history["step"], history["value"], strict=True))


def test_with_no_run_open_one_begins_and_ends_with_theirs() -> None:
    """It has their name, experiment and tags; what left their run is its failure."""
    heard = other_trackers.begin("other", name="theirs", experiment="exp", tags={"team": "x"}, facts={"other.id": "7"})
    heard.failing(ValueError("no such luck"))
    heard.finish("failed")
    record = autotrack.get_run("theirs")
    assert (record.experiment, record.status, record.failure_message) == ("exp", "failed", "no such luck")
    assert record.tags == {"team": "x", "other.id": "7"}


def test_in_an_open_run_the_first_joins_and_the_next_become_children() -> None:
    """Each tracker joins once; a run that was joined is not ended by theirs."""
    with autotrack.start_run("mine"):
        first = other_trackers.begin("one", name="a")
        first.params({"lr": 1})
        first.finish()
        second = other_trackers.begin("one", name="b")
        second.params({"lr": 2})
        second.finish()
        other_trackers.begin("two", name="c").params({"depth": 3})
    record = autotrack.get_run("mine")
    assert dict(record.params) == {"lr": 1, "depth": 3}
    assert [(child.name, dict(child.params)) for child in record.children()] == [("b", {"lr": 2})]
    assert (record.tags["one.name"], record.tags["two.name"]) == ("a", "c")


def test_during_a_training_facts_go_to_it() -> None:
    """The run of a training is an open run like any other."""
    training = begin_training("Net", "framework")
    other_trackers.begin("other", name="theirs").metrics({"loss": 0.5}, 1)
    training.finish()
    (record,) = autotrack.runs()
    assert (record.kind, points(record, "loss")) == ("training", [(1, 0.5)])


def test_two_trackers_that_are_told_the_same_make_one_point() -> None:
    """The same metric, step and value is taken once; another value, or the same tracker again, is another point."""
    with autotrack.start_run("mine"):
        one, two = Heard("one"), Heard("two")
        for step in range(3):
            one.metrics({"loss": step / 2, "only": 1.0}, step)
            two.metrics({"loss": step / 2}, step)
        two.metrics({"loss": 9.0}, 2)
        one.metrics({"only": 1.0}, 2)
    record = autotrack.get_run("mine")
    assert points(record, "loss") == [(0, 0.0), (1, 0.5), (2, 1.0), (2, 9.0)]
    assert points(record, "only") == [(0, 1.0), (1, 1.0), (2, 1.0), (2, 1.0)]


def test_what_has_no_place_is_named_and_the_rest_is_taken(tmp_path: Path) -> None:
    """A value, a name or a file that cannot be recorded becomes a line of the capture report, never an exception."""
    with autotrack.start_run("mine"):
        heard = Heard("other")
        heard.metrics({"loss": object()}, 1)
        heard.metrics({"loss": 0.5}, 1)
        heard.content(b"x", "../outside.txt")
        heard.file(tmp_path / "nowhere", "nowhere")
        heard.params({"api_key": "sk-0123456789abcdef0123"})
        for _ in range(3):
            heard.missed("the audio was not taken")
    record = autotrack.get_run("mine")
    assert points(record, "loss") == [(1, 0.5)]
    told = [line.message for line in record.capture_report if line.what == "other"]
    assert len(told) == 3
    assert "metrics loss were not taken" in told[0]
    assert "../outside.txt" in told[1]
    assert record.params["api_key"] == "[masked]"


@pytest.mark.parametrize("off", ["paused", "environment"])
def test_off_is_off(off: str, monkeypatch: pytest.MonkeyPatch, recorded: Callable[[], list[Any]]) -> None:
    """Nothing is recorded in a paused block or with AUTOTRACK=0."""
    if off == "environment":
        monkeypatch.setenv("AUTOTRACK", "0")
    with autotrack.paused():
        heard = other_trackers.begin("other", name="theirs")
        heard.metrics({"loss": 0.5}, 1)
        heard.params({"lr": 1})
        heard.finish()
    assert recorded() == []
