"""What cells print while a run is active is kept with it; what else draws on a notebook's output does not notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.recording.notebook.conftest import Notebook

Records = Callable[..., list[Any]]
TOKEN = "ghp_" + "a1B2c3D4e5" * 4


def console(records: Records, text: str) -> str:
    """What was kept of the only run's output, as soon as `text` is in it."""
    (record,) = records(lambda found: text in found[0].console)
    return str(record.console)


def test_what_is_printed_while_a_run_is_open(notebook: Notebook, records: Records) -> None:
    """Nothing of before and after, both streams, all cells; the user sees everything."""
    notebook.run("import autotrack, sys\nprint('before')")
    cell = notebook.run("run = autotrack.start_run('talks')\nprint('epoch 1')\nprint('careful', file=sys.stderr)")
    notebook.run("print('epoch 2')")
    notebook.run("run.finish(); print('after')")
    assert console(records, "epoch 2") == "epoch 1\ncareful\nepoch 2\n"
    assert (cell.stdout, cell.stderr) == ("epoch 1\n", "careful\n")


def test_the_output_of_an_autologged_fit(notebook: Notebook, records: Records) -> None:
    """`verbose=1` is in the run of the fit, with what the fit's own code prints."""
    notebook.run("""
import autotrack; autotrack.autolog()
from sklearn.base import BaseEstimator, ClassifierMixin
class Talks(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        print("iteration 1, loss 0.5")
        return self
""")
    notebook.run("Talks().fit([[0.0], [1.0]], [0, 1]); print('done')")
    assert console(records, "loss") == "iteration 1, loss 0.5\n"


def test_streams_stay_what_they_are(notebook: Notebook, records: Records) -> None:
    """`sys.stdout` is the kernel's own, what is captured by others is theirs, a failing stream fails as before."""
    cell = notebook.run("""
import autotrack, contextlib, io, json, sys
before = sys.stdout, sys.stderr
with autotrack.start_run("redirects"):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        print("redirected")
    print("shown")
    wrong = ""
    try:
        sys.stdout.write(3)
    except TypeError as error:
        wrong = str(error)
json.dumps([(sys.stdout, sys.stderr) == before, type(sys.stdout).__module__, text.getvalue(), wrong])
""")
    assert cell.value == [True, "ipykernel.iostream", "redirected\n", "write() argument must be str, not <class 'int'>"]
    notebook.run("%%capture captured\nwith autotrack.start_run('captured'): print('captured')")
    assert notebook.run("import json; json.dumps(captured.stdout)").value == "captured\n"
    found = {record.name: record for record in records(lambda found: any(record.console for record in found))}
    assert found["redirects"].console == "shown\n"
    assert found["captured"].console == ""


def test_widgets_and_progress_bars(notebook: Notebook, records: Records) -> None:
    """`tqdm.notebook` and an `Output` widget draw as ever and leave nothing; of a text bar the last drawing stays."""
    pytest.importorskip("ipywidgets")
    pytest.importorskip("tqdm")
    cell = notebook.run("""
import warnings; warnings.simplefilter("ignore")
import autotrack, ipywidgets, sys
from tqdm import tqdm
from tqdm.notebook import tqdm as drawn
from IPython.display import display
with autotrack.start_run("bars") as run:
    for _ in drawn(range(3)):
        pass
    area = ipywidgets.Output()
    display(area)
    with area:
        display("in the area")
    for _ in tqdm(range(3), ascii=True, mininterval=0):
        pass
    print("end")
""")
    assert not cell.error, cell.message
    widgets = [data for data in cell.shown if "application/vnd.jupyter.widget-view+json" in data]
    assert len(widgets) == 2
    kept = console(records, "end")
    assert kept.count("3/3") == 1
    assert "0/3" not in kept
    assert "area" not in kept


def test_a_line_with_a_secret_is_withheld(notebook: Notebook, records: Records) -> None:
    """As everywhere: the line is replaced whole, and the report tells."""
    notebook.run(f"import autotrack\nwith autotrack.start_run('leaks'):\n    print('token={TOKEN}')\n    print('fine')")
    assert TOKEN not in console(records, "fine")
    (record,) = records(lambda found: "console" in {line.what for line in found[0].capture_report})
    assert [line.level for line in record.capture_report if line.what == "console"] == ["missing"]


def test_nothing_printed_is_lost_when_the_kernel_ends(notebook: Notebook, records: Records) -> None:
    """A run that is still open has it all."""
    notebook.run("import autotrack\nrun = autotrack.start_run('open')\nprint('first')")
    notebook.run("print('last', end='')")
    notebook.restart()
    assert console(records, "last") == "first\nlast"


def test_output_can_be_left_alone(notebook: Notebook, records: Records) -> None:
    """`capture={"console": False}` keeps none of it."""
    notebook.run("import autotrack; autotrack.configure(capture={'console': False})")
    notebook.run("with autotrack.start_run('quiet'): print('secretly')")
    notebook.run("autotrack.recording.collector.collector().background.wait(160)")
    (record,) = records()
    assert record.console == ""
