"""PyTorch Lightning: what a fit records, by callback, logger and autolog, alone and together."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import lightning.pytorch as pl  # noqa: E402
from lightning.pytorch.callbacks import (  # noqa: E402
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger  # noqa: E402
from lightning.pytorch.tuner import Tuner  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

import autotrack  # noqa: E402
from autotrack.integrations.lightning import AutotrackCallback, AutotrackLogger, hooks  # noqa: E402
from autotrack.recording.collector import collector  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("released")]
hooks = hooks.hooks  # which `released` releases


class Net(pl.LightningModule):
    """A linear classifier that logs as people do."""

    def __init__(self, lr: float = 0.1, hidden: int = 4, fail_at: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(3, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2))
        self.lr = lr

    def training_step(self, batch: Any, index: int) -> Any:
        if self.hparams.fail_at == self.global_step:
            raise ZeroDivisionError("on purpose")
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val_loss", torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def test_step(self, batch: Any, index: int) -> None:
        self.log("test_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def predict_step(self, batch: Any, index: int) -> Any:
        return self.net(batch[0])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]


def loader(*, shuffle: bool = False) -> Any:
    """Thirty-two rows in batches of eight."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(32, 3, generator=generator)
    return DataLoader(TensorDataset(inputs, (inputs.sum(1) > 0).long()), batch_size=8, shuffle=shuffle)


def trainer(folder: Path, **options: Any) -> Any:
    """A quiet trainer on the CPU, two epochs, every step logged."""
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}
    chosen = {"max_epochs": 2, "log_every_n_steps": 1, "default_root_dir": folder, **quiet, **options}
    return pl.Trainer(**chosen)


@pytest.fixture
def autolog() -> None:
    """Autolog for Lightning alone."""
    autotrack.autolog("lightning")


def test_a_callback_records_a_fit(tmp_path: Path) -> None:
    """Hyperparameters, settings, optimizer, model, data, metrics at their steps, checkpoints, the end."""
    pl.seed_everything(7)
    callback = AutotrackCallback(experiment="nets", name="first", tags={"team": "x"})
    trainer(tmp_path, callbacks=[callback], gradient_clip_val=0.5).fit(Net(lr=0.2), loader(shuffle=True), loader())
    record = autotrack.get_run()
    assert (record.name, record.experiment, record.status, record.kind) == ("first", "nets", "finished", "training")
    params = record.params
    assert params["lr"] == 0.2
    assert params["model.class"] == "Net"
    assert params["trainer.max_epochs"] == 2
    assert params["trainer.gradient_clip_val"] == 0.5
    assert (params["optimizer.name"], params["optimizer.momentum"]) == ("SGD", 0.9)
    assert (params["scheduler.name"], params["scheduler.gamma"]) == ("StepLR", 0.5)
    assert params["model.parameters"] == 3 * 4 + 4 + 4 * 2 + 2
    assert (params["batch_size"], params["effective_batch_size"]) == (8, 8)
    assert params["trainer.seed"] == 7
    assert record.tags["team"] == "x"
    train = record.metrics["train_loss"]
    assert (train.count, train.first_step, train.last_step) == (8, 0, 7)
    assert record.metrics["val_loss"].count == 2
    rates = record.history(["train/learning_rate"])
    assert rates.groupby("step")["value"].last().loc[[0, 7]].tolist() == [0.2, 0.1]
    assert record.metrics["train/epoch_time"].count == 2
    assert {dataset.role for dataset in record.datasets} == {"train", "val"}
    assert "model/layers" in {evaluation.name for evaluation in record.evaluations}
    assert any(file.name.startswith("checkpoints/") for file in record.artifacts)
    assert params["end.step"] == 8


@pytest.mark.usefixtures("autolog")
def test_autolog_needs_nothing(tmp_path: Path) -> None:
    """A trainer that was made after `autolog()` carries the recording, one made before does, too."""
    trainer(tmp_path, enable_checkpointing=False).fit(Net(), loader())
    autotrack.autolog(disable=True)
    early = trainer(tmp_path, enable_checkpointing=False)
    autotrack.autolog("lightning")
    early.fit(Net(), loader())
    records = list(autotrack.runs())
    assert [record.metrics["train_loss"].count for record in records] == [8, 8]
    assert [record.metrics["train/epoch_time"].count for record in records] == [2, 2]


def test_merely_installed_it_is_silent(tmp_path: Path) -> None:
    """Without autolog, callback or logger nothing is recorded and no callback is added."""
    plain = trainer(tmp_path, enable_checkpointing=False)
    assert [type(callback).__module__ for callback in plain.callbacks if "autotrack" in type(callback).__module__] == []
    plain.fit(Net(), loader())
    assert list(autotrack.runs(all=True)) == []


