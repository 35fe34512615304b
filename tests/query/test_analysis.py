"""Best runs, Pareto fronts and groups of runs that differ in their seeds only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

import autotrack
from autotrack.exceptions import FilterError, InvalidValueError, NotFoundError
from autotrack.query import pareto as pareto_module
from autotrack.query.analysis import group_by, place_of_best, sense
from autotrack.query.columns import column
from autotrack.query.pareto import non_dominated
from autotrack.query.queries import find_runs
from autotrack.query.records import Runs
from autotrack.recording.collector import collector
from autotrack.store import schema


def all_of(seed: Any) -> Runs:
    """The seeded runs, oldest first."""
    return find_runs(seed.store, order_by="run.started")


def names(runs: Runs) -> list[str]:
    """The names of the runs."""
    return [record.name for record in runs]


def by_definition(points: np.ndarray) -> list[bool]:
    """The front, spelled out: nobody is nowhere greater and somewhere less."""
    return [not bool(((points <= one).all(axis=1) & (points < one).any(axis=1)).any()) for one in points]


NUMBERS = st.sampled_from([0.0, 1.0, 2.0, 3.5, -math.inf, math.inf])


@given(
    width=st.integers(1, 5),
    rows=st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.5, -math.inf, math.inf]), min_size=5, max_size=5), max_size=40
    ),
    small=st.sampled_from([1, 8, 1 << 14]),
)
@settings(max_examples=300, deadline=None)
def test_the_front_is_what_its_definition_says(width: int, rows: list[list[float]], small: int) -> None:
    """For any number of objectives, with ties, duplicates and infinities, however small the parts it is split into."""
    points = np.array(rows, dtype=float).reshape(-1, 5)[:, :width]
    before, pareto_module._SMALL = pareto_module._SMALL, small
    try:
        assert non_dominated(points).tolist() == by_definition(points)
    finally:
        pareto_module._SMALL = before


def test_a_hundred_thousand_points_that_are_all_on_the_front_stay() -> None:
    """On a circle and on a sphere no point beats another; one in the middle loses to them."""
    angles = np.random.default_rng(0).uniform(math.pi, 1.5 * math.pi, 100_000)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert non_dominated(circle).all()
    sphere = -np.abs(np.random.default_rng(0).normal(size=(20_000, 3)))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    found = non_dominated(np.concatenate([sphere, [[-0.1, -0.1, -0.1]]]))
    assert found[:-1].all()
    assert not found[-1]


def test_the_front_of_accuracy_and_duration(seed: Any) -> None:
    """Runs that are as good as each other both stay, runs beaten in both go, and the order is kept."""
    for name, accuracy, duration in [("slow", 0.9, 60.0), ("twin", 0.9, 60.0), ("quick", 0.8, 5.0), ("bad", 0.7, 50.0)]:
        seed(name, metrics={"accuracy": accuracy}, duration=duration)
    runs = all_of(seed)
    assert names(runs.pareto({"metrics.accuracy": "max", "run.duration": "min"})) == ["slow", "twin", "quick"]
    assert names(runs.pareto({"accuracy": "max"})) == ["slow", "twin"]


def test_runs_that_cannot_be_compared_are_left_out_and_counted(seed: Any) -> None:
    """A NaN or a missing value is no reason to be on the front, and the user hears of it."""
    seed("nan", metrics={"accuracy": math.nan})
    seed("none")
    seed("inf", metrics={"accuracy": math.inf})
    seed("some", metrics={"accuracy": 0.5})
    with pytest.warns(UserWarning, match="2 of 4 runs are left out"):
        assert names(all_of(seed).pareto({"metrics.accuracy": "max"})) == ["inf"]


def test_objectives_that_make_no_sense_are_refused(seed: Any) -> None:
    """No objective, a direction that is none, a name that means nothing, or one with several values per run."""
    seed(metrics={"accuracy": 1.0})
    runs = all_of(seed)
    with pytest.raises(InvalidValueError, match="at least one objective"):
        runs.pareto({})
    with pytest.raises(InvalidValueError, match="'min' or 'max', not 'up'"):
        runs.pareto({"metrics.accuracy": "up"})
    with pytest.raises(FilterError):
        runs.pareto({"run.speed": "min"})
    with pytest.raises(FilterError, match="no one value"):
        column(runs, "artifacts.size")


def test_the_front_of_no_runs_is_empty(seed: Any) -> None:
    """Nothing found is nothing to compare."""
    assert len(all_of(seed).pareto({"metrics.accuracy": "max", "run.duration": "min"})) == 0


def test_the_best_run_is_the_one_that_reached_the_best_value(seed: Any) -> None:
    """Its best step counts, not its last; an aggregate in the name overrules that."""
    seed("peaked", metrics={"val/accuracy": [0.5, 0.95, 0.6], "val/loss": [1.0, 0.2, 0.9]})
    seed("steady", metrics={"val/accuracy": [0.5, 0.8, 0.9], "val/loss": [1.0, 0.5, 0.4]})
    seed("silent", metrics={"val/accuracy": math.nan})
    runs = all_of(seed)
    assert runs[place_of_best(runs, "val/accuracy")].name == "peaked"
    assert runs[place_of_best(runs, "metrics.val/accuracy.last")].name == "steady"
    assert runs[place_of_best(runs, "val/loss")].name == "peaked"
    assert runs[place_of_best(runs, "val/loss.last", mode="max")].name == "peaked"
    with pytest.raises(NotFoundError, match="none of the 3 runs"):
        runs[place_of_best(runs, "test/accuracy")]
    with pytest.raises(InvalidValueError, match="does not tell which way"):
        runs[place_of_best(runs, "weight")]


@pytest.mark.parametrize(
    ("metric", "way"),
    [
        ("val/loss", "min"), ("eval_loss", "min"), ("root_mean_squared_error", "min"), ("score_time", "min"),
        ("val/accuracy", "max"), ("test_f1-score", "max"), ("neg_mean_squared_error", "max"), ("r2", "max"),
        ("weight", None), ("lossless", None), ("epoch", None),
    ],
)  # fmt: skip
def test_names_tell_which_way_is_better(metric: str, way: str | None) -> None:
    """By whole words, those of a loss before those of a score."""
    assert sense(metric) == way


def test_seeds_become_a_mean_and_a_spread(seed: Any) -> None:
    """One row per value of the param, in the order of numbers; the sample's standard deviation; NaN does not count."""
    for lr, accuracy in [(0.1, 0.8), (0.1, 0.9), (0.01, 0.5), (0.1, math.nan), (1, 0.3)]:
        seed(params={"lr": lr}, metrics={"accuracy": accuracy, "system/cpu": 3.0})
    groups = all_of(seed).group_by("params.lr")
    assert [(group.label, group.runs) for group in groups] == [((0.01,), 1), ((0.1,), 3), ((1,), 1)]
    assert groups.metrics == ("accuracy",)
    middle = groups[1]["accuracy"]
    assert (middle.mean, middle.min, middle.max, middle.count) == (pytest.approx(0.85), 0.8, 0.9, 2)
    assert middle.std == pytest.approx(np.std([0.8, 0.9], ddof=1))
    assert math.isnan(groups[0]["accuracy"].std)
    assert "0.85 ± 0.071" in repr(groups)


