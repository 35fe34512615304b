"""A journal gives back what was written, whatever happened to it in between."""

from __future__ import annotations

import itertools
import math
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import FrameType

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrack.events import AnyEvent, Frame, MetricRows, Note, Params, RunStarted
from autotrack.exceptions import JournalError
from autotrack.journal import JournalWriter
from autotrack.journal.layout import COMMITTED_OFFSET, HEAD_SIZE
from autotrack.journal.reader import JournalReader, State, journals

MODES = pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "appended"])


def note(text: str, run: str = "r") -> Note:
    return Note(run=run, time=1.0, text=text)


def read_all(folder: Path, start: int = 0) -> tuple[list[AnyEvent | MetricRows], list[object], int]:
    """All events of a journal, the damage, and the position behind the last."""
    reader, events, damaged = JournalReader(folder), [], []
    while batch := reader.read(start):
        events += batch.events
        damaged += batch.damaged
        start = batch.end
    return events, damaged, start


def texts(events: list[AnyEvent | MetricRows]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


def steps(events: list[AnyEvent | MetricRows]) -> list[int]:
    return [step for event in events if isinstance(event, MetricRows) for step in event.steps.tolist()]


@MODES
def test_events_come_back_in_order(tmp_path: Path, mapped: bool) -> None:
    """What was appended is read back, event by event, across many segments."""
    writer = JournalWriter(tmp_path, mapped=mapped)
    written = [RunStarted(run="r", time=0.5, name="n", experiment="é"), *(note("x" * i) for i in range(0, 3000, 7))]
    for event in written:
        writer.append(event)
    events, damaged, _ = read_all(writer.folder)
    assert events == written
    assert not damaged
    assert len(list(writer.folder.glob("*.seg"))) > 2


@MODES
def test_metric_rows_come_back_exactly(tmp_path: Path, mapped: bool) -> None:
    """NaN, infinities, the smallest double and the largest int64 survive; several frames may alternate."""
    writer = JournalWriter(tmp_path, mapped=mapped)
    loss = writer.packer(Frame(run="r", keys=("loss", "n"), types="dq"))
    other = writer.packer(Frame(run="s", keys=("loss",), types="d", training=3))
    values = [math.nan, math.inf, -math.inf, 5e-324, -0.0, 0.1]
    for step, value in enumerate(values):
        writer.append_row(loss, step - 3, 1e9 + step, (value, 2**63 - 1 - step))
        writer.append_row(other, step, 2e9, (step,))
    first, second = (event for event in read_all(writer.folder)[0] if isinstance(event, MetricRows))
    assert (first.run, second.run, second.frame.training) == ("r", "s", 3)
    assert first.steps.tolist() == [-3, -2, -1, 0, 1, 2]
    assert first.values[0].tobytes() == np.array(values).tobytes()
    assert first.values[1].tolist() == [2**63 - 1 - step for step in range(6)]
    assert second.values[0].tolist() == [0, 1, 2, 3, 4, 5]


@MODES
@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 200_000), max_size=20), every=st.integers(1, 5))
def test_any_sequence_survives_any_reading_rhythm(
    tmp_path_factory: pytest.TempPathFactory, mapped: bool, sizes: list[int], every: int
) -> None:
    """A reader that looks now and then sees each event exactly once."""
    writer = JournalWriter(tmp_path_factory.mktemp("j"), mapped=mapped)
    reader, position, seen = JournalReader(writer.folder), 0, []
    for index, size in enumerate(sizes):
        writer.append(note(chr(97 + index) * size))
        if index % every == 0:
            batch = reader.read(position)
            seen += texts(batch.events)
            position = batch.end
    writer.close()
    seen += texts(read_all(writer.folder, position)[0])
    assert [len(text) for text in seen] == sizes


@MODES
def test_a_value_that_does_not_fit_is_refused_and_harms_nothing(tmp_path: Path, mapped: bool) -> None:
    """A string in a float column raises at once; the rows around it stay."""
    import struct

    writer = JournalWriter(tmp_path, mapped=mapped)
    packer = writer.packer(Frame(run="r", keys=("a",), types="d"))
    writer.append_row(packer, 0, 0.0, (1.0,))
    with pytest.raises(struct.error):
        writer.append_row(packer, 1, 0.0, ("x",))  # type: ignore[arg-type]
    writer.append_row(packer, 2, 0.0, (1.0,))
    assert steps(read_all(writer.folder)[0]) == [0, 2]


