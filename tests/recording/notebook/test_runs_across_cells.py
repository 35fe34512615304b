"""Runs in a notebook, told by what people do in one: run cells again, interrupt them, leave runs open, restart."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import autotrack

if TYPE_CHECKING:
    from tests.recording.notebook.conftest import Notebook

Records = Callable[..., list[Any]]

DATA = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
"""
ENDLESS = """
from sklearn.base import BaseEstimator, ClassifierMixin
class Endless(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        print("fitting", flush=True)
        while True:
            pass
Endless().fit([[0.0], [1.0]], [0, 1])
"""


def by_name(found: list[Any]) -> dict[str, Any]:
    return {record.name: record for record in found}


def test_autolog_in_a_cell_is_all_it_takes(notebook: Notebook, records: Records) -> None:
    """Two words in a cell, a fit in the next: a run of the notebook's experiment. Saying them twice changes nothing."""
    notebook.run("import autotrack; autotrack.autolog()")
    notebook.run(DATA)
    notebook.run("autotrack.autolog()")
    notebook.run("LogisticRegression(max_iter=300).fit(X, y)")
    (record,) = records(lambda found: "notebook" in found[0].environment)
    assert (record.status, record.kind, record.experiment) == ("finished", "training", "digits")
    assert record.params["max_iter"] == 300
    assert record.environment["notebook"]["kind"] == "jupyter"


def test_load_ext_is_the_same(notebook: Notebook, records: Records) -> None:
    """`%load_ext autotrack` records, `%unload_ext autotrack` ends that, and no name of the user's is touched."""
    assert not notebook.run("%load_ext autotrack").error
    notebook.run(DATA + "LogisticRegression(max_iter=300).fit(X, y)")
    assert not notebook.run("%unload_ext autotrack").error
    notebook.run("LogisticRegression(max_iter=300).fit(X, y)")
    assert len(records()) == 1


def test_a_cell_run_ten_times_makes_ten_runs(notebook: Notebook, records: Records) -> None:
    """One after the other, none inside another, with names in order."""
    notebook.run("import autotrack; autotrack.autolog()" + DATA)
    for _ in range(10):
        notebook.run("LogisticRegression(max_iter=300).fit(X, y);", cell="fit")
    found = records(children=True)
    assert [record.name for record in found] == [f"logisticregression-{number}" for number in range(1, 11)]
    assert {record.parent for record in found} == {None}


@pytest.mark.parametrize("edited", [False, True], ids=["as it was", "edited"])
def test_running_the_opening_cell_again_ends_what_it_left_open(
    notebook: Notebook, records: Records, edited: bool
) -> None:
    """The second run is no child of the first, which is finished and says why."""
    opening = "import autotrack; run = autotrack.start_run({name!r}); run.log({{'loss': 1.0}})"
    notebook.run(opening.format(name="same"), cell="a1")
    second = "edited" if edited else "same"
    again = notebook.run(opening.format(name=second), cell="a1")
    first, latest = records(children=True)
    assert (first.name, first.status, latest.name, latest.status) == ("same", "finished", second, "running")
    assert latest.parent is None
    assert f"as cell [{again.number}]" in " ".join(first.capture_report)


def test_another_cell_opens_a_child(notebook: Notebook, records: Records) -> None:
    """Without the front end's ids the code tells cells apart; a run that another cell opens is inside the first."""
    notebook.run("import autotrack; outer = autotrack.start_run('outer')")
    notebook.run("inner = autotrack.start_run('inner')")
    found = by_name(records(children=True))
    assert found["inner"].parent == found["outer"].id
    notebook.run("inner.finish()")
    notebook.run("outer.finish()")
    assert {record.status for record in records(children=True)} == {"finished"}


def test_a_run_lives_across_cells(notebook: Notebook, records: Records) -> None:
    """Opened in one cell, written in two, by handle and by verb, finished in a fourth."""
    notebook.run("import autotrack\nrun = autotrack.start_run('across')")
    assert notebook.run("import json; json.dumps(autotrack.active_run() is run)").value is True
    notebook.run("run.log({'loss': 2.0})")
    notebook.run("autotrack.log({'loss': 1.0})")
    notebook.run("autotrack.finish()")
    (record,) = records()
    assert (record.status, record.metrics["loss"].count) == ("finished", 2)


