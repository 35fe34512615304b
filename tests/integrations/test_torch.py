"""Plain PyTorch loops are recorded beside what their authors log, and nothing of them is changed."""

from __future__ import annotations

import contextlib
import gc
import pickle
import weakref
from typing import Any

import pytest

import autotrack
from autotrack import events
from autotrack.recording.collector import collector
from autotrack.testing import IntegrationTestCase, recorded_events
from autotrack.training import ownership
from autotrack.training.neural import loops

torch: Any = pytest.importorskip("torch")
functional: Any = torch.nn.functional
schedulers: Any = torch.optim.lr_scheduler


@pytest.fixture
def autolog():
    """`autotrack.autolog` for plain torch, off again after the test."""
    autotrack.autolog("torch")
    yield autotrack.autolog
    autotrack.autolog(disable=True)


def small_model() -> Any:
    """Two layers with weights that are always the same."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(8, 2))


def train(model: Any, optimizer: Any, steps: int = 25, scheduler: Any = None, run: Any = None) -> None:
    """The loop that everybody writes."""
    inputs, targets = torch.randn(16, 4), torch.arange(16) % 2
    for step in range(steps):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        if run is not None:
            run.log({"loss": loss.detach()}, step=step)


def the_record() -> Any:
    """The last run, once everything beside the training is done."""
    assert collector().background.wait(170) == []
    return autotrack.get_run("last")


def params_of(record: Any) -> dict[str, Any]:
    return {name: param.value if hasattr(param, "value") else param for name, param in record.params.items()}


def reports(record: Any, what: str) -> list[str]:
    return [line.message for line in record.capture_report if line.what == what]


def test_a_loop_in_an_open_run_is_recorded_with_its_optimizer_and_scheduler(autolog):
    """What was set, the rate as it changes, and the number of steps; the author's own metrics beside them."""
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.8, 0.99))
    scheduler = schedulers.StepLR(optimizer, step_size=10, gamma=0.5)
    with autotrack.start_run("loop") as run:
        train(model, optimizer, scheduler=scheduler, run=run)
    record = the_record()
    params = params_of(record)
    assert (params["optimizer.name"], params["optimizer.lr"], params["optimizer.betas"]) == ("AdamW", 0.01, [0.8, 0.99])
    assert params["optimizer.weight_decay"] == 0.01
    assert (params["scheduler.name"], params["scheduler.step_size"], params["scheduler.gamma"]) == ("StepLR", 10, 0.5)
    rates = record.history_arrow(["train/learning_rate"])
    assert dict(zip(rates["step"].to_pylist(), rates["value"].to_pylist(), strict=True)) == {
        0: 0.01, 10: 0.005, 20: 0.0025,
    }  # fmt: skip
    assert record.metrics["loss"].count == 25
    (capture,) = reports(record, "capture")
    assert capture.startswith("torch: hooks optimizer steps; seen 25 optimizer steps, 1 optimizers, 1 schedulers; ")
    assert not reports(record, "metrics")


def test_the_weights_are_the_same_bit_by_bit():
    """With autolog, with a watched model, and without anything."""

    def weights(context: Any, watched: bool = False) -> bytes:
        with context:
            model = small_model()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            if watched:
                autotrack.active_run().watch(model, optimizer, every=2)
            train(model, optimizer, scheduler=schedulers.ExponentialLR(optimizer, 0.9))
            state = optimizer.state_dict(), model.state_dict()
            return pickle.dumps([torch.get_rng_state().numpy().tobytes(), str(state), [
                parameter.detach().numpy().tobytes() for parameter in model.parameters()
            ]])  # fmt: skip

    without = weights(contextlib.nullcontext())
    assert weights(autotrack.start_run("watched"), watched=True) == without
    autotrack.autolog("torch")
    try:
        assert weights(autotrack.start_run("autolog")) == without
    finally:
        autotrack.autolog(disable=True)
    assert weights(contextlib.nullcontext()) == without


def test_switched_off_nothing_is_left(autolog):
    """No hook in torch, the scheduler's own methods, the same `torch.save`."""
    from torch.optim import optimizer as module

    autolog(disable=True)
    assert not module._global_optimizer_post_hooks
    assert not hasattr(schedulers.LRScheduler.step, "__autotrack__")
    assert torch.save.__code__.co_filename.endswith("serialization.py")
    model = small_model()
    with autotrack.start_run("off"):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert not params_of(the_record())


