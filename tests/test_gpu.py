"""Metrics that are still on a GPU are recorded without making the training wait. Needs a CUDA device."""

from __future__ import annotations

import time

import pytest

import autotrack

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("there is no CUDA device here", allow_module_level=True)


def test_log_does_not_wait_for_the_gpu() -> None:
    """`log` returns while the kernel that makes the value is still running; the value is right all the same."""
    with autotrack.start_run("r") as run:
        value = torch.zeros((), device="cuda")
        for step in range(5):
            torch.cuda._sleep(500_000_000)
            value = value + 1
            done = torch.cuda.Event()
            done.record()
            run.log({"loss": value, "host": float(step)}, step=step)
            assert not done.query()
    history = autotrack.get_run("last").history_arrow(["loss"])
    assert history.column("value").to_pylist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert history.column("step").to_pylist() == [0, 1, 2, 3, 4]


def test_rows_arrive_within_a_second() -> None:
    """Nobody has to finish the run for that."""
    with autotrack.start_run("r") as run:
        run.log({"loss": torch.ones((), device="cuda"), "n": torch.tensor(2**60 + 1, device="cuda")})
        deadline = time.monotonic() + 5
        while "loss" not in autotrack.get_run(run.id).metrics:
            assert time.monotonic() < deadline
        assert autotrack.get_run(run.id).history_arrow(["n"]).column("value").to_pylist() == [2**60 + 1]


def test_the_device_is_in_the_record() -> None:
    """Its name under hardware, its use under system/gpu.0."""
    with autotrack.start_run("r") as run:
        run._collector.background.wait(30)
    record = autotrack.get_run("last")
    assert record.environment["hardware"]["gpus"]


def test_watching_a_model_does_not_wait_for_the_gpu() -> None:
    """Norms and histograms are enqueued behind the kernels of the step; what they say is right all the same."""
    model = torch.nn.Linear(512, 512, device="cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    inputs = torch.ones(8, 512, device="cuda")
    with autotrack.start_run("r") as run, run.watch(model, optimizer, every=1):
        for _ in range(3):
            optimizer.zero_grad()
            model(inputs).sum().backward()
            torch.cuda._sleep(500_000_000)
            done = torch.cuda.Event()
            done.record()
            optimizer.step()
            assert not done.query()
        expected = torch.linalg.vector_norm(torch.cat([one.grad.reshape(-1) for one in model.parameters()])).item()
    run._collector.background.wait(30)
    record = autotrack.get_run("last")
    assert record.history_arrow(["gradients/norm"]).column("value").to_pylist() == pytest.approx([expected] * 3)
    assert record.metrics["gradients/nonfinite"].max == 0
    assert len([one for one in record.media if one.key == "weights"]) == 3