def test_a_metric_logged_in_a_later_cell(notebook: Notebook, records: Records) -> None:
    """It goes to the training of the earlier cell, which stays finished, and opens no run."""
    notebook.run("import autotrack; autotrack.autolog()" + DATA)
    notebook.run("model = LogisticRegression(max_iter=300).fit(X, y)")
    notebook.run("autotrack.log({'business/value': 7.0})")
    (record,) = records(children=True)
    assert (record.status, float(record.metrics["business/value"])) == ("finished", 7.0)


def test_an_interrupted_fit_is_killed_and_the_kernel_lives(notebook: Notebook, records: Records) -> None:
    """The stop button ends the fit, its run says killed, and the next cell records as ever."""
    notebook.run("import autotrack; autotrack.autolog()" + DATA)
    stopped = notebook.interrupt_when(ENDLESS, "fitting")
    assert stopped.error == "KeyboardInterrupt"
    notebook.run("LogisticRegression(max_iter=300).fit(X, y)")
    assert [record.status for record in records()] == ["killed", "finished"]


def test_an_exception_in_a_fit(notebook: Notebook, records: Records) -> None:
    """The run is failed, with the user's own exception, though IPython never calls `sys.excepthook`."""
    notebook.run("import autotrack; autotrack.autolog()" + DATA)
    cell = notebook.run("LogisticRegression(C='strong').fit(X, y)")
    (record,) = records()
    assert cell.error == "InvalidParameterError"
    assert record.status == "failed"
    assert record.failure_message == cell.message


def test_an_exception_beside_an_open_run(notebook: Notebook, records: Records) -> None:
    """The run stays open, for the next cell may go on; the exception is noted in it."""
    notebook.run("import autotrack; run = autotrack.start_run('mine')")
    failed = notebook.run("1 / 0")
    (record,) = records()
    assert record.status == "running"
    noted = [line for line in record.capture_report if line.what == "notebook"]
    assert noted == [f"notebook: cell [{failed.number}] raised ZeroDivisionError: division by zero"]
    notebook.run("run.log({'loss': 1.0}); run.finish()")
    assert records()[0].status == "finished"


def test_a_with_block_ends_in_its_cell(notebook: Notebook, records: Records) -> None:
    """Exception and interrupt inside `with start_run()` end the run at once, as in a script."""
    notebook.run("import autotrack")
    notebook.run("with autotrack.start_run('fails'):\n    raise ValueError('no')")
    notebook.interrupt_when(
        "with autotrack.start_run('stopped'):\n    print('in', flush=True)\n    while True: pass", "in"
    )
    found = by_name(records())
    assert (found["fails"].status, found["fails"].failure_type) == ("failed", "ValueError")
    assert found["stopped"].status == "killed"


def test_asyncio_cells(notebook: Notebook, records: Records) -> None:
    """Runs in cells that await: each task is in a run of its own, and one that is cancelled is killed."""
    notebook.run("""
import asyncio, autotrack
async def work(name, loss, task_to_cancel=None):
    with autotrack.start_run(name):
        await asyncio.sleep(0)
        autotrack.log({"loss": loss})
        await asyncio.sleep(0 if task_to_cancel is None else 600)
        autotrack.log({"loss": loss})
""")
    notebook.run("""
one, two = asyncio.create_task(work("one", 1.0)), asyncio.create_task(work("two", 2.0))
await asyncio.gather(one, two)
""")
    cell = notebook.run("""
task = asyncio.create_task(work("awaited", 3.0, True))
asyncio.get_running_loop().call_later(0.05, task.cancel)
await task
""")
    assert cell.error == "CancelledError"
    found = by_name(records(children=True))
    told = {name: (found[name].status, [float(found[name].metrics["loss"]), found[name].metrics["loss"].count])
            for name in found}  # fmt: skip
    assert told == {"one": ("finished", [1.0, 2]), "two": ("finished", [2.0, 2]), "awaited": ("killed", [3.0, 1])}


def test_what_ends_scripts_does_not_end_notebooks(notebook: Notebook, records: Records) -> None:
    """`sys.exit` in a cell leaves the kernel and the open run alive; so does `%reset`."""
    notebook.run("import autotrack; run = autotrack.start_run('stays')")
    left = notebook.run("import sys; sys.exit(3)")
    assert (left.error, left.message) == ("SystemExit", "3")
    assert not notebook.run("%reset -f").error
    notebook.run("import autotrack; autotrack.log({'loss': 1.0})")
    (record,) = records()
    assert (record.status, record.metrics["loss"].count) == ("running", 1)


