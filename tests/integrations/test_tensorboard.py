"""What a program writes with a `SummaryWriter` is recorded here as well, and TensorBoard reads the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorboard")

import torch
from torch.utils.tensorboard import SummaryWriter

import autotrack
from autotrack.instrument.patching import is_patched

Points = list[tuple[int, float]]


@pytest.fixture
def heard() -> Iterator[None]:
    """Autolog for TensorBoard, off after the test."""
    autotrack.autolog("tensorboard")
    yield
    autotrack.autolog(disable=True)


@pytest.fixture
def writers(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes writers, closed after the test."""
    made: list[Any] = []

    def make(folder: Any, **options: Any) -> Any:
        made.append(SummaryWriter(str(folder), **options))
        return made[-1]

    yield make
    for writer in made:
        writer.close()


def log_everything(folder: Path) -> None:
    """Scalars in all their forms, hyperparameters, a text, an image and a figure."""
    from matplotlib.figure import Figure

    with SummaryWriter(str(folder)) as writer:
        for step in range(3):
            writer.add_scalar("loss", torch.tensor(1.0 / (step + 1)), step, walltime=1_700_000_000.0 + step)
        writer.add_scalar("accuracy", np.float32(0.5), global_step=np.int64(7))
        writer.add_scalars("both", {"train": 0.25, "val": 0.75}, 1)
        writer.add_hparams({"lr": 0.1, "name": "adam", "flag": True}, {"hparam/loss": 0.5}, run_name="tuned")
        writer.add_text("remark", "all good", 2)
        writer.add_image("picture", np.zeros((3, 4, 5), dtype=np.uint8), 2)
        writer.add_figure("figure", Figure(figsize=(1, 1)), 2)


def kept(folder: Path) -> dict[str, Any]:
    """What TensorBoard's own reader finds in each folder: scalars with their steps, names of the rest."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, Any] = {}
    for place in sorted({path.parent for path in folder.rglob("events.*")}):
        reader = EventAccumulator(str(place))
        reader.Reload()
        tags = reader.Tags()
        scalars = {tag: [(point.step, point.value) for point in reader.Scalars(tag)] for tag in tags["scalars"]}
        found[place.relative_to(folder).as_posix()] = (scalars, tags["images"], tags["tensors"])
    return found


def points(record: Any, metric: str) -> Points:
    """Steps and values of a metric."""
    history = record.history(metric)
    return list(zip(history["step"], history["value"], strict=True))


def test_the_files_are_the_same(heard: None, tmp_path: Path) -> None:
    """TensorBoard's own reader finds the same scalars, steps and summaries, whether we hear or not."""
    with autotrack.start_run("heard"):
        log_everything(tmp_path / "heard")
    autotrack.autolog(disable=True)
    log_everything(tmp_path / "alone")
    assert kept(tmp_path / "heard") == kept(tmp_path / "alone")
    assert len(kept(tmp_path / "heard")) == 4  # the folder, one for each of add_scalars, one for the hyperparameters


