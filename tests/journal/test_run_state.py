"""The state of runs, worked out from their events in whatever order the journals are read."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from autotrack import events
from autotrack.events import Event, MetricRows
from autotrack.journal.run_state import AppliedBatch, RunState, RunStates, changes_by_run

Batch = tuple[str, list[Event | MetricRows]]  # a journal, and events from it


def at(second: float, **fields: Any) -> dict[str, Any]:
    """The fields of an event of the run "r"."""
    return {"run": "r", "time": second, **fields}


def started(second: float = 1.0, **fields: Any) -> events.RunStarted:
    """The start of the run."""
    return events.RunStarted(**at(second, **{"name": "mine", "experiment": "e", "user": "ann", **fields}))


def finished(second: float, status: Any = "finished", **fields: Any) -> events.RunFinished:
    """The end of an attempt of the run."""
    return events.RunFinished(**at(second, status=status, **fields))


def training(second: float, number: int, **fields: Any) -> events.TrainingStarted:
    """The start of a training in the run."""
    return events.TrainingStarted(**at(second, training=number, name=f"Model{number}", **fields))


def trained(second: float, number: int, **fields: Any) -> events.TrainingFinished:
    """The end of a training in the run."""
    return events.TrainingFinished(**at(second, training=number, **{"status": "finished", **fields}))


def states_after(*batches: Batch) -> RunStates:
    """The states after these batches, one after another."""
    states = RunStates()
    for journal, found in batches:
        states.apply(changes_by_run(found), journal)
    return states


def run_after(*batches: Batch) -> RunState:
    """The state of the run "r" after these batches."""
    return states_after(*batches).runs["r"]


def orders(journals: dict[str, Sequence[Event]]) -> Iterator[list[Batch]]:
    """All orders in which journals can be read event by event: each in its own order, mixed in every way."""
    turns = [journal for journal, found in journals.items() for _ in found]
    for order in sorted(set(itertools.permutations(turns))):
        iterators = {journal: iter(found) for journal, found in journals.items()}
        yield [(journal, [next(iterators[journal])]) for journal in order]


def test_a_run_lasts_from_its_start_to_its_end() -> None:
    """Times are microseconds, the duration is seconds."""
    run = run_after(("a", [started(1.5), events.Params(**at(2.0, values={})), finished(4.0, exit_code=3)]))
    assert (run.name, run.experiment, run.user, run.status, run.exit_code) == ("mine", "e", "ann", "finished", 3)
    assert (run.started, run.ended, run.last_event, run.duration) == (1_500_000, 4_000_000, 4_000_000, 2.5)
    assert (run.attempt, run.owner) == (1, "a")


def test_a_run_whose_start_has_not_arrived_is_running() -> None:
    """It is named after its id, has no attempt, and belongs to the journal that named it first."""
    run = run_after(("worker", [events.Params(**at(2.0, values={}))]))
    assert (run.name, run.status, run.attempt, run.owner, run.started) == ("r", "running", 0, "worker", None)


def test_the_latest_attempt_decides_in_every_order() -> None:
    """A run that was resumed twice, in journals of its own each, ends as its last attempt does."""
    journals = {
        "a": [started(1.0), finished(2.0, "killed", exit_code=137)],
        "b": [events.RunResumed(**at(10.0, attempt=2)), finished(12.0, "failed", attempt=2)],
        "c": [events.RunResumed(**at(20.0, attempt=3, host="h")), finished(23.0, attempt=3)],
    }
    for order in orders(journals):
        run = run_after(*order)
        assert (run.status, run.attempt, run.owner, run.host) == ("finished", 3, "c", "h")
        assert (run.exit_code, run.failure, run.ended) == (None, None, 23_000_000)
        assert (run.started, run.duration) == (1_000_000, 6.0)
        assert [attempt.status for _, attempt in sorted(run.attempts.items())] == ["killed", "failed", "finished"]


def test_a_resumed_run_is_running_again() -> None:
    """The outcome of the attempt before does not stay."""
    failure = events.Failure(type="E", message="m")
    batches: list[Batch] = [("a", [started(), finished(2.0, "failed", failure=failure, exit_code=1)])]
    assert run_after(*batches).failure == failure
    run = run_after(*batches, ("b", [events.RunResumed(**at(3.0, attempt=2))]))
    assert (run.status, run.failure, run.exit_code, run.duration, run.ended) == ("running", None, None, None, None)


def test_of_two_owners_of_an_attempt_the_later_one_counts_in_every_order() -> None:
    """Two processes resumed the run at once; the end in the journal of the earlier one decides nothing."""
    journals = {
        "a": [started(1.0), finished(2.0, "killed")],
        "b": [events.RunResumed(**at(10.0, attempt=2)), finished(11.0, "failed", attempt=2, exit_code=1)],
        "c": [events.RunResumed(**at(10.5, attempt=2))],
    }
    for order in orders(journals):
        run = run_after(*order)
        assert (run.status, run.owner, run.exit_code) == ("running", "c", None), order


def test_a_worker_ends_no_run() -> None:
    """Facts of other journals only move the time of the latest fact."""
    run = run_after(("a", [started()]), ("worker", [finished(5.0, "failed"), events.Note(**at(6.0, text="t"))]))
    assert (run.status, run.owner, run.last_event) == ("running", "a", 6_000_000)


def test_a_run_ends_once() -> None:
    """A fact that arrives after the end changes the run and ends it no second time."""
    states = RunStates()
    assert states.apply(changes_by_run([started(), finished(2.0)]), "a").ended == {"r"}
    late = states.apply(changes_by_run([events.Tags(**at(3.0, values={"best": "yes"}))]), "a")
    assert (list(late.changed), late.ended) == (["r"], set())


def test_the_latest_name_counts_in_every_order() -> None:
    """The start and each later renaming, from any journal, give the run a name."""
    journals = {
        "a": [started(1.0), events.RunRenamed(**at(5.0, name="third"))],
        "b": [events.RunRenamed(**at(4.0, name="second"))],
    }
    assert {run_after(*order).name for order in orders(journals)} == {"third"}


def test_a_single_training_is_a_part_of_its_run() -> None:
    """There is one run; the training is known by its number, and ends with the run if it did not end before."""
    states = states_after(("a", [started(), training(2.0, 1, framework="f"), finished(3.0, "killed")]))
    assert list(states.runs) == ["r"]
    (only,) = states.runs["r"].trainings.values()
    assert (only.name, only.framework, only.status, only.ended, only.run) == ("Model1", "f", "killed", 3_000_000, None)


def test_several_trainings_become_runs() -> None:
    """With the second training both are runs below the first, with times, outcome and last fact of their own."""
    failure = events.Failure(type="E", message="diverged")
    first = [started(), training(2.0, 1), events.Params(**at(2.5, training=1, values={})), trained(4.0, 1)]
    states = states_after(("a", first))
    changed = changes_by_run([training(5.0, 2), trained(6.5, 2, status="failed", failure=failure)])
    applied = states.apply(changed, "a")
    assert [(run.id, part.number) for run, part in applied.split] == [("r", 1), ("r", 2)]
    assert list(applied.changed) == ["r", "r~1", "r~2"]
    assert applied.ended == {"r~1", "r~2"}
    one, two = states.runs["r~1"], states.runs["r~2"]
    assert (one.name, one.kind, one.parent, one.experiment, one.user) == ("Model1", "training", "r", "e", "ann")
    assert (one.status, one.duration, two.status, two.duration) == ("finished", 2.0, "failed", 1.5)
    assert (one.failure, two.failure) == (None, failure)


def test_only_trainings_that_changed_are_reported() -> None:
    """A fact of one training changes the run and that training's run; the start or end of the run changes all."""
    states = states_after(("a", [started(), training(2.0, 1), training(3.0, 2)]))
    one = states.apply(changes_by_run([events.Params(**at(4.0, training=1, values={}))]), "a")
    assert (list(one.changed), states.runs["r~1"].last_event) == (["r", "r~1"], 4_000_000)
    everything = states.apply(changes_by_run([finished(9.0, "killed")]), "a")
    assert everything.ended == {"r", "r~1", "r~2"}


