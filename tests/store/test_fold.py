"""Journals are folded exactly once, by any number of processes, however often, and whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from autotrack import events
from autotrack.journal.confirmations import confirm
from autotrack.journal.reader import journals
from autotrack.place import Place
from autotrack.store.engine import Store, open_store
from autotrack.store.folding.fold import fold
from autotrack.store.folding.journals import FOREIGN_KEPT, INCOMPLETE_KEPT

Recordings = Callable[..., Any]

WRITER = """
    import os, sys, time
    from pathlib import Path
    from autotrack.events import Frame, RunFinished, RunStarted
    from autotrack.journal import JournalWriter
    journals, run = Path(sys.argv[1]), sys.argv[2]
    count, pause_after, acknowledged = map(int, sys.argv[3:6])
    journal = JournalWriter(journals, sinks=["store"])
    journal.append(RunStarted(run=run, time=time.time(), name=run, experiment="e"))
    packer = journal.packer(Frame(run=run, keys=("i", "x"), types="qd"))
    print("ready", flush=True)
    for index in range(count):
        journal.append_row(packer, index, time.time(), (index, index / 2))
        os.pwrite(acknowledged, (index + 1).to_bytes(8, "little"), 0)
        if index % pause_after == 0:
            time.sleep(0.002)
    journal.append(RunFinished(run=run, time=time.time(), status="finished"))
"""

FOLDER = """
    import sys
    from pathlib import Path
    from autotrack.store.engine import open_store
    from autotrack.store.folding.fold import fold
    with open_store(Path(sys.argv[1]), sys.argv[2]) as store:
        print("ready", flush=True)
        while True:
            fold(store)
