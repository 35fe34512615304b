"""The folder of the data: what processes leave there for one another, and when it goes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from autotrack import _locks
from autotrack._locks import FileLock
from autotrack.place import DELIVERY_LEASE, Place, prepare
from autotrack.recording.lifecycle.job import leave_failure

YEAR = 365 * 86_400.0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place."""
    place = Place(tmp_path / "data")
    prepare(place)
    return place


def test_a_note_may_be_about_anything(place: Place) -> None:
    """Paths, other alphabets, bytes that are no text: each key has a note of its own, which is replaced at once."""
    keys = ["a/b", "../up", "ключ", "x" * 5000, os.fsdecode(b"\xff"), ""]
    for number, key in enumerate(keys):
        assert place.note("origins", key).read() == ""
        place.note("origins", key).write("first")
        place.note("origins", key).write(str(number))
    assert [place.note("origins", key).read() for key in keys] == [str(number) for number in range(len(keys))]
    place.note("requeues", "job").append("one")
    place.note("requeues", "job").append("two")
    assert place.note("requeues", "job").read() == "one\ntwo\n"
    assert sum(path.is_file() for path in (place.path / "origins").iterdir()) == len(keys)


def test_a_command_that_has_ended_is_not_joined_again(place: Place) -> None:
    """A program that outlives its command and fails later does not bring the folder of the command back."""
    folder = place.job("ended")
    folder.mkdir(parents=True)
    leave_failure(str(folder), ValueError("early"))
    assert [path.suffix for path in folder.iterdir()] == [".failure"]
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        leave_failure(str(folder), ValueError("late"))
    assert not folder.exists()


def test_what_no_process_can_use_any_more_goes_in_its_time(place: Place) -> None:
    """Old notes about runs that are gone, journals that are gone, jobs that have ended; the rest stays."""
    gone = [
        place.note("origins", "a").path, place.note("claims", "a").path, place.note("ranks", "a").path,
        place.note("requeues", "a").path, place.job("ended") / "joined", place.delivery("sink") / "journal-gone",
    ]  # fmt: skip
    held = FileLock(place.note("claims", "b").path)
    stays = [
        place.note("origins", "b").path, held.path, place.job("runs") / "joined", place.names / "tree",
        place.delivery("sink") / "journal-here", place.delivery("sink") / DELIVERY_LEASE,
    ]  # fmt: skip
    for path in (*gone, *stays):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("run-gone" if path in gone else "run-here")
    (place.journals / "journal-here").mkdir()
    known = {"runs": {"run-here", "runs"}, "running": {"runs"}}
    place.remove_stale(**known)
    assert [path for path in (*gone, *stays) if not path.exists()] == []
    assert held.acquire()
    later = os.stat(place.path).st_mtime + YEAR
    place.remove_stale(**known, now=later)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []
    held.release()
    place.remove_stale(**known, now=later)
    assert not held.path.exists()


def test_a_lock_whose_file_is_deleted_is_taken_on_the_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file goes after one process has opened it and before it locks it: no other can hold the lock as well."""
    first, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    real, calls = _locks._lock, []

    def deleted_meanwhile(descriptor: int, *, shared: bool) -> bool:
        calls.append(descriptor)
        if len(calls) == 1:
            first.path.unlink()
        return real(descriptor, shared=shared)

    monkeypatch.setattr(_locks, "_lock", deleted_meanwhile)
    assert first.acquire()
    assert not other.acquire()
    first.release()
    assert other.acquire()
    other.release()
