"""A long training's backlog is folded by a process beside it."""

from __future__ import annotations

import sqlite3
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage

import psutil
import pytest

import autotrack
from autotrack.recording import background
from autotrack.recording.lifecycle import housekeeping

ALONE = dict.fromkeys(("process", "scheduler", "notebook", "seeds", "packages", "git", "hardware", "system"), False)


@pytest.fixture(autouse=True)
def heartbeats_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The background thread has no heartbeat, however long a test takes: it would do the same as the test."""
    monkeypatch.setattr(background, "PULSE", 3600.0)


@pytest.fixture
def started() -> Callable[[], list[psutil.Process]]:
    """The processes that this one has started since the test began, running or ended, and that nobody waited for."""
    before = {child.pid for child in psutil.Process().children()}
    return lambda: [child for child in psutil.Process().children() if child.pid not in before]


def test_a_large_journal_is_folded_beside_the_training(
    place: Path, started: Callable[[], list[psutil.Process]]
) -> None:
    """The heartbeat of a run sees to it once the journal has grown by `background_fold`; until then nobody folds."""
    autotrack.configure(background_fold="128K", capture=ALONE)
    with autotrack.start_run("r") as run:
        run.collector.pulse()
        assert started() == []
        for step in range(5000):
            run.log({"a": float(step)}, step=step)
        run.collector.pulse()
        (process,) = started()
        assert process.wait() == 0
        run.collector.pulse()
        assert started() == []
        with sqlite3.connect(place / "store.db") as store:
            ((count,),) = store.execute("select count from metrics where key = 'a'")
        assert count == 5000
    assert autotrack.get_run("last").metrics["a"].count == 5000


def test_it_can_be_switched_off(place: Path, started: Callable[[], list[psutil.Process]]) -> None:
    """With `background_fold=None` the same run is folded by nobody until somebody reads."""
    autotrack.configure(background_fold=None, capture=ALONE)
    with autotrack.start_run("r") as run:
        for step in range(5000):
            run.log({"a": float(step)}, step=step)
        run.collector.pulse()
        assert started() == []
    assert not (place / "store.db").exists()


def test_little_room_is_one_warning(tmp_path: Path) -> None:
    """On a small disk that is nearly full, once per process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        autotrack.configure(dir=disk / "at", capture=ALONE)
        with autotrack.start_run("r") as run:
            keeper = housekeeping.Housekeeping(run.collector)
            with warnings.catch_warnings(record=True) as none:
                warnings.simplefilter("always")
                keeper._check_room()
            (disk / "filler").write_bytes(bytes(disk_usage(disk).free - 50_000))
            with pytest.warns(autotrack.AutotrackWarning, match="free where runs are recorded"):
                keeper._check_room()
            with warnings.catch_warnings(record=True) as again:
                warnings.simplefilter("always")
                keeper._check_room()
        assert none == again == []
        autotrack.configure(dir=tmp_path / "elsewhere")
    finally:
        subprocess.run(["umount", "-l", str(disk)])