def test_without_a_run_nothing_is_recorded(autolog):
    """A loop on its own is its author's affair."""
    model = small_model()
    train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert len(autotrack.runs()) == 0


def test_a_run_that_opens_amidst_a_loop_has_the_rest_of_it(autolog):
    """Steps count from the run's beginning; a second run gets a record of its own."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, steps=3)
    for name, steps in (("first", 12), ("second", 5)):
        with autotrack.start_run(name):
            train(model, optimizer, steps=steps)
    for name, steps in (("first", 12), ("second", 5)):
        record = autotrack.get_run(name)
        assert params_of(record)["optimizer.name"] == "SGD"
        assert f"seen {steps} optimizer steps" in reports(record, "capture")[0]
        assert record.metrics["train/learning_rate"].first_step == 0


def test_several_optimizers_are_numbered(autolog):
    """Two networks against each other: both optimizers, the rate of each group."""
    one, other = small_model(), small_model()
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1), torch.optim.Adam(other.parameters(), lr=0.002)]
    with autotrack.start_run("gan") as run:
        for step in range(12):
            for model, optimizer in zip((one, other), optimizers, strict=True):
                train(model, optimizer, steps=1)
            run.log({"loss": 1.0}, step=step)
    record = the_record()
    params = params_of(record)
    assert (params["optimizer.0.name"], params["optimizer.1.name"]) == ("SGD", "Adam")
    assert params["optimizer.1.lr"] == 0.002
    assert record.metrics["train/learning_rate.1"].last == 0.002


def test_one_training_after_the_other_goes_on_counting(autolog):
    """Folds in one run: each optimizer is recorded, and the steps go on where the last one stopped."""
    with autotrack.start_run("folds") as run:
        for fold in range(3):
            model = small_model()
            train(model, torch.optim.SGD(model.parameters(), lr=0.1 * (fold + 1)), steps=6)
            run.log({"score": fold})
            del model
            gc.collect()
    record = the_record()
    params = params_of(record)
    assert [params["optimizer.lr"], params["optimizer.1.lr"], params["optimizer.2.lr"]] == pytest.approx(
        [0.1, 0.2, 0.3]
    )
    assert "seen 18 optimizer steps, 3 optimizers" in reports(record, "capture")[0]
    rates = record.history_arrow(["train/learning_rate"])
    assert rates["step"].to_pylist() == [0, 6, 12]
    assert rates["value"].to_pylist() == pytest.approx([0.1, 0.2, 0.3])


def test_hundreds_of_optimizers_are_bounded(autolog):
    """One per parameter, as some memory savers do: the report says how many are recorded."""
    model = torch.nn.Sequential(*[torch.nn.Linear(1, 1) for _ in range(15)])
    optimizers = [torch.optim.SGD([parameter], lr=0.1) for parameter in model.parameters()]
    with autotrack.start_run("many") as run:
        for _ in range(3):
            model(torch.ones(1, 1)).sum().backward()
            for optimizer in optimizers:
                optimizer.step()
        run.log({"loss": 1.0})
    record = the_record()
    assert "optimizer.19.name" in record.params
    assert "optimizer.20.name" not in record.params
    assert "only the first 20 optimizers are recorded" in reports(record, "capture")
    assert any("seen 3 optimizer steps, 30 optimizers" in line for line in reports(record, "capture"))


def test_schedulers_inside_schedulers_are_one(autolog):
    """A warm-up followed by a decay, and functions by their name."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    warm_up = schedulers.LinearLR(optimizer, 0.1, total_iters=3)
    decay = schedulers.LambdaLR(optimizer, a_decay)
    with autotrack.start_run("sequence"):
        train(model, optimizer, steps=6, scheduler=schedulers.SequentialLR(optimizer, [warm_up, decay], [3]))
    params = params_of(the_record())
    assert params["scheduler.name"] == "SequentialLR"
    assert (params["scheduler.schedulers.0.name"], params["scheduler.schedulers.0.start_factor"]) == ("LinearLR", 0.1)
    assert params["scheduler.schedulers.1.lr_lambda"].endswith("a_decay")
    assert params["scheduler.milestones"] == [3]
    assert params["optimizer.lr"] == 0.1


def a_decay(step: int) -> float:
    return 0.9**step


def test_a_loop_without_metrics_is_named_in_the_report(autolog):
    """So that nobody wonders later where they are."""
    model = small_model()
    with autotrack.start_run("silent"):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), steps=7)
    record = the_record()
    assert reports(record, "metrics") == ["a training loop of 7 optimizer steps logged none: run.log({…}) records them"]


