"""What the tests of integrations share: autolog for the time of a test, and its records in short."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack import events
from autotrack.recording.collector import collector


@dataclass
class Seen:
    """One training (or run, `number` 0) as its events tell it; params with their values decoded."""

    run: str
    number: int
    name: str = ""
    kind: str = ""
    parent: str | None = None
    parent_training: int = 0
    experiment: str = ""
    status: str = "running"
    failure: events.Failure | None = None
    params: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    history: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    started: float = 0.0
    ended: float = 0.0
    tags: dict[str, Any] = field(default_factory=dict)
    datasets: dict[str, events.Dataset] = field(default_factory=dict)
    models: dict[str, events.Model] = field(default_factory=dict)
    files: dict[str, events.Artifact] = field(default_factory=dict)
    reports: list[events.Report] = field(default_factory=list)

    def reported(self, what: str) -> list[str]:
        """The lines of the capture report about `what`."""
        return [report.message for report in self.reports if report.what == what]


def _take(seen: Seen, event: Any) -> None:
    match event:
        case events.RunStarted():
            seen.name, seen.kind, seen.parent, seen.experiment = event.name, event.kind, event.parent, event.experiment
            seen.parent_training, seen.started = event.training, event.time
        case events.TrainingStarted():
            seen.name, seen.kind, seen.started = event.name, event.kind, event.time
        case events.RunFinished() | events.TrainingFinished():
            seen.status, seen.failure, seen.ended = event.status, event.failure, event.time
        case events.Params():
            into = seen.params if event.origin == "set" else seen.defaults
            into.update({key: json.loads(text) for key, text in event.values.items()})
        case events.Tags():
            seen.tags.update(event.values)
        case events.Dataset():
            seen.datasets[event.name] = event
        case events.Model():
            seen.models[event.name] = event
        case events.Artifact():
            seen.files[event.name] = event
        case events.Report():
            seen.reports.append(event)
        case events.MetricRows():
            for key, values in zip(event.frame.keys, event.values, strict=True):
                seen.metrics[key] = values[-1].item()
                seen.history.setdefault(key, []).extend(zip(event.steps.tolist(), values.tolist(), strict=True))


@pytest.fixture
def seen(recorded: Callable[[], list[Any]]) -> Callable[[], list[Seen]]:
    """Everything recorded so far, a `Seen` for each run and each training in it, in order."""

    def number(event: Any) -> int:
        if isinstance(event, events.RunStarted):
            return 0
        return event.frame.training if isinstance(event, events.MetricRows) else event.training

    def read() -> list[Seen]:
        assert collector().background.wait(170) == []
        found: dict[tuple[str, int], Seen] = {}
        for event in recorded():
            _take(found.setdefault((event.run, number(event)), Seen(event.run, number(event))), event)
        for one in found.values():
            one.metrics = {key: value for key, value in one.metrics.items() if not key.startswith("system/")}
        return list(found.values())

    return read


@pytest.fixture
def only(seen: Callable[[], list[Seen]]) -> Callable[[], Seen]:
    """The one training that was recorded, and nothing else was."""

    def read() -> Seen:
        (one,) = seen()
        return one

    return read


@pytest.fixture
def evaluations(recorded: Callable[[], list[Any]]) -> Callable[[], dict[str, list[Any]]]:
    """The tables recorded so far: their columns, in order, by name."""

    def read() -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for event in recorded():
            if isinstance(event, events.Evaluation):
                found.setdefault(event.name, []).append(event.columns)
        return found

    return read


@pytest.fixture
def points(recorded: Callable[[], list[Any]]) -> Callable[[str], list[Any]]:
    """All values of one metric, in order."""

    def read(key: str) -> list[Any]:
        rows = [event for event in recorded() if isinstance(event, events.MetricRows) and key in event.frame.keys]
        return [value for one in rows for value in one.values[one.frame.keys.index(key)].tolist()]

    return read


@pytest.fixture
def autolog() -> Iterator[Callable[..., None]]:
    """`autotrack.autolog`, switched on for scikit-learn; off after the test."""
    autotrack.autolog("sklearn")
    yield autotrack.autolog
    autotrack.autolog(disable=True)


@pytest.fixture(scope="module")
def run_twice(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Run a script `with` autotrack and `without` at once, in folders of these names, once for all test workers.

    Returns the folder of both; what autotrack recorded lies in its `.autotrack`.
    """

    def run(script: Path) -> Path:
        base = tmp_path_factory.getbasetemp()
        folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / script.stem
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "done").exists():
                _run_both(script, folder)
                (folder / "done").touch()
        return folder

    return run


def _run_both(script: Path, folder: Path) -> None:
    ours = ("AUTOTRACK", "MLFLOW", "WANDB")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    settings = {
        "AUTOTRACK_DIR": str(folder / ".autotrack"), "AUTOTRACK_QUIET": "1", "PYTHONWARNINGS": "ignore",
        "AUTOTRACK_ENVIRONMENT_TIMEOUT": "170", "AUTOTRACK_EXIT_TIMEOUT": "170",
    }  # fmt: skip
    processes = []
    for word in ("with", "without"):
        (folder / word).mkdir()
        command = [sys.executable, str(script), str(folder / word), word]
        processes.append(
            subprocess.Popen(
                command, cwd=folder / word, env={**inherited, **settings}, stderr=subprocess.PIPE, text=True
            )
        )
    for process in processes:
        _, complaints = process.communicate(timeout=600)
        assert process.returncode == 0, complaints
        assert "autotrack:" not in complaints, complaints


@pytest.fixture
def released(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test, what the module calls `hooks` holds no patch for any callback or logger that the test made."""
    yield
    autotrack.autolog(disable=True)
    hooks = request.module.hooks
    for holder in list(hooks.holders):
        hooks.release(holder)
