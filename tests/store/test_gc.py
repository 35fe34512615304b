"""Garbage collection frees what nothing names, and never a file that is about to be named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autotrack import events
from autotrack.journal import blobs as blobs_module
from autotrack.place import Place
from autotrack.store.blobs import Blobs
from autotrack.store.deletion import delete_runs
from autotrack.store.engine import Store
from autotrack.store.gc import collect_garbage

Recordings = Callable[..., Any]


LATER = -60.0  # a grace period that makes every file old enough


def test_a_file_that_nothing_names_is_freed_in_time(store: Store, here: Place, contents: Any) -> None:
    """Not while the record that names it may still come; a dry run only reports; the audit log says who did it."""
    digest = blobs_module.put_bytes(here.blobs, b"x" * 100)
    assert collect_garbage(store, actor="ann").blobs == 0
    assert collect_garbage(store, actor="ann", dry_run=True, grace=LATER).freed_bytes == 100
    assert store.blobs.exists(digest)
    assert collect_garbage(store, actor="ann", grace=LATER).freed_bytes == 100
    assert not store.blobs.exists(digest)
    assert [(row["user"], row["action"]) for row in contents.rows("audit")] == [("ann", "gc")]


@pytest.mark.parametrize("put", ["bytes", "file", "store"])
def test_an_old_file_that_is_put_again_is_young_again(
    recording: Recordings, store: Store, here: Place, tmp_path: Path, put: str
) -> None:
    """A training finds that its bytes are there: they stay until its record is folded."""
    source = tmp_path / "source"
    source.write_bytes(b"x")
    digest = blobs_module.put_bytes(here.blobs, b"x")
    old = blobs_module.blob_path(here.blobs, digest).stat().st_mtime_ns
    os.utime(blobs_module.blob_path(here.blobs, digest), ns=(old - 10**12, old - 10**12))
    if put == "store":
        assert store.blobs.put(b"x") == digest
    elif put == "bytes":
        assert blobs_module.put_bytes(here.blobs, b"x") == digest
    else:
        assert blobs_module.put_file(here.blobs, source) == (digest, 1)
    assert blobs_module.blob_path(here.blobs, digest).stat().st_mtime_ns >= old
    assert collect_garbage(store, actor="ann").blobs == 0
    journal = recording()
    journal.start("r")
    journal.emit(events.Artifact, "r", name="a", digest=digest, size=1)
    assert collect_garbage(store, actor="ann", grace=LATER).blobs == 0
    assert store.blobs.read(digest) == b"x"


def test_a_file_that_is_put_in_the_moment_it_is_freed_stays(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that uses it before it is deleted keeps it; one that looks for it a moment later writes it anew."""
    blobs = Blobs(here.blobs)
    digest = blobs.put(b"x")
    rename = Path.rename

    def taken_before(path: Path, target: Path) -> Path:
        blobs_module.put_bytes(here.blobs, b"x")
        return rename(path, target)

    def taken_after(path: Path, target: Path) -> Path:
        found = rename(path, target)
        blobs_module.put_bytes(here.blobs, b"x")
        return found

    for moment in (taken_before, taken_after):
        os.utime(blobs_module.blob_path(here.blobs, digest), (1, 1))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", moment)
            blobs.delete([digest])
        assert blobs.read(digest) == b"x"
        assert not list((here.blobs / "new").iterdir())
    blobs.delete([digest])
    assert not blobs.exists(digest)


def test_what_processes_left_for_one_another_goes_with_the_runs(
    recording: Recordings, store: Store, here: Place
) -> None:
    """The note of a checkpoint's run goes once the run has gone for good."""
    journal = recording()
    journal.start("stays")
    for run in ("stays", "gone"):
        note = here.note("origins", f"{run}.ckpt")
        note.write(run)
        os.utime(note.path, (1, 1))
    collect_garbage(store, actor="ann", dry_run=True)
    assert here.note("origins", "gone.ckpt").read() == "gone"
    collect_garbage(store, actor="ann")
    assert here.note("origins", "gone.ckpt").read() == ""
    assert here.note("origins", "stays.ckpt").read() == "stays"


def test_environments_go_with_their_last_run(recording: Recordings, store: Store, contents: Any) -> None:
    """What a remaining run shares with a deleted one stays; what only the deleted one had is freed."""
    journal = recording()
    for run, commit in (("a", "1"), ("b", "1"), ("c", "2")):
        journal.start(run)
        journal.emit(events.Section, run, name="git", data={"commit": commit})
        journal.finish(run)
    contents.fold()
    assert [row["data"] for row in contents.rows("sections")] == ['{"commit": "1"}', '{"commit": "2"}']
    delete_runs(store, ["a", "c"], actor="ann")
    collect_garbage(store, actor="ann")
    assert [row["data"] for row in contents.rows("sections")] == ['{"commit": "1"}']
    assert [row["text"] for row in contents.rows("facts", "b")] == ["1"]
    assert len(contents.rows("environments")) == 1