@pytest.mark.usefixtures("autolog")
def test_all_ways_together_record_once(tmp_path: Path) -> None:
    """Two callbacks, the logger and autolog: one run, each point once, and no error from Lightning."""
    both = [AutotrackCallback(), AutotrackCallback()]
    fitting = trainer(tmp_path, callbacks=both, logger=AutotrackLogger(experiment="once"))
    fitting.fit(Net(), loader(), loader())
    (record,) = autotrack.runs(all=True)
    assert record.metrics["train_loss"].count == 8
    assert record.metrics["val_loss"].count == 2
    assert record.params["lr"] == 0.1


def test_the_logger_alone_records_everything(tmp_path: Path) -> None:
    """`logger=AutotrackLogger()` is enough; its `experiment` is the run, for what people log by hand."""
    logger = AutotrackLogger(experiment="logged")
    fitting = trainer(tmp_path, logger=logger)
    fitting.fit(Net(), loader(), loader())
    logger.log_metrics({"by_hand": 1.0}, step=3)
    logger.experiment.set_tags({"kind": "logger"})
    (record,) = autotrack.runs(all=True)
    assert (record.experiment, record.status) == ("logged", "finished")
    assert record.metrics["train_loss"].count == 8
    assert record.metrics["by_hand"].last_step == 3
    assert record.tags["kind"] == "logger"
    assert logger.version == record.id
    assert pickle.loads(pickle.dumps(logger)).autotrack_options.experiment == "logged"


@pytest.mark.usefixtures("autolog")
def test_two_fits_of_one_trainer_and_a_test(tmp_path: Path) -> None:
    """Each fit is a run; the test belongs to the fit before it."""
    fitting = trainer(tmp_path, enable_checkpointing=False, max_epochs=1)
    first, second = Net(), Net(hidden=5)
    fitting.fit(first, loader())
    fitting.fit_loop.max_epochs = 2
    fitting.fit(second, loader())
    fitting.test(second, loader(), verbose=False)
    newest, oldest = autotrack.runs(all=True)
    assert (oldest.params["hidden"], newest.params["hidden"]) == (4, 5)
    assert "test_acc" in newest.metrics
    assert "test_acc" not in oldest.metrics
    trainer(tmp_path, enable_checkpointing=False).test(first, loader(), verbose=False)
    assert "test_acc" in autotrack.get_run(oldest.id).metrics
    assert len(list(autotrack.runs(all=True))) == 2


@pytest.mark.usefixtures("autolog")
def test_inside_an_open_run_it_is_a_part_of_it(tmp_path: Path) -> None:
    """The user's own metrics and the training's are in one run."""
    with autotrack.start_run("mine") as run:
        trainer(tmp_path, enable_checkpointing=False).fit(Net(), loader())
        run.log({"own": 1.0})
    (record,) = autotrack.runs(all=True)
    assert record.name == "mine"
    assert {"own", "train_loss"} <= set(record.metrics)


@pytest.mark.usefixtures("autolog")
def test_an_exception_is_the_users(tmp_path: Path) -> None:
    """It passes as it is, and the run has failed with its traceback."""
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        trainer(tmp_path, enable_checkpointing=False).fit(Net(fail_at=3), loader())
    record = autotrack.get_run()
    assert record.status == "failed"
    assert "on purpose" in record.traceback
    assert "autotrack, not counted" not in record.traceback
    assert record.metrics["train_loss"].count == 3


