"""`SinkTestCase` fails a sink that loses facts, and skips by name the kinds that a sink leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotrack import events
from autotrack.events import AnyEvent, MetricRows
from autotrack.sinks import Batch, BlobReader, Sink
from autotrack.testing import Arrived, MemorySink, SinkTestCase, arrivals
from autotrack.testing.sink_cases import CASES

Change = Callable[[Any], Any]  # from an event to what a faulty sink keeps of it; None drops it


class FaultySink(MemorySink):
    """Keeps of each event what `change` makes of it."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change = change

    def write(self, batch: Batch, blobs: BlobReader) -> None:
        kept = [changed for event in batch.events if (changed := self._change(event)) is not None]
        super().write(dataclasses.replace(batch, events=kept), blobs)


def suite(change: Change = lambda event: event, **attributes: Any) -> SinkTestCase:
    """The test case of a faulty sink, with the attributes of the class set."""

    class Case(SinkTestCase):
        def make_sink(self, folder: Path) -> Sink:
            return FaultySink(change)

        def events_in(self, sink: Sink) -> list[Arrived]:
            assert isinstance(sink, MemorySink)
            return arrivals(sink.events)

    for name, value in attributes.items():
        setattr(Case, name, value)
    return Case()


def fails(case: SinkTestCase, folder: Path) -> set[str]:
    """The cases of kinds of facts that fail."""
    failed = set()
    for name in CASES:
        (folder / name).mkdir(parents=True)
        try:
            case.test_a_kind_of_fact_arrives(folder / name, name)
        except AssertionError:
            failed.add(name)
    return failed


def without(kind: type) -> Change:
    """A sink that drops events of this class."""
    return lambda event: None if isinstance(event, kind) else event


KINDS: tuple[type, ...] = (*AnyEvent.__args__, MetricRows)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_sink_that_drops_a_kind_of_event_fails(kind: type, tmp_path: Path) -> None:
    """There is at least one case for each kind of event, and it fails without the kind."""
    assert fails(suite(without(kind)), tmp_path)


def test_a_sink_that_drops_nothing_passes(tmp_path: Path) -> None:
    """The same sink without a fault passes every case."""
    assert fails(suite(), tmp_path) == set()


def changed(kind: type, /, **fields: Any) -> Change:
    """A sink that loses these fields of events of this class."""

    def change(event: Any) -> Any:
        if not isinstance(event, kind):
            return event
        lost = {name: value(event) if callable(value) else value for name, value in fields.items()}
        if isinstance(event, MetricRows):
            return dataclasses.replace(event, **lost)
        return type(event)(**{name: getattr(event, name) for name in event.__struct_fields__} | lost)

    return change


def rows(choose: Callable[[MetricRows], Any]) -> Change:
    """A sink that keeps only the rows of metrics that are chosen."""

    def change(event: Any) -> Any:
        if not isinstance(event, MetricRows):
            return event
        kept = choose(event)
        values = tuple(column[kept] for column in event.values)
        return dataclasses.replace(event, steps=event.steps[kept], times=event.times[kept], values=values)

    return change


def first_tag(event: events.Tags) -> dict[str, str | None]:
    """The tags without removals."""
    return {key: value for key, value in event.values.items() if value is not None}


FAULTS: dict[str, tuple[Change, set[str]]] = {
    "the failure": (changed(events.RunFinished, failure=None), {"failure"}),
    "the failure of a training": (changed(events.TrainingFinished, failure=None), {"training_finished"}),
    "the number of a training": (
        changed(events.TrainingStarted, training=2),
        {"training_started", "training_finished"},
    ),
    "the parent": (changed(events.RunStarted, parent=None), {"parent"}),
    "the kind": (changed(events.RunStarted, kind="run"), {"kind"}),
    "the origin": (changed(events.Params, origin="set"), {"origin"}),
    "params but the first": (
        changed(events.Params, values=lambda event: event.values if event.time == 110.0 else {}),
        {"param.revised", "origin"},
    ),
    "params of trainings": (
        changed(events.Params, values=lambda event: {} if event.training else event.values),
        {"param.training"},
    ),
    "the removal of tags": (changed(events.Tags, values=first_tag), {"tag.removed"}),
    "why a section is empty": (changed(events.Section, unavailable=None), {"section"}),
    "that an artifact replaces another": (changed(events.Artifact, replaces=None), {"artifact.replaced"}),
    "points that are not finite": (rows(lambda event: np.isfinite(event.values[0])), {"metric.nonfinite"}),
    "points of a step that was there": (
        rows(lambda event: np.unique(event.steps, return_index=True)[1]), {"metric.steps"},
    ),
    "points that go back": (
        rows(lambda event: event.steps >= np.maximum.accumulate(event.steps)), {"metric.steps"},
    ),
    "whole numbers": (
        changed(MetricRows, values=lambda event: tuple(column.astype(np.int8) for column in event.values)),
        {"metric", "metric.steps", "metric.nonfinite"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_a_sink_that_loses_a_part_fails(fault: str, tmp_path: Path) -> None:
    """The other fields of an event are compared as well, each by a case of its own."""
    change, expected = FAULTS[fault]
    assert fails(suite(change), tmp_path) == expected


def test_what_a_sink_leaves_out_is_skipped_by_name(tmp_path: Path) -> None:
    """A kind, or one case of it, is skipped and not passed; all else is still compared."""
    case = suite(without(events.Note), leaves_out=frozenset({"note", "param.revised"}))
    for name in ("note", "param.revised"):
        with pytest.raises(pytest.skip.Exception, match=f"leaves out {name}"):
            case.test_a_kind_of_fact_arrives(tmp_path, name)
    case.test_a_kind_of_fact_arrives(tmp_path, "param")


def test_a_sink_without_identity_skips_the_batch_that_comes_twice(tmp_path: Path) -> None:
    """A test that does not apply is a skip, no pass."""
    with pytest.raises(pytest.skip.Exception, match="at least once"):
        suite(exactly_once=False).test_a_batch_that_comes_twice_is_taken_once(tmp_path)


def test_a_sink_that_copies_no_files_skips_their_test(tmp_path: Path) -> None:
    """Files are compared only for a sink that copies them."""
    with pytest.raises(pytest.skip.Exception, match="copies no files"):
        suite().test_files_arrive(tmp_path)


def test_a_sink_that_loses_bytes_fails(tmp_path: Path) -> None:
    """The bytes are compared, not only the names."""
    case = suite(files_in=lambda case, sink: dict.fromkeys(["report.html", "weights.bin", "val/image"], b""))
    with pytest.raises(AssertionError):
        case.test_files_arrive(tmp_path)


def test_a_sink_that_insists_on_every_file_fails(tmp_path: Path) -> None:
    """Superseded checkpoints are deleted, so a missing file must not keep a journal waiting."""

    class Insisting(MemorySink):
        def write(self, batch: Batch, blobs: BlobReader) -> None:
            for event in batch.events:
                if isinstance(event, events.Artifact):
                    blobs.read(event.digest)
            super().write(batch, blobs)

    case = suite(make_sink=lambda case, folder: Insisting())
    with pytest.raises(AssertionError):
        case.test_a_missing_file_does_not_stop_delivery(tmp_path)
