"""Programs that know nothing of autotrack are recorded under `autotrack run`, however Python is started."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrack

PYTHON = sys.executable
QUOTED = shlex.quote(PYTHON)  # in a shell's line
FIT = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
"""
UNTIL_TWO_PROCESSES_WERE_SEEN = """
import time, autotrack
while not (seen := autotrack.get_run("last").metrics.get("system/process.count")) or seen.max < 2:
    time.sleep(0.05)
"""
Launch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Write = Callable[..., Path]
Said = Callable[[bytes], bytes]


def jobs() -> list[Any]:
    """The launched commands, oldest first."""
    return list(autotrack.runs("run.kind = 'job'", order_by="run.started"))


def test_a_bare_script_with_one_fit_is_one_row(launch: Launch, write: Write, said: Said):
    """Its params and metrics are the job's own; its output and exit code are its own."""
    write(
        "train.py", FIT + "model = LogisticRegression(C=0.5, max_iter=200).fit(X, y)\nprint('score', model.score(X, y))"
    )
    done = launch("--tag", "team=x", "--", PYTHON, "train.py", "--lr", "0.1")
    assert (done.returncode, said(done.stderr)) == (0, b"")
    assert done.stdout.startswith(b"score 0.9")
    (record,) = autotrack.runs(all=True)
    assert (record.kind, record.name, record.experiment, record.status) == ("job", "train-1", "train", "finished")
    assert record.params["C"] == 0.5
    assert record.metrics["train/accuracy"].last > 0.9
    assert record.tags == {"team": "x"}
    assert said(record.console.encode()) == done.stdout
    assert [training.name for training in record.trainings] == ["LogisticRegression"]
    assert record.exit_code == 0
    assert [line for line in record.capture_report if line.what != "metrics per iteration"] == []


