"""Checkpoints are kept by policy, beside the training, whatever the framework does to its files right afterwards."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.exceptions import InvalidValueError, NotFoundError
from autotrack.journal import blobs as blobs_module
from autotrack.recording.collector import collector
from autotrack.store.engine import open_store
from autotrack.store.gc import collect_garbage
from autotrack.training.checkpoints import Checkpoints


@pytest.fixture
def run():
    with autotrack.start_run("training") as opened:
        yield opened


def settled() -> Any:
    """The record of the run, once everything beside the training is done."""
    assert collector().background.wait(170) == []
    return autotrack.get_run("last")


def blobs() -> set[str]:
    """The digests of all files that lie in the place."""
    return {path.name for path in collector().place.blobs.glob("[0-9a-f][0-9a-f]/*")}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def hold_back(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Keep the background thread busy until the event is set: what a slow disk does."""
    may_go_on = threading.Event()
    collector().background.submit("something slow", lambda: may_go_on.wait(170) and None)
    return may_go_on


def test_a_checkpoint_becomes_an_artifact_with_all_that_is_known_of_it(run, tmp_path):
    """Name, bytes, step, epoch, score, monitor, and whether it is the best and the last."""
    Checkpoints(run).saved(
        write(tmp_path / "out" / "epoch=1.ckpt", "weights"),
        step=20, epoch=1, score=0.5, monitor="val/loss", mode="min",
    )  # fmt: skip
    found = settled().artifacts["checkpoints/epoch=1.ckpt"]
    assert (found.read(), found.step, found.kind, found.stored) == (b"weights", 20, "checkpoint", True)
    assert found.source == str(tmp_path / "out" / "epoch=1.ckpt")
    assert found.meta == {
        "step": 20, "epoch": 1, "score": 0.5, "monitor": "val/loss", "best": True, "last": True,
        "checkpoint": "epoch=1.ckpt",
    }  # fmt: skip


def test_a_file_that_is_deleted_right_afterwards_is_kept(run, tmp_path, monkeypatch):
    """The bytes are those that were there, even if the copy comes much later than the deletion."""
    go_on = hold_back(monkeypatch)
    path = write(tmp_path / "last.ckpt", "weights")
    Checkpoints(run).saved(path, step=1)
    path.unlink()
    go_on.set()
    assert settled().artifacts["checkpoints/last.ckpt"].read() == b"weights"


def test_a_file_that_is_replaced_right_afterwards_is_kept_as_it_was(run, tmp_path, monkeypatch):
    """Replaced by renaming another one: both are kept, as two versions."""
    go_on = hold_back(monkeypatch)
    checkpoints = Checkpoints(run, "all")
    path = write(tmp_path / "last.ckpt", "first")
    checkpoints.saved(path, step=1)
    os.replace(write(tmp_path / "new", "second"), path)
    checkpoints.saved(path, step=2)
    go_on.set()
    versions = settled().artifact_versions("checkpoints/last.ckpt")
    assert [version.read() for version in versions] == [b"first", b"second"]


def test_a_file_that_is_written_over_is_reported_and_never_passed_off(run, tmp_path, monkeypatch):
    """The bytes of step 1 are gone: the record says so, and what it keeps for step 2 is step 2."""
    go_on = hold_back(monkeypatch)
    checkpoints = Checkpoints(run, "all")
    path = write(tmp_path / "last.ckpt", "first")
    checkpoints.saved(path, step=1)
    write(path, "the second one")
    checkpoints.saved(path, step=2)
    go_on.set()
    record = settled()
    first, second = record.artifact_versions("checkpoints/last.ckpt")
    assert (first.stored, first.meta["reason"], first.step) == (False, "overwritten before it could be copied", 1)
    assert (second.stored, second.read()) == (True, b"the second one")
    assert [line.message for line in record.capture_report if line.what == "checkpoint"] == [
        "checkpoints/last.ckpt: overwritten before it could be copied"
    ]


