"""What recording every step adds to trainings of neural networks, with steps so small that it shows."""

from __future__ import annotations

import statistics
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.measures.sklearn_fit import ONE_THREAD
from benchmarks.trackers.base import Tracker

QUIET = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "KERAS_BACKEND": "torch"}


class Steps(Measure):
    """A training of many tiny steps, each of them logged."""

    columns: ClassVar[dict[str, Column]] = {
        "thread": Column("µs CPU per step on the training thread", 60),
        "tree": Column("µs CPU per step of the whole process", 120),
        "start": Column("ms that the first fit is delayed", 20),
        "plain": Column("µs, the step itself"),
    }
    full: ClassVar[dict[str, float]] = {"steps": 2_000}
    quick: ClassVar[dict[str, float]] = {"steps": 200}
    rounds = (3, 1)
    note = "beyond the same training with nothing that logs; one thread"

    @property
    @abstractmethod
    def framework(self) -> str:
        """Which function below trains."""

    def turn(self, bench: Bench) -> Figures:
        bench = replace(bench, extra=ONE_THREAD | QUIET)
        figures: Figures = bench.step(f"steps:{self.framework}", **self.size)
        return figures


class LightningSteps(Steps):
    """PyTorch Lightning."""

    name = "steps-lightning"
    title = "PyTorch Lightning, every step logged: CPU time added"
    framework = "lightning"
    trackers: ClassVar[tuple[str, ...]] = ("autotrack", "mlflow", "wandb", "torch")


class TransformersSteps(Steps):
    """Hugging Face transformers."""

    name = "steps-transformers"
    title = "transformers, logging_steps=1: CPU time added"
    framework = "transformers"
    trackers: ClassVar[tuple[str, ...]] = ("autotrack", "mlflow", "wandb", "torch")


class KerasSteps(Steps):
    """Keras."""

    name = "steps-keras"
    title = "Keras on torch, every batch logged: CPU time added"
    framework = "keras"
    trackers: ClassVar[tuple[str, ...]] = ("autotrack",)


def lightning(tracker: Tracker, *, steps: int) -> dict[str, float]:
    """A linear layer; with no logger, and with the tracker's."""
    import lightning.pytorch as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self.layer(batch[0]).square().mean()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    data = DataLoader(TensorDataset(torch.randn(steps, 4)), batch_size=1)

    def train(count: int, options: dict[str, Any]) -> None:
        chosen = {"logger": False, "callbacks": None, **options}
        trainer = pl.Trainer(
            max_steps=count, log_every_n_steps=1, accelerator="cpu", enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, **chosen,
        )  # fmt: skip
        trainer.fit(Net(), data)

    return _compared(train, tracker.lightning, steps)


def transformers(tracker: Tracker, *, steps: int) -> dict[str, float]:
    """A linear layer in a `Trainer`; reporting to nobody, and to the tracker."""
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def forward(self, inputs: Any) -> Any:
            return {"loss": self.layer(inputs).square().mean()}

    rows = [{"inputs": torch.randn(4)} for _ in range(64)]

    def train(count: int, options: dict[str, Any]) -> None:
        chosen = {"report_to": "none", "callbacks": None, **options}
        arguments = TrainingArguments(
            "out", max_steps=count, per_device_train_batch_size=1, logging_steps=1, save_strategy="no", use_cpu=True,
            disable_tqdm=True, report_to=chosen["report_to"],
        )  # fmt: skip
        trainer = Trainer(Net(), arguments, train_dataset=rows, callbacks=chosen["callbacks"])
        trainer.remove_callback(PrinterCallback)
        trainer.train()

    return _compared(train, tracker.transformers, steps)


def keras(tracker: Tracker, *, steps: int) -> dict[str, float]:
    """A dense layer; without callbacks, and with the tracker's, for every batch."""
    import keras
    import numpy

    def train(count: int, options: dict[str, Any]) -> None:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        inputs = numpy.zeros((count, 4), "float32")
        model.fit(inputs, inputs[:, :1], batch_size=1, verbose=0, **options)

    return _compared(train, tracker.keras, steps)


def _compared(
    train: Callable[[int, dict[str, Any]], None], options: Callable[[], dict[str, Any]], steps: int
) -> dict[str, float]:
    """Train a few steps and many, without and with the tracker: the slope is a step, the rest is the start."""
    few = max(1, steps // 10)

    def timed(count: int, chosen: dict[str, Any]) -> tuple[float, float]:
        began = time.thread_time(), time.process_time()
        train(count, chosen)
        return time.thread_time() - began[0], time.process_time() - began[1]

    options()  # raises `NotOffered` before anything is measured
    train(few, {})
    plain = [(timed(few, {}), timed(steps, {})) for _ in range(2)]
    first = timed(few, options())
    logged = [(timed(few, options()), timed(steps, options())) for _ in range(2)]

    def per_step(turns: Any, clock: int) -> float:
        return statistics.median((many[clock] - little[clock]) / (steps - few) for little, many in turns) * 1e6

    return {
        "thread": per_step(logged, 0) - per_step(plain, 0),
        "tree": per_step(logged, 1) - per_step(plain, 1),
        "start": (first[0] - statistics.median(little[0] for little, _ in plain)) * 1e3,
        "plain": per_step(plain, 0),
    }
