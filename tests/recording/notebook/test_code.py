"""The code of a notebook's cells is kept with its runs: up to where a run began, and on to where it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import autotrack

if TYPE_CHECKING:
    from tests.recording.notebook.conftest import Notebook

Records = Callable[..., list[Any]]
CODE, CELL = "notebook/code.py", "notebook/cell.py"
TOKEN = "ghp_" + "a1B2c3D4e5" * 4


def ready(found: list[Any]) -> bool:
    """The code is kept beside the cell: both arrive a moment later, first the code, and then the cell by itself."""
    return all({CODE, CELL} <= {artifact.name for artifact in record.artifacts} for record in found)


def test_the_code_up_to_the_cell_and_the_cell(notebook: Notebook, records: Records) -> None:
    """Cells with their numbers, in the order in which they ran, with magics and `%reset`; nothing of later ones."""
    notebook.run("import autotrack")
    notebook.run("width = 3\n%reset -f")
    opening = "import autotrack\nwith autotrack.start_run('first') as run:\n    run.log({'loss': 1.0})"
    cell = notebook.run(opening)
    notebook.run("later = True")
    (record,) = records(ready)
    code = record.artifacts[CODE]
    text = code.read().decode()
    assert code.kind == record.artifacts[CELL].kind == "source"
    assert text.endswith(
        f"# %% [{cell.number - 2}]\nimport autotrack\n\n"
        f"# %% [{cell.number - 1}]\nwidth = 3\n%reset -f\n\n"
        f"# %% [{cell.number}]\n{opening}\n"
    )
    assert record.artifacts[CELL].read().decode() == text[text.rindex("# %%") :]
    assert code.meta["cell"] == cell.number


def test_cells_that_a_run_lived_through(notebook: Notebook, records: Records) -> None:
    """A run that is finished three cells later keeps these cells, too; the version from its beginning stays."""
    notebook.run("import autotrack; run = autotrack.start_run('long')")
    notebook.run("for loss in (3.0, 2.0): run.log({'loss': loss})")
    notebook.run("1 / 0")
    end = notebook.run("run.finish()")
    (record,) = records(lambda found: ready(found) and len(found[0].artifact_versions(CODE)) == 2)
    first, last = (version.read().decode() for version in record.artifact_versions(CODE))
    assert last.startswith(first)
    assert "for loss in (3.0, 2.0)" in last
    assert last.endswith(f"# %% [{end.number}]\nrun.finish()\n")


def test_a_fit_keeps_the_code_that_led_to_it(notebook: Notebook, records: Records) -> None:
    """Autologged trainings too, each that of its own cell; two in one cell share one file."""
    notebook.run("import autotrack; autotrack.autolog()\nfrom sklearn.dummy import DummyClassifier")
    notebook.run("for _ in range(2): DummyClassifier().fit([[0], [1]], [0, 1])")
    notebook.run("DummyClassifier(strategy='uniform').fit([[0], [1]], [0, 1])")
    one, two, other = records(ready)
    assert one.artifacts[CODE].digest == two.artifacts[CODE].digest
    assert (
        other.artifacts[CODE].read().decode().endswith("DummyClassifier(strategy='uniform').fit([[0], [1]], [0, 1])\n")
    )


def test_a_cell_with_a_secret_is_withheld_whole(notebook: Notebook, records: Records, place: Any) -> None:
    """Neither the script nor any other file on the disk has it, and both script and report say what is missing."""
    secret = notebook.run(f"import autotrack\ntoken = {TOKEN!r}")
    notebook.run("with autotrack.start_run('careful'):\n    pass")
    (record,) = records(lambda found: "notebook" in {line.what for line in found[0].capture_report})
    text = record.artifacts[CODE].read().decode()
    assert f"# %% [{secret.number}]\n# withheld: this cell is likely to hold a secret\n" in text
    assert "with autotrack.start_run('careful')" in text
    (line,) = [line for line in record.capture_report if line.what == "notebook"]
    assert (line.level, f"cell [{secret.number}]" in line) == ("missing", True)
    for path in place.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_it_can_be_switched_off(notebook: Notebook, records: Records) -> None:
    """`capture={"notebook": False}` keeps no code."""
    notebook.run("import autotrack; autotrack.configure(capture={'notebook': False})")
    notebook.run("with autotrack.start_run('quiet') as run: run.log({'loss': 1.0})")
    notebook.run("autotrack.recording.collector.collector().background.wait(160)")
    (record,) = records()
    assert not [artifact.name for artifact in record.artifacts if artifact.kind == "source"]
    assert "notebook" not in record.environment


def test_where_there_is_no_notebook(script: Any) -> None:
    """A script has no cells: nothing of this is recorded."""
    script("import autotrack\nwith autotrack.start_run('plain') as run: run.log({'loss': 1.0})")
    assert CODE not in {artifact.name for artifact in autotrack.get_run("plain").artifacts}
