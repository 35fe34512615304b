"""Full disks, locked databases, damaged files, blocked sinks: training goes on, the record says what is missing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.journal.reader import journals


def small_disk(folder: Path, size: str) -> bool:
    """Mount a tmpfs of `size` at `folder`; False where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0


def test_a_full_disk_does_not_stop_a_training(tmp_path: Path) -> None:
    """On a small tmpfs: one warning, no exception, and what fits into disk and memory is there once there is room."""
    disk = tmp_path / "disk"
    if not small_disk(disk, "600k"):
        pytest.skip("mounting a small file system is not allowed here")
    try:
        source = """
            import os, sys, time, warnings, autotrack
            from autotrack.recording import background
            background.PULSE = 3600.0  # a heartbeat would warn of the full disk, too
            with autotrack.start_run("r") as run:
                for step in range(30_000):
                    run.log({"a": float(step)}, step=step)
                run.log_params({"after": 1})
                assert run.collector.journal.waiting > 0
                print("full", flush=True)
                sys.stdin.readline()
                run.collector.journal._retry_at = 0.0
                run.log({"late": 1.0})
        """
        process = subprocess.Popen(
            [sys.executable, "-W", "always", "-c", textwrap.dedent(source)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "AUTOTRACK_DIR": str(disk / "at"), "AUTOTRACK_CAPTURE": "-system,-git,-packages"},
        )  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "full\n", process.communicate()[1]
        assert subprocess.run(["mount", "-o", "remount,size=64m", str(disk)]).returncode == 0
        _, errors = process.communicate("go\n")
        assert process.returncode == 0, errors
        assert errors.count("AutotrackWarning") == 1
        assert "disk" in errors
        autotrack.configure(dir=disk / "at")
        record = autotrack.get_run("last")
        assert record.status == "finished"
        assert record.metrics["a"].count == 30_000
        assert record.metrics["late"].count == 1
        assert record.params["after"] == 1
        autotrack.configure(dir=tmp_path / "elsewhere")
    finally:
        subprocess.run(["umount", "-l", str(disk)])


def test_what_was_dropped_is_named(tmp_path: Path, script: Any) -> None:
    """When even memory for waiting facts runs out, the capture report counts them."""
    script(
        """
        import resource, autotrack
        from autotrack.recording import background
        background.PULSE = 3600.0  # each heartbeat would count by itself
        with autotrack.start_run("r") as run:
            assert run.collector.background.wait(170) == []
            journal = run.collector.journal
            journal._tail_limit = 50_000
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
            for step in range(50_000):
                run.log({"a": float(step)}, step=step)
            assert journal.dropped
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        """,
        AUTOTRACK_CAPTURE="-system",  # whose samples would be dropped and counted, too
    )
    record = autotrack.get_run("last")
    assert record.status == "finished"
    (line,) = [line for line in record.capture_report if line.what == "disk"]
    assert line.times + record.metrics["a"].count == 50_000
    assert "dropped" in line.message


def test_what_a_full_disk_never_took_is_named_at_the_end(script: Any) -> None:
    """With no room up to the last moment nothing more can be recorded; the program's last line says how much."""
    done = script(
        """
        import resource, autotrack
        with autotrack.start_run("r") as run:
            assert run.collector.background.wait(170) == []
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
            for step in range(10_000):
                run.log({"a": float(step)}, step=step)
        """,
        AUTOTRACK_CAPTURE="-system",
    )
    (line,) = [line for line in done.stderr.splitlines() if "are lost" in line]
    lost = int(line.split()[1].replace(",", ""))
    assert autotrack.get_run("last").metrics["a"].count + lost == 10_001  # the end of the run is lost, too
    assert autotrack.get_run("last").status == "crashed"


