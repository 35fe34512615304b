"""Loops of `train_on_batch`: each call is recorded as a row in the active run, or in a run opened for the loop."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from autotrack.instrument.patching import Watch
from autotrack.integrations.keras import model_facts
from autotrack.integrations.keras.options import KerasOptions
from autotrack.recording.lifecycle.start import start_run
from autotrack.recording.run import Run, active_run

_loops: weakref.WeakKeyDictionary[Any, BatchLoop] = weakref.WeakKeyDictionary()


class BatchLoop(Watch):
    """Records the `train_on_batch` calls of one model in one run."""

    def __init__(self, model: Any, run: Run, options: KerasOptions) -> None:
        self.run = run
        self._model = weakref.ref(model)
        self._every = options.batches_per_row or 1
        self._count = 0
        others = sum(loop.run is run for loop in _loops.values())
        self._prefix = f"train/{model.name}/" if others else "train/"
        self._names: dict[int, list[str]] = {}
        if not others:
            kind = type(model)
            run.log_params({"model.class": kind.__qualname__, "model.module": kind.__module__})
            model_facts.record(run, model)
        run.report("capture", f"keras: train_on_batch of {type(model).__name__} is recorded call by call", level="info")

    def returned(self, result: Any) -> None:
        """Count a batch and log its row if one is due; `result` is the loss, or a list or mapping with the metrics."""
        step = self._count
        self._count += 1
        if (step + 1) % self._every:
            return
        values = (
            result if isinstance(result, Mapping) else dict(zip(self._named(result), _listed(result), strict=False))
        )
        numbers = {self._prefix + name: value for name, value in values.items() if _is_number(value)}
        if numbers:
            self.run.log(numbers, step)

    def _named(self, result: Any) -> list[str]:
        count = len(_listed(result))
        if count not in self._names:
            model = self._model()
            names: list[str] = []
            for metric in model.metrics if model is not None else ():
                inner = getattr(metric, "metrics", None)
                names += [one.name for one in inner] if isinstance(inner, list) and inner else [metric.name]
            self._names[count] = names if len(names) == count else [f"output.{place}" for place in range(count)]
        return self._names[count]


def loop_of(model: Any, options: KerasOptions) -> BatchLoop:
    """The model's loop of `train_on_batch`; a new one if its run has ended or another run is active."""
    loop = _loops.get(model)
    run = active_run()
    if loop is None or not loop.run.is_open or (run is not None and run is not loop.run):
        if run is None:
            run = start_run()
            run.implicit = True
        loop = _loops[model] = BatchLoop(model, run, options)
    return loop


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (hasattr(value, "dtype") and getattr(value, "size", 0) == 1)
