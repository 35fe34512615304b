"""For people who extend autotrack: a sink in memory, and the tests that every sink and integration must pass.

    class TestMySink(SinkTestCase):
        def make_sink(self, folder):
            return MySink(f"mine://{folder}")
        def events_in(self, sink):
            return [...]          # what arrived, as `Arrived` tuples

Run with pytest. Nothing here needs a network; the journals are real ones.
"""

from __future__ import annotations

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from autotrack import _guard
from autotrack.events import AnyEvent, Frame, MetricRows, Params, RunFinished, RunStarted
from autotrack.journal.reader import Batch, journals
from autotrack.journal.writer import JournalWriter
from autotrack.recording import collector as collector_module
from autotrack.settings import Place, prepare
from autotrack.sinks.base import Sink
from autotrack.sinks.delivery import deliver

__all__ = ["Arrived", "IntegrationTestCase", "MemorySink", "SinkTestCase", "recorded_events", "recording_to"]


class Arrived(NamedTuple):
    """One fact as a sink keeps it: a param, a metric point, a start or an end, of one run."""

    run: str
    what: str
    name: str
    value: Any
    step: int | None = None


class MemorySink(Sink):
    """Keeps all events in memory, each exactly once."""

    def __init__(self, name: str = "memory:") -> None:
        self.name = name
        self.batches: list[Batch] = []
        self._positions: dict[str, int] = {}

    def position(self, journal: str) -> int:
        return self._positions.get(journal, 0)

    def write(self, batch: Batch, blobs: Path) -> None:
        if batch.end <= self.position(batch.journal):
            return
        self.batches.append(batch)
        self._positions[batch.journal] = batch.end

    @property
    def events(self) -> list[AnyEvent | MetricRows]:
        """Everything that arrived, batch by batch."""
        return [event for batch in self.batches for event in batch.events]


def arrivals(events: list[AnyEvent | MetricRows]) -> list[Arrived]:
    """Events as the facts that `SinkTestCase` compares; kinds it does not use are left out."""
    found: list[Arrived] = []
    for event in events:
        if isinstance(event, RunStarted):
            found.append(Arrived(event.run, "started", event.name, event.experiment))
        elif isinstance(event, RunFinished):
            found.append(Arrived(event.run, "finished", "", event.status))
        elif isinstance(event, Params):
            found += [Arrived(event.run, "param", key, text) for key, text in event.values.items()]
        elif isinstance(event, MetricRows):
            for key, column in zip(event.frame.keys, event.values, strict=True):
                points = zip(event.steps.tolist(), column.tolist(), strict=True)
                found += [Arrived(event.run, "metric", key, value, step) for step, value in points]
    return found


