"""What works without any optional package: recording, folding, lists, histories, comparisons, reports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RECORD = """
import autotrack

for lr in (0.1, 0.01):
    with autotrack.start_run(f"run-{lr}", experiment="core", params={"lr": lr}) as run:
        for step in range(5):
            run.log({"loss": lr / (step + 1), "seen": step}, step=step)
        run.log_text("all is well", "note.txt")
"""
QUESTIONS = """
import autotrack

runs = autotrack.runs("params.lr > 0.001", order_by="params.lr")
assert [run.name for run in runs] == ["run-0.01", "run-0.1"]
assert autotrack.best("loss", mode="min").name == "run-0.01"
assert len(runs.pareto({"metrics.loss": "min"})) == 1
assert len(runs.group_by("params.lr")) == 2 and "0.01" in repr(runs.group_by("params.lr"))
assert autotrack.get_run("run-0.1").artifacts["note.txt"].text() == "all is well"
assert "lr" in str(autotrack.diff("run-0.1", "run-0.01"))
assert "<svg" in runs[0]._repr_html_() and "run-0.1" in runs._repr_html_()
for ask, extra in (
    (runs.to_arrow, "arrow"), (runs.history_arrow, "arrow"), (runs.to_pandas, "pandas"), (runs.history, "pandas"),
    (runs.to_polars, "arrow"), (runs.group_by("params.lr").to_arrow, "arrow"),
):
    try:
        ask()
    except autotrack.AutotrackError as error:
        assert f"autotrack-ml[{extra}]" in str(error), (ask, error)
    else:
        raise AssertionError(f"{ask} did without what it needs")
"""
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pyarrow", "pandas", "polars", "matplotlib", "sklearn", "torch"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, Missing())
"""


def python(folder: Path, *words: str, code: str = "", fails: bool = False) -> str:
    """What a Python prints that has nothing but the core, run in `folder`; if it `fails`, what it complains of."""
    (folder / "sitecustomize.py").write_text(WITHOUT)
    environment = {**os.environ, "PYTHONPATH": str(folder), "AUTOTRACK_DIR": str(folder / ".autotrack")}
    command = [sys.executable, *words] if words else [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def test_the_core_records_and_answers_by_itself(tmp_path: Path) -> None:
    """Without pyarrow and the like everything works but what is asked for in their terms, which names the extra."""
    python(tmp_path, code=RECORD)
    python(tmp_path, code=QUESTIONS)


def test_the_commands_need_nothing_else(tmp_path: Path) -> None:
    """Lists, histories, comparisons, the best run and the report are there with the core alone."""
    python(tmp_path, code=RECORD)

    def autotrack(*words: str) -> str:
        return python(tmp_path, "-m", "autotrack.cli", *words)

    assert "run-0.01" in autotrack("runs")
    assert "loss" in autotrack("show", "last")
    assert "run_id,metric,step,time,value" in autotrack("history", "last", "--csv")
    assert "lr" in autotrack("compare")
    assert "run-0.01" in autotrack("best", "loss", "--mode", "min")
    autotrack("report", "-o", "report.html")
    assert "run-0.01" in (tmp_path / "report.html").read_text()
    assert "autotrack-ml[arrow]" in python(tmp_path, "-m", "autotrack.cli", "export", "out", fails=True)
