"""Jobs that a scheduler starts again: the same run, in a further attempt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import autotrack

TRAINING = """
    import sys, time
    import autotrack
    with autotrack.start_run({name!r}, experiment="long") as run:
        for step in range(int(sys.argv[1]), int(sys.argv[2])):
            run.log({{"loss": 1 / (step + 1)}}, step=step)
        print("here", flush=True)
        if sys.argv[3] == "wait":
            for _ in range(3400):  # a signal that comes just before one long sleep would be handled after it
                time.sleep(0.05)
"""


@pytest.fixture
def attempt(tmp_path: Path) -> Callable[..., int]:
    """Run steps of a job that SLURM has restarted so many times, and preempt it if it does not end by itself."""

    def run(first: int, last: int, *, restarts: int, job: str = "77", preempt: bool = False, name: str = "net") -> int:
        (tmp_path / "train.py").write_text(textwrap.dedent(TRAINING.format(name=name)))
        environment = {**os.environ, "SLURM_JOB_ID": job, "SLURM_RESTART_COUNT": str(restarts)}
        command = [sys.executable, "train.py", str(first), str(last), "wait" if preempt else "go"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        if preempt:
            process.send_signal(signal.SIGTERM)
        code = process.wait(240)
        process.stdout.close()
        return code

    return run


def test_a_preempted_job_goes_on_with_its_run(attempt: Callable[..., int]) -> None:
    """Preempted and started again under the same job id, it is one run with two attempts and all points."""
    assert attempt(0, 5, restarts=0, preempt=True) == -signal.SIGTERM
    assert autotrack.get_run().status == "preempted"
    assert attempt(5, 10, restarts=1) == 0
    (record,) = autotrack.runs(all=True)
    assert (record.status, record.attempt, record.metrics["loss"].count) == ("finished", 2, 10)


def test_a_finished_run_is_not_continued(attempt: Callable[..., int]) -> None:
    """Nor is that of another job, of another name, or of a job that was never restarted."""
    attempt(0, 5, restarts=0)
    attempt(0, 5, restarts=1)
    attempt(0, 5, restarts=0, job="78", preempt=True)
    attempt(0, 5, restarts=1, job="79")
    attempt(0, 5, restarts=1, job="78", name="other")
    attempt(0, 5, restarts=0, job="78")
    assert len(list(autotrack.runs(all=True))) == 6