class Interrupt(pl.Callback):
    """Presses Ctrl-C in the second epoch."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("autolog")
def test_an_interrupt_kills_the_run(tmp_path: Path) -> None:
    """Lightning ends the program; the run says that it was killed."""
    with pytest.raises(SystemExit):
        trainer(tmp_path, callbacks=[Interrupt()], enable_checkpointing=False).fit(Net(), loader())
    assert autotrack.get_run().status == "killed"


@pytest.mark.usefixtures("autolog")
def test_early_stopping_is_told(tmp_path: Path) -> None:
    """Who stopped it, when, and by which metric."""
    stopping = EarlyStopping("val_loss", patience=1, min_delta=100.0)
    trainer(tmp_path, callbacks=[stopping], max_epochs=20).fit(Net(), loader(), loader())
    params = autotrack.get_run().params
    assert (params["end.stopped_by"], params["end.stopped_epoch"], params["end.monitor"]) == (
        "EarlyStopping", 1, "val_loss",
    )  # fmt: skip


@pytest.mark.usefixtures("autolog")
def test_checkpoints_with_score_best_and_last(tmp_path: Path) -> None:
    """Each file that Lightning keeps is an artifact, also if Lightning replaces it a moment later."""
    saving = ModelCheckpoint(tmp_path / "ckpt", monitor="val_loss", save_top_k=1, save_last=True)
    trainer(tmp_path, callbacks=[saving], max_epochs=3).fit(Net(), loader(), loader())
    assert collector().background.wait(170) == []  # which copies them
    record = autotrack.get_run()
    found = [file for file in record.artifacts if file.name.startswith("checkpoints/")]
    best = [file for file in found if file.meta.get("best") and file.stored]
    assert [os.path.basename(saving.best_model_path)] == [os.path.basename(file.name) for file in best]
    assert best[0].meta["monitor"] == "val_loss"
    assert best[0].meta["score"] == pytest.approx(float(saving.best_model_score))
    assert best[0].read() == Path(saving.best_model_path).read_bytes()
    assert any(file.name.endswith("last.ckpt") and file.meta["last"] for file in found)


@pytest.mark.usefixtures("autolog")
def test_a_resumed_fit_says_what_it_goes_on_from(tmp_path: Path) -> None:
    """A fit from a checkpoint that another run wrote is linked to it, or goes on with it, as asked."""
    saving = ModelCheckpoint(tmp_path / "ckpt", save_last=True)
    trainer(tmp_path, callbacks=[saving], max_epochs=1).fit(Net(), loader())
    first = autotrack.get_run()
    trainer(tmp_path, enable_checkpointing=False, max_epochs=2).fit(Net(), loader(), ckpt_path=saving.last_model_path)
    forked = autotrack.get_run()
    assert forked.tags["resumed_from"] == first.id
    assert forked.metrics["train_loss"].first_step == 4
    ours = AutotrackCallback(run=first.id)
    trainer(tmp_path, callbacks=[ours], enable_checkpointing=False, max_epochs=2).fit(
        Net(), loader(), ckpt_path=saving.last_model_path
    )
    continued = autotrack.get_run(first.id)
    assert (continued.attempt, continued.status, continued.metrics["train_loss"].count) == (2, "finished", 8)


def test_fewer_steps_can_be_recorded(tmp_path: Path) -> None:
    """`log_every` keeps every n-th row of steps, or only those of epochs."""
    for every in (4, "epoch"):
        trainer(tmp_path, callbacks=[AutotrackCallback(log_every=every)]).fit(Net(), loader(), loader())
    epochs, fourth = autotrack.runs(all=True)
    assert (fourth.metrics["train_loss"].count, fourth.metrics["val_loss"].count) == (2, 2)
    assert "train_loss" not in epochs.metrics
    assert epochs.metrics["val_loss"].count == 2


class AheadOfItself(Net):
    """A module that logs a step of its own, far ahead."""

    def on_train_epoch_end(self) -> None:
        self.log("step", 100.0 + self.current_epoch)


@pytest.mark.usefixtures("autolog")
def test_a_step_of_the_programs_own_costs_no_other_points(tmp_path: Path) -> None:
    """Rates and epochs of later batches stand at Lightning's steps, though a row was ahead of them."""
    trainer(tmp_path, max_epochs=3).fit(AheadOfItself(), loader())
    history = autotrack.get_run().history(["train/learning_rate", "epoch"])
    steps = {key: set(history[history["metric"] == key]["step"]) for key in history["metric"].unique()}
    assert set(range(12)) <= steps["train/learning_rate"]
    assert set(range(12)) <= steps["epoch"]


class Telling(Net):
    """A module that logs its loss in each way that Lightning has."""

    def training_step(self, batch: Any, index: int) -> Any:
        loss = super().training_step(batch, index)
        self.log("plain", loss)
        self.log("both", loss, on_step=True, on_epoch=True)
        self.log("kept_back", loss, logger=False)
        if self.current_epoch == 0:
            self.log("at_first", loss)
        return loss


@pytest.mark.usefixtures("autolog")
def test_what_loggers_are_never_given_is_recorded_once_per_epoch(tmp_path: Path) -> None:
    """With fewer batches than `log_every_n_steps`, the value of the last batch; not what is kept from loggers."""
    module = Telling()
    trainer(tmp_path, max_epochs=3, log_every_n_steps=50).fit(module, loader())
    history = autotrack.get_run().history()
    steps = {key: history[history["metric"] == key]["step"].tolist() for key in history["metric"].unique()}
    assert steps["plain"] == steps["both_step"] == steps["both_epoch"] == [3, 7, 11]
    assert steps["at_first"] == [3]
    assert "kept_back" not in steps
    assert autotrack.get_run().metrics["plain"].last == pytest.approx(float(module.trainer.callback_metrics["plain"]))


