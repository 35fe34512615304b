"""The notebooks run from the first cell to the last, and what they promise is in the records afterwards."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import autotrack

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
ALL = sorted(FOLDER.glob("*.ipynb"))
PATIENCE = 170  # seconds: the machine may be busy
START_UP = f"""
import sys
def _until_all_is_recorded(*_):
    module = sys.modules.get("autotrack.recording.collector")
    owner = module and module.existing_collector()
    assert owner is None or owner.background.wait({PATIENCE}) == []
get_ipython().events.register("pre_run_cell", _until_all_is_recorded)
"""


def execute(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a notebook in `folder`; returns its code cells by id. An exception in a cell fails.

    A cell begins when all of the cells before it is recorded, as where a person looks at each before running the next.
    """
    start_up = folder / "ipython" / "profile_default" / "startup"
    start_up.mkdir(parents=True)
    (start_up / "wait.py").write_text(START_UP)
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / path.name))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=PATIENCE, startup_timeout=PATIENCE, iopub_timeout=PATIENCE, kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.create_kernel_manager().shutdown_wait_time = PATIENCE
    client.execute()
    return {cell["id"]: cell for cell in notebook["cells"] if cell["cell_type"] == "code"}


def shown(cell: Any, kind: str = "text/html") -> str:
    """What a cell displays in this form."""
    return "".join(output["data"].get(kind, "") for output in cell["outputs"] if "data" in output)


def printed(cell: Any, stream: str = "stdout") -> str:
    """What a cell prints."""
    return "".join(output["text"] for output in cell["outputs"] if output.get("name") == stream)


def needs(*names: str) -> None:
    """Skip where one of these is not installed."""
    for name in names:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


def unexpected(cells: dict[str, Any]) -> str:
    """What the cells write to stderr beyond autotrack's own lines."""
    lines = [line for cell in cells.values() for line in printed(cell, "stderr").splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("autotrack: "))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_it_is_stored_clean(path: Path) -> None:
    """No outputs and no execution counts in the repository, and every cell has an id of its own."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_sklearn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From autolog to table, curves, search, Pareto front, difference, model and reproduction."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    cells = execute(FOLDER / "01_sklearn.ipynb", tmp_path, monkeypatch)
    assert {text for cell in cells.values() if (text := printed(cell, "stderr"))} == set()
    shown_runs = {"show": "pipeline-1", "models": "extratreesclassifier-1", "boosting": "boosting 0.1"}
    for cell, name in shown_runs.items():
        assert name in shown(cells[cell])
    assert "<svg" in shown(cells["overfitting"])
    assert shown(cells["plot"], "image/png")
    assert shown(cells["pandas"]).count("<tr") > 3
    assert "runs of 01_sklearn" in shown(cells["pareto"])
    assert "learning_rate" in shown(cells["difference"])
    assert shown(cells["load"], "text/plain") == "True"
    assert "scikit-learn==" in printed(cells["plan"])
    assert "make_pipeline(StandardScaler(), SVC(C=3.0))" in printed(cells["cells"])

    runs = autotrack.runs(all=True)
    assert {record.status for record in runs} == {"finished"}
    assert {record.experiment for record in runs} == {"01_sklearn"}
    search = autotrack.get_run("gridsearchcv-1")
    assert (search.kind, search.child_count) == ("search", 9)
    assert all("val/score.mean" in child.metrics for child in search.children())
    scored = [record for record in runs if "test/accuracy" in record.metrics]
    assert len(scored) == 6
    assert all(float(record.metrics["test/accuracy"]) > 0.9 for record in scored)


@pytest.mark.slow
def test_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From autolog to early stopping, checkpoints, watched gradients, a logger and the difference of two fits."""
    needs("lightning", "torch", "matplotlib", "pandas")
    cells = execute(FOLDER / "02_lightning.ipynb", tmp_path, monkeypatch)
    assert unexpected(cells) == ""
    assert "digits-1" in shown(cells["show"])
    assert shown(cells["curves"], "image/png")
    assert "'end.stopped_by': 'EarlyStopping'" in shown(cells["early"], "text/plain")
    assert "last.ckpt" in shown(cells["files"])
    assert shown(cells["load"], "text/plain") == "True"
    assert shown(cells["watch"], "image/png")
    assert "hidden" in shown(cells["difference"])
    assert "steep" in shown(cells["table"])

    first, wide, steep = (autotrack.get_run(name) for name in ("digits-1", "wide", "steep"))
    assert {record.status for record in (first, wide, steep)} == {"finished"}
    assert len(autotrack.runs(all=True)) == 3
    assert first.params["end.epoch"] < first.params["trainer.max_epochs"] == 20
    assert min(float(first.metrics["test/accuracy"]), float(wide.metrics["test/accuracy"])) > 0.9
    kept = [file.meta for file in first.artifacts if file.kind == "checkpoint" and file.stored]
    assert {(meta["best"], meta["last"]) for meta in kept} >= {(True, False), (False, True)}
    assert wide.metrics["gradients/norm"].count == wide.params["end.step"] // 5
    assert steep.artifacts["remark.txt"].read() == b"The rate is too high on purpose."


@pytest.mark.slow
def test_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From autolog to roles, checkpoints, a search whose trials are children, and the model back again."""
    needs("transformers", "accelerate", "torch", "optuna", "matplotlib", "pandas")
    cells = execute(FOLDER / "03_transformers.ipynb", tmp_path, monkeypatch)
    assert unexpected(cells) == ""
    assert "bertforsequenceclassification-1" in shown(cells["show"])
    assert shown(cells["curves"], "image/png")
    assert "model.safetensors" in shown(cells["files"])
    assert "'end.restored_from': 'checkpoint-" in shown(cells["restored"], "text/plain")
    assert "trial-2" in shown(cells["optuna"])
    assert shown(cells["load"], "text/plain") == "(True, [1, 0])"

    first = autotrack.get_run("bertforsequenceclassification-1")
    assert {"train/loss", "val/loss", "val/accuracy", "test/accuracy"} <= set(first.metrics)
    assert float(first.metrics["test/accuracy"]) > 0.9
    names = list(first.params)
    assert names.index("learning_rate") < names.index("adam_beta1")
    (search,) = autotrack.runs("run.kind = search")
    assert [child.kind for child in search.children()] == ["trial"] * 3
    assert autotrack.get_run("chosen").params["learning_rate"] == search.params["best_params.learning_rate"]


def test_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From autolog to early stopping, a schedule, checkpoints, and every batch by the callback."""
    needs("keras", "torch", "matplotlib", "pandas")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    cells = execute(FOLDER / "04_keras.ipynb", tmp_path, monkeypatch)
    assert "sequential-1" in shown(cells["show"])
    assert "'end.stopped_by': 'EarlyStopping'" in shown(cells["early"], "text/plain")
    assert "'scheduler.name': 'ExponentialDecay'" in shown(cells["early"], "text/plain")
    assert shown(cells["curves"], "image/png")
    assert int(shown(cells["callback"], "text/plain")) == 44
    assert "by batch" in shown(cells["table"])

    first, stopped = autotrack.get_run("sequential-1"), autotrack.get_run("sequential-2")
    assert (first.params["epochs"], first.params["batch_size"]) == (6, 64)
    assert float(first.metrics["test/accuracy"]) > 0.8
    assert stopped.params["end.epochs"] < 40
    assert any(file.kind == "checkpoint" and file.stored for file in stopped.artifacts)