"""


def _python(source: str, *args: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(source), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def _wait_for_word(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


@contextmanager
def _writers(
    place: Place, count: int, points: int, *, first: int = 0, pause_after: int = 500
) -> Iterator[list[tuple[subprocess.Popen[str], Path]]]:
    place.journals.mkdir(parents=True, exist_ok=True)
    started = []
    for index in range(first, first + count):
        path = place.path / f"acknowledged-{index}"
        with path.open("wb+") as file:
            fd = file.fileno()
            started.append(
                (_python(WRITER, place.journals, f"run{index}", points, pause_after, fd, pass_fds=[fd]), path)
            )
    try:
        for process, _ in started:
            _wait_for_word(process)
        yield started
    finally:
        for process, _ in started:
            process.kill()
            process.wait()


def _values(contents: Any, run: str) -> list[int]:
    return [value for _, _, value in contents.history(run, "i")]


def test_readers_fold_at_once_while_eight_processes_append(url: str, store: Store, here: Place, contents: Any) -> None:
    """Three readers fold without pause, eight trainings log: every point is there once."""
    with _writers(here, 8, 4_000) as writers:
        folders = [_python(FOLDER, here.path, url) for _ in range(2)]
        while any(process.poll() is None for process, _ in writers):
            fold(store)
        for folder in folders:
            folder.kill()
            folder.wait()
    contents.fold()
    for index in range(8):
        assert _values(contents, f"run{index}") == list(range(4_000))
        assert contents.summary(f"run{index}", "x")["count"] == 4_000
        assert contents.run(f"run{index}")["status"] == "finished"
    assert list(here.journals.iterdir()) == []


def test_readers_killed_while_folding_leave_nothing_half_done(
    url: str, store: Store, here: Place, contents: Any
) -> None:
    """A reader is killed at a random moment, again and again, while others log: every point is there once."""
    chance = random.Random(7)
    with _writers(here, 3, 12_000) as writers:
        for _ in range(15):
            folder = _python(FOLDER, here.path, url)
            _wait_for_word(folder)
            time.sleep(chance.uniform(0, 0.08))
            folder.kill()
            folder.wait()
        for process, _ in writers:
            assert process.wait() == 0
    contents.fold()
    for index in range(3):
        assert _values(contents, f"run{index}") == list(range(12_000))
        assert contents.summary(f"run{index}", "i")["last"] == 11_999
        assert len(contents.rows("attempts", f"run{index}")) == 1


def test_whatever_was_acknowledged_before_a_kill_is_there(store: Store, here: Place, contents: Any) -> None:
    """Killed with SIGKILL at random moments, a training loses no point whose call had returned."""
    chance = random.Random(3)
    for first in range(0, 6, 2):
        with _writers(here, 2, 1_000_000_000, first=first) as writers:
            for process, _ in writers:
                time.sleep(chance.uniform(0, 0.1))  # any moment is right: the kill must hit somewhere in the writing
                fold(store)
                process.send_signal(signal.SIGKILL)
                process.wait()
    contents.fold()
    for index in range(6):
        acknowledged = int.from_bytes((here.path / f"acknowledged-{index}").read_bytes(), "little")
        values = _values(contents, f"run{index}")
        assert values == list(range(len(values)))
        assert len(values) in (acknowledged, acknowledged + 1)
        assert contents.run(f"run{index}")["status"] == "running"
    assert {row["state"] for row in contents.rows("journals")} == {"dead"}
    assert list(here.journals.iterdir()) == []


def test_folding_again_changes_nothing(recording: Recordings, store: Store, contents: Any) -> None:
    """A second fold finds nothing to do, and a live journal continues where it was."""
    journal = recording()
    journal.start("r")
    journal.emit(events.Note, "r", text="once")
    assert fold(store).events == 2
    assert fold(store).events == 0
    journal.emit(events.Note, "r", text="twice")
    assert fold(store).events == 1
    assert [row["text"] for row in contents.rows("notes", "r")] == ["once", "twice"]


def test_a_journal_goes_when_its_writer_is_gone_and_its_cursor_stays(
    recording: Recordings, store: Store, here: Place, contents: Any
) -> None:
    """A live journal is kept; a finished one is removed and remembered, so that it is never taken twice."""
    live, ended = recording(), recording()
    live.start("live")
    ended.start("ended")
    ended.finish("ended")
    ended.close()
    report = fold(store)
    assert (report.journals, report.deleted, report.kept) == (2, 1, 1)
    assert [path.name for path in here.journals.iterdir()] == [live.id]
    assert {row["id"]: row["state"] for row in contents.rows("journals")} == {live.id: "live", ended.id: "dead"}


def test_a_journal_waits_for_all_its_sinks(recording: Recordings, store: Store, here: Place) -> None:
    """As long as one sink that it owes has not confirmed all of it, the journal stays, although the store has it."""
    sink = "jsonl:///elsewhere"
    journal = recording(sinks=["store", sink])
    journal.start("r")
    journal.close()
    (reader,) = journals(here.journals)
    end = reader.read(0).end
    assert fold(store).deleted == 0
    confirm(here, sink, journal.id, 0)
    assert fold(store).deleted == 0
    confirm(here, sink, journal.id, end)
    assert fold(store).deleted == 1


def test_nothing_is_deleted_when_that_is_not_wanted(recording: Recordings, store: Store, here: Place) -> None:
    """`delete=False` leaves the journals where they are."""
    journal = recording()
    journal.start("r")
    journal.close()
    assert fold(store, delete=False).deleted == 0
    assert [found.id for found in journals(here.journals)] == [journal.id]


def test_a_process_that_died_silently_leaves_a_dead_journal(recording: Recordings, store: Store, contents: Any) -> None:
    """Its run is never stored as crashed: the status stays, and the state of the journal shows the crash."""
    journal = recording()
    journal.start("r")
    assert fold(store).events == 1
    assert contents.rows("journals")[0]["state"] == "live"
    journal.close()
    assert fold(store).deleted == 1
    assert contents.rows("journals")[0]["state"] == "dead"
    assert contents.run("r")["status"] == "running"


def _age(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / "lock", (then, then))


def _move_to(folder: Path, **changes: Any) -> None:
    """Make a journal one of another machine."""
    header = json.loads((folder / "journal.json").read_text())
    (folder / "journal.json").write_text(json.dumps({**header, **changes}))


def test_a_silent_writer_elsewhere_is_neither_dead_nor_deleted(
    recording: Recordings, store: Store, here: Place, contents: Any
) -> None:
    """A journal of another machine is kept for days after its last sign of life; it may come back."""
    journal = recording(host="elsewhere")
    journal.start("r")
    folder = journal.writer.folder
    _move_to(folder, boot="another boot")
    _age(folder, -3_600)  # its clock may be ahead of ours
    fold(store)
    assert contents.rows("journals")[0]["state"] == "live"
    _age(folder, 3_600)
    assert fold(store).deleted == 0
    assert contents.rows("journals")[0]["state"] == "silent"
    _age(folder, -3_600)
    journal.log("r", {"x": 1.0})
    fold(store)
    assert contents.rows("journals")[0]["state"] == "live"
    assert contents.summary("r", "x")["count"] == 1
    journal.close()
    _age(folder, FOREIGN_KEPT + 3_600)
    fold(store)
    assert not folder.exists() or contents.rows("journals")[0]["state"] == "silent"


def test_a_writer_from_before_a_restart_is_dead(
    recording: Recordings, store: Store, here: Place, contents: Any
) -> None:
    """On a disk of this machine alone, a journal of its earlier boot has no writer that could continue it."""
    import platform

    journal = recording(host=platform.node())
    journal.start("r")
    journal.close()
    _move_to(journal.writer.folder, boot="before the power cut")
    _age(journal.writer.folder, 3_600)
    fold(store)
    assert contents.rows("journals")[0]["state"] == "dead"


def test_damage_is_counted_and_reported_to_the_runs_of_the_journal(
    recording: Recordings, store: Store, contents: Any
) -> None:
    """A flipped byte costs the record it is in; the capture report of the journal's runs names the damage."""
    journal = recording()
    journal.start("a")
    journal.start("b")
    fold(store)
    journal.emit(events.Note, "a", text="damage me")
    journal.emit(events.Note, "a", text="keep me")
    [segment] = journal.writer.folder.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(b"damage me")] ^= 0xFF
    with segment.open("r+b") as file:
        file.write(data)
    report = fold(store)
    assert report.damaged == 1
    assert [row["text"] for row in contents.rows("notes", "a")] == ["keep me"]
    for run in ("a", "b"):
        [line] = contents.rows("reports", run)
        assert (line["what"], line["level"], line["count"]) == ("journal", "missing", 1)
        assert "could not be read" in line["message"]
    assert contents.rows("journals")[0]["damaged"] == 1
    assert fold(store).damaged == 0


