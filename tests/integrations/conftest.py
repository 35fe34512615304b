"""What the tests of integrations share: autolog for the time of a test, and its records in short."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import autotrack
from autotrack import events
from autotrack.collector import collector


@dataclass
class Seen:
    """One training (or run, `number` 0) as its events tell it; params with their values decoded."""

    run: str
    number: int
    name: str = ""
    kind: str = ""
    parent: str | None = None
    experiment: str = ""
    status: str = "running"
    failure: events.Failure | None = None
    params: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
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
        case events.TrainingStarted():
            seen.name, seen.kind = event.name, event.kind
        case events.RunFinished() | events.TrainingFinished():
            seen.status, seen.failure = event.status, event.failure
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
            seen.metrics.update(zip(event.frame.keys, (values[-1].item() for values in event.values), strict=True))


@pytest.fixture
def seen(recorded: Callable[[], list[Any]]) -> Callable[[], list[Seen]]:
    """Everything recorded so far, a `Seen` for each run and each training in it, in order."""

    def read() -> list[Seen]:
        collector().background.wait(20)
        found: dict[tuple[str, int], Seen] = {}
        for event in recorded():
            training = event.frame.training if isinstance(event, events.MetricRows) else event.training
            _take(found.setdefault((event.run, training), Seen(event.run, training)), event)
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
def autolog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`autotrack.autolog`, switched on for scikit-learn, with time enough on a busy machine; off after the test."""
    for limit in ("BUDGET", "FIRST_BUDGET"):
        monkeypatch.setattr(f"autotrack.integrations.sklearn.fitting.{limit}", 60.0)
    autotrack.autolog("sklearn")
    yield autotrack.autolog
    autotrack.autolog(disable=True)
