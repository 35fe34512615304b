"""Nothing that was acknowledged is lost, whatever becomes of the processes: child processes, real signals."""

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
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.journal.reader import journals

ENDLESS = """
    import mmap, sys, time, autotrack
    with open(sys.argv[1], "r+b") as file:
        acknowledged = memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")
    run = autotrack.start_run("endless")
    print(run.id, flush=True)
    step = 0
    while True:
        run.log({"loss": 0.5, "n": step}, step=step)
        step += 1
        acknowledged[0] = step
        if step % 500 == 0:
            time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python source as a child process, with pipes; what is left is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *args: str, **environment: str) -> subprocess.Popen[str]:
        path = tmp_path / f"child-{len(started)}.py"
        path.write_text(textwrap.dedent(source))
        process = subprocess.Popen(
            [sys.executable, str(path), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "AUTOTRACK_CAPTURE": "-system,-git,-packages,-hardware", **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def steps(run_id: str, metric: str) -> list[int]:
    """The steps of a metric as the store tells them."""
    history = autotrack.get_run(run_id).history_arrow([metric])
    return history.column("step").to_pylist()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that the child prints."""
    assert process.stdout is not None
    text = process.stdout.readline()
    assert text, process.stderr.read() if process.stderr else ""
    return text.strip()


def counter(path: Path) -> Path:
    path.write_bytes(bytes(8))
    return path


def read_counter(path: Path) -> int:
    return int.from_bytes(path.read_bytes(), sys.byteorder)