def test_a_framework_in_charge_keeps_its_loop(autolog):
    """While an integration records the loop of this thread, this one looks away; afterwards it looks again."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with autotrack.start_run("outer"):
        with ownership.take("lightning"):
            train(model, optimizer)
        assert "optimizer.name" not in params_of(the_record())
        train(model, torch.optim.Adam(model.parameters()))
        assert params_of(the_record())["optimizer.name"] == "Adam"


def test_what_transformers_drives_is_left_alone_even_without_its_integration(autolog, tmp_path):
    """The optimizer of a Trainer is not a loop of one's own."""
    transformers = pytest.importorskip("transformers")
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
        )
    )
    rows = [{"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(0)}] * 8
    arguments = transformers.TrainingArguments(
        tmp_path, report_to="none", max_steps=3, save_strategy="no", use_cpu=True, disable_tqdm=True
    )
    with autotrack.start_run("trainer"):
        transformers.Trainer(model, arguments, train_dataset=rows).train()
    record = the_record()
    assert not [name for name in params_of(record) if name.startswith("optimizer")]


def test_saved_state_is_kept_as_a_checkpoint(autolog, tmp_path):
    """Of each series the last, the one that is called best; what is no state of a training is not."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with autotrack.start_run("saving") as run:
        for epoch in range(4):
            train(model, optimizer, steps=5)
            run.log({"loss": 1 / (epoch + 1)})
            torch.save({"model": model.state_dict(), "epoch": epoch}, tmp_path / f"epoch{epoch}.pt")
            torch.save(optimizer.state_dict(), tmp_path / f"optimizer{epoch}.pt")
            assert collector().background.wait(170) == []
            if epoch == 1:
                torch.save(model.state_dict(), str(tmp_path / "best.pt"))
        torch.save(["not", "a", "state"], tmp_path / "names.pt")
    record = the_record()
    stored = {file.name: file for file in record.artifacts if file.kind == "checkpoint" and file.stored}
    assert set(stored) == {"checkpoints/epoch3.pt", "checkpoints/optimizer3.pt", "checkpoints/best.pt"}
    assert stored["checkpoints/epoch3.pt"].step == 19
    assert stored["checkpoints/best.pt"].meta["best"] is True
    assert torch.load(stored["checkpoints/epoch3.pt"].path())["epoch"] == 3
    assert "checkpoints/names.pt" not in {file.name for file in record.artifacts}


def test_a_watched_model_is_recorded_with_its_norms_and_histograms():
    """Facts of the model, then norms and histograms every so many steps, as an independent computation gives them."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with autotrack.start_run("watched") as run:
        watching = run.watch(model, optimizer, every=5)
        train(model, optimizer, steps=11, run=run)
        gradients = [parameter.grad for parameter in model.parameters()]
        expected = torch.linalg.vector_norm(torch.cat([gradient.reshape(-1) for gradient in gradients])).item()
        weights = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
        watching.remove()
        train(model, optimizer, steps=11)
    record = the_record()
    params = params_of(record)
    assert (params["model.class"], params["model.parameters"]) == ("Sequential", 58)
    assert params["optimizer.name"] == "SGD"
    norms = record.history_arrow(["gradients/norm"])
    assert norms["step"].to_pylist() == [0, 5, 10]
    assert norms["value"].to_pylist()[-1] == pytest.approx(expected, rel=1e-6)
    assert record.metrics["weights/norm"].last == pytest.approx(torch.linalg.vector_norm(weights).item(), rel=1e-6)
    assert record.metrics["gradients/norm/0.weight"].last == pytest.approx(gradients[0].norm().item(), rel=1e-6)
    assert record.metrics["gradients/nonfinite"].last == 0
    assert {row["name"] for row in rows_of(record, "model/layers")} == {"0", "1", "2", "3"}


def rows_of(record: Any, name: str) -> list[dict[str, Any]]:
    columns = record.evaluations[name].columns
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_a_model_is_watched_by_whatever_trains_it():
    """Without naming an optimizer: the one that steps on its parameters, and no other."""
    model, stranger = small_model(), small_model()
    with autotrack.start_run("watched") as run, run.watch(model, every=1):
        train(stranger, torch.optim.Adam(stranger.parameters()), steps=2)
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), steps=3)
    record = the_record()
    assert params_of(record)["optimizer.name"] == "SGD"
    assert record.metrics["gradients/norm"].count == 3