class SinkTestCase(ABC):
    """What every sink must hold. Subclass it, name the class `Test…`, and implement the two methods."""

    #: False for a sink that takes events at least once because its protocol has no identity for them
    exactly_once = True

    @abstractmethod
    def make_sink(self, folder: Path) -> Sink:
        """A sink that keeps what it gets in or below `folder`; a second call on the same folder is a new process."""

    @abstractmethod
    def events_in(self, sink: Sink) -> list[Arrived]:
        """What has arrived in the sink, read back from where it keeps it."""

    def test_everything_arrives(self, tmp_path: Path) -> None:
        """A finished run arrives whole."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=2000)
        done = deliver(place, sink)
        assert done.error is None
        assert not done.behind
        self._same(self.events_in(sink), expected)

    def test_a_second_delivery_adds_nothing(self, tmp_path: Path) -> None:
        """Not from the same object, and not from a new process that does not remember."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=10)
        deliver(place, sink)
        sink.close()
        again = self.make_sink(tmp_path / "sink")
        assert deliver(place, again).events == 0
        self._same(self.events_in(again), expected)

    def test_a_batch_that_comes_twice_is_taken_once(self, tmp_path: Path) -> None:
        """A crash between writing and remembering sends a batch again."""
        if not self.exactly_once:
            return
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=10)
        (journal,) = journals(place.journals)
        batch = journal.read()
        sink.write(batch, place.blobs)
        sink.write(batch, place.blobs)
        assert sink.position(journal.id) == batch.end
        self._same(self.events_in(sink), expected)

    def test_a_live_journal_arrives_piece_by_piece(self, tmp_path: Path) -> None:
        """What is added later follows, in order."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=10, finish=False)
            deliver(place, sink)
            self._same(self.events_in(sink), expected)
            expected += _record(writer, "run-b", points=5)
            deliver(place, sink)
        self._same(self.events_in(sink), expected)

    def test_facts_may_come_before_their_run(self, tmp_path: Path) -> None:
        """Workers and ranks write journals of their own; theirs may arrive first."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as worker:
            packer = worker.packer(Frame(run="run-a", keys=("worker/loss",), types="d"))
            worker.append_row(packer, 3, 100.0, (0.25,))
        deliver(place, sink)
        with _journal(place, sink) as owner:
            expected = _record(owner, "run-a", points=2)
        deliver(place, sink)
        expected.append(Arrived("run-a", "metric", "worker/loss", 0.25, 3))
        self._same(self.events_in(sink), expected)

    def test_not_a_number_survives(self, tmp_path: Path) -> None:
        """NaN and infinities arrive as what they are, or as their names."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            _record(writer, "run-a", points=0, finish=False)
            packer = writer.packer(Frame(run="run-a", keys=("m",), types="d"))
            for step, value in enumerate((float("nan"), float("inf"), float("-inf"))):
                writer.append_row(packer, step, 100.0 + step, (value,))
        deliver(place, sink)
        found = [str(float(fact.value)) for fact in self.events_in(sink) if fact.what == "metric"]
        assert found == ["nan", "inf", "-inf"]

    def test_the_name_holds_no_secret(self, tmp_path: Path) -> None:
        """Journals and messages carry the name."""
        assert "@" not in self.make_sink(tmp_path / "sink").name

    @staticmethod
    def _same(found: list[Arrived], expected: list[Arrived]) -> None:
        def order(fact: Arrived) -> tuple[str, ...]:
            return tuple(map(str, fact))

        assert sorted(found, key=order) == sorted(expected, key=order)


class IntegrationTestCase(ABC):
    """What every integration must hold. Implement `install`, `uninstall` and `train`."""

    @abstractmethod
    def install(self) -> None:
        """Switch the integration on."""

    @abstractmethod
    def uninstall(self) -> None:
        """Switch it off."""

    @abstractmethod
    def train(self, *, fail: bool = False) -> Any:
        """Train something small with fixed seeds; with `fail`, raise a `ZeroDivisionError` amidst training.

        Returns the result as something that pickles, such as the weights.
        """

    def test_a_training_is_a_run(self, tmp_path: Path) -> None:
        """One run, with params, that finished."""
        with self._installed(tmp_path) as place:
            self.train()
        events = recorded_events(place)
        assert [event.status for event in events if isinstance(event, RunFinished)] == ["finished"]
        assert any(isinstance(event, Params) for event in events)

    def test_the_result_is_the_same_with_and_without(self, tmp_path: Path) -> None:
        """Bit by bit."""
        without = pickle.dumps(self.train())
        with self._installed(tmp_path):
            with_it = pickle.dumps(self.train())
        assert with_it == without == pickle.dumps(self.train())

    def test_a_failure_is_the_users(self, tmp_path: Path) -> None:
        """The exception passes and the run says so."""
        with self._installed(tmp_path) as place:
            try:
                self.train(fail=True)
            except ZeroDivisionError:
                pass
            else:
                raise AssertionError("the training's own exception did not pass")
        statuses = [event.status for event in recorded_events(place) if isinstance(event, RunFinished)]
        assert statuses == ["failed"]

    def test_uninstalled_it_records_nothing(self, tmp_path: Path) -> None:
        """After `uninstall` a training leaves no trace."""
        with self._installed(tmp_path):
            pass
        with recording_to(tmp_path / "after") as place:
            self.train()
        assert recorded_events(place) == []

    def test_inside_an_open_run_it_is_a_part_of_it(self, tmp_path: Path) -> None:
        """The training joins the run that the user opened."""
        from autotrack.recording.lifecycle.start import start_run

        with self._installed(tmp_path) as place, start_run("mine") as run:
            self.train()
        assert {event.run for event in recorded_events(place)} == {run.id}

    @contextmanager
    def _installed(self, folder: Path) -> Iterator[Place]:
        with recording_to(folder / "on") as place:
            self.install()
            try:
                yield place
            finally:
                self.uninstall()


@contextmanager
def recording_to(folder: Path) -> Iterator[Place]:
    """Record to `folder` inside the block; failures that autotrack swallowed there are raised at its end."""
    failures: list[tuple[str, BaseException]] = []
    remove = _guard.add_failure_hook(lambda what, error: failures.append((what, error)))
    previous = os.environ.get("AUTOTRACK_DIR")
    os.environ["AUTOTRACK_DIR"] = str(folder)
    saved, collector_module._collector = collector_module._collector, None
    try:
        owner = collector_module.collector()
        yield owner.place
        owner.background.wait(30)
    finally:
        collector_module._collector = saved
        if previous is None:
            del os.environ["AUTOTRACK_DIR"]
        else:
            os.environ["AUTOTRACK_DIR"] = previous
        remove()
    if failures:
        what, error = failures[0]
        raise AssertionError(f"autotrack swallowed a failure: {what}") from error


def recorded_events(place: Place) -> list[AnyEvent | MetricRows]:
    """All events in the journals of a place."""
    events: list[AnyEvent | MetricRows] = []
    for journal in journals(place.journals):
        position = 0
        while batch := journal.read(position):
            events += batch.events
            position = batch.end
    return events


def _place(folder: Path) -> Place:
    place = Place(folder / ".autotrack", "a test")
    prepare(place)
    return place


@contextmanager
def _journal(place: Place, sink: Sink) -> Iterator[JournalWriter]:
    writer = JournalWriter(place.journals, sinks=["store", sink.name])
    yield writer
    writer.close()


def _record(writer: JournalWriter, run: str, *, points: int, finish: bool = True) -> list[Arrived]:
    writer.append(RunStarted(run=run, time=99.0, name=f"name of {run}", experiment="tests"))
    writer.append(Params(run=run, time=99.5, values={"lr": "0.1", "layers": "[1, 2]"}))
    packer = writer.packer(Frame(run=run, keys=("loss", "seen"), types="dq"))
    for step in range(points):
        writer.append_row(packer, step, 100.0 + step, (1.0 / (step + 1), step))
    expected = [
        Arrived(run, "started", f"name of {run}", "tests"),
        Arrived(run, "param", "lr", "0.1"),
        Arrived(run, "param", "layers", "[1, 2]"),
    ]
    expected += [Arrived(run, "metric", "loss", 1.0 / (step + 1), step) for step in range(points)]
    expected += [Arrived(run, "metric", "seen", step, step) for step in range(points)]
    if finish:
        writer.append(RunFinished(run=run, time=100.0 + points, status="finished"))
        expected.append(Arrived(run, "finished", "", "finished"))
    return expected
