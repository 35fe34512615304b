"""What only a CUDA device can prove: metrics are recorded without making the training wait, and its use is told.

`make test-gpu` runs these; elsewhere they are skipped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import autotrack

torch = pytest.importorskip("torch")


def why_not() -> str:
    """Why there is nothing to prove here; empty where there is a device."""
    if torch.cuda.is_available():
        return ""
    built = torch.backends.cuda.is_built()
    return "torch finds no CUDA device here" if built else f"torch {torch.__version__} is a build without CUDA"


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(why_not()), reason=why_not())]

MIB = 2**20


def until(found: Callable[[], bool]) -> None:
    """Ask again and again, for as long as a busy machine may need."""
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline


@pytest.fixture(scope="module", autouse=True)
def warmed_up() -> None:
    """What a process does with a device for the first time takes long, with autotrack or without: it is done before."""
    model = torch.nn.Linear(64, 64, device="cuda")
    model(torch.ones(64, 64, device="cuda")).square().mean().backward()
    torch.cuda._sleep(1000)
    hosts = [torch.empty((), dtype=kind, pin_memory=True) for kind in (torch.float64, torch.int64) for _ in range(8)]
    for host in hosts:
        host.copy_(torch.zeros((), device="cuda") + 1, non_blocking=True)
        torch.cuda.current_stream().record_event().query()
    torch.cuda.synchronize()


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """torch raises where the program would wait for the device."""
    torch.zeros((), device="cuda").add_(1)  # what CUDA does when it is first used is not what is meant
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


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


def test_rows_arrive_by_themselves() -> None:
    """Nobody has to finish the run for that."""
    with autotrack.start_run("r") as run:
        run.log({"loss": torch.ones((), device="cuda"), "n": torch.tensor(2**60 + 1, device="cuda")})
        until(lambda: "loss" in autotrack.get_run(run.id).metrics)
        assert autotrack.get_run(run.id).history_arrow(["n"]).column("value").to_pylist() == [2**60 + 1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int64", "bool"])
def test_every_number_is_what_it_was(dtype: str) -> None:
    """Whatever the type on the device, the record has the value that `item()` gives."""
    value = torch.tensor(0.1, device="cuda").to(getattr(torch, dtype))
    with autotrack.start_run("r") as run:
        run.log({"value": value, "nothing": torch.tensor(float("nan"), device="cuda")})
    record = autotrack.get_run("last")
    assert record.history_arrow(["value"]).column("value").to_pylist() == [value.item()]
    (nothing,) = record.history_arrow(["nothing"]).column("value").to_pylist()
    assert math.isnan(nothing)


@pytest.mark.usefixtures("no_waiting")
def test_a_loop_with_everything_on_waits_nowhere() -> None:
    """Logging, learning rates and watching, while torch forbids what would make the program wait for the device."""
    model = torch.nn.Linear(64, 8, device="cuda", dtype=torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    inputs = torch.ones(16, 64, device="cuda", dtype=torch.bfloat16)
    seen = []
    autotrack.autolog("torch")
    try:
        with autotrack.start_run("r") as run, run.watch(model, optimizer, every=2):
            for step in range(6):
                loss = model(inputs).square().mean()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                run.log({"train/loss": loss.detach()}, step=step)
                seen.append(loss.detach().clone())
    finally:
        torch.cuda.set_sync_debug_mode("default")
        autotrack.autolog(disable=True)
    record = autotrack.get_run("last")
    assert record.history_arrow(["train/loss"]).column("value").to_pylist() == [one.item() for one in seen]
    assert record.metrics["gradients/norm"].count == 3
    assert record.params["optimizer.name"] == "AdamW"


def test_the_device_is_in_the_record() -> None:
    """Its name and memory as NVIDIA's library tells them, under hardware; driver and CUDA version beside them."""
    with autotrack.start_run("r") as run:
        run.collector.background.wait(30)
    hardware = autotrack.get_run("last").environment["hardware"]
    assert torch.cuda.get_device_name() in {gpu["name"] for gpu in hardware["gpus"]}
    total = torch.cuda.get_device_properties(0).total_memory
    assert max(gpu["memory"] for gpu in hardware["gpus"]) >= total
    assert hardware["driver"]
    assert hardware["cuda"]


def test_its_use_is_sampled_with_the_peak_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Utilization and memory of each GPU under system/gpu.N; the highest sample holds what the training took."""
    monkeypatch.setenv("AUTOTRACK_MONITOR_INTERVAL", "0.2")
    taken = 512 * MIB
    with autotrack.start_run("r") as run:

        def memory() -> list[Any]:
            metrics = autotrack.get_run(run.id).metrics
            return [
                metrics[name] for name in metrics if name.startswith("system/gpu.") and name.endswith("memory_used")
            ]

        until(lambda: bool(memory()))
        block = torch.ones(taken, dtype=torch.uint8, device="cuda")
        peak = torch.cuda.max_memory_allocated()
        assert peak >= taken
        until(lambda: any(one.max - one.first >= taken // 2 and one.max >= peak for one in memory()))
        del block
        torch.cuda.empty_cache()
    metrics = autotrack.get_run("last").metrics
    assert max(metrics[name].max for name in metrics if name.endswith(".memory_used")) >= peak
    assert all(0 <= metrics[name].last <= 100 for name in metrics if name.endswith(".utilization"))
    assert any(name.startswith("system/gpu.") and name.endswith(".utilization") for name in metrics)


def weights_of_a_fit(folder: Path) -> tuple[list[float], bytes]:
    """The losses and the weights of a seeded fit by Lightning in bfloat16, byte for byte."""
    pl = pytest.importorskip("lightning.pytorch")
    losses: list[Any] = []

    class Net(pl.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self.net(batch[0]).square().mean()
            self.log("train_loss", loss)
            losses.append(loss.detach().clone())
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.05)

    pl.seed_everything(0, verbose=False)
    data = torch.utils.data.TensorDataset(torch.randn(64, 16))
    model = Net()
    trainer = pl.Trainer(
        accelerator="gpu", devices=1, precision="bf16-mixed", max_epochs=2, log_every_n_steps=1, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=16))
    parts = [tensor.cpu().numpy().tobytes() for tensor in model.state_dict().values()]
    return [loss.item() for loss in losses], b"".join(parts)


@pytest.mark.filterwarnings("ignore")
def test_a_fit_in_bfloat16_is_recorded_and_untouched(tmp_path: Path) -> None:
    """Precision and losses as they were, and the weights are bit by bit those of a fit without."""
    _, without = weights_of_a_fit(tmp_path)
    autotrack.autolog("lightning", watch=1)
    try:
        losses, weights = weights_of_a_fit(tmp_path)
    finally:
        autotrack.autolog(disable=True)
    assert weights == without
    record = autotrack.get_run()
    assert record.status == "finished"
    assert record.params["trainer.precision"] == "bf16-mixed"
    assert record.history_arrow(["train_loss"]).column("value").to_pylist() == pytest.approx(losses)
    assert record.metrics["gradients/norm"].count == 8


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
    run.collector.background.wait(30)
    record = autotrack.get_run("last")
    assert record.history_arrow(["gradients/norm"]).column("value").to_pylist() == pytest.approx([expected] * 3)
    assert record.metrics["gradients/nonfinite"].max == 0
    assert len([one for one in record.media if one.key == "weights"]) == 3