@MODES
def test_the_writers_state_is_known(tmp_path: Path, mapped: bool) -> None:
    """Live while the lock is held, dead afterwards; only then can the journal be deleted; later calls are refused."""
    writer = JournalWriter(tmp_path, mapped=mapped)
    writer.append(note("a"))
    reader = JournalReader(writer.folder)
    assert reader.state() is State.LIVE
    assert not reader.delete()
    writer.close()
    with pytest.raises(JournalError):
        writer.append(note("b"))
    assert reader.state() is State.DEAD
    assert reader.delete()
    assert list(journals(tmp_path)) == []


def test_a_foreign_writer_is_silent_after_a_minute(tmp_path: Path) -> None:
    """From another boot only the heartbeat counts."""
    writer = JournalWriter(tmp_path)
    header = msgspec.json.decode((writer.folder / "journal.json").read_bytes())
    (writer.folder / "journal.json").write_bytes(msgspec.json.encode({**header, "boot": "elsewhere"}))
    reader = JournalReader(writer.folder)
    assert reader.state() is State.LIVE
    os.utime(writer.folder / "lock", (1.0, 1.0))
    assert reader.state() is State.SILENT
    writer.heartbeat()
    assert reader.state() is State.LIVE


@MODES
@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_cost_only_what_they_hit(tmp_path: Path, mapped: bool, seed: int) -> None:
    """Damage is skipped, counted, and nothing is invented; what is whole is read."""
    chance = random.Random(seed)
    writer = JournalWriter(tmp_path, mapped=mapped)
    packer = writer.packer(Frame(run="r", keys=("a",), types="d"))
    for index in range(200):
        writer.append(note(f"text {index}"))
        writer.append_row(packer, index, 0.0, (index,))
    writer.close()
    segment = writer.folder / "00000000.seg"
    data = bytearray(segment.read_bytes())
    hits = sorted(chance.sample(range(600, 15_000), 5))
    for place in hits:
        data[place] ^= 0xFF
    segment.write_bytes(data)
    events, damaged, end = read_all(writer.folder)
    kept = texts(events)
    assert damaged
    assert len(kept) + len(steps(events)) >= 400 - 2 * len(hits)
    assert set(kept) <= {f"text {index}" for index in range(200)}
    assert len(kept) == len(set(kept))
    assert read_all(writer.folder, end)[0] == []


@MODES
def test_a_truncated_journal_is_read_up_to_the_cut(tmp_path: Path, mapped: bool) -> None:
    """The rest is counted as damage where the committed offset is behind it."""
    writer = JournalWriter(tmp_path, mapped=mapped)
    for index in range(100):
        writer.append(note(f"{index:0100d}"))
    writer.close()
    segment = writer.folder / "00000000.seg"
    os.truncate(segment, HEAD_SIZE + 50 * 150)
    events, damaged, end = read_all(writer.folder)
    assert texts(events) == [f"{index:0100d}" for index in range(len(events))]
    assert 40 <= len(events) < 60
    assert bool(damaged) == mapped
    assert read_all(writer.folder, end)[0] == []


def test_a_damaged_mark_or_head_does_not_hide_records(tmp_path: Path) -> None:
    """When the committed mark or the whole head is rubbish, the records themselves are found by their checksums."""
    for rubbish, place in ((b"\0" * 8, COMMITTED_OFFSET), (b"\xff" * 8, COMMITTED_OFFSET), (b"junk", 0)):
        writer = JournalWriter(tmp_path, mapped=True)
        for index in range(10):
            writer.append(note(str(index)))
        writer.close()
        with open(writer.folder / "00000000.seg", "r+b") as file:
            file.seek(place)
            file.write(rubbish)
        assert texts(read_all(writer.folder)[0]) == [str(index) for index in range(10)]


