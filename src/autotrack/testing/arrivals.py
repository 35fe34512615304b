"""Events as plain facts, the form in which `SinkTestCase` compares what was recorded with what a sink holds."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from autotrack import events as recorded
from autotrack.events import AnyEvent, MetricRows


class Arrived(NamedTuple):
    """One fact of one run as a sink holds it. `what` is its kind, which determines what the other fields hold.

    | what | name | value |
    |---|---|---|
    | started | name of the run | experiment |
    | kind | | kind of the run, unless it is "run" |
    | parent | | id of the parent run |
    | resumed | | number of the attempt |
    | finished | | status |
    | failure | type of the exception | its message |
    | renamed | | new name |
    | training_started | name | framework; `training` is its number |
    | training_finished | | status; `training` is its number |
    | param | key | JSON text |
    | origin | key of a param | "default" or "config"; none for a param that the user set |
    | tag | key | text; None where the tag was removed |
    | note | | text |
    | section | name | its data, or the sentence that says why there is none |
    | artifact | name | digest; with its step |
    | media | key | digest; with its step |
    | dataset, model | name | digest |
    | console | stream | text |
    | report | subject | message |
    | evaluation | name | columns |
    | metric | key | number; with its step. NaN and infinities may be given as their names |
    """

    run: str
    what: str
    name: str
    value: Any
    step: int | None = None
    training: int = 0


def arrivals(events: Iterable[AnyEvent | MetricRows]) -> list[Arrived]:
    """All facts of the events, in their order; an artifact that replaces an earlier one takes its place."""
    found: list[Arrived] = []
    versions: dict[tuple[str, str, float], int] = {}
    for event in events:
        facts = [Arrived(event.run, *fact) for fact in _FACTS[type(event)](event)]
        if isinstance(event, recorded.Artifact):
            version = (event.run, event.name, event.time if event.replaces is None else event.replaces)
            if event.replaces is not None and version in versions:
                (found[versions[version]],) = facts
                continue
            versions[version] = len(found)
        found += facts
    return found


def missing_and_surplus(
    found: Iterable[Arrived], expected: Iterable[Arrived], leaves_out: Iterable[str]
) -> tuple[list[Arrived], list[Arrived]]:
    """The facts that a sink lacks, and those that it has too many, of all kinds but those that it leaves out."""
    here, wanted = Counter(_outcome(found, leaves_out)), Counter(_outcome(expected, leaves_out))
    return list((wanted - here).elements()), list((here - wanted).elements())


def _outcome(facts: Iterable[Arrived], leaves_out: Iterable[str]) -> Iterator[Arrived]:
    """The final state of the facts, hashable: a sink may keep every revision of a value or only the latest."""
    latest: dict[tuple[str, ...], Arrived] = {}
    for fact in facts:
        if fact.what in leaves_out:
            continue
        if fact.what in ("started", "finished"):
            latest[fact.run, fact.what] = fact
        elif fact.what == "renamed":
            start = latest.get((fact.run, "started"), fact)
            latest[fact.run, "started"] = start._replace(name=fact.value)
        elif fact.what in ("param", "origin", "tag"):
            latest[fact.run, fact.what, fact.name] = fact
        elif fact.what == "console":
            key = (fact.run, fact.what, fact.name)
            latest[key] = fact._replace(value=f"{latest[key].value}{fact.value}") if key in latest else fact
        else:
            yield fact._replace(value=_comparable(fact))
    yield from (fact for fact in latest.values() if fact.what != "tag" or fact.value is not None)


def _comparable(fact: Arrived) -> Any:
    if fact.what == "metric":
        number = fact.value if isinstance(fact.value, int) else float(fact.value)
        return "nan" if math.isnan(number) else number  # NaN is not equal to itself
    return json.dumps(fact.value, sort_keys=True) if isinstance(fact.value, dict | list) else fact.value


_Fact = tuple[Any, ...]  # the fields of `Arrived` behind the run


def _points(rows: MetricRows) -> Iterator[_Fact]:
    for key, column in zip(rows.frame.keys, rows.values, strict=True):
        for step, value in zip(rows.steps.tolist(), column.tolist(), strict=True):
            yield "metric", key, value, step


def _start(event: recorded.RunStarted) -> Iterator[_Fact]:
    yield "started", event.name, event.experiment
    if event.kind != "run":
        yield "kind", "", event.kind
    if event.parent is not None:
        yield "parent", "", event.parent


def _end(event: recorded.RunFinished | recorded.TrainingFinished) -> Iterator[_Fact]:
    if isinstance(event, recorded.RunFinished):
        yield "finished", "", event.status
    else:
        yield "training_finished", "", event.status, None, event.training
    if event.failure is not None:
        yield "failure", event.failure.type, event.failure.message


def _params(event: recorded.Params) -> Iterator[_Fact]:
    for key, value in event.values.items():
        yield "param", key, value
        if event.origin != "set":
            yield "origin", key, event.origin


_FACTS: dict[type, Callable[[Any], Iterable[_Fact]]] = {
    MetricRows: _points,
    recorded.RunStarted: _start,
    recorded.RunResumed: lambda event: [("resumed", "", event.attempt)],
    recorded.RunFinished: _end,
    recorded.RunRenamed: lambda event: [("renamed", "", event.name)],
    recorded.TrainingStarted: lambda event: [("training_started", event.name, event.framework, None, event.training)],
    recorded.TrainingFinished: _end,
    recorded.Params: _params,
    recorded.Tags: lambda event: [("tag", key, value) for key, value in event.values.items()],
    recorded.Note: lambda event: [("note", "", event.text)],
    recorded.Section: lambda event: [("section", event.name, event.unavailable or event.data)],
    recorded.Artifact: lambda event: [("artifact", event.name, event.digest, event.step)],
    recorded.Media: lambda event: [("media", event.key, event.digest, event.step)],
    recorded.Dataset: lambda event: [("dataset", event.name, event.digest)],
    recorded.Model: lambda event: [("model", event.name, event.digest)],
    recorded.Console: lambda event: [("console", event.stream, event.text)],
    recorded.Report: lambda event: [("report", event.what, event.message)],
    recorded.Evaluation: lambda event: [("evaluation", event.name, event.columns)],
}
