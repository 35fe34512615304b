"""Accelerate: the tracker class, and the name `autotrack` once autotrack has been imported."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import autotrack

pytest.importorskip("accelerate")

LOOP = """
    {first}
    {second}
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with="autotrack")
    named = {{"autotrack": {{"name": "loop"}}}}
    accelerator.init_trackers("digits", config={{"lr": 0.1, "layers": 2}}, init_kwargs=named)
    model = torch.nn.Linear(2, 1)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
    for step in range(4):
        loss = model(torch.ones(3, 2)).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.log({{"train/loss": loss}}, step=step)
    accelerator.end_training()
"""


@pytest.mark.parametrize(
    ("first", "second", "launcher"),
    [
        ("import autotrack", "import accelerate", []),
        ("import accelerate", "import autotrack", ["-m", "accelerate.commands.launch", "--cpu", "--num_processes=2"]),
    ],
)
def test_a_loop_of_accelerate(tmp_path: Path, first: str, second: str, launcher: list[str]) -> None:
    """`log_with="autotrack"`, whichever is imported first, in one process or two: exactly one run."""
    (tmp_path / "loop.py").write_text(textwrap.dedent(LOOP.format(first=first, second=second)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path)}
    if launcher:
        launcher += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    done = subprocess.run(
        [sys.executable, *launcher, "loop.py"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "AutotrackWarning" not in done.stderr
    (record,) = autotrack.runs(all=True)
    assert (record.name, record.experiment, record.status) == ("loop", "digits", "finished")
    assert dict(record.params.items()) == {"lr": 0.1, "layers": 2}
    assert (record.metrics["train/loss"].count, record.metrics["train/loss"].last_step) == (4, 3)


def test_the_tracker_class_takes_an_open_run(tmp_path: Path) -> None:
    """Given an open run it logs into that and leaves its end to whoever opened it."""
    torch = pytest.importorskip("torch")
    from autotrack.integrations.accelerate import AutotrackTracker

    with autotrack.start_run("mine") as run:
        tracker = AutotrackTracker("project", run=run)
        tracker.start()
        tracker.store_init_configuration({"lr": 0.1})
        tracker.log({"loss": torch.tensor(0.5)}, step=3)
        tracker.log_table("errors", columns=["id", "why"], data=[[1, "blurred"]])
        tracker.finish()
        assert run.is_open
    record = autotrack.get_run(run.id)
    assert record.metrics["loss"].last_step == 3
    assert record.params["lr"] == 0.1
    assert [media.key for media in record.media] == ["errors"]
