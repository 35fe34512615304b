"""A sink in memory, and the tests that every sink must pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from autotrack.events import AnyEvent, Artifact, Event, Frame, Media, MetricRows, Params, RunFinished, RunStarted
from autotrack.exceptions import NotFoundError
from autotrack.journal.blobs import BlobFolder, put_bytes
from autotrack.journal.reader import Batch, journals
from autotrack.journal.writer import JournalWriter, RowPacker
from autotrack.place import Place, prepare
from autotrack.sinks.base import BlobReader, Sink
from autotrack.sinks.delivery import deliver
from autotrack.testing.arrivals import Arrived, arrivals, missing_and_surplus
from autotrack.testing.sink_cases import CASES, FILES, MISSING, RUN, STORED, STORED_BYTES, Fact


class MemorySink(Sink):
    """Keeps all events in memory, each exactly once, and in `files` the bytes of stored files by their digest."""

    def __init__(self, name: str = "memory:") -> None:
        self.name = name
        self.batches: list[Batch] = []
        self.files: dict[str, bytes] = {}
        self._positions: dict[str, int] = {}

    def position(self, journal: str) -> int:
        return self._positions.get(journal, 0)

    def write(self, batch: Batch, blobs: BlobReader) -> None:
        if batch.end <= self.position(batch.journal):
            return
        for event in batch.events:
            if isinstance(event, Media) or (isinstance(event, Artifact) and event.stored):
                self._keep(event.digest, blobs)
        self.batches.append(batch)
        self._positions[batch.journal] = batch.end

    def _keep(self, digest: str, blobs: BlobReader) -> None:
        if digest not in self.files:
            try:
                self.files[digest] = blobs.read(digest)
            except NotFoundError:
                return

    @property
    def events(self) -> list[AnyEvent | MetricRows]:
        """All events that arrived, batch by batch."""
        return [event for batch in self.batches for event in batch.events]


class SinkTestCase(ABC):
    """The tests of a sink. Subclass it, name the class `Test…`, and implement `make_sink` and `events_in`.

    Every kind of event must arrive. A sink whose target has no place for some of them names these in `leaves_out`, and
    their tests are skipped. A sink may keep all revisions of a value or only the latest.
    """

    #: False for a sink that takes events at least once because its protocol has no identity for them
    exactly_once = True

    #: What the sink's target cannot hold: values of `Arrived.what` ("note"), or cases of them ("param.revised")
    leaves_out: frozenset[str] = frozenset()

    @abstractmethod
    def make_sink(self, folder: Path) -> Sink:
        """A sink that keeps its events in or below `folder`; a second call with it stands for a new process."""

    @abstractmethod
    def events_in(self, sink: Sink) -> list[Arrived]:
        """All facts that have arrived in the sink, read back from where it keeps them."""

    def files_in(self, sink: Sink) -> dict[str, bytes] | None:
        """The files that the sink has copied, by artifact name or media key; None for a sink that copies none."""
        return None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Run `test_a_kind_of_fact_arrives` once for each case."""
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", list(CASES))

    def test_a_kind_of_fact_arrives(self, tmp_path: Path, case: str) -> None:
        """The facts of one kind arrive as they were recorded."""
        self._skip_if_left_out(case)
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            _append(writer, _whole_run(CASES[case]))
        (journal,) = journals(place.journals)
        expected = arrivals(journal.read().events)
        assert deliver(place, sink).error is None
        self._same(self.events_in(sink), expected)

    def test_files_arrive(self, tmp_path: Path) -> None:
        """A sink that copies files has the bytes of each stored artifact and medium."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            _append(writer, _whole_run(STORED))
        assert deliver(place, sink).error is None
        found = self.files_in(sink)
        if found is None:
            _skip("the sink copies no files")
        for what, expected in STORED_BYTES.items():
            if what not in self.leaves_out:
                assert {name: found.get(name) for name in expected} == expected

    def test_a_missing_file_does_not_stop_delivery(self, tmp_path: Path) -> None:
        """The event of a file that was deleted meanwhile arrives without bytes, and all later ones arrive as well."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            _append(writer, _whole_run((MISSING, *CASES["metric"])))
        (journal,) = journals(place.journals)
        expected = arrivals(journal.read().events)
        done = deliver(place, sink)
        assert done.error is None
        assert not done.behind
        self._same(self.events_in(sink), expected)

    def test_everything_arrives(self, tmp_path: Path) -> None:
        """A finished run with some thousand points arrives whole."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=2000)
        done = deliver(place, sink)
        assert done.error is None
        assert not done.behind
        self._same(self.events_in(sink), expected)

    def test_a_second_delivery_adds_nothing(self, tmp_path: Path) -> None:
        """A new process, which does not remember the first delivery, delivers no event again."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=10)
        deliver(place, sink)
        sink.close()
        again = self.make_sink(tmp_path / "sink")
        assert deliver(place, again).events == 0
        self._same(self.events_in(again), expected)

    def test_a_batch_that_comes_twice_is_taken_once(self, tmp_path: Path) -> None:
        """A batch that is delivered again, as after a crash before its position was noted, changes nothing."""
        if not self.exactly_once:
            _skip("the sink takes events at least once")
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=10)
        (journal,) = journals(place.journals)
        batch, blobs = journal.read(), BlobFolder(place.blobs)
        sink.write(batch, blobs)
        sink.write(batch, blobs)
        assert sink.position(journal.id) == batch.end
        self._same(self.events_in(sink), expected)

    def test_a_live_journal_arrives_piece_by_piece(self, tmp_path: Path) -> None:
        """Events that are recorded after a delivery arrive with the next one."""
        place, sink = _place(tmp_path), self.make_sink(tmp_path / "sink")
        with _journal(place, sink) as writer:
            expected = _record(writer, "run-a", points=10, finish=False)
            deliver(place, sink)
            self._same(self.events_in(sink), expected)
            expected += _record(writer, "run-b", points=5)
            deliver(place, sink)
        self._same(self.events_in(sink), expected)

    def test_facts_may_come_before_their_run(self, tmp_path: Path) -> None:
        """Facts from the journal of a worker or rank may arrive before the run's own journal."""
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

    def test_the_name_holds_no_secret(self, tmp_path: Path) -> None:
        """The name of the sink, which journals and messages carry, has no user and no password in it."""
        assert "@" not in self.make_sink(tmp_path / "sink").name

    def _same(self, found: list[Arrived], expected: list[Arrived]) -> None:
        missing, surplus = missing_and_surplus(found, expected, self.leaves_out)
        assert not missing, f"{len(missing)} facts did not arrive: {missing[:20]}"
        assert not surplus, f"{len(surplus)} facts were not recorded, or arrived too often: {surplus[:20]}"

    def _skip_if_left_out(self, case: str) -> None:
        if case in self.leaves_out or case.partition(".")[0] in self.leaves_out:
            _skip(f"the sink leaves out {case}")


def _skip(reason: str) -> NoReturn:
    import pytest

    pytest.skip(reason)


def _place(folder: Path) -> Place:
    """A place with the files that the cases name."""
    place = Place(folder / ".autotrack", "a test")
    prepare(place)
    for data in FILES.values():
        put_bytes(place.blobs, data)
    return place


@contextmanager
def _journal(place: Place, sink: Sink) -> Iterator[JournalWriter]:
    writer = JournalWriter(place.journals, sinks=["store", sink.name])
    yield writer
    writer.close()


def _whole_run(facts: tuple[Fact, ...]) -> Iterator[Fact]:
    yield RunStarted(run=RUN, time=99.0, name="a run", experiment="tests")
    yield from facts
    if not any(isinstance(fact, RunFinished) for fact in facts):
        yield RunFinished(run=RUN, time=200.0, status="finished")


def _append(writer: JournalWriter, facts: Iterable[Fact]) -> None:
    packers: dict[Frame, RowPacker] = {}
    for fact in facts:
        if isinstance(fact, Event):
            writer.append(fact)
        else:
            packer = packers.get(fact.frame) or packers.setdefault(fact.frame, writer.packer(fact.frame))
            writer.append_row(packer, fact.step, fact.time, tuple(fact.values.values()))


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