def test_groups_turn_into_frames(seed: Any) -> None:
    """Arrow, pandas and polars have the same columns; keys are typed; what there is none of is null."""
    for lr, optimizer, accuracy in [(0.1, "adam", 0.8), (0.1, "sgd", 0.9), (1, "adam", None)]:
        seed(params={"lr": lr, "optimizer": optimizer}, metrics={} if accuracy is None else {"accuracy": accuracy})
    groups = group_by(all_of(seed), ["lr", "params.optimizer"], ["accuracy", "run.duration"])
    table = groups.to_arrow()
    assert table.column_names[:5] == ["lr", "params.optimizer", "runs", "accuracy.mean", "accuracy.std"]
    assert table["lr"].to_pylist() == [0.1, 0.1, 1.0]
    assert table["accuracy.mean"].to_pylist() == [0.8, 0.9, None]
    assert table["run.duration.count"].to_pylist() == [1, 1, 1]
    assert list(groups.to_pandas().columns) == groups.to_polars().columns == table.column_names


def test_labels_of_all_kinds_keep_apart_what_is_different(seed: Any) -> None:
    """1 and 1.0 are one group; 1, True, "1", a list and nothing are five; the text of a label cannot break the page."""
    for value in [1, 1.0, True, "1", [1, 2], "<script>", 10**400]:
        seed(params={"x": value})
    seed()
    groups = group_by(all_of(seed), "x")
    assert [group.runs for group in groups] == [1, 2, 1, 1, 1, 1, 1]
    assert groups[-1].label == (None,)
    assert "<script>" not in groups._repr_html_()
    assert len(groups.to_arrow()) == 7


