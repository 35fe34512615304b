"""The metrics of a training: rows per epoch or per batch, rates and times."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.keras.batch_order import BatchOrder
from autotrack.recording.lifecycle.trainings import Training
from autotrack.training.neural.throughput import Stopwatch
from autotrack.training.neural.watching import MOST_NORMS, Watcher

_now = time.perf_counter


class Epochs:
    """Turns the logs that Keras reports into rows of metrics.

    The step of a row is the epoch as Keras counts it, from 0; with `batches_per_row` it is the batch since the first
    epoch, from 0, for all rows. A batch's values are those that Keras reports: means since its epoch began.
    """

    def __init__(
        self, training: Training, batches_per_row: int | None, rows_per_batch: int | None, stopwatch: Stopwatch
    ) -> None:
        self.stopwatch = stopwatch
        self._training = training
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._every = batches_per_row
        self._rows_per_batch = rows_per_batch
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._offset = self._first = 0
        self._epoch = 0
        self._last_batch = self._under_way = -1
        self._written = -1  # the step of the last batch with values
        self._begun = self._validation_begun = _now()
        self._validating = 0.0
        self._rate: float | None = None
        self._reported: Mapping[str, Any] = {}
        self._last_row: tuple[int, dict[str, Any]] = (-1, {})
        self._unreadable: set[str] = set()
        self.ended = 0
        self.rate_is_unknown = False
        self._watcher: Watcher | None = None
        self._order = BatchOrder(self._write_batch)

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher.look` after each batch.

        The call is made when the next batch begins, or the epoch ends: Keras reports these on the training's own
        thread, but the end of a batch on others, while the next batch is already changing the gradients.
        """
        self._watcher = watcher

    def batch_begins(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note the order of batches, and have the watcher look at gradients and weights after the previous batch."""
        self._under_way = batch
        if self._every is not None:
            self._order.begins(batch)
        if batch > 0:
            self._look(self._offset + batch - 1)

    def _look(self, step: int) -> None:
        if self._watcher is not None:
            with self.stopwatch, guarded("watching weights"):
                self._watcher.look(step)

    @property
    def needs_begins(self) -> bool:
        """Whether `batch_begins` must be called: batches are recorded, or a watcher looks at the model between them."""
        return self._watcher is not None or self._every is not None

    @property
    def batches(self) -> int:
        """The number of batches since the first epoch of this training."""
        return self._offset - self._first + self._last_batch + 1

    def begin(self, first_epoch: int, steps: int | None) -> None:
        """Set the epoch that training begins at; `steps` is the number of batches in an epoch, None if unknown."""
        self._offset = self._first = first_epoch * (steps or 0)
        self._written = self._offset - 1
        self._epoch = first_epoch

    @property
    def step(self) -> int:
        """The step of a row that is recorded at the end of an epoch or after it."""
        return self._epoch if self._every is None else max(self._offset + self._last_batch, 0)

    @property
    def epoch(self) -> int:
        """The current epoch, or else the last one, as Keras counts it."""
        return self._epoch

    def reached(self) -> dict[str, Any]:
        """The number of whole epochs, and the step of the last row."""
        return {"epochs": self.ended, "step": self.step}

    def epoch_begins(self, epoch: int) -> None:
        """Start the time of an epoch, and reset its batch counter, validation time and reported values."""
        self.flush()
        self._offset += self._last_batch + 1
        self._last_batch = self._under_way = -1
        self._epoch = epoch
        self._validating = 0.0
        self._reported = {}
        self._rate = None
        self._begun = _now()

    def batch_ended(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count a batch and log its row if one is due; may be called from several threads at once, out of order."""
        with self._lock:
            self._last_batch = max(self._last_batch, batch)
        if self._every is None:
            return
        begun = _now()
        with guarded("the metrics of a batch"):
            self._order.ended(batch, logs or {})
        if threading.get_ident() == self._thread:
            self.stopwatch.seconds += _now() - begun
            self.stopwatch.calls += 1

    def flush(self) -> None:
        """Write the rows of batches that wait for an earlier batch."""
        with guarded("the metrics of a batch"):
            self._order.flush()

    def _write_batch(self, batch: int, logs: Mapping[str, Any]) -> None:
        step = self._offset + batch
        if self._every is None or not logs:
            return
        before, self._written = self._written, step
        if self._every > 1 and (step + 1) // self._every <= (before + 1) // self._every:
            return
        names = self._names.get(tuple(logs)) or self._named(tuple(logs))
        row = dict(zip(names, logs.values(), strict=True))
        row["epoch"] = self._epoch
        self._training.log(row, step)
        if step >= self._last_row[0]:
            self._last_row = step, row

    def _named(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        names = self._names[keys] = tuple(metric_name(key) for key in keys)
        return names

    def validation_begins(self) -> None:
        """Start the time of a validation, which does not count as training."""
        self._validation_begun = _now()

    def validation_ended(self) -> None:
        """Stop the time of a validation."""
        self._validating += _now() - self._validation_begun

    def seen(self, logs: Mapping[str, Any], rate: float | None) -> None:
        """Keep the logs that Keras reports for an epoch, and the learning rate, before callbacks change either."""
        if self._under_way >= 0:
            self._look(self._offset + self._under_way)
        self._reported = logs
        self._rate = rate
        self.rate_is_unknown = self.rate_is_unknown or rate is None

    def epoch_ended(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Record the row of an epoch; `logs` includes the values that callbacks added."""
        self.flush()
        seconds = _now() - self._begun
        row: dict[str, Any] = {}
        for key, value in logs.items():
            if isinstance(value, (int, float)):
                known = key in self._reported or key == "learning_rate"
                row[metric_name(key) if known else key] = value
            elif key not in self._unreadable:
                self._unreadable.add(key)
                self._training.report(f"metric {key}", f"not recorded: it is a {type(value).__name__}, not a number")
        if self._rate is not None:
            row.setdefault("train/learning_rate", self._rate)
        row["train/epoch_time"] = seconds
        row.update(self._speeds(seconds - self._validating))
        row["epoch"] = epoch
        step, before = self._last_row
        if self._every is not None and step == self.step:
            row = {key: value for key, value in row.items() if key not in before or before[key] != value}
        self._training.log(row, self.step)
        self.ended += 1

    def _speeds(self, seconds: float) -> dict[str, float]:
        batches = self._last_batch + 1
        if seconds <= 0 or not batches:
            return {}
        speeds = {"train/steps_per_second": batches / seconds}
        if self._rows_per_batch:
            speeds["train/samples_per_second"] = self._rows_per_batch * batches / seconds
        return speeds


def metric_name(key: str) -> str:
    """The name, with the role first, of a metric that Keras reports as `key`: `val/loss` for "val_loss"."""
    return f"val/{key[4:]}" if key.startswith("val_") else f"train/{key}"


def current_rate(model: Any) -> float | None:
    """The current learning rate; None if there is none, or if only code of the user's could compute it."""
    optimizer: Any = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = getattr(optimizer, "_learning_rate", None)
    if rate is None:
        return None
    keras: Any = sys.modules["keras"]
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        if not type(rate).__module__.startswith("keras."):
            return None
        rate = optimizer.learning_rate
    elif callable(rate) and not isinstance(rate, keras.Variable):
        return None
    return float(keras.ops.convert_to_numpy(rate))


def weight_norms(model: Any) -> dict[str, float]:
    """The Euclidean norm of all trained weights together, and of the largest ones by themselves."""
    keras: Any = sys.modules["keras"]
    weights = sorted(model.trainable_variables, key=lambda one: -math.prod(one.shape))
    norms = {one.path: float(keras.ops.convert_to_numpy(keras.ops.norm(one))) for one in weights}
    largest = dict(list(norms.items())[:MOST_NORMS])
    return {
        "weights/norm": math.hypot(*norms.values()),
        **{f"weights/norm/{path}": norm for path, norm in largest.items()},
    }