def test_a_missing_segment_is_counted(tmp_path: Path) -> None:
    """Segments behind a lost one are still read."""
    writer = JournalWriter(tmp_path)
    for index in range(40):
        writer.append(note(f"{index}" + "x" * 10_000))
    writer.close()
    (writer.folder / "00000001.seg").unlink()
    events, damaged, _ = read_all(writer.folder)
    assert len(damaged) == 1
    assert texts(events)[0].startswith("0")
    assert texts(events)[-1].startswith("39")


@MODES
def test_eight_threads_write_at_once(tmp_path: Path, mapped: bool) -> None:
    """Nothing is lost or torn."""
    writer = JournalWriter(tmp_path, mapped=mapped)

    def work(thread: int) -> None:
        packer = writer.packer(Frame(run=f"r{thread}", keys=("a",), types="d"))
        for index in range(2000):
            writer.append_row(packer, index, 0.0, (index,))
            if index % 100 == 0:
                writer.append(note(str(index), run=f"r{thread}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events, damaged, _ = read_all(writer.folder)
    assert not damaged
    for number in range(8):
        mine = [event for event in events if event.run == f"r{number}"]
        assert steps(mine) == list(range(2000))
        assert len(texts(mine)) == 20


@MODES
def test_a_signal_handler_may_write_amidst_a_write(tmp_path: Path, mapped: bool) -> None:
    """A handler on the same thread does not hang, and neither record is lost."""
    writer = JournalWriter(tmp_path, mapped=mapped)
    packer = writer.packer(Frame(run="r", keys=("a",), types="d"))
    numbers, heard = itertools.count(), []

    def handler(_number: int, _frame: object) -> None:
        number = next(numbers)
        writer.append(note(str(number)))
        heard.append(number)

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        count = 0
        while len(heard) < 200:
            writer.append_row(packer, count, 0.0, (1.0,))
            count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    events, damaged, _ = read_all(writer.folder)
    assert not damaged
    assert steps(events) == list(range(count))
    assert sorted(map(int, texts(events))) == sorted(heard)


@MODES
def test_a_full_disk_is_waited_out(tmp_path: Path, mapped: bool) -> None:
    """Records wait in memory, in order, and follow when there is room; the first error of a period is reported once."""
    source = f"""
        import resource, sys
        from pathlib import Path
        from autotrack.events import Frame, Note
        from autotrack.journal import JournalWriter, writer
        writer.RETRY_EVERY = 3600.0
        told = []
        writer = JournalWriter(Path(sys.argv[1]), mapped={mapped}, on_full=told.append)
        packer = writer.packer(Frame(run="r", keys=("a",), types="d"))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        for step in range(20_000):
            writer.append_row(packer, step, 0.0, (1.0,))
        assert writer.waiting > 10_000 and len(told) == 1, (writer.waiting, told)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        writer.append(Note(run="r", time=0.0, text="last"))
        writer.close()
        assert writer.waiting == 0 and not writer.dropped
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (reader,) = journals(tmp_path)
    events, damaged, _ = read_all(reader.folder)
    assert not damaged
    assert steps(events) == list(range(20_000))
    assert texts(events) == ["last"]


def test_what_memory_cannot_hold_is_dropped_and_counted(tmp_path: Path) -> None:
    """With no room on the disk and the tail full, facts are counted per run instead of kept."""
    writer = JournalWriter(tmp_path, mapped=False, tail_limit=1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        for index in range(100):
            writer.append(note("x" * 100, run=f"r{index % 2}"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.close()
    kept = texts(read_all(writer.folder)[0])
    assert len(kept) + sum(writer.dropped.values()) == 100
    assert set(writer.dropped) == {"r0", "r1"}
    assert 10 < len(kept) < 20


@MODES
def test_a_disk_that_comes_and_goes_costs_only_what_is_counted(tmp_path: Path, mapped: bool) -> None:
    """Four threads write while room comes and goes at any moment: each fact is kept once or counted once."""
    source = f"""
        import random, resource, sys, threading
        from pathlib import Path
        from autotrack.events import Frame, Note
        from autotrack.journal import JournalWriter
        sys.setswitchinterval(1e-4)
        writer = JournalWriter(Path(sys.argv[1]), mapped={mapped}, tail_limit=3_000)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        chance, dropped = random.Random(1), dict.fromkeys("0123", 0)

        def take():
            for run, count in writer.take_dropped().items():
                dropped[run] += count

        def work(run):
            packer = writer.packer(Frame(run=run, keys=("a",), types="d"))
            for step in range(3_000):
                writer.append_row(packer, step, 0.0, (1.0,))
                if step % 10 == 0:
                    writer.append(Note(run=run, time=0.0, text=str(step)))

        threads = [threading.Thread(target=work, args=(run,)) for run in "0123"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        for thread in threads:
            thread.start()
        while not writer.dropped:
            threads[0].join(0.001)
        while any(thread.is_alive() for thread in threads):
            resource.setrlimit(resource.RLIMIT_FSIZE, (chance.choice([1, hard, chance.randrange(1, 2_000_000)]), hard))
            writer._retry_at = 0.0
            threads[0].join(0.001)
            take()
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        writer.close()
        take()
        print(*dropped.values())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    dropped = [int(word) for word in done.stdout.split()]
    assert sum(dropped) > 0
    (reader,) = journals(tmp_path)
    events, damaged, _ = read_all(reader.folder)
    assert not damaged
    for run, missing in enumerate(dropped):
        mine = [event for event in events if event.run == str(run)]
        assert len(set(steps(mine))) == len(steps(mine))
        assert len(steps(mine)) + len(set(texts(mine))) + missing == 3_300
        assert steps(mine) == sorted(steps(mine))


def test_an_interrupted_append_leaves_the_journal_whole(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a write, again and again: every call that returned is there, in order, undamaged."""
    writer = JournalWriter(tmp_path, mapped=False)

    def interrupt(_number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_globals["__name__"].startswith("autotrack.journal."):
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    chance, returned, interrupted = random.Random(1), [], 0
    try:
        for step in itertools.count():
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 3e-5))  # once: the second Ctrl-C comes later
            try:
                packer = writer.packer(Frame(run="r", keys=(f"a{step}",), types="d"))
                writer.append_row(packer, step, 0.0, (1.0,))
                returned.append(step)
            except KeyboardInterrupt:
                interrupted += 1
                if interrupted == 300:
                    break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    events, damaged, _ = read_all(writer.folder)
    found = steps(events)
    assert not damaged
    assert set(returned) <= set(found)
    assert found == sorted(set(found))


def test_a_forked_child_leaves_the_journal_to_its_parent(tmp_path: Path) -> None:
    """After `abandon` in the child the parent's journal is still locked, and dead once the parent closes it."""
    writer = JournalWriter(tmp_path)
    reading, writing = os.pipe()
    waiting, abandoning = os.pipe()
    child = os.fork()
    if child == 0:
        writer.abandon()
        os.write(abandoning, b"x")
        os.read(reading, 1)
        os._exit(0)
    try:
        assert os.read(waiting, 1)
        assert JournalReader(writer.folder).state() is State.LIVE
        writer.append(note("a"))
        writer.close()
        assert JournalReader(writer.folder).state() is State.DEAD
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
    assert texts(read_all(writer.folder)[0]) == ["a"]


def test_unreadable_folders_are_passed_over(tmp_path: Path) -> None:
    """Rubbish beside journals does not keep them from being read."""
    (tmp_path / "rubbish").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "journal.json").write_text("{")
    writer = JournalWriter(tmp_path)
    assert [journal.id for journal in journals(tmp_path)] == [writer.id]
    with pytest.raises(JournalError):
        JournalReader(tmp_path / "rubbish")


def test_events_of_a_newer_writer_are_skipped_and_counted(tmp_path: Path) -> None:
    """An event that this version does not know is damage of one record, not the end of reading."""
    writer = JournalWriter(tmp_path)

    class Unknown(msgspec.Struct, tag_field="event", tag="from_the_future"):
        run: str = "r"

    writer.append(Unknown())  # type: ignore[arg-type]
    writer.append(Params(run="r", time=0.0, values={"a": "1"}))
    events, damaged, _ = read_all(writer.folder)
    assert [type(event) for event in events] == [Params]
    assert len(damaged) == 1