def test_thousands_of_runs_are_judged_at_once(seed: Any) -> None:
    """The best, the front and the groups of five thousand runs are what their definitions say."""
    rng = np.random.default_rng(0)
    accuracy, lr = rng.random(5000), rng.integers(0, 4, 5000) / 10
    with seed.store.write() as connection:
        runs = [
            {
                "id": f"r{place}", "name": f"r{place}", "experiment": "big", "kind": "run", "status": "finished",
                "attempt": 1, "user": "", "host": "", "pid": 1, "started": place, "duration": 1.0, "last_event": place,
            }
            for place in range(5000)
        ]  # fmt: skip
        connection.execute(insert(schema.runs), runs)
        common = {"count": 1, "nans": 0}
        metrics = [
            {"run_pk": n + 1, "key": "a", "last": float(v), "max": float(v), **common} for n, v in enumerate(accuracy)
        ]
        connection.execute(insert(schema.metrics), metrics)
        params = [{"run_pk": n + 1, "key": "lr", "value": repr(float(v)), "origin": "set"} for n, v in enumerate(lr)]
        connection.execute(insert(schema.params), params)
    runs_found = all_of(seed)
    assert runs_found[place_of_best(runs_found, "a", "max")].name == f"r{int(accuracy.argmax())}"
    expected = by_definition(np.stack([lr, -accuracy], axis=1))
    assert names(runs_found.pareto({"params.lr": "min", "metrics.a": "max"})) == [
        f"r{place}" for place in np.flatnonzero(expected)
    ]
    groups = group_by(runs_found, "lr")
    assert [group["a"].mean for group in groups] == pytest.approx([accuracy[lr == one].mean() for one in np.unique(lr)])


def test_recorded_runs_answer_by_all_their_names() -> None:
    """Values of a real run: typed params, tags, times, durations, packages and facts of the machine."""
    with autotrack.start_run("one", params={"layers": [64, 32], "deep": {"er": True}}, tags={"team": "x"}) as run:
        run.log({"loss": 3}, step=1)
        run.log({"loss": 1}, step=2)
    assert collector().background.wait(170) == []
    runs = autotrack.runs()
    answers = {name: column(runs, name)[0] for name in ("params.layers", "params.deep.er", "tags.team", "run.name")}
    assert answers == {"params.layers": [64, 32], "params.deep.er": True, "tags.team": "x", "run.name": "one"}
    assert [column(runs, f"metrics.loss.{part}")[0] for part in ("first", "last", "count")] == [3, 1, 2]
    assert column(runs, "run.started") == [runs[0].started]
    assert column(runs, "packages.numpy") == [np.__version__]
    assert column(runs, "params.nothing") == [None]