@pytest.mark.usefixtures("autolog")
def test_a_development_run_is_a_run(tmp_path: Path) -> None:
    """`fast_dev_run`, with the one value of each metric."""
    trainer(tmp_path, fast_dev_run=True).fit(Telling(), loader(), loader())
    record = autotrack.get_run()
    assert record.params["trainer.fast_dev_run"] == 1
    assert (record.metrics["plain"].count, record.metrics["val_loss"].count) == (1, 1)


@pytest.mark.usefixtures("autolog")
def test_what_stands_beside_rows_stands_there_once(tmp_path: Path) -> None:
    """Epoch and learning rate have one point per step, also where Lightning passes several rows of it."""
    trainer(tmp_path).fit(Telling(), loader(), loader())
    history = autotrack.get_run().history(["epoch", "train/learning_rate"])
    assert not history.duplicated(["metric", "step"]).any()


@pytest.mark.usefixtures("autolog")
def test_the_finders_are_no_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What `Tuner` tried is no run; what it found is a parameter of the fit. Nothing is asked, and printed, twice."""
    model, fitting = Net(), trainer(tmp_path, enable_checkpointing=False)
    Tuner(fitting).lr_find(model, loader(), num_training=30)
    assert list(autotrack.runs(all=True)) == []
    fitting.fit(model, loader())
    (record,) = autotrack.runs(all=True)
    assert "tuner.lr_find.suggestion" in record.params
    assert sum("Failed to compute suggestion" in line.message for line in caplog.records) <= 1


class Adversarial(pl.LightningModule):
    """Two optimizers, stepped by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.a, self.b = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)

    def training_step(self, batch: Any, index: int) -> None:
        for optimizer, layer in zip(self.optimizers(), (self.a, self.b), strict=True):
            optimizer.zero_grad()
            loss = layer(batch[0]).square().mean()
            self.manual_backward(loss)
            optimizer.step()
            self.log(f"loss_{optimizer.param_groups[0]['lr']}", loss)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.a.parameters(), lr=0.1), torch.optim.Adam(self.b.parameters(), lr=0.01)


@pytest.mark.usefixtures("autolog")
def test_every_optimizer_is_recorded(tmp_path: Path) -> None:
    """Manual optimization with two of them: both configurations, both rates, every row."""
    trainer(tmp_path, enable_checkpointing=False, max_epochs=1).fit(Adversarial(), loader())
    record = autotrack.get_run()
    assert (record.params["optimizer.0.name"], record.params["optimizer.1.name"]) == ("SGD", "Adam")
    assert record.metrics["train/learning_rate"].last == 0.1
    assert record.metrics["train/learning_rate.1"].last == 0.01
    assert record.metrics["loss_0.1"].count >= 4


@pytest.mark.usefixtures("autolog")
def test_gradients_can_be_watched(tmp_path: Path) -> None:
    """`watch` records norms of gradients and weights, at the optimizer's steps."""
    trainer(tmp_path, callbacks=[AutotrackCallback(watch=2)], enable_checkpointing=False).fit(Net(), loader())
    record = autotrack.get_run()
    assert record.metrics["gradients/norm"].count == 4
    assert record.metrics["weights/norm"].first > 0


class Data(pl.LightningDataModule):
    """A data module with a hyperparameter of its own."""

    def __init__(self, rows: int = 32) -> None:
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self) -> Any:
        return loader(shuffle=True)

    def val_dataloader(self) -> Any:
        return loader()


@pytest.mark.usefixtures("autolog")
def test_a_data_module_several_checkpoints_and_averaged_weights(tmp_path: Path) -> None:
    """Hyperparameters of both; every `ModelCheckpoint`; SWA and the monitor of rates change nothing for us."""
    saving = [ModelCheckpoint(tmp_path / "a", monitor="val_loss"), ModelCheckpoint(tmp_path / "b", every_n_epochs=2)]
    others = [StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=1), LearningRateMonitor()]
    fitting = trainer(tmp_path, callbacks=[*saving, *others], max_epochs=3, logger=CSVLogger(tmp_path))
    fitting.fit(Net(), datamodule=Data())
    fitting.validate(datamodule=Data(), verbose=False)
    fitting.predict(Net(), loader())
    (record,) = autotrack.runs(all=True)
    assert (record.params["rows"], record.params["lr"]) == (32, 0.1)
    assert record.metrics["val_loss"].count == 4
    assert record.metrics["train/learning_rate"].count >= 12
    kept = {file.name for file in record.artifacts if file.name.startswith("checkpoints/")}
    assert len(kept) >= 2