def test_what_surrounds_the_run_is_that_of_the_command(launch: Launch, write: Write):
    """The section `process` tells of the script and its Python, `packages` of those that the script has."""
    write("train.py", FIT + "LogisticRegression(max_iter=200).fit(X, y)\n" + UNTIL_TWO_PROCESSES_WERE_SEEN)
    environment = {"AUTOTRACK_CAPTURE": "-git,-hardware", "AUTOTRACK_MONITOR_INTERVAL": "0.05"}
    launch(PYTHON, "train.py", "--password", "x7Kq9rT2mZ4pW8vL", environment=environment)
    (record,) = autotrack.runs(all=True)
    process = record.environment["process"]
    assert process["argv"] == [PYTHON, "train.py", "--password", "[masked]"]
    assert process["script"].endswith("/train.py")
    assert len(process["script_digest"]) == 64
    assert process["executable"] == PYTHON
    assert process["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "scikit-learn" in record.environment["packages"]
    assert record.metrics["system/process.count"].max >= 2


def test_a_module_a_package_and_a_script_without_a_python(launch: Launch, write: Write):
    """`-m module` is `python -m module`, and a script may stand alone."""
    write("work/__main__.py", "import sys; print(sys.argv[1:], __name__)")
    write("work/__init__.py", "")
    write("alone.py", "import sys; print(sys.argv[1:])")
    assert launch("-m", "work", "-x", "--y=1").stdout == b"['-x', '--y=1'] __main__\n"
    assert launch(PYTHON, "-m", "work").stdout == b"[] __main__\n"
    assert launch("alone.py", "--name", "z").stdout == b"['--name', 'z']\n"
    assert [record.name for record in autotrack.runs(order_by="run.started")] == ["work-1", "work-2", "alone-1"]


def test_several_fits_are_children(launch: Launch, write: Write):
    """A second training makes both of them children of the job."""
    write("train.py", FIT + "for C in (0.1, 1.0):\n    LogisticRegression(C=C, max_iter=200).fit(X, y)")
    launch("--name", "both", PYTHON, "train.py")
    (job,) = autotrack.runs()
    assert (job.name, job.kind, job.child_count) == ("both", "job", 2)
    assert [(child.params["C"], child.status) for child in job.children()] == [(0.1, "finished"), (1.0, "finished")]


def test_a_pipeline_of_three_programs_is_one_job(launch: Launch, write: Write):
    """Each of them trains once, at the same time as the others: three children, none lost, none twice."""
    train = FIT + "import sys\nLogisticRegression(C=float(sys.argv[1]), max_iter=200).fit(X, y)\n"
    write("a.py", train + "print('a')")
    write("b.py", train + "print(sys.stdin.read().strip() + 'b')")
    write("pipeline.sh", f"{QUOTED} a.py 1 | {QUOTED} b.py 2 | {QUOTED} b.py 3")
    done = launch("sh", "pipeline.sh")
    assert done.stdout == b"abb\n"
    (job,) = autotrack.runs()
    assert job.name == "sh-1"
    assert sorted(child.params["C"] for child in job.children()) == [1, 2, 3]
    assert {child.status for child in job.children()} == {"finished"}


def test_a_program_that_becomes_another(launch: Launch, write: Write):
    """Around `os.exec*` both halves are recorded, and the exit code is the last one's."""
    write("first.py", FIT + "import os, sys\nLogisticRegression(C=1.0, max_iter=200).fit(X, y)\n"
          "os.execv(sys.executable, [sys.executable, 'second.py'])")  # fmt: skip
    write("second.py", FIT + "LogisticRegression(C=2.0, max_iter=200).fit(X, y)\nraise SystemExit(7)")
    assert launch(PYTHON, "first.py").returncode == 7
    (job,) = autotrack.runs()
    assert (job.status, job.exit_code) == ("failed", 7)
    assert [child.params["C"] for child in job.children()] == [1.0, 2.0]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(launch: Launch, write: Write, said: Said, method: str):
    """Workers open no runs, and what they log goes to the job; the program's own fit is recorded once."""
    write(
        "train.py",
        FIT
        + f"""
import multiprocessing, autotrack

def work(number):
    autotrack.log({{f"worker{{number}}": float(number)}})
    return LogisticRegression(max_iter=200).fit(X, y).score(X, y)

if __name__ == "__main__":
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(len(pool.map(work, range(3))))
    LogisticRegression(max_iter=200).fit(X, y)
        """,
    )
    done = launch(PYTHON, "train.py")
    assert (done.returncode, done.stdout, said(done.stderr)) == (0, b"3\n", b"")
    (job,) = autotrack.runs(all=True)
    assert len(job.trainings) == 1
    assert {f"worker{number}" for number in range(3)} <= set(job.metrics)


@pytest.mark.parametrize("flags", [["-I"], ["-E"], ["-S"], ["-Ic"]])
def test_a_python_that_takes_no_start_up_code(launch: Launch, flags: list[str]):
    """It runs as it would without us; the job is recorded, and the report says why nothing else is."""
    code = "import sys; print('AUTOTRACK' in sys.meta_path[0].__class__.__module__.upper())"
    words = flags if flags[-1].endswith("c") else [*flags, "-c"]
    done = launch(PYTHON, *words, code)
    assert (done.returncode, done.stdout) == (0, b"False\n")
    (job,) = autotrack.runs(all=True)
    assert job.status == "finished"
    assert job.console == "False\n"
    (line,) = job.capture_report
    assert flags[0][:2] in line
    assert "was not recorded" in line


def test_the_programs_own_words_and_runs(launch: Launch, write: Write, said: Said):
    """`autotrack.log` goes to the job, `start_run` makes a child of it, and what the script says of autolog counts."""
    write(
        "train.py",
        FIT
        + """
import autotrack
autotrack.log({"own": 1.0})
autotrack.log_params({"a": 1})
with autotrack.start_run("inner") as run:
    run.log({"loss": 0.5})
LogisticRegression(max_iter=200).fit(X, y)
autotrack.autolog(disable=True)
LogisticRegression(max_iter=300).fit(X, y)
        """,
    )
    done = launch(PYTHON, "train.py")
    assert (done.returncode, said(done.stderr)) == (0, b"")
    (job,) = jobs()
    assert job.metrics["own"].last == 1.0
    assert (job.params["a"], job.params["max_iter"]) == (1, 200)
    (inner,) = job.children()
    assert (inner.name, inner.kind, inner.experiment, inner.status) == ("inner", "run", "train", "finished")


def test_autolog_switched_off_before_the_first_import_stays_off(launch: Launch, write: Write):
    """The script's own first line has the last word."""
    write("train.py", "import autotrack\nautotrack.autolog(disable=True)\n" + FIT + "LogisticRegression().fit(X, y)")
    launch(PYTHON, "train.py")
    (job,) = autotrack.runs(all=True)
    assert job.trainings == []


def test_an_exception_is_on_the_record(launch: Launch, write: Write, said: Said):
    """Type, message and traceback, also of a program that never trained; the launcher decides the status."""
    write("train.py", "def work():\n    raise ValueError('no such luck')\nwork()")
    done = launch(PYTHON, "train.py")
    assert done.returncode == 1
    (job,) = autotrack.runs(all=True)
    assert (job.status, job.exit_code) == ("failed", 1)
    assert (job.failure_type, job.failure_message) == ("ValueError", "no such luck")
    assert "in work" in (job.traceback or "")
    assert said(job.console.encode()) == said(done.stderr)


def test_an_exception_that_the_command_survives_is_no_failure(launch: Launch, write: Write):
    """A shell that goes on after a failing program ends well."""
    write("work.sh", f"{QUOTED} -c 'import json; 1/0'\nexit 0")
    launch("sh", "work.sh")
    (job,) = autotrack.runs(all=True)
    assert (job.status, job.failure_type) == ("finished", None)


def test_a_program_that_dies_in_a_training(launch: Launch, write: Write):
    """Its training ended as the command did, whichever journal is read first."""
    write(
        "train.py",
        """
        import os, autotrack
        from autotrack.integrations.base import begin_training
        training = begin_training("Net", "mine")
        training.log({"loss": 1.0})
        os.kill(os.getpid(), 9)
        """,
    )
    assert launch(PYTHON, "train.py").returncode == -9
    (job,) = jobs()
    assert (job.status, job.metrics["loss"].last) == ("killed", 1.0)
    assert [(training.name, training.status) for training in job.trainings] == [("Net", "killed")]


def test_the_ranks_of_one_training(launch: Launch, write: Write):
    """Rank 0 records in the job, the others record nothing."""
    write(
        "train.py",
        """
        import autotrack
        from autotrack.integrations.base import begin_training
        autotrack.log({"own": 1.0})
        training = begin_training("Net", "mine")
        training.log({"loss": 1.0})
        training.finish()
        """,
    )
    ranks = " & ".join(f"RANK={rank} {QUOTED} train.py" for rank in range(3))
    write("ranks.sh", f"export WORLD_SIZE=3 MASTER_ADDR=localhost MASTER_PORT=1\n{ranks} & wait\n")
    assert launch("sh", "ranks.sh").returncode == 0
    (job,) = autotrack.runs(all=True)
    assert job.metrics["own"].count == job.metrics["loss"].count == len(job.trainings) == 1


def test_a_launch_within_a_launch_is_a_child(launch: Launch, write: Write, said: Said):
    """Each command is a job of its own, and what is trained belongs to the inner one."""
    write("train.py", FIT + "LogisticRegression(max_iter=200).fit(X, y)\nprint('x')")
    write("outer.sh", f"{QUOTED} -m autotrack run --name inner -- {QUOTED} train.py")
    done = launch("--name", "outer", "sh", "outer.sh")
    assert (done.returncode, done.stdout, said(done.stderr)) == (0, b"x\n", b"")
    outer, inner = jobs()
    assert [child.id for child in outer.children()] == [inner.id]
    assert (outer.name, inner.name, inner.kind) == ("outer", "inner", "job")
    assert inner.params["max_iter"] == 200
    assert said(outer.console.encode()) == said(inner.console.encode()) == b"x\n"


def test_switched_off(launch: Launch, write: Write, place: Path):
    """AUTOTRACK=0 beats it all: the command takes the launcher's place, and nothing is written."""
    write("train.py", "import os, sys; print(sorted(name for name in os.environ if 'AUTOTRACK_JOB' in name))")
    done = launch(PYTHON, "train.py", environment={"AUTOTRACK": "0"})
    assert (done.returncode, done.stdout) == (0, b"[]\n")
    assert not place.exists()


def test_a_command_that_does_not_exist(launch: Launch, place: Path):
    """One line that says so, and the exit codes of a shell; nothing is recorded."""
    done = launch("no-such-program", "x")
    assert (done.returncode, done.stdout) == (127, b"")
    assert done.stderr == b"error: no-such-program: there is no such command\n"
    assert launch("/").returncode == 126
    assert launch().returncode == 2
    assert not place.exists()


def test_a_script_without_a_first_line(launch: Launch, write: Write):
    """As from a shell, it is one for the shell."""
    write("plain", "echo $1; exit 3").chmod(0o755)
    done = launch("./plain", "hello")
    assert (done.returncode, done.stdout) == (3, b"hello\n")


def test_open_files_and_the_environment_are_handed_on(launch: Launch, write: Write, tmp_path: Path):
    """What a shell opens for a command (`3<file`) reaches it; its own PYTHONPATH still counts."""
    (tmp_path / "data").write_text("from three")
    write("lib/mine.py", "VALUE = 5")
    write("train.py", "import os, sys, mine; print(os.read(3, 99).decode(), mine.VALUE)")
    line = f"{QUOTED} -m autotrack run {QUOTED} train.py 3<data"
    done = subprocess.run(["sh", "-c", f"PYTHONPATH=lib {line}"], capture_output=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (0, b"from three 5\n")