def test_a_file_that_is_gone_at_once_is_reported(run, tmp_path):
    """There is a row, without bytes, that says why."""
    Checkpoints(run).saved(tmp_path / "nowhere.ckpt", step=3)
    record = settled()
    found = record.artifacts["checkpoints/nowhere.ckpt"]
    assert (found.stored, found.meta["reason"], found.step) == (False, "gone before it could be copied", 3)
    assert "gone" in next(line.message for line in record.capture_report if line.what == "checkpoint")


def test_a_folder_is_one_checkpoint_of_several_files(run, tmp_path, monkeypatch):
    """All files below it are kept under its name, even if the whole folder is deleted right afterwards."""
    go_on = hold_back(monkeypatch)
    folder = tmp_path / "checkpoint-500"
    write(folder / "model.safetensors", "weights")
    write(folder / "state" / "optimizer.pt", "moments")
    Checkpoints(run).saved(folder, step=500)
    shutil.rmtree(folder)
    go_on.set()
    files = {file.name: file.read() for file in settled().artifacts if file.kind == "checkpoint"}
    assert files == {
        "checkpoints/checkpoint-500/model.safetensors": b"weights",
        "checkpoints/checkpoint-500/state/optimizer.pt": b"moments",
    }


def kept(record: Any) -> dict[str, Any]:
    return {
        file.name.removeprefix("checkpoints/"): file
        for file in record.artifacts
        if file.kind == "checkpoint" and file.stored
    }


SCORES = {"e0": 0.9, "e1": 0.3, "e2": 0.7, "e3": 0.5}


@pytest.mark.parametrize(
    ("policy", "keep", "expected"),
    [
        ("none", 1, set()),
        ("last", 1, {"e3"}),
        ("best", 1, {"e1"}),
        ("best+last", 1, {"e1", "e3"}),
        ("best", 2, {"e1", "e3"}),
        ("best+last", 3, {"e1", "e2", "e3"}),
        ("all", 1, set(SCORES)),
    ],
)
def test_a_policy_says_which_are_kept(run, tmp_path, policy, keep, expected):
    """The others are recorded without bytes, their files are freed at once, and their rows say what outdid them."""
    checkpoints = Checkpoints(run, policy, keep=keep)
    for step, (name, score) in enumerate(SCORES.items()):
        checkpoints.saved(write(tmp_path / name, name * 100), step=step, score=score, monitor="loss", mode="min")
        assert collector().background.wait(170) == []
    record = settled()
    assert set(kept(record)) == expected
    recorded = {file.name for file in record.artifacts if file.kind == "checkpoint"}
    assert recorded == ({f"checkpoints/{name}" for name in SCORES} if policy != "none" else set())
    for file in record.artifacts:
        if file.kind == "checkpoint" and not file.stored:
            assert f"checkpoints={policy!r}" in file.meta["reason"]
    assert {name * 100 for name in expected} == {
        blobs_module.blob_path(collector().place.blobs, digest).read_text()
        for digest in blobs()
        if digest in {file.digest for file in record.artifacts if file.kind == "checkpoint"}
    }
    if expected:
        assert run.collector.model_bytes[run.id] == 200 * len(expected)


def test_the_marks_of_best_and_last_follow(run, tmp_path):
    """What was the best or the last when it was saved is not called so for ever."""
    checkpoints = Checkpoints(run, "all")
    for step, (name, score) in enumerate(SCORES.items()):
        checkpoints.saved(write(tmp_path / name, name), step=step, score=score, monitor="loss", mode="min")
    marks = {name: (file.meta["best"], file.meta["last"]) for name, file in kept(settled()).items()}
    assert marks == {"e0": (False, False), "e1": (True, False), "e2": (False, False), "e3": (False, True)}


