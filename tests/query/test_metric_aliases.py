"""Metrics answer to the names that frameworks give them, too."""

from __future__ import annotations

from typing import Any

import pytest

from autotrack.exceptions import FilterError, NotFoundError
from autotrack.query.analysis import place_of_best
from autotrack.query.queries import find_runs, get_record
from autotrack.query.records import Runs
from autotrack.roles import aliases

BOTH = pytest.mark.parametrize("seed", ["sqlite", "postgresql"], indirect=True)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("val_loss", "val/loss"), ("eval_loss", "val/loss"), ("validation_mean_iou", "val/mean_iou"),
        ("test_acc", "test/acc"), ("train_loss", None), ("loss", None), ("val_", None), ("_loss", None),
        ("val/loss", None), ("evaluation_loss", None), ("Val_loss", None),
    ],
)  # fmt: skip
def test_only_these_are_taken_for_others(name: str, stored: str | None) -> None:
    """A role in front, as frameworks write it; nothing else is guessed."""
    assert aliases(name) == ((name, stored) if stored else (name,))


@pytest.fixture
def three(seed: Any) -> Any:
    """A run recorded from a framework, one that logged a name of its own, and one with both."""
    seed("framework", metrics={"val/loss": [0.5, 0.3], "test/acc": 0.9})
    seed("own", metrics={"val_loss": [0.4, 0.2]})
    seed("both", metrics={"val_loss": [0.9, 0.8], "val/loss": [0.1, 0.05]})
    return seed.store


def names(found: Runs) -> list[str]:
    return [record.name for record in found]


@BOTH
def test_filters_and_orders(three: Any) -> None:
    """The native name means what is stored under the role, in runs that have nothing under exactly that name."""
    assert names(find_runs(three, "metrics.val_loss < 0.35", order_by="name")) == ["framework", "own"]
    assert names(find_runs(three, "metrics.val_loss.min < 0.25", order_by="name")) == ["own"]
    assert names(find_runs(three, "metrics.eval_loss < 0.35", order_by="name")) == ["both", "framework"]
    assert names(find_runs(three, "metrics.val_loss is not null", order_by="-metrics.val_loss")) == [
        "both",
        "framework",
        "own",
    ]
    assert names(find_runs(three, "metrics.test_acc >= 0.9")) == ["framework"]
    assert names(find_runs(three, "metrics.train_loss is not null")) == []
    with pytest.raises(FilterError):
        find_runs(three, "val_loss < 1")


@BOTH
def test_history_and_best(three: Any) -> None:
    """Under the name that was asked for, each run's points once."""
    runs = find_runs(three, order_by="name")
    frame = runs.history(["eval_loss", "val_loss"])
    assert set(frame["metric"]) <= {"eval_loss", "val_loss"}
    frame = runs.history("val_loss")
    assert list(frame["value"]) == [0.9, 0.8, 0.5, 0.3, 0.4, 0.2]
    assert set(frame["metric"]) == {"val_loss"}
    frame = runs.history(["val_loss", "val/loss"])
    assert list(frame[frame["metric"] == "val/loss"]["value"]) == [0.1, 0.05, 0.5, 0.3]
    with pytest.raises(NotFoundError, match="val_los"):
        runs.history("val_los")
    assert runs.group_by("run.name", "val_loss").to_pandas()["val_loss.mean"].tolist() == [0.8, 0.3, 0.2]


@BOTH
def test_best_run_by_a_native_name(three: Any) -> None:
    """Which way is better is told by the words of the name; each run counts with its own."""
    runs = find_runs(three, order_by="name")
    assert runs[place_of_best(runs, "val_loss")].name == "own"
    assert runs[place_of_best(runs, "eval_loss")].name == "both"
    assert runs[place_of_best(runs, "test_acc")].name == "framework"


@BOTH
def test_a_record(three: Any) -> None:
    """By key, by `in` and by `get`; iterating tells only the names that are stored."""
    record = get_record(three, "framework")
    assert record.metrics["val_loss"].last == record.metrics["eval_loss"].last == 0.3
    assert "val_loss" in record.metrics
    assert "train_loss" not in record.metrics
    assert record.metrics.get("test_acc").last == 0.9
    assert record.metrics.get("nothing") is None
    assert list(record.metrics) == ["test/acc", "val/loss"]
    with pytest.raises(KeyError, match="val_acc"):
        record.metrics["val_acc"]
    assert get_record(three, "both").metrics["val_loss"].last == 0.8
    assert list(record.history("val_loss")["value"]) == [0.5, 0.3]


def test_plots(three: Any) -> None:
    """Charts take native names as well."""
    pytest.importorskip("matplotlib")
    import matplotlib

    matplotlib.use("Agg")
    (drawn,) = get_record(three, "framework").plot(["val_loss"]).axes
    assert any(list(line.get_ydata()) == [0.5, 0.3] for line in drawn.get_lines())
    (chart,) = find_runs(three).plot("val_loss").axes
    points = [list(line.get_ydata()) for line in chart.get_lines()]
    assert all(expected in points for expected in ([0.5, 0.3], [0.4, 0.2], [0.9, 0.8]))
