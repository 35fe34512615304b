"""Many runs as a sequence and as tables."""

from __future__ import annotations

import math
import sys
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from autotrack.exceptions import InvalidValueError, MissingDependencyError
from autotrack.query.queries import find_runs, get_record

BOTH = pytest.mark.parametrize("seed", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def three(seed: Any) -> Any:
    """Three runs that differ in what they have; newest last."""
    seed("a", params={"lr": 0.1, "n": 1, "flag": True, "mixed": "x", "same": 1}, metrics={"acc": [0.1, 0.9, 0.5]})
    seed(
        "b", params={"lr": 1, "n": 2, "flag": False, "mixed": 3, "same": 1}, metrics={"acc": math.nan}, tags={"t": "é"}
    )
    seed("c", params={"lr": 0.5, "mixed": [1], "same": 1, "big": 2**80}, status="running", ended=None, duration=None)
    return find_runs(seed.store, order_by="name")


def test_a_sequence(seed: Any, three: Any) -> None:
    """Runs have a length, places, slices, and are the same object at the same place."""
    assert len(three) == 3
    assert [record.name for record in three] == ["a", "b", "c"]
    assert three[-1].name == "c"
    assert [record.name for record in three[1:]] == ["b", "c"]
    assert [record.name for record in three[::-1]] == ["c", "b", "a"]
    assert [record.name for record in three.take([2, 0])] == ["c", "a"]
    assert three[0] is three[0]
    assert three[1] in three
    assert three.ids == [record.id for record in three]
    assert repr(three) == "<3 runs: a, b, c>"
    assert not find_runs(seed.store, "name = x")
    with pytest.raises(IndexError):
        three[3]


def test_pages(seed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More runs than are read at once are all there, each with its own facts."""
    monkeypatch.setattr("autotrack.query.records._PAGE", 5)
    for number in range(12):
        seed(f"r{number}", params={"n": number})
    runs = find_runs(seed.store, order_by="run.started")
    assert [(record.name, record.params["n"]) for record in runs] == [(f"r{n}", n) for n in range(12)]


@BOTH
def test_arrow(three: Any) -> None:
    """One typed row per run, in order; what differs in type is text."""
    table = three.to_arrow()
    assert table["run.name"].to_pylist() == ["a", "b", "c"]
    assert table.schema.field("run.started").type == pa.timestamp("us", tz="UTC")
    assert table["params.lr"].to_pylist() == [0.1, 1.0, 0.5]
    assert (table.schema.field("params.n").type, table["params.n"].to_pylist()) == (pa.int64(), [1, 2, None])
    assert table["params.flag"].to_pylist() == [True, False, None]
    assert table["params.mixed"].to_pylist() == ["x", "3", "[1]"]
    assert table["params.big"].to_pylist() == [None, None, str(2**80)]
    values = table["metrics.acc"].to_pylist()
    assert (values[0], math.isnan(values[1]), values[2]) == (0.5, True, None)
    assert table["tags.t"].to_pylist() == [None, "é", None]
    names = table.column_names
    assert names.index("params.lr") < names.index("params.same"), "what differs comes first"


def test_pandas(three: Any) -> None:
    """A DataFrame keeps ints and bools that are missing somewhere, and objects where types differ."""
    frame = three.to_pandas()
    assert list(frame["run.name"]) == ["a", "b", "c"]
    assert frame["params.n"].dtype == "Int64"
    assert frame["params.flag"].dtype == "boolean"
    assert frame["params.same"].dtype == "int64"
    assert list(frame["params.mixed"]) == ["x", 3, [1]]
    assert frame["params.big"][2] == 2**80
    assert str(frame["run.started"].dtype) == "datetime64[us, UTC]"
    assert frame.loc[frame["params.lr"] > 0.3, "run.name"].tolist() == ["b", "c"]


def test_polars(three: Any) -> None:
    """The same as a polars frame."""
    frame = three.to_polars()
    assert frame["params.n"].to_list() == [1, 2, None]
    assert frame.filter(pl.col("metrics.acc") < 0.6)["run.name"].to_list() == ["a"]


def test_aggregates(three: Any) -> None:
    """Best values beside the last ones, when asked for."""
    table = three.to_arrow(["last", "max", "count"])
    assert table["metrics.acc.max"].to_pylist()[0] == 0.9
    assert table["metrics.acc.count"].to_pylist() == [3, 1, None]
    with pytest.raises(InvalidValueError, match="mean"):
        three.to_pandas(["mean"])


@BOTH
def test_no_runs(seed: Any) -> None:
    """Without runs there are tables without rows."""
    runs = find_runs(seed.store)
    assert len(runs.to_pandas()) == 0
    assert "run.id" in runs.to_arrow().column_names
    assert len(runs.to_polars()) == 0
    assert list(runs.history().columns) == ["run_id", "metric", "step", "time", "value"]


def test_a_list_is_what_it_was(seed: Any, three: Any) -> None:
    """Runs that come later do not enter a list that is already there."""
    seed("late")
    assert [record.name for record in three] == ["a", "b", "c"]
    assert isinstance(three.to_pandas(), pd.DataFrame)
    assert get_record(seed.store, "late").params == {}


def test_without_the_extras(three: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs an extra that is not installed says which one; Arrow needs none."""
    for module in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"autotrack-ml\[pandas\]"):
        three.to_pandas()
    with pytest.raises(MissingDependencyError, match=r"autotrack-ml\[pandas\]"):
        three.history()
    with pytest.raises(MissingDependencyError, match=r"autotrack-ml\[polars\]"):
        three.to_polars()
    assert three.to_arrow().num_rows == 3
    assert three.history_arrow().num_rows == 4