def reached(mark: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until the child has had that many calls acknowledged."""
    while read_counter(mark) < count:
        assert process.poll() is None
        time.sleep(0.0005)


@pytest.mark.slow
def test_fifty_kills_lose_nothing(tmp_path: Path, child: Callable[..., subprocess.Popen[str]]) -> None:
    """`kill -9` at random moments: every call that had returned is in the store, exactly once, read by whoever."""
    chance, pause = random.Random(7), "0"
    killed: list[tuple[str, int]] = []
    while len(killed) < 50:
        batch = []
        for _ in range(2):
            mark = counter(tmp_path / f"mark-{len(killed) + len(batch)}")
            batch.append((child(ENDLESS, str(mark), pause), mark))
        for process, mark in batch:
            run_id = line(process)
            moment = chance.randrange(1, 5_000)
            reached(mark, moment, process)
            process.kill()
            process.wait()
            killed.append((run_id, read_counter(mark)))
        if chance.random() < 0.2:
            autotrack.runs()
    for run_id, acknowledged in killed:
        found = steps(run_id, "loss")
        assert len(found) in (acknowledged, acknowledged + 1)
        assert found == list(range(len(found)))
        assert autotrack.get_run(run_id).status == "crashed"


def test_the_next_run_and_the_command_line_recover_too(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    """Any process that looks finds what a killed one left."""
    mark, pause = counter(tmp_path / "mark"), "0.05"
    process = child(ENDLESS, str(mark), pause)
    run_id = line(process)
    reached(mark, 100, process)
    process.kill()
    process.wait()
    done = subprocess.run(
        [sys.executable, "-m", "autotrack", "show", run_id, "--json"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "crashed"


def test_a_stopped_process_is_not_declared_dead(tmp_path: Path, child: Callable[..., subprocess.Popen[str]]) -> None:
    """SIGSTOP leaves it running, SIGCONT lets it go on; nothing is lost."""
    mark, pause = counter(tmp_path / "mark"), "0.05"
    process = child(ENDLESS, str(mark), pause)
    run_id = line(process)
    reached(mark, 1000, process)
    process.send_signal(signal.SIGSTOP)
    assert autotrack.get_run(run_id).status == "running"
    seen = len(steps(run_id, "loss"))
    process.send_signal(signal.SIGCONT)
    reached(mark, seen + 1000, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    record = autotrack.get_run(run_id)
    assert record.status == "killed"
    assert len(steps(run_id, "loss")) >= read_counter(mark)


ENDINGS = [
    ("pass", "finished", 0), ("sys.exit(3)", "failed", 3), ("sys.exit(0)", "finished", 0),
    ("sys.exit()", "finished", 0),
    ("1 / 0", "failed", 1), ("os._exit(5)", "crashed", 5), ("os.kill(os.getpid(), signal.SIGKILL)", "crashed", -9),
    ("os.kill(os.getpid(), signal.SIGTERM)", "killed", -15), ("os.kill(os.getpid(), signal.SIGINT)", "killed", -2),
    ("os.kill(os.getpid(), signal.SIGHUP)", "killed", -1),
    ("try: sys.exit(3)\nexcept SystemExit: pass", "finished", 0),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "status", "code"), ENDINGS, ids=[text for text, _, _ in ENDINGS])
def test_how_a_process_ends_is_the_status_of_its_open_run(tmp_path: Path, ending: str, status: str, code: int) -> None:
    """And the process ends just as it would have without us."""
    source = "import os, signal, sys, autotrack\nrun = autotrack.start_run('r')\nrun.log({'a': 1.0})\n" + ending
    (tmp_path / "script.py").write_text(source)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    record = autotrack.get_run("last")
    assert record.status == status
    assert record.metrics["a"].count == 1
    if ending == "1 / 0":
        assert "ZeroDivisionError" in (record.traceback or "")


def test_a_run_opened_after_a_reset_is_finished_too(script: Any) -> None:
    """The end of the process finishes the runs that are open then, whatever was recorded and forgotten before."""
    script(
        """
        import autotrack
        from autotrack import _process
        autotrack.start_run("before")
        _process.reset()
        autotrack.start_run("after").log({"a": 1.0})
        """
    )
    assert {run.name: run.status for run in autotrack.runs()} == {"before": "finished", "after": "finished"}


def test_preemption_by_a_scheduler_is_told_apart(script: Any) -> None:
    """SIGTERM inside a SLURM job is `preempted`."""
    script(
        "import os, signal, autotrack\nautotrack.start_run('r')\nos.kill(os.getpid(), signal.SIGTERM)",
        check=False,
        SLURM_JOB_ID="1",
    )
    assert autotrack.get_run("last").status == "preempted"


def test_a_users_own_handler_stays(script: Any) -> None:
    """Whoever handles SIGTERM keeps handling it."""
    done = script(
        """
        import os, signal, autotrack
        signal.signal(signal.SIGTERM, lambda *_: print("mine"))
        with autotrack.start_run("r") as run:
            os.kill(os.getpid(), signal.SIGTERM)
        """
    )
    assert done.stdout == "mine\n"
    assert autotrack.get_run("last").status == "finished"


def test_forked_children_add_facts_and_change_no_status(script: Any) -> None:
    """With and without exec; each child writes a journal of its own, and a dying child leaves the run alone."""
    script(
        """
        import os, subprocess, sys, autotrack
        with autotrack.start_run("r") as run:
            for number in range(4):
                run.log({"parent": number})
                pid = os.fork()
                if pid == 0:
                    for step in range(100):
                        run.log({f"child{number}": step}, step=step)
                        autotrack.log({f"module{number}": step}, step=step)
                    if number == 0:
                        os._exit(0)
                    if number == 1:
                        os.kill(os.getpid(), 9)
                    if number == 2:
                        os.execv(sys.executable, [sys.executable, "-c", "pass"])
                    sys.exit(3)
                os.waitpid(pid, 0)
                run.log({"after": number})
        """
    )
    record = autotrack.get_run("last")
    assert record.status == "finished"
    assert len(autotrack.runs(all=True)) == 1
    for number in range(4):
        assert steps(record.id, f"child{number}") == list(range(100))
        assert steps(record.id, f"module{number}") == list(range(100))
    assert record.metrics["parent"].count == record.metrics["after"].count == 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_workers_add_facts(script: Any, method: str) -> None:
    """A run handed to workers takes their facts; they open none on their own account."""
    script(
        f"""
        import multiprocessing, autotrack
        from functools import partial

        def work(number, run):
            for step in range(50):
                run.log({{f"worker{{number}}": float(step)}}, step=step)
            return number

        if __name__ == "__main__":
            with autotrack.start_run("r") as run:
                with multiprocessing.get_context({method!r}).Pool(2) as pool:
                    assert pool.map(partial(work, run=run), range(4)) == [0, 1, 2, 3]
        """
    )
    (record,) = autotrack.runs(all=True)
    assert record.status == "finished"
    for number in range(4):
        assert steps(record.id, f"worker{number}") == list(range(50))


def test_an_orphan_does_not_keep_a_dead_run_alive(child: Callable[..., subprocess.Popen[str]]) -> None:
    """A forked child that outlives its killed parent holds no lock of the parent's journal."""
    process = child(
        """
        import os, sys, time, autotrack
        run = autotrack.start_run("r")
        run.log({"a": 1.0})
        pid = os.fork()
        if pid == 0:
            sys.stdin.read()
            os._exit(0)
        print(run.id, flush=True)
        time.sleep(600)
        """
    )
    run_id = line(process)
    assert autotrack.get_run(run_id).status == "running"
    process.kill()
    process.wait()
    assert autotrack.get_run(run_id).status == "crashed"


def test_threads_and_a_daemon_at_the_end(script: Any, tmp_path: Path) -> None:
    """Eight threads log at once; a daemon thread goes on logging while the interpreter ends: what returned is there."""
    mark = counter(tmp_path / "mark")
    script(
        """
        import mmap, sys, threading, autotrack
        with open(sys.argv[1], "r+b") as file:
            acknowledged = memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")
        run = autotrack.start_run("r")

        def work(number):
            for step in range(1000):
                run.log({f"t{number}": float(step)}, step=step)

        def endless():
            step = 0
            while True:
                run.log({"daemon": float(step)}, step=step)
                step += 1
                acknowledged[0] = step

        threading.Thread(target=endless, daemon=True).start()
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        str(mark),
    )
    record = autotrack.get_run("last")
    assert record.status == "finished"
    for number in range(8):
        assert steps(record.id, f"t{number}") == list(range(1000))
    found = steps(record.id, "daemon")
    assert len(found) - read_counter(mark) in (0, 1)
    assert found == list(range(len(found)))


def test_a_resumed_run_is_one_run(script: Any, child: Callable[..., subprocess.Popen[str]]) -> None:
    """A second attempt after a crash goes on with the same run; while one is writing, another is refused."""
    first = child(
        """
        import sys, autotrack
        run = autotrack.start_run("job", run_id="job-1", params={"lr": 0.1})
        run.log({"a": 1.0}, step=1)
        print(run.id, flush=True)
        sys.stdin.read()
        """
    )
    assert line(first) == "job-1"
    resume = """
        import autotrack
        with autotrack.start_run(run_id="job-1") as run:
            run.log({"a": 2.0}, step=2)
    """
    refused = script(resume, check=False)
    assert refused.returncode == 1
    assert "RunActiveError" in refused.stderr
    first.kill()
    first.wait()
    assert autotrack.get_run("job-1").status == "crashed"
    script(resume)
    (record,) = autotrack.runs(all=True)
    assert (record.id, record.name, record.status) == ("job-1", "job", "finished")
    assert steps("job-1", "a") == [1, 2]
    assert record.params["lr"] == 0.1
    assert [attempt.status for attempt in record.attempts] == ["crashed", "finished"]
    with pytest.raises(autotrack.AutotrackError, match="nothing-like-it"):
        autotrack.start_run(resume="nothing-like-it")


def test_ranks_append_to_one_run_from_their_own_journals(script: Any, place: Path) -> None:
    """Whichever journal is folded first, the run is the same."""
    script(
        """
        import os, autotrack
        run = autotrack.start_run("r")
        pids = []
        for rank in range(2):
            pid = os.fork()
            if pid == 0:
                run.log({f"rank{rank}": 1.0, "shared": float(rank)}, step=rank)
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            os.waitpid(pid, 0)
        run.finish()
        """
    )
    found = list(journals(place / "journals"))
    assert len(found) == 3
    owner = next(journal for journal in found if any(type(e).__name__ == "RunStarted" for e in journal.read().events))
    hidden = place / "hidden"
    owner.folder.rename(hidden)
    autotrack.runs()
    hidden.rename(owner.folder)
    (record,) = autotrack.runs()
    assert (record.name, record.status) == ("r", "finished")
    assert record.metrics["shared"].count == 2
    assert {"rank0", "rank1"} <= set(record.metrics)


def test_a_training_that_never_reads_needs_no_database(script: Any) -> None:
    """Neither SQLAlchemy nor pyarrow is imported, and no store is touched, from start to end."""
    done = script(
        """
        import sys, autotrack
        with autotrack.start_run("r", params={"a": 1}) as run:
            run.log({"a": 1.0})
        run.collector.background.wait(170)
        print(sorted({"sqlalchemy", "pyarrow", "alembic", "pandas", "autotrack.store.engine"} & set(sys.modules)))
        """
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_many_processes_log_to_one_place(tmp_path: Path, child: Callable[..., subprocess.Popen[str]]) -> None:
    """32 at once, while readers fold: nothing lost, nothing twice, nobody waits for a lock."""
    seconds = float(os.environ.get("AUTOTRACK_STRESS_SECONDS", "10"))
    source = """
        import sys, time, autotrack
        seconds = float(sys.argv[1])
        run = autotrack.start_run("r")
        print(run.id, flush=True)
        sys.stdin.readline()
        end, step = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for _ in range(20):
                run.log({"a": float(step)}, step=step)
                step += 1
            time.sleep(0.02)
        run.finish()
        print(step, flush=True)
    """
    processes = [child(source, str(seconds)) for _ in range(32)]
    ids = [line(process) for process in processes]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    reader = "import autotrack, sys\nfor _ in range(int(sys.argv[1])): autotrack.runs(limit=5).ids"
    readers = [child(reader, "20") for _ in range(2)]
    counts = [int(line(process)) for process in processes]
    for process in (*processes, *readers):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert "locked" not in errors
    assert len(autotrack.runs()) == 32
    for run_id, count in zip(ids, counts, strict=True):
        assert steps(run_id, "a") == list(range(count))
        assert autotrack.get_run(run_id).status == "finished"


def test_two_readers_fold_at_once_and_one_is_killed(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    """While eight processes append, readers fold; some are killed amidst it. Exactly once, always."""
    chance, pause = random.Random(3), "0.05"
    marks = [counter(tmp_path / f"mark-{number}") for number in range(8)]
    writers = [child(ENDLESS, str(mark), pause) for mark in marks]
    ids = [line(process) for process in writers]
    reader = "import autotrack\nprint('up', flush=True)\nwhile True: autotrack.runs(limit=3).ids"
    for _ in range(6):
        readers = [child(reader) for _ in range(2)]
        for process in readers:
            line(process)
        time.sleep(chance.random() * 0.5)  # any moment is right: the kill must hit somewhere in the folding
        for process in readers:
            process.kill()
            process.wait()
    for process in writers:
        process.kill()
        process.wait()
    for run_id, mark in zip(ids, marks, strict=True):
        found = steps(run_id, "loss")
        assert found == list(range(len(found)))
        assert len(found) - read_counter(mark) in (0, 1)


def test_a_signal_that_comes_while_a_child_is_forked_ends_it(script):
    """Workers that their pool ends at once die, as without us; handlers and masks of parent and child are theirs."""
    done = script(
        """
        import os, signal, threading, time
        import autotrack
        run = autotrack.start_run("forks")
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        for number in range(60):
            child = os.fork()
            if child == 0:
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()  # waits in C, as a worker does for its next task
            os.kill(child, signal.SIGTERM)
            deadline = time.monotonic() + 170
            while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
                assert time.monotonic() < deadline, f"child {number} lives on"
                time.sleep(0.0005)
            assert os.WTERMSIG(found[1]) == signal.SIGTERM
        child = os.fork()
        if child == 0:
            untouched = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            os._exit(0 if untouched and not signal.pthread_sigmask(signal.SIG_BLOCK, ()) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
        run.finish()
        """
    )
    assert done.returncode == 0
