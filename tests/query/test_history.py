"""Every point of every metric, of many runs in one table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from autotrack.exceptions import NotFoundError
from autotrack.query.queries import find_runs, get_record

BOTH = pytest.mark.parametrize("seed", ["sqlite", "postgresql"], indirect=True)


def rows(frame: Any) -> list[tuple[Any, ...]]:
    """A frame without ids and times, as tuples."""
    return list(frame[["metric", "step", "value"]].itertuples(index=False, name=None))


@BOTH
def test_columns_and_order(seed: Any) -> None:
    """Runs come in their order, metrics as asked for, points as logged; every point of every run is there."""
    first = seed("one", metrics={"loss": [3.0, 2.0], "acc": [(0, 0.5), (5, 0.7), (5, 0.8), (2, 0.9)]})
    second = seed("two", metrics={"loss": [1.0, math.nan, -math.inf]})
    frame = find_runs(seed.store, order_by="name").history(["loss", "acc"])
    assert list(frame.columns) == ["run_id", "metric", "step", "time", "value"]
    assert list(frame["run_id"]) == [first] * 6 + [second] * 3
    expected = [("loss", 0, 3.0), ("loss", 1, 2.0), ("acc", 0, 0.5), ("acc", 5, 0.7), ("acc", 5, 0.8), ("acc", 2, 0.9)]
    assert rows(frame)[:6] == expected
    assert list(frame["value"][6:])[0::2] == [1.0, -math.inf]
    assert math.isnan(frame["value"][7])
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"
    assert (frame["time"][1] - frame["time"][0]).total_seconds() == 1
    assert frame["run_id"].dtype == "category"
    assert find_runs(seed.store, order_by="-name").history("loss")["value"][0] == 1.0


def test_all_metrics(seed: Any) -> None:
    """Without names all metrics are read, those of the machine last."""
    seed("one", metrics={"system/cpu": [1.0, 2.0], "z": [3.0, 4.0], "a": [5.0, 6.0]})
    assert list(get_record(seed.store, "one").history()["metric"].unique()) == ["a", "z", "system/cpu"]


def test_a_metric_of_one_point(seed: Any) -> None:
    """A metric that was logged once has its one point, though no chunk holds it."""
    seed("one", metrics={"test/acc": [(7, 0.9)], "lost": [math.nan]})
    frame = get_record(seed.store, "one").history()
    assert [row[:2] for row in rows(frame)] == [("lost", 0), ("test/acc", 7)]
    assert frame["value"][1] == 0.9
    assert math.isnan(frame["value"][0])


def test_ints_stay_ints(seed: Any) -> None:
    """Where all values are ints they come back exactly, beyond what a float can tell apart."""
    big = 2**53 + 1
    seed("ints", metrics={"tokens": [1, big], "count": 3})
    seed("floats", metrics={"tokens": [0.5, 1.0]})
    ints = get_record(seed.store, "ints").history("tokens")
    assert ints["value"].dtype == np.int64
    assert list(ints["value"]) == [1, big]
    assert get_record(seed.store, "ints").history(["tokens", "count"])["value"].dtype == np.int64
    assert find_runs(seed.store).history("tokens")["value"].dtype == np.float64


def test_chunks_of_several_journals(seed: Any) -> None:
    """Chunks come in order of time; where two processes logged at once their points are put in order."""
    seed("one", metrics={"loss": [0.0, 1.0]})
    record = get_record(seed.store, "one")
    assert record.metrics["loss"].first_time is not None
    start = round(record.metrics["loss"].first_time.timestamp() * 1e6)
    second = np.array([2, 3], np.int64)
    with seed.store.write() as connection:
        seed.chunk(connection, 1, "loss", second + 98, start + 10_000_000 * second, np.array([5.0, 6.0]))
        seed.chunk(connection, 1, "loss", second, start + 500_000 * (second - 1), np.array([0.5, 1.5]))
    assert rows(record.history("loss")) == [
        ("loss", 0, 0.0), ("loss", 2, 0.5), ("loss", 1, 1.0), ("loss", 3, 1.5), ("loss", 100, 5.0), ("loss", 101, 6.0)
    ]  # fmt: skip


def test_arrow(seed: Any) -> None:
    """As a table, ids and names are dictionaries: a million points name their run a million times for free."""
    seed("one", metrics={"loss": [3.0, 2.0]})
    table = find_runs(seed.store).history_arrow()
    assert pa.types.is_dictionary(table.schema.field("run_id").type)
    assert pa.types.is_dictionary(table.schema.field("metric").type)
    assert table["step"].to_pylist() == [0, 1]


@BOTH
def test_a_metric_that_nobody_has(seed: Any) -> None:
    """A wrong name is an error with the names that come close; a metric that some runs have is none."""
    seed("one", metrics={"train/loss": [3.0, 2.0]})
    seed("two", metrics={"val/loss": [3.0]})
    runs = find_runs(seed.store)
    with pytest.raises(NotFoundError, match="train/loss"):
        runs.history("train/los")
    with pytest.raises(NotFoundError, match="nothing"):
        runs.history(["train/loss", "nothing"])
    assert len(runs.history("train/loss")) == 2