def test_a_place_that_cannot_be_written_is_replaced(tmp_path: Path, script: Any) -> None:
    """By the user's data folder, with one line; the training does not notice."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    done = script(
        """
        import autotrack
        with autotrack.start_run("r", params={"a": 1}) as run:
            run.log({"a": 1.0})
            run.log_text("x", "a.txt")
        """,
        AUTOTRACK_DIR=str(blocked / "at"),
    )
    assert str(tmp_path / "data-home" / "autotrack") in done.stderr
    autotrack.configure(dir=tmp_path / "data-home" / "autotrack")
    record = autotrack.get_run("last")
    assert (record.name, record.status) == ("r", "finished")
    assert record.artifacts["a.txt"].read() == b"x"


def test_with_nowhere_to_write_the_training_still_runs(tmp_path: Path, script: Any) -> None:
    """Neither the place nor the fallback can be written: warnings, nothing else."""
    (tmp_path / "file").write_text("")
    done = script(
        """
        import autotrack
        with autotrack.start_run("r", params={"a": 1}) as run:
            for step in range(100):
                run.log({"a": 1.0})
        print("trained")
        """,
        AUTOTRACK_DIR=str(tmp_path / "file" / "at"),
        XDG_DATA_HOME=str(tmp_path / "file"),
    )
    assert done.stdout == "trained\n"
    assert "cannot record" in done.stderr


def test_a_locked_database_stops_nobody(script: Any, place: Path) -> None:
    """While somebody holds the database, trainings go on without noticing and a reader waits its turn."""
    autotrack.start_run("first").finish()
    assert len(autotrack.runs()) == 1
    locker = sqlite3.connect(place / "store.db", isolation_level=None, check_same_thread=False)
    locker.execute("BEGIN EXCLUSIVE")
    script(
        """
        import autotrack
        with autotrack.start_run("second") as run:
            run.log({"a": 1.0})
        """
    )
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.append(len(autotrack.runs())))
    reader.start()
    reader.join(1.0)
    waited = reader.is_alive()
    locker.execute("ROLLBACK")
    reader.join()
    assert found == [2]
    assert waited


def test_damage_is_told_in_the_capture_report(place: Path) -> None:
    """What can be read is read; the runs of that journal say that something was lost."""
    with autotrack.start_run("r") as run:
        assert run.collector.background.wait(170) == []
        for step in range(200):
            run.log({"a": float(step)}, step=step)
    (journal,) = journals(place / "journals")
    path = sorted(journal.folder.glob("*.seg"))[-1]
    data = bytearray(path.read_bytes())
    used = len(bytes(data).rstrip(b"\0"))
    data[used // 2] ^= 0xFF
    path.write_bytes(data)
    record = autotrack.get_run("last")
    assert record.status == "finished"
    assert 190 <= record.metrics["a"].count <= 200
    assert any("damage" in line.what or "damage" in line.message for line in record.capture_report)


def test_a_signal_handler_may_log_amidst_a_log(script: Any) -> None:
    """An interval timer that logs at any moment of `log` neither hangs nor loses a point."""
    script(
        """
        import itertools, signal, autotrack
        count, beats = itertools.count(), []
        with autotrack.start_run("r") as run:
            def beat(*_):
                run.log({"beat": float(next(count))})
                beats.append(1)
            signal.signal(signal.SIGALRM, beat)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            step = 0
            while len(beats) < 300:
                run.log({"a": float(step)}, step=step)
                step += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            run.log_params({"steps": step, "beats": len(beats)})
        """
    )
    record = autotrack.get_run("last")
    assert record.metrics["a"].count == record.params["steps"]
    assert record.metrics["beat"].count == record.params["beats"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_memory_stays_bounded_while_the_sink_is_blocked(tmp_path: Path, script: Any) -> None:
    """A million points, a store that nobody folds and a sink that cannot be reached: the backlog lies on disk."""
    done = script(
        """
        import sys, autotrack, psutil
        points = int(sys.argv[1])
        memory = lambda: psutil.Process().memory_full_info().uss
        with autotrack.start_run("r") as run:
            assert run.collector.background.wait(170) == []
            run.log({"a": 0.0})
            before = memory()
            for step in range(points):
                run.log({"a": 0.5}, step=step)
            print((memory() - before) / 2**20)
        """,
        os.environ.get("AUTOTRACK_STRESS_POINTS", "1000000"),
        AUTOTRACK_SINKS="jsonl:///proc/nowhere/to/write",
        AUTOTRACK_EXIT_TIMEOUT="0.2",
        timeout=280,
    )
    assert float(done.stdout) < 60
    assert "autotrack sync" in done.stderr or "delivery" in done.stderr


def test_two_sinks_and_the_store_each_get_everything_once(tmp_path: Path, script: Any, place: Path) -> None:
    """A journal goes when its writer is gone and all have confirmed; one that is behind keeps it."""
    sinks = f"jsonl://{tmp_path}/one,jsonl://{tmp_path}/two"
    script(
        """
        import autotrack
        with autotrack.start_run("r", params={"a": 1}) as run:
            for step in range(1000):
                run.log({"a": float(step)}, step=step)
        """,
        AUTOTRACK_SINKS=sinks,
    )
    for name in ("one", "two"):
        (path,) = (tmp_path / name).glob("*.jsonl")
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        assert [line["step"] for line in lines if line["event"] == "metrics" and "a" in line["values"]] == list(
            range(1000)
        )
        assert lines[0]["event"] == "run_started"
        assert any(line["event"] == "run_finished" for line in lines)
    assert autotrack.get_run("last").metrics["a"].count == 1000
    assert list(journals(place / "journals")) == []


def test_a_sink_that_is_behind_keeps_the_journal(tmp_path: Path, script: Any, place: Path) -> None:
    """The store has everything; the journal stays until the other sink has it, too."""
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    done = script(
        """
        import autotrack
        with autotrack.start_run("r") as run:
            run.log({"a": 1.0})
        """,
        AUTOTRACK_SINKS=f"jsonl://{blocked}/sink",
        AUTOTRACK_EXIT_TIMEOUT="0.2",
        AUTOTRACK_QUIET="0",
    )
    assert "autotrack sync" in done.stderr
    assert autotrack.get_run("last").metrics["a"].count == 1
    (journal,) = journals(place / "journals")
    blocked.unlink()
    from autotrack.place import Place
    from autotrack.sinks.delivery import deliver
    from autotrack.sinks.opening import open_sink

    assert deliver(Place(place, "test"), open_sink(f"jsonl://{blocked}/sink")).behind == []
    autotrack.runs()
    assert list(journals(place / "journals")) == []
    assert (blocked / "sink" / f"{journal.id}.jsonl").stat().st_size > 0