def test_each_monitored_metric_has_its_best(run, tmp_path):
    """Two monitors, one that wants less and one that wants more."""
    checkpoints = Checkpoints(run, "best")
    for step, score in enumerate([0.1, 0.5, 0.3]):
        checkpoints.saved(write(tmp_path / f"loss{step}", f"l{step}"), score=score, monitor="loss", mode="min")
        checkpoints.saved(write(tmp_path / f"f1{step}", f"f{step}"), score=score, monitor="f1", mode="max")
    assert set(kept(settled())) == {"loss0", "f11"}


def test_without_a_mode_the_frameworks_word_counts(run, tmp_path):
    """The latest that it called best, and the latest that it did not call something else than last."""
    checkpoints = Checkpoints(run)
    for name, best, last in [("a", True, None), ("b", True, None), ("c", False, None), ("d", False, False)]:
        checkpoints.saved(write(tmp_path / name, name), best=best, last=last)
    assert set(kept(settled())) == {"b", "c"}


def test_a_score_that_is_not_a_number_is_never_the_best(run, tmp_path):
    """A training that diverged does not cost its best checkpoint."""
    checkpoints = Checkpoints(run, "best")
    checkpoints.saved(write(tmp_path / "good", "good"), score=0.5, monitor="loss", mode="max")
    checkpoints.saved(write(tmp_path / "bad", "bad"), score=float("nan"), monitor="loss", mode="max")
    assert set(kept(settled())) == {"good"}


def test_identical_bytes_are_stored_once_and_freed_with_the_last_that_has_them(run, tmp_path):
    """Two names for one content: it goes when both have been outdone."""
    checkpoints = Checkpoints(run)
    for step in range(3):
        weights = f"weights of step {step}"
        checkpoints.saved(write(tmp_path / f"e{step}", weights), step=step, best=True, last=False)
        checkpoints.saved(write(tmp_path / "last", weights), step=step, last=True)
        assert collector().background.wait(170) == []
    record = settled()
    names = {name: file.digest for name, file in kept(record).items()}
    assert set(names) == {"e2", "last"}
    digest = names["last"]
    assert names["e2"] == digest
    of_checkpoints = {version.digest for version in record.artifact_versions("checkpoints/last")}
    assert blobs() & of_checkpoints == {digest}
    assert len(of_checkpoints) == 3


def test_bytes_that_somebody_else_uses_stay(run, tmp_path):
    """The user's own artifact of the same content outlives the checkpoint."""
    checkpoints = Checkpoints(run, "last")
    path = write(tmp_path / "e0", "weights")
    checkpoints.saved(path)
    assert collector().background.wait(170) == []
    digest = blobs_module.bytes_digest(b"weights")
    assert blobs_module.taken(blobs_module.blob_path(collector().place.blobs, digest))
    checkpoints.saved(write(tmp_path / "e1", "other weights"))
    record = settled()
    assert not record.artifacts["checkpoints/e0"].stored
    assert digest in blobs()
    with pytest.raises(NotFoundError, match=r"\(e1 took its place: checkpoints='last'\); it was at .*e0"):
        record.artifacts["checkpoints/e0"].read()


def test_bytes_that_were_there_before_stay(run, tmp_path):
    """What another run has kept is not ours to delete."""
    run.log_bytes(b"weights", "mine.bin")
    checkpoints = Checkpoints(run, "last")
    checkpoints.saved(write(tmp_path / "e0", "weights"))
    checkpoints.saved(write(tmp_path / "e1", "other weights"))
    record = settled()
    assert not record.artifacts["checkpoints/e0"].stored
    assert record.artifacts["mine.bin"].read() == b"weights"