def test_the_chunks_of_a_live_run_are_merged_when_it_ends(recording: Recordings, store: Store, contents: Any) -> None:
    """However often a live run is folded, it has few chunks per metric, and one when it is over."""
    journal = recording()
    journal.start("r")
    for step in range(60):
        journal.log("r", {"x": step / 3, "y": step}, step)
        journal.log("r", {"sys": 1.0 * step}, step)
        fold(store)
        assert len(contents.rows("metric_axes", "r")) < 64
    journal.finish("r")
    fold(store)
    assert len(contents.rows("metric_axes", "r")) == 2
    assert [value for _, _, value in contents.history("r", "x")] == [step / 3 for step in range(60)]
    assert [value for _, _, value in contents.history("r", "y")] == list(range(60))


def test_the_chunks_of_a_run_that_died_are_merged_too(recording: Recordings, store: Store, contents: Any) -> None:
    """The end of its journal is the end of the run."""
    journal = recording()
    journal.start("r")
    for step in range(5):
        journal.log("r", {"x": 1.0 * step}, step)
        fold(store)
    assert len(contents.rows("metric_axes", "r")) > 1
    journal.close()
    fold(store)
    assert len(contents.rows("metric_axes", "r")) == 1
    assert [step for step, _, _ in contents.history("r", "x")] == [0, 1, 2, 3, 4]


def test_a_long_run_has_chunks_of_limited_size(recording: Recordings, store: Store, contents: Any) -> None:
    """Points beyond what a chunk holds go to further ones."""
    journal = recording()
    journal.start("r")
    for step in range(150_000):
        journal.log("r", {"x": 1.0}, step)
    journal.finish("r")
    contents.fold()
    counts = [row["count"] for row in contents.rows("metric_axes", "r")]
    assert sum(counts) == 150_000
    assert max(counts) <= 1 << 16
    assert [step for step, _, _ in contents.history("r", "x")] == list(range(150_000))


def test_progress_is_told_up_to_the_end(recording: Recordings, store: Store) -> None:
    """Bytes folded and bytes there are, so that a bar can be drawn."""
    journal = recording()
    journal.start("r")
    for step in range(20_000):
        journal.log("r", {"x": 1.0}, step)
    journal.close()
    told: list[tuple[int, int]] = []
    fold(store, progress=lambda done, total: told.append((done, total)))
    assert told
    assert all(0 < done <= total for done, total in told)
    assert told[-1][0] == told[-1][1]


def test_a_journal_that_was_never_born_is_removed_in_time(recording: Recordings, store: Store, here: Place) -> None:
    """A process that died while it made its journal leaves a folder; an old one is removed, a young one is not."""
    journal = recording()
    journal.start("r")
    young, old = here.journals / "young.new", here.journals / "old.new"
    for folder in (young, old):
        folder.mkdir()
        (folder / "lock").touch()
    then = time.time() - INCOMPLETE_KEPT - 60
    os.utime(old, (then, then))
    fold(store)
    assert young.exists()
    assert not old.exists()


def test_a_store_locked_for_long_is_read_from_a_copy(
    recording: Recordings, here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process locks the database, a reader answers all the same, and catches up later."""
    monkeypatch.setattr("autotrack.store.engine.PATIENCE", 0.2)
    journal = recording()
    journal.start("r")
    with open_store(here) as store, open_store(here) as other:
        with other.write():
            fold(store)
            assert "locked" in (store.unwritable or "")
            assert _names(store) == ["name of r"]
        with open_store(here) as fresh:
            assert _names(fresh) == []
        fold(store)
        assert store.writable
        with open_store(here) as fresh:
            assert _names(fresh) == ["name of r"]


def test_a_disk_that_is_full_does_not_keep_readers_from_answers(
    here: Place, script: Any, recording: Recordings
) -> None:
    """The database cannot grow: what is in the journals is shown from a copy."""
    journal = recording()
    journal.start("r")
    with open_store(here):
        pass
    journal.params("r", {f"key{index}": "x" * 100 for index in range(20_000)})
    done = script(
        f"""
        import resource, signal
        from pathlib import Path
        from autotrack.store.engine import open_store
        from autotrack.store.folding.fold import fold
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = open_store(Path({str(here.path)!r}))
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        fold(store)
        from sqlalchemy import text
        with store.engine.connect() as connection:
            print(store.writable, connection.execute(text("SELECT count(*) FROM params")).scalar())
        """
    )
    assert done.stdout == "False 20000\n"


def _names(store: Store) -> list[str]:
    from sqlalchemy import text

    with store.engine.connect() as connection:
        return list(connection.execute(text("SELECT name FROM runs")).scalars())
