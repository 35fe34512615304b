"""Runs as Parquet and CSV: whole or not at all, faithful, and in a layout that other engines read."""

from __future__ import annotations

import csv
import json
import math
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import obstore
import pyarrow.dataset as ds
import pytest
from obstore.store import MemoryStore
from pyarrow import parquet

import autotrack
from autotrack.exceptions import ConfigurationError, InvalidValueError
from autotrack.outputs.export.runs import export_runs
from autotrack.query.queries import find_runs
from autotrack.query.records import Runs

ODD = "vision/ünïcode 100% = <b>"


def all_of(seed: Any) -> Runs:
    """The seeded runs, oldest first."""
    return find_runs(seed.store, order_by="run.started")


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """A table of an export, with the partition as a column, as any engine that knows Hive partitions reads it."""
    found = ds.dataset(folder / table, partitioning="hive").to_table().to_pylist()
    return sorted(found, key=lambda row: json.dumps(row, default=str))


def some_runs(seed: Any) -> Runs:
    """Two experiments, odd names, all kinds of values."""
    params = {"lr": 0.1, "big": 10**30, "on": True, "name": "adam", "list": [1, None]}
    metrics = {"loss": [(0, 1.0), (5, math.nan), (5, math.inf), (2, 0.5)], "f1": 0.9}
    seed("a", experiment="digits", params=params, metrics=metrics, tags={"team": "x"})
    seed("b", experiment=ODD, params={"lr": math.nan}, metrics={"val/loss": [3, 2, 1]}, status="failed")
    seed("c", experiment=ODD, ended=None, duration=None, failure_message='a,\n"b"')
    return all_of(seed)


def test_every_fact_is_in_a_table_of_its_own(seed: Any, tmp_path: Path) -> None:
    """One row per run; params exact as JSON and typed; metrics in short; every point, NaN and infinities included."""
    runs = some_runs(seed)
    report = export_runs(runs, tmp_path / "out")
    assert (report.runs, report.points) == (3, 8)
    about = {row["name"]: row for row in rows(tmp_path / "out", "runs")}
    assert [unquote(about[name]["experiment"]) for name in "abc"] == ["digits", ODD, ODD]
    assert about["a"]["started"] == runs[0].started
    assert about["b"]["status"] == "failed"
    assert about["c"]["failure_message"] == 'a,\n"b"'
    params = {row["key"]: row for row in rows(tmp_path / "out", "params") if row["run_id"] == runs[0].id}
    assert {key: row["json"] for key, row in params.items()} == {
        "lr": "0.1", "big": str(10**30), "on": "true", "name": '"adam"', "list": "[1, null]"
    }  # fmt: skip
    assert [params[key]["number"] for key in ("lr", "big", "on", "name")] == [0.1, 1e30, 1.0, None]
    assert params["name"]["text"] == "adam"
    (loss,) = [row for row in rows(tmp_path / "out", "metrics") if row["key"] == "loss"]
    assert (loss["last"], loss["min"], loss["min_step"], loss["count"], loss["nans"]) == (0.5, 0.5, 2, 4, 1)
    (tag,) = rows(tmp_path / "out", "tags")
    assert (tag["key"], tag["value"]) == ("team", "x")
    points = ds.dataset(tmp_path / "out" / "history", partitioning="hive").to_table().to_pylist()
    found = [(point["step"], point["value"]) for point in points if point["metric"] == "loss"]
    assert str(found) == "[(0, 1.0), (5, nan), (5, inf), (2, 0.5)]"
    assert {point["run_id"] for point in points} == {runs[0].id, runs[1].id}
    assert points[0]["time"].tzinfo is not None


def test_each_experiment_is_a_partition_with_a_name_that_any_file_system_takes(seed: Any, tmp_path: Path) -> None:
    """All tables have the same partitions, so that a join by partition finds both sides."""
    export_runs(some_runs(seed), tmp_path / "out")
    tables = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert tables == ["artifacts", "datasets", "history", "metrics", "models", "params", "runs", "tags"]
    for table in tables:
        names = sorted(path.name for path in (tmp_path / "out" / table).iterdir())
        assert [unquote(name) for name in names] == ["experiment=digits", f"experiment={ODD}"]
    assert json.loads((tmp_path / "out" / "_export.json").read_text())["complete"] is True


def test_a_recorded_run_comes_out_whole(tmp_path: Path) -> None:
    """From the public API to the files: data sets, artifacts, notes and the environment."""
    (tmp_path / "report.txt").write_text("fine")
    with autotrack.start_run("one", experiment="e", params={"deep": {"er": 1}}) as run:
        run.log({"loss": 0.5}, step=3)
        run.log_artifact("report.txt")
        run.log_dataset([[1, 2]], name="digits", role="train")
        run.note("looks *good*")
    assert run.collector.background.wait(170) == []
    export_runs(autotrack.runs(), tmp_path / "out")
    (about,) = rows(tmp_path / "out", "runs")
    assert about["notes"] == ["looks *good*"]
    assert "python" in json.loads(about["environment"])["process"]
    artifacts = {row["name"]: row for row in rows(tmp_path / "out", "artifacts")}
    assert artifacts["report.txt"]["size"] == 4
    assert [row["name"] for row in rows(tmp_path / "out", "datasets")] == ["digits"]
    assert [row["key"] for row in rows(tmp_path / "out", "params")] == ["deep.er"]