def test_limits_hold_for_what_is_kept_and_name_the_option(tmp_path):
    """One that is too big is recorded without bytes; a hundred small ones fit where one is kept."""
    autotrack.configure(model_limit=1000, models_per_run_limit=2500)
    with autotrack.start_run("training") as run:
        checkpoints = Checkpoints(run, "last")
        for step in range(100):
            checkpoints.saved(write(tmp_path / f"e{step}", f"{step:03}" * 300), step=step)
            assert collector().background.wait(170) == []
        checkpoints.saved(write(tmp_path / "big", "x" * 1001), step=100)
        checkpoints.saved(write(tmp_path / "bigger", "x" * 1002), step=101)
        checkpoints.finish()
    record = settled()
    assert set(kept(record)) == {"e99"}
    assert "model_limit=1,000" in record.artifacts["checkpoints/big"].meta["reason"]
    lines = [line.message for line in record.capture_report if line.what == "checkpoint"]
    assert "big (1,001 bytes): not kept, beyond model_limit=1,000; configure(model_limit=None) lifts it" in lines
    assert any(line.startswith("1 more: not kept, beyond model_limit=1,000") for line in lines)


def test_the_limit_for_all_models_of_a_run_holds(tmp_path):
    """With everything kept it is reached, and said."""
    autotrack.configure(models_per_run_limit=2500)
    with autotrack.start_run("training") as run:
        checkpoints = Checkpoints(run, "all")
        for step in range(4):
            checkpoints.saved(write(tmp_path / f"e{step}", f"{step:03}" * 300), step=step)
    record = settled()
    assert set(kept(record)) == {"e0", "e1"}
    assert "configure(models_per_run_limit=None)" in record.artifacts["checkpoints/e3"].meta["reason"]


def test_a_full_disk_costs_the_checkpoint_and_not_the_older_one(run, tmp_path, monkeypatch):
    """The best so far stays until a better one is safely kept."""
    checkpoints = Checkpoints(run)
    checkpoints.saved(write(tmp_path / "e0", "weights"), score=1.0, monitor="loss", mode="min")
    assert collector().background.wait(170) == []

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(shutil, "copyfileobj", full)
        disk.setattr(blobs_module, "_cloned", lambda *_: False)
        checkpoints.saved(write(tmp_path / "e1", "better weights"), score=0.5, monitor="loss", mode="min")
        assert collector().background.wait(170) == []
    record = settled()
    assert set(kept(record)) == {"e0"}
    assert "No space left" in record.artifacts["checkpoints/e1"].meta["reason"]
    assert not list((collector().place.blobs / "new").iterdir())