def test_autoreload(notebook: Notebook, records: Records) -> None:
    """With `%autoreload 2`, an edited module of the user's is read anew, and fits of its class are still recorded."""
    notebook.run("%load_ext autoreload\n%autoreload 2\nimport autotrack; autotrack.autolog()" + DATA)
    module = "from sklearn.linear_model import LogisticRegression\nclass Mine(LogisticRegression):\n    version = {}\n"
    notebook.run(f"import pathlib, os, sys; sys.path.insert(0, '')\npath = pathlib.Path('mine.py')\n"
                 f"path.write_text({module.format(1)!r}); os.utime(path, (1, 1))")  # fmt: skip
    notebook.run("import mine; mine.Mine(max_iter=300).fit(X, y)")
    notebook.run(f"path.write_text({module.format(2)!r}); os.utime(path, (2e9, 2e9))")
    assert notebook.run("import json; mine.Mine(max_iter=300).fit(X, y); json.dumps(mine.Mine.version)").value == 2
    notebook.run("%autoreload 0")
    assert [record.name for record in records()] == ["mine-1", "mine-2"]


def test_worker_processes_of_a_cell(notebook: Notebook, records: Records) -> None:
    """Forked and joblib's workers open no run; what a fork adds to the open run is there."""
    notebook.run("import autotrack; autotrack.autolog()" + DATA)
    notebook.run("model = LogisticRegression(max_iter=300).fit(X, y); model.score(X, y)")
    cell = notebook.run("""
import multiprocessing
from sklearn.ensemble import RandomForestClassifier
def child():
    autotrack.log({"in/child": 1.0})
with autotrack.start_run("forks") as run:
    worker = multiprocessing.get_context("fork").Process(target=child)
    worker.start(); worker.join()
    RandomForestClassifier(4, n_jobs=2).fit(X, y)
""")
    assert not cell.error, cell.message
    assert "ignored" not in cell.stderr
    _, record = records(children=True)
    assert (record.status, float(record.metrics["in/child"])) == ("finished", 1.0)


def test_an_idle_kernel_keeps_its_run_alive(notebook: Notebook, records: Records) -> None:
    """Between cells, whoever looks sees the open run as running; only when its kernel has died, as crashed."""
    process = notebook.run("import autotrack, os, json; autotrack.start_run('idle'); json.dumps(os.getpid())").value
    assert autotrack.get_run("idle").status == "running"
    os.kill(process, signal.SIGKILL)
    records(lambda found: [record.status for record in found] == ["crashed"])
    notebook.restart(now=True)


@pytest.mark.parametrize(
    ("cell", "status"),
    [("run.log({'loss': 1.0})", "finished"), ("1 / 0", "failed"), ("raise KeyboardInterrupt", "killed")],
)
def test_restarting_the_kernel(new_notebook: Notebook, records: Records, place: Path, cell: str, status: str) -> None:
    """The open run ends as its last cell did, nothing of it is lost, and the next kernel records."""
    notebook = new_notebook
    notebook.run("import autotrack; run = autotrack.start_run('open')")
    notebook.run("run.log({'step': 1.0})")
    notebook.run(cell)
    notebook.restart()
    (record,) = records(lambda found: found[0].status != "running")
    assert (record.status, record.metrics["step"].count) == (status, 1)
    assert record.artifacts["notebook/code.py"].read().decode().endswith(f"{cell}\n")
    assert (record.failure_type == "ZeroDivisionError") == (status == "failed")
    again = f"import autotrack; autotrack.configure(dir={str(place)!r}); autotrack.autolog()" + DATA
    notebook.run(again + "LogisticRegression(max_iter=300).fit(X, y)")
    assert [record.status for record in records()] == [status, "finished"]


def test_restarting_the_kernel_amid_a_fit(notebook: Notebook, records: Records) -> None:
    """The fit is interrupted by it: killed, not crashed."""
    notebook.run("import autotrack; autotrack.autolog()")
    notebook.wait_until_printed(notebook.send(ENDLESS), "fitting")
    notebook.restart()
    (record,) = records(lambda found: found[0].status != "running")
    assert record.status == "killed"