def test_a_wrapped_model_is_watched_under_its_own_names():
    """What `torch.compile` makes of a module is that module."""
    model = small_model()
    with autotrack.start_run("compiled") as run, run.watch(torch.compile(model), every=1):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), steps=1)
    record = the_record()
    assert "gradients/norm/3.weight" in record.metrics
    assert params_of(record)["model.wrapped_in"] == ["OptimizedModule"]


def test_gradients_that_are_not_finite_are_counted():
    """The row says of how many parameters, and the norm is what it is."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with autotrack.start_run("diverged") as run, run.watch(model, optimizer, every=1):
        model(torch.randn(2, 4)).sum().backward()
        model[0].weight.grad[0, 0] = float("inf")
        model[3].bias.grad[0] = float("nan")
        optimizer.step()
    record = the_record()
    assert record.metrics["gradients/nonfinite"].last == 2
    assert record.metrics["gradients/norm"].nans == 1


def test_nothing_is_kept_alive(autolog):
    """Model and optimizer go when their author lets go of them."""
    with autotrack.start_run("loop") as run:
        model = small_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run.watch(model, optimizer, every=2)
        train(model, optimizer, scheduler=schedulers.ExponentialLR(optimizer, 0.9), run=run)
        assert collector().background.wait(170) == []
        gone = [weakref.ref(model), weakref.ref(optimizer)]
        del model, optimizer
        gc.collect()
        assert [reference() for reference in gone] == [None, None]


def test_a_compiled_step_goes_on_as_it_did(autolog):
    """`torch.compile` of the step finds nothing in its way: the same weights, and nothing of ours in the graph."""

    def weights() -> list[float]:
        model = small_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = torch.compile(optimizer.step, backend="eager")
        for _ in range(3):
            functional.mse_loss(model[0](torch.ones(2, 4)), torch.zeros(2, 8)).backward()
            step()
        return model[0].weight.detach().reshape(-1).tolist()

    with autotrack.start_run("compiled"):
        compiled = weights()
    autolog(disable=True)
    torch.compiler.reset()
    assert weights() == compiled


def test_a_run_that_keeps_nothing_watches_nothing(monkeypatch):
    """Switched off, `watch` is a word without effect."""
    monkeypatch.setenv("AUTOTRACK", "0")
    model = small_model()
    with autotrack.start_run("off") as run, run.watch(model):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert not loops._watching


def test_a_loop_under_the_launcher_goes_to_the_job(script, tmp_path):
    """`autotrack run python train.py`, with no line of ours in the program."""
    import os
    import subprocess
    import sys

    (tmp_path / "train.py").write_text(
        "import torch\n"
        "model = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.RMSprop(model.parameters(), lr=0.5)\n"
        "for _ in range(3):\n"
        "    model(torch.ones(1, 2)).sum().backward()\n"
        "    optimizer.step()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "autotrack", "run", sys.executable, "train.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=170, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = autotrack.get_run("last")
    assert (record.kind, params_of(record)["optimizer.name"]) == ("job", "RMSprop")
    assert reports(record, "metrics") == ["a training loop of 3 optimizer steps logged none: run.log({…}) records them"]


class TestTorchIntegration(IntegrationTestCase):
    """What every integration holds, for a loop in a run: it opens none of its own."""

    def install(self) -> None:
        autotrack.autolog("torch")

    def uninstall(self) -> None:
        autotrack.autolog(disable=True)

    def train(self, *, fail: bool = False) -> Any:
        from autotrack.instrument.discovery import is_active

        with autotrack.start_run("loop") if is_active("torch") else contextlib.nullcontext():
            model = small_model()
            train(model, torch.optim.SGD(model.parameters(), lr=0.1))
            if fail:
                raise ZeroDivisionError
            return [parameter.detach().numpy().tobytes() for parameter in model.parameters()]

    def test_inside_an_open_run_it_is_a_part_of_it(self, tmp_path: Any) -> None:
        """A loop in a run that the user opened adds its optimizer to that run, and opens no other."""
        with self._installed(tmp_path) as place, autotrack.start_run("mine") as run:
            model = small_model()
            train(model, torch.optim.SGD(model.parameters(), lr=0.1))
        found = recorded_events(place)
        assert {event.run for event in found} == {run.id}
        assert any("optimizer.name" in event.values for event in found if isinstance(event, events.Params))
