"""Ranks of one job: exactly one run, metrics of rank 0, system metrics of every rank."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import autotrack
from autotrack.place import Place
from autotrack.recording import ranks
from autotrack.recording.collector import collector
from autotrack.recording.lifecycle.trainings import begin_training
from autotrack.recording.run import Run

LOOP = """
    import os, sys, time
    import autotrack
    import torch.distributed as dist

    dist.init_process_group("gloo")
    rank = dist.get_rank()
    with autotrack.start_run("two ranks", params={"world": dist.get_world_size()}) as run:
        dist.barrier()  # until the run of rank 0 is there
        for step in range(5):
            run.log({"loss": 1.0 + rank}, step=step)
        until = time.monotonic() + 150
        while f"system/{'rank.1/' * rank}process.memory" not in autotrack.get_run("last").metrics:
            assert time.monotonic() < until, "the machine of this rank was not looked at"
            time.sleep(0.02)
        dist.barrier()
    with autotrack.start_run("another one"):
        dist.barrier()
    dist.destroy_process_group()
"""


def test_two_ranks_are_one_run(tmp_path: Path, place: Path) -> None:
    """Launched by torchrun, two processes record one run: rank 0's metrics, and how rank 1's process is doing.

    However long the interval: a rank is first looked at when rank 0 has opened its run.
    """
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(textwrap.dedent(LOOP))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py"]
    environment = {**os.environ, "AUTOTRACK_MONITOR_INTERVAL": "3600", "AUTOTRACK_QUIET": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("autotrack: recording to") == 1
    first, second = sorted(autotrack.runs(all=True), key=lambda run: run.started)
    assert (first.name, second.name) == ("two ranks", "another one")
    assert first.status == "finished"
    loss = first.metrics["loss"]
    assert (loss.count, loss.max) == (5, 1.0)
    assert first.metrics["system/rank.1/process.memory"].last > 0
    assert first.metrics["system/process.memory"].last > 0


@pytest.fixture
def rank_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that a launcher gives to the second of two processes."""
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("rank_one")
def test_a_rank_that_follows_takes_everything_and_keeps_nothing(recorded) -> None:
    """Runs and trainings of rank 1 work as ever, also in its workers, and leave no event."""
    with autotrack.start_run("mine") as run:
        run.log({"loss": 1.0})
        run.log_params({"lr": 0.1})
        run.log_text("text", "text.txt")
        training = begin_training("Net", "torch")
        training.log({"loss": 0.5})
        training.finish()
        copy = pickle.loads(pickle.dumps(training))
        copy.log({"loss": 0.25})
    autotrack.log({"late": 1.0})
    assert collector().background.wait(170) == []
    assert recorded() == []
    assert not isinstance(collector().last_run, Run)


@pytest.mark.usefixtures("rank_one")
def test_a_rank_is_looked_at_as_soon_as_it_knows_its_run(recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it is there before rank 0, and the training is over long before the next sample."""
    asked = iter([None, None])
    monkeypatch.setattr(ranks, "followed", lambda place: next(asked, "the-run-of-rank-0"))
    autotrack.configure(monitor_interval=3600)
    autotrack.start_run("mine")
    assert collector().background.wait(170) == []
    until = time.monotonic() + 150
    while not recorded():
        assert time.monotonic() < until
        time.sleep(0.02)
    (event,) = recorded()
    assert event.frame.run == "the-run-of-rank-0"
    assert "system/rank.1/process.memory" in event.frame.keys


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "3", "WORLD_SIZE": "8"}, 3),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}, None),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "MASTER_ADDR": "node1"}, 2),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "MASTER_ADDR": "node1"}, 1),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "node1"}, 1),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "node1"}, 1),
        ({"RANK": "?", "WORLD_SIZE": "2"}, 0),
    ],
)
def test_what_makes_a_rank(environment: dict[str, str], expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that merely run side by side under srun or mpirun are no ranks; those with a coordinator are."""
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ranks.rank() == expected


def test_a_stale_meeting_point_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another job may have had the same address and port long ago."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    ranks.lead(Place(tmp_path), "run-1")
    assert ranks.followed(Place(tmp_path)) == "run-1"
    (point,) = (tmp_path / "ranks").iterdir()
    os.utime(point, (1, 1))
    assert ranks.followed(Place(tmp_path)) is None