def test_csv_is_one_row_per_run_and_one_per_point(seed: Any, tmp_path: Path) -> None:
    """Columns for params, metrics and tags; line breaks, commas and quotes survive."""
    report = export_runs(some_runs(seed), tmp_path / "out", "csv")
    assert report.files == ("history.csv", "runs.csv")
    with (tmp_path / "out" / "runs.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["run.name"] for row in table] == ["a", "b", "c"]
    assert table[0]["params.lr"] == "0.1"
    assert table[0]["metrics.loss"] == "0.5"
    assert table[1]["run.experiment"] == ODD
    with (tmp_path / "out" / "history.csv").open(newline="", encoding="utf-8") as file:
        points = list(csv.DictReader(file))
    assert [(p["metric"], p["step"], float(p["value"])) for p in points if p["run_id"] == table[1]["run.id"]] == [
        ("val/loss", "0", 3.0), ("val/loss", "1", 2.0), ("val/loss", "2", 1.0)
    ]  # fmt: skip
    assert datetime.fromisoformat(points[0]["time"].replace("Z", "+00:00")).tzinfo == timezone.utc


def test_what_is_there_is_never_overwritten_unasked(seed: Any, tmp_path: Path) -> None:
    """An earlier export is replaced on demand, with nothing of it left; anything else is never touched."""
    runs = some_runs(seed)
    export_runs(runs, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="overwrite=True"):
        export_runs(runs, tmp_path / "out")
    export_runs(runs[:1], tmp_path / "out", overwrite=True)
    assert [row["name"] for row in rows(tmp_path / "out", "runs")] == ["a"]
    thesis = tmp_path / "home" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    for place in (thesis, thesis.parent):
        with pytest.raises(ConfigurationError):
            export_runs(runs, place, overwrite=True)
    assert thesis.read_text() == "years of work"
    with pytest.raises(InvalidValueError, match="'parquet' or 'csv'"):
        export_runs(runs, tmp_path / "other", "excel")  # type: ignore[arg-type]


def test_an_export_that_fails_leaves_nothing(seed: Any, tmp_path: Path) -> None:
    """Interrupted halfway, there is no destination, or the earlier one is as it was, and no rubbish beside it."""
    runs = some_runs(seed)

    def interrupt(done: int, of: int) -> None:
        if done:
            raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        export_runs(runs, tmp_path / "out", progress=interrupt)
    assert sorted(tmp_path.iterdir()) == before
    export_runs(runs, tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        export_runs(runs[:1], tmp_path / "out", overwrite=True, progress=interrupt)
    assert len(rows(tmp_path / "out", "runs")) == 3
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "out"])


def test_progress_counts_the_runs(seed: Any, tmp_path: Path) -> None:
    """From none to all of them."""
    seen: list[tuple[int, int]] = []
    export_runs(some_runs(seed), tmp_path / "out", progress=lambda done, of: seen.append((done, of)))
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)
    assert seen == sorted(seen)


def test_object_storage_takes_an_export_and_says_when_it_is_complete(seed: Any) -> None:
    """The same files under a prefix; replaced on demand only; files of somebody else are left alone."""
    runs, store = some_runs(seed), MemoryStore()
    report = export_runs(runs, store)
    listed = {item["path"] for batch in obstore.list(store) for item in batch}
    assert listed == {*report.files, "_export.json"}
    assert json.loads(bytes(obstore.get(store, "_export.json").bytes()))["complete"] is True
    (name,) = [name for name in report.files if name.startswith("runs/experiment=digits/")]
    table = parquet.read_table(BytesIO(bytes(obstore.get(store, name).bytes())))
    assert table["name"].to_pylist() == ["a"]
    with pytest.raises(ConfigurationError, match="overwrite=True"):
        export_runs(runs, store, "csv")
    export_runs(runs, store, "csv", overwrite=True)
    assert {item["path"] for batch in obstore.list(store) for item in batch} == {
        "runs.csv", "history.csv", "_export.json"
    }  # fmt: skip
    foreign = MemoryStore()
    obstore.put(foreign, "thesis.tex", b"years of work")
    with pytest.raises(ConfigurationError, match="no export"):
        export_runs(runs, foreign, overwrite=True)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        export_runs(runs, "gopher://bucket/prefix")


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_no_runs_are_a_complete_export(seed: Any, tmp_path: Path, format: str) -> None:  # noqa: A002
    """Nothing found is no error, and the export says that it is complete."""
    assert export_runs(all_of(seed), tmp_path / "out", format).runs == 0  # type: ignore[arg-type]
    assert json.loads((tmp_path / "out" / "_export.json").read_text())["runs"] == 0


def test_history_is_read_in_pieces_that_fit_into_memory(seed: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """With room for five points at a time, all points of all runs arrive, in order."""
    from autotrack.outputs.export import runs as runs_module

    for _ in range(5):
        seed(metrics={"a": [1, 2, 3], "b": 4})
    seed()
    monkeypatch.setattr(runs_module, "_POINTS_AT_ONCE", 5)
    assert export_runs(all_of(seed), tmp_path / "out").points == 20
    table = ds.dataset(tmp_path / "out" / "history", partitioning="hive").to_table()
    assert table["value"].to_pylist() == [1, 2, 3, 4] * 5