def test_trainings_are_the_same_in_every_order() -> None:
    """Trainings of a run, recorded by its own process and by a worker, split alike however the journals are read."""
    journals = {
        "a": [started(), training(2.0, 1), finished(9.0, "failed")],
        "worker": [training(3.0, 2), trained(4.0, 2)],
    }
    found = {
        (run.id, run.name, run.status, run.parent, run.started, run.ended, run.experiment, run.user)
        for order in orders(journals)
        for run in states_after(*order).runs.values()
    }
    assert sorted(found) == [
        ("r", "mine", "failed", None, 1_000_000, 9_000_000, "e", "ann"),
        ("r~1", "Model1", "failed", "r", 2_000_000, 9_000_000, "e", "ann"),
        ("r~2", "Model2", "finished", "r", 3_000_000, 4_000_000, "e", "ann"),
    ]


def test_runs_below_a_training_go_below_its_run_in_every_order() -> None:
    """A candidate of a search that is a training stays below the run until the training is a run of its own."""
    candidate = events.RunStarted(run="c", time=2.5, name="c", experiment="e", parent="r", training=1)
    state = states_after(("a", [started(), training(2.0, 1), candidate])).runs["c"]
    assert (state.parent, state.parent_training, state.trainings) == ("r", 1, {})
    journals = {"a": [started(), training(2.0, 1), training(3.0, 2)], "b": [candidate]}
    assert {states_after(*order).runs["c"].parent for order in orders(journals)} == {"r~1"}


def test_a_late_fact_of_a_trainings_run_keeps_its_duration() -> None:
    """A tag that is set on the run of a training is a fact of a run without attempts."""
    states = states_after(("a", [started(), training(2.0, 1), trained(4.0, 1), training(5.0, 2), finished(9.0)]))
    states.apply(changes_by_run([events.Tags(run="r~1", time=20.0, values={"best": "yes"})]), "b")
    assert (states.runs["r~1"].duration, states.runs["r~1"].last_event) == (2.0, 20_000_000)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), 1e300])
def test_a_time_that_is_none_does_not_count(time: float) -> None:
    """Neither of an event nor of one among many points; the other times do."""
    frame = events.Frame(run="r", keys=("loss",), types="d", training=3)
    rows = MetricRows(frame, np.arange(2), np.array([5.0, time]), (np.zeros(2),))
    run = run_after(("a", [started(), events.Note(**at(time, text="t")), rows]))
    assert (run.last_event, list(run.trainings)) == (5_000_000, [3])


def test_states_can_be_kept_between_batches() -> None:
    """A sink may write the states down with msgspec and continue from them in another process."""
    candidate = events.RunStarted(run="c", time=2.5, name="c", experiment="e", parent="r", training=1)
    first: Batch = ("a", [started(), training(2.0, 1), candidate])
    second: Batch = ("a", [training(3.0, 2), finished(9.0)])
    kept = msgspec.json.encode(list(states_after(first).runs.values()))
    states = RunStates(msgspec.json.decode(kept, type=list[RunState]))
    applied = states.apply(changes_by_run(second[1]), second[0])
    assert isinstance(applied, AppliedBatch)
    assert "c" in applied.changed
    at_once = states_after(first, second).runs
    assert {run: dataclasses.asdict(state) for run, state in states.runs.items()} == {
        run: dataclasses.asdict(state) for run, state in at_once.items()
    }