def test_everything_arrives_in_the_open_run_once(heard: None, tmp_path: Path) -> None:
    """Names, steps, times and values as they were given; what add_hparams writes on its own is not counted again."""
    with autotrack.start_run("heard"):
        log_everything(tmp_path / "logs")
    record = autotrack.get_run("heard")
    assert points(record, "loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert record.history("loss")["time"].iloc[2].timestamp() == 1_700_000_002
    assert points(record, "accuracy") == [(7, 0.5)]
    assert (points(record, "both/train"), points(record, "both/val")) == ([(1, 0.25)], [(1, 0.75)])
    assert points(record, "hparam/loss") == [(0, 0.5)]
    assert dict(record.params) == {"lr": 0.1, "name": "adam", "flag": True}
    assert {media.key: (media.kind, media.step) for media in record.media} == {
        "remark": ("text", 2), "picture": ("image", 2), "figure": ("figure", 2),
    }  # fmt: skip
    assert {name for name in record.metrics if not name.startswith("system/")} == {
        "loss", "accuracy", "both/train", "both/val", "hparam/loss",
    }  # fmt: skip


def test_without_a_run_one_is_opened(heard: None, writers: Callable[..., Any], tmp_path: Path) -> None:
    """A plain training loop with a writer needs nothing else."""
    writer = writers(tmp_path / "logs")
    writer.add_scalar("loss", 0.5, 1)
    (record,) = autotrack.runs()
    assert points(record, "loss") == [(1, 0.5)]


def test_a_second_folder_has_its_name_in_front(heard: None, writers: Callable[..., Any], tmp_path: Path) -> None:
    """Two writers of the same name for a metric do not mix."""
    train, val, other = (writers(tmp_path / name) for name in ("train", "val", "more/val"))
    with autotrack.start_run("two"):
        for value, writer in enumerate((train, val, other)):
            writer.add_scalar("loss", float(value), 1)
    record = autotrack.get_run("two")
    assert points(record, "loss") == [(1, 0.0)]
    assert points(record, "val/loss") == [(1, 1.0)]
    assert points(record, "val-2/loss") == [(1, 2.0)]


def test_errors_and_results_are_the_writers_own(heard: None, writers: Callable[..., Any], tmp_path: Path) -> None:
    """A wrong call fails as it does without us, and records nothing wrong."""
    writer = writers(tmp_path / "logs")
    with autotrack.start_run("wrong"):
        with pytest.raises(TypeError, match="should be dictionary"):
            writer.add_hparams([1], {"a": 1})
        with pytest.raises(TypeError, match="global_stp"):
            writer.add_scalar("loss", 0.5, global_stp=1)
        assert writer.add_scalar("loss", 0.5, 1) is None
    assert points(autotrack.get_run("wrong"), "loss") == [(1, 0.5)]


def test_nothing_is_heard_when_paused_or_off(heard: None, writers: Callable[..., Any], tmp_path: Path) -> None:
    """A paused block is not recorded; after `autolog(disable=True)` the class is as it was."""
    writer = writers(tmp_path / "logs")
    with autotrack.start_run("quiet") as run:
        with autotrack.paused():
            writer.add_scalar("loss", 0.5, 1)
        run.log({"own": 1.0})
        assert is_patched(vars(SummaryWriter)["add_scalar"])
        autotrack.autolog(disable=True)
        writer.add_scalar("loss", 0.5, 2)
    assert not any(is_patched(value) for value in vars(SummaryWriter).values())
    assert "loss" not in autotrack.get_run("quiet").metrics


def test_a_frameworks_own_logger_is_not_heard_beside_its_training(heard: None, tmp_path: Path) -> None:
    """What Lightning's logger passes on of a recorded training comes once; the user's own call is heard."""
    lightning = pytest.importorskip("lightning")
    from lightning.pytorch.loggers import TensorBoardLogger
    from torch.utils.data import DataLoader, TensorDataset

    class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self.layer(batch[0]).pow(2).mean()
            self.log("train_loss", loss)
            self.logger.experiment.add_scalar("by_hand", float(index), self.global_step)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    autotrack.autolog("lightning")
    trainer = lightning.Trainer(
        max_epochs=1, logger=TensorBoardLogger(str(tmp_path)), log_every_n_steps=1, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Net(), DataLoader(TensorDataset(torch.ones(16, 4)), batch_size=4))
    (record,) = autotrack.runs()
    assert record.metrics["train_loss"].count == 4
    assert points(record, "by_hand") == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)]
    written = kept(tmp_path / "lightning_logs" / "version_0")["."][0]
    assert [step for step, _ in written["train_loss"]] == [0, 1, 2, 3]


def test_tensorboardx_is_heard_as_well(heard: None, tmp_path: Path) -> None:
    """The writer of the package tensorboardX has the same calls."""
    tensorboard_x = pytest.importorskip("tensorboardX")
    with autotrack.start_run("other"), tensorboard_x.SummaryWriter(str(tmp_path / "logs")) as writer:
        writer.add_scalar("loss", 0.5, 3)
        writer.add_scalars("both", {"train": 0.25}, 1)
        writer.add_hparams({"lr": 0.1}, {"score": 0.5}, name="tuned")
        writer.add_text("remark", "all good", 2)
    record = autotrack.get_run("other")
    assert points(record, "loss") == [(3, 0.5)]
    assert points(record, "both/train") == [(1, 0.25)]
    assert points(record, "score") == [(0, 0.5)]
    assert dict(record.params) == {"lr": 0.1}
    assert [media.key for media in record.media] == ["remark"]
