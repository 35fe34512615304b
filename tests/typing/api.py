"""Every public name, used as people use it. Nothing runs here: `make check` reads the types, strictly."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

import autotrack
from autotrack.outputs.reproduction import Reproduction
from autotrack.query.diff import Diff
from autotrack.query.records import Record, Runs


def recording(model: object, table: dict[str, list[int]]) -> None:
    """By hand, in a run and by the verbs that act on the active one."""
    autotrack.configure(dir="somewhere", capture={"git": False})
    autotrack.set_experiment("digits")
    with autotrack.start_run("baseline", params={"lr": 0.1}, tags={"team": "x"}) as run:
        assert_type(run, autotrack.Run)
        assert_type(run.id, str)
        assert_type(run.is_open, bool)
        run.log({"train/loss": 0.3}, step=10)
        run.log_model(model, "model")
        run.log_figure("roc", model)
        child = autotrack.start_run(parent=run)
        assert_type(child.finish("failed", failure=ValueError("no")), None)
        watching = run.watch(model, every=10)
        assert_type(watching.remove(), None)
    autotrack.log({"loss": 1.0})
    autotrack.log_metric("loss", 1.0, step=1)
    autotrack.log_metrics({"loss": 1.0}, 2)
    autotrack.log_param("lr", 0.1)
    autotrack.log_params({"lr": 0.1})
    autotrack.set_tags({"phase": "final", "team": None})
    autotrack.note("went well")
    autotrack.log_artifact("report.html", "reports/first.html")
    autotrack.log_artifacts("plots")
    autotrack.log_text("hello", "hello.txt")
    autotrack.log_dict({"a": 1}, "a.json")
    autotrack.log_table("errors", table, step=1)
    autotrack.log_figure("roc", model)
    autotrack.log_dataset(table, name="train", role="train")
    autotrack.log_model(model)
    assert_type(autotrack.active_run(), autotrack.Run | None)
    autotrack.finish("finished")


def automatic() -> None:
    """What records by itself, and what keeps it from that."""
    autotrack.autolog()
    autotrack.autolog("sklearn", log_models=False)
    autotrack.autolog(disable=True)
    with autotrack.paused():
        pass


def reading() -> None:
    """What was recorded, and what is asked of it."""
    runs = autotrack.runs("params.lr > 0.01", order_by="-metrics.loss.min", limit=10)
    assert_type(runs, Runs)
    assert_type(runs[0], Record)
    assert_type(runs[:2], Runs)
    assert_type(runs.pareto({"metrics.loss": "min"}), Runs)
    record = autotrack.get_run("last")
    assert_type(record, Record)
    assert_type(record.metrics["loss"].last, float)
    assert_type(record.tags, dict[str, str])
    assert_type(record.artifacts["report.html"].read(), bytes)
    assert_type(autotrack.best("loss", mode="min"), Record)
    assert_type(autotrack.diff(record, "last~1"), Diff)
    assert_type(autotrack.reproduce(record), Reproduction)
    assert_type(autotrack.load_model(record), Any)


def failing() -> None:
    """What goes wrong is one of ours, or a warning of ours."""
    try:
        autotrack.get_run("nothing")
    except autotrack.AutotrackError as error:
        assert_type(str(error), str)
    assert_type(autotrack.AutotrackWarning("text").args, tuple[Any, ...])
