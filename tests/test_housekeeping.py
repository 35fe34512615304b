"""A long training's backlog is folded by a process beside it."""

from __future__ import annotations

import sqlite3
import subprocess
import warnings
from pathlib import Path
from shutil import disk_usage

import pytest

import autotrack
from autotrack.recording.lifecycle import housekeeping


def test_a_large_journal_is_folded_beside_the_training(place: Path) -> None:
    """Once it has grown by `background_fold`, and not again until it has grown as much again."""
    autotrack.configure(background_fold="64K", capture={"system": False})
    with autotrack.start_run("r") as run:
        keeper = housekeeping.Housekeeping(run.collector)
        for step in range(5000):
            run.log({"a": float(step)}, step=step)
        keeper()
        process = keeper._process
        assert process is not None
        assert process.wait() == 0
        keeper()
        assert keeper._process is None
        with sqlite3.connect(place / "store.db") as store:
            ((count,),) = store.execute("select count from metrics where key = 'a'")
        assert count == 5000
    assert autotrack.get_run("last").metrics["a"].count == 5000


def test_it_can_be_switched_off(place: Path) -> None:
    """With `background_fold=None` nobody folds until somebody reads."""
    autotrack.configure(background_fold=None, capture={"system": False})
    with autotrack.start_run("r") as run:
        keeper = housekeeping.Housekeeping(run.collector)
        for step in range(5000):
            run.log({"a": float(step)}, step=step)
        keeper()
        assert keeper._process is None
    assert not (place / "store.db").exists()


def test_little_room_is_one_warning(tmp_path: Path) -> None:
    """On a small disk that is nearly full, once per process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        autotrack.configure(dir=disk / "at", capture={"system": False})
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