@pytest.mark.usefixtures("autolog")
def test_the_command_line_of_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `LightningCLI` was run with is kept as the file that it would be run with again."""
    pytest.importorskip("jsonargparse")
    from lightning.pytorch.cli import LightningCLI

    words = [
        "fit", "--model.lr=0.3", "--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.logger=false",
        "--trainer.enable_progress_bar=false", f"--trainer.default_root_dir={tmp_path}",
    ]  # fmt: skip
    LightningCLI(Net, Data, args=words, seed_everything_default=5, save_config_kwargs={"overwrite": True})
    (record,) = autotrack.runs(all=True)
    assert record.params["lr"] == 0.3
    assert b"max_epochs: 1" in record.artifacts["config.yaml"].read()


def test_fabric_logs_through_the_logger(tmp_path: Path) -> None:
    """A loop of one's own with Fabric: what it logs is a run."""
    from lightning.fabric import Fabric

    logger = AutotrackLogger(experiment="fabric", name="loop")
    fabric = Fabric(accelerator="cpu", devices=1, loggers=[logger])
    logger.log_hyperparams({"lr": 0.1})
    for step in range(3):
        fabric.log_dict({"loss": torch.tensor(1.0 / (step + 1))}, step=step)
    logger.finalize("success")
    (record,) = autotrack.runs(all=True)
    assert (record.name, record.experiment, record.status) == ("loop", "fabric", "finished")
    assert (record.metrics["loss"].count, record.params["lr"]) == (3, 0.1)


def weights(folder: Path) -> bytes:
    """The weights of a seeded training, byte for byte."""
    pl.seed_everything(3)
    model = Net()
    trainer(folder, enable_checkpointing=False).fit(model, loader(shuffle=True), loader())
    return b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())


def test_the_weights_are_the_same_with_and_without(tmp_path: Path) -> None:
    """Bit by bit, gradients watched or not."""
    without = weights(tmp_path)
    autotrack.autolog("lightning", watch=1)
    assert weights(tmp_path) == without
    autotrack.autolog(disable=True)
    assert weights(tmp_path) == without


SCRIPT = """
    import sys, time
    import autotrack
    import torch
    import {package} as pl
    from torch.utils.data import DataLoader, TensorDataset

    autotrack.autolog()

    class Net(pl.LightningModule):
        def __init__(self, lr=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(3, 1)
        def training_step(self, batch, index):
            loss = self.layer(batch[0]).square().mean()
            self.log("loss", loss)
            return loss
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
        def on_train_end(self):
            until = time.monotonic() + 150
            while self.global_rank and "system/rank.1/process.memory" not in autotrack.get_run("last").metrics:
                assert time.monotonic() < until, "the machine of this rank was not looked at"
                time.sleep(0.02)

    if __name__ == "__main__":
        data = DataLoader(TensorDataset(torch.randn(16, 3)), batch_size=4)
        trainer = pl.Trainer(max_epochs=2, log_every_n_steps=1, logger=False, enable_checkpointing=False,
                             enable_progress_bar=False, accelerator="cpu", {options})
        trainer.fit(Net(), data)
"""


@pytest.mark.parametrize(
    ("package", "options", "points"),
    [
        ("pytorch_lightning", "devices=1", 8),
        ("lightning.pytorch", "devices=2, strategy='ddp'", 4),
        ("lightning.pytorch", "devices=2, strategy='ddp_spawn'", 4),
    ],
)
def test_any_package_and_strategy_is_one_run(tmp_path: Path, package: str, options: str, points: int) -> None:
    """Both packages; two processes, by scripts or by spawning: one run, and how every rank's machine was doing."""
    (tmp_path / "train.py").write_text(textwrap.dedent(SCRIPT.format(package=package, options=options)))
    environment = {**os.environ, "AUTOTRACK_MONITOR_INTERVAL": "3600", "OMP_NUM_THREADS": "1", "AUTOTRACK_QUIET": "0"}
    command = [sys.executable, "train.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    assert "AutotrackWarning" not in done.stderr
    (record,) = autotrack.runs(all=True)
    assert record.status == "finished", done.stderr
    assert record.params["lr"] == 0.1
    assert record.metrics["loss"].count == points
    if "ddp" in options:
        assert record.metrics["system/rank.1/process.memory"].last > 0