def test_a_killed_process_leaves_what_was_copied_and_says_what_was_not(tmp_path):
    """The record of a run that was killed names the checkpoint that was still waiting."""
    source = """
        import os, pathlib, signal, threading
        import autotrack
        from autotrack.training.checkpoints import Checkpoints
        run = autotrack.start_run("killed")
        checkpoints = Checkpoints(run, "all")
        pathlib.Path("first.ckpt").write_text("first")
        checkpoints.saved("first.ckpt", step=1)
        assert run.collector.background.wait(170) == []
        run.collector.background.submit("something slow", threading.Event().wait)
        pathlib.Path("second.ckpt").write_text("second")
        checkpoints.saved("second.ckpt", step=2)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(source)], cwd=tmp_path, timeout=170)
    assert done.returncode == -signal.SIGKILL
    record = autotrack.get_run("killed")
    assert record.status == "crashed"
    assert record.artifacts["checkpoints/first.ckpt"].read() == b"first"
    second = record.artifacts["checkpoints/second.ckpt"]
    assert (second.stored, second.step, second.meta["reason"]) == (False, 2, "waiting to be copied")
    assert second.source == str(tmp_path / "second.ckpt")


def test_the_end_of_a_process_waits_for_the_copies(script):
    """A short training that saves last of all still has its checkpoint."""
    script(
        """
        import pathlib
        import autotrack
        from autotrack.training.checkpoints import Checkpoints
        run = autotrack.start_run("short")
        pathlib.Path("last.ckpt").write_bytes(bytes(30_000_000))
        checkpoints = Checkpoints(run)
        checkpoints.saved("last.ckpt", step=1)
        pathlib.Path("last.ckpt").unlink()
        checkpoints.finish()
        """
    )
    record = autotrack.get_run("short")
    assert record.artifacts["checkpoints/last.ckpt"].read() == bytes(30_000_000)
    assert "checkpoints: 1 seen, 1 kept (checkpoints='best+last')" in [line.message for line in record.capture_report]


def test_checkpoints_that_come_faster_than_they_can_be_copied_do_not_pile_up(run, tmp_path, monkeypatch):
    """Of a backlog only the last and the best are copied; the open files are let go of."""
    go_on = hold_back(monkeypatch)
    checkpoints = Checkpoints(run)
    for step in range(200):
        path = write(tmp_path / f"e{step}", f"weights of {step}")
        checkpoints.saved(path, step=step, score=abs(step - 50), monitor="loss", mode="min")
    assert checkpoints._open_files.count <= 128
    go_on.set()
    record = settled()
    assert set(kept(record)) == {"e50", "e199"}
    assert checkpoints._open_files.count == 0
    assert "newer ones" in record.artifacts["checkpoints/e100"].meta["reason"]


def test_retention_is_told_right_however_the_record_is_folded(run, tmp_path):
    """A reader that looks between saving and letting go sees both states, one after the other, and no loss."""
    checkpoints = Checkpoints(run, "last")
    checkpoints.saved(write(tmp_path / "e0", "weights"), step=0)
    assert settled().artifacts["checkpoints/e0"].stored
    checkpoints.saved(write(tmp_path / "e1", "other weights"), step=1)
    record = settled()
    assert [version.stored for version in record.artifact_versions("checkpoints/e0")] == [False]
    assert record.artifacts["checkpoints/e0"].meta["reason"] == "e1 took its place: checkpoints='last'"
    assert record.artifacts["checkpoints/e1"].stored
    assert not [line for line in record.capture_report if line.level == "missing"]


def test_nothing_is_recorded_while_recording_is_off(tmp_path, monkeypatch):
    """Paused, or for a run that keeps nothing."""
    with autotrack.start_run("training") as run:
        with autotrack.paused():
            Checkpoints(run).saved(write(tmp_path / "e0", "weights"))
        assert not list(settled().artifacts)
    monkeypatch.setenv("AUTOTRACK", "0")
    with autotrack.start_run("off") as off:
        Checkpoints(off).saved(write(tmp_path / "e0", "weights"))
    assert len(autotrack.runs()) == 1


def test_a_policy_that_there_is_not_is_refused(run):
    """With the ones that there are."""
    with pytest.raises(InvalidValueError, match=r"'newest': there are 'none', 'best', 'last', 'best\+last', 'all'"):
        Checkpoints(run, "newest")


def test_a_policy_may_be_none_at_all(run, tmp_path):
    """Then only the count is told."""
    checkpoints = Checkpoints(run, "none")
    checkpoints.saved(write(tmp_path / "e0", "weights"))
    checkpoints.finish()
    assert "checkpoints: 1 seen, 0 kept (checkpoints='none')" in [line.message for line in settled().capture_report]


def test_what_no_record_keeps_any_more_is_garbage(run, tmp_path, place):
    """Bytes that could not be freed at once, because somebody had taken them, go with the next collection."""
    checkpoints = Checkpoints(run, "last")
    checkpoints.saved(write(tmp_path / "e0", "weights"))
    assert collector().background.wait(170) == []
    digest = blobs_module.bytes_digest(b"weights")
    blobs_module.taken(blobs_module.blob_path(collector().place.blobs, digest))
    checkpoints.saved(write(tmp_path / "e1", "other weights"))
    assert {digest, blobs_module.bytes_digest(b"other weights")} <= (settled() and blobs())
    with open_store(place) as store:
        collect_garbage(store, actor="ann", grace=-60.0)
    assert digest not in blobs()
    assert blobs_module.bytes_digest(b"other weights") in blobs()
