"""One training, from the call of `fit` to its end: its arguments and data, its metrics, its outcome."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.keras import data, model_facts, saving, stopping
from autotrack.integrations.keras.calls import Call
from autotrack.integrations.keras.measuring import Epochs, current_rate, weight_norms
from autotrack.integrations.keras.options import KerasOptions
from autotrack.integrations.keras.tuning import current_trial
from autotrack.recording.failures import how_it_ended
from autotrack.recording.lifecycle.trainings import Training, begin_training
from autotrack.recording.run import Run
from autotrack.training import ownership
from autotrack.training.checkpoints import Checkpoints
from autotrack.training.neural.throughput import Stopwatch, report_capture
from autotrack.training.neural.watching import Watcher

_last: weakref.WeakKeyDictionary[Any, Fit] = weakref.WeakKeyDictionary()


class Fit:
    """A training of `model`, by `fit` or, with `loop`, by a user's loop that calls a list of callbacks itself."""

    def __init__(self, model: Any, options: KerasOptions, *, loop: bool = False) -> None:
        self.model: Any = model
        self.loop = loop
        self.active = True
        self.training: Training | None = None
        self.data = data.Parts()
        self.epochs: Epochs | None = None
        self.checkpoints: Checkpoints | None = None
        self._options = options
        self._call = Call()
        self._heard: Any = None
        self._reporter: Any = None
        self._resumed = False
        self._watches_epochs = False
        self._inner: dict[str, int] = {}
        self.evaluations = 0
        self._stop = stopping.Stop()
        self._trial: Run | None = None
        self._charge: ownership.Charge | None = None
        self._stopwatch = Stopwatch()

    def begin(self, call: Call | None) -> None:
        """Open the training and record its arguments and data, before the fit can change them."""
        kind, options = type(self.model), self._options
        self._trial = current_trial()
        self._charge = ownership.take("keras")
        training = self.training = begin_training(
            kind.__name__, "keras", run_name=options.name, experiment=options.experiment, tags=options.tags,
            run=self._trial or options.run, params={"model.class": kind.__qualname__, "model.module": kind.__module__},
        )  # fmt: skip
        self.checkpoints = Checkpoints(training, "none" if self._trial is not None else options.checkpoints)
        if call is None:
            training.report(
                "capture", "a loop calls the callbacks by itself: there are no arguments of fit", level="info"
            )
            return
        self._call = call
        with guarded("the arguments of fit"):
            training.log_params(call.chosen)
            training.log_params(call.default, origin="default")
        with guarded("the training data"):
            self.data = data.Parts(call.data, held_out=call.setting("validation_split") or 0.0)
            if self._options.log_datasets:
                self.data.record(training)

    def is_of(self, model: Any) -> bool:
        """Whether this fit trains `model`, or the module in it if it is a wrapper for several processes."""
        return model is self.model or getattr(model, "module", None) is self.model

    def listens_to(self, heard: Any) -> bool:
        """Whether this fit has joined the list of callbacks `heard`."""
        return heard is self._heard

    def join(self, heard: Any) -> None:
        """Append a callback of ours to the list of callbacks `heard`, for the time of the training."""
        if self._heard is not None or self.training is None:
            return
        from autotrack.integrations.keras.reporter import Reporter

        params = getattr(heard, "params", None) or {}
        self._heard = heard
        self.epochs = Epochs(self.training, self._options.batches_per_row, self._batch_size(), self._stopwatch)
        self._watch(self.training, self.epochs)
        self._reporter = Reporter(self.epochs, begins=self.training_begins, epoch_ended=self.after_epoch_end)
        self._reporter.set_params(params)
        self._reporter.set_model(self.model)
        heard.callbacks.append(self._reporter)

    def _watch(self, training: Training, epochs: Epochs) -> None:
        backend = sys.modules["keras"].backend.backend()
        if not self._options.watch:
            return
        if backend == "torch":
            epochs.watch(Watcher(training, self.model, self._options.watch))
        else:
            training.report("watch", f"gradients are not at hand on {backend}: norms of weights at each epoch's end")
            self._watches_epochs = True

    def saw_inner_fit(self, model: Any) -> None:
        """Count a fit inside this one, which is not recorded by itself."""
        name = type(model).__name__
        self._inner[name] = self._inner.get(name, 0) + 1

    def goes_on(self, earlier_run: str) -> None:
        """Note that a backup was restored; `earlier_run` is the id of the run that wrote it, empty if unknown."""
        self._resumed = True
        if self.training is not None and earlier_run and earlier_run != self.training.id:
            self.training.set_tag("resumed_from", earlier_run)

    def training_begins(self, params: Mapping[str, Any]) -> None:
        """Record the model, its compile settings, the plan and the callbacks, once the model is built and restored."""
        training = self.training
        if training is None or self.epochs is None:
            return
        first = getattr(self.model, "_initial_epoch", None) or self._call.setting("initial_epoch") or 0
        self.epochs.begin(first, params.get("steps"))
        with guarded("the plan of a training"):
            training.log_params(model_facts.plan(self.model, params, first, self._batch_size()))
            if self._resumed:
                training.log_params({"resumed.epoch": first})
        model_facts.record(training, self.model)
        with guarded("the callbacks of a training"):
            training.log_params(stopping.callback_params(self._others()))

    def _batch_size(self) -> int | None:
        return self.data.rows_per_batch(self._call.setting("batch_size"))

    def _others(self) -> list[Any]:
        return [one for one in getattr(self._heard, "callbacks", ()) if one is not self._reporter]

    def before_epoch_end(self, logs: Mapping[str, Any] | None) -> None:
        """Note the metrics, the learning rate and `stop_training` at an epoch's end, before any callback is called."""
        self._stop.before_callbacks(self.model)
        if self.epochs is not None:
            self.epochs.seen(logs or {}, current_rate(self.model))

    def after_epoch_end(self, epoch: int) -> None:
        """Note `stop_training`, and log norms of weights if they are watched, after the callbacks of an epoch's end."""
        self._stop.after_callbacks(self.model, epoch)
        if self._watches_epochs and self.training is not None and self.epochs is not None:
            self.training.log(weight_norms(self.model), self.epochs.step)

    def finished(self) -> None:
        """Record the outcome and the trained model, and finish the training."""
        training = self.training
        try:
            if training is not None:
                with self._stopwatch, guarded("the results of a fit"):
                    training.log_params({"end": self._stop.facts(self.model, self._others(), self.epochs)})
                if self._options.log_models and self._trial is None:
                    with self._stopwatch, guarded("saving the model"):
                        saving.keep_model(training, self.model)
                with guarded("what was not recorded"):
                    self._report(training)
        finally:
            self._end("finished")

    def failed(self, error: BaseException) -> None:
        """Record the exception, which propagates to the user, and end the training."""
        training = self.training
        status, _ = how_it_ended(error)
        if training is not None:
            with guarded("the end of a failed fit"):
                if self.epochs is not None:
                    training.log_params({"end": {"reason": "failed", **self.epochs.reached()}})
                self._report(training)
        self._end("killed" if status == "finished" else status, error)

    def abandoned(self) -> None:
        """End as failed a loop that never called `on_train_end`."""
        if self.training is not None:
            self.training.report("capture", "the loop never called on_train_end: how it ended is not known")
        self._end("failed")

    def _report(self, training: Training) -> None:
        epochs = self.epochs
        if epochs is not None and epochs.rate_is_unknown:
            name = type(getattr(self.model.optimizer, "_learning_rate", None)).__name__
            training.report(
                "metric train/learning_rate", f"not recorded: only calling the program's own {name} could tell"
            )
        if self._heard is None:
            training.report("capture", "no list of callbacks was called: there are no metrics per epoch")
        seen = {"epochs": epochs.ended, "batches": epochs.batches, "evaluations": self.evaluations} if epochs else {}
        skipped = {f"fits of {name} inside this one": count for name, count in self._inner.items()}
        hooks = ["CallbackList"] if self.loop else ["fit", "CallbackList"]
        report_capture(training, "keras", hooks=hooks, stopwatch=self._stopwatch, seen=seen, skipped=skipped)

    def _end(self, status: Any, error: BaseException | None = None) -> None:
        self.active = False
        if self.epochs is not None:
            self.epochs.flush()
        self.data.let_go()
        checkpoints, self.checkpoints = self.checkpoints, None
        if checkpoints is not None:
            with guarded("the checkpoints of a training"):
                checkpoints.finish()
        self._call = Call()
        if self._charge is not None:
            self._charge.release()
        heard, self._heard = self._heard, None
        if heard is not None and self._reporter in heard.callbacks:
            heard.callbacks.remove(self._reporter)
        model, self.model, self._reporter = self.model, None, None
        if self.training is not None:
            with guarded("remembering a training"):
                _last[model] = self
            with guarded("the end of a fit"):
                self.training.finish(status, error)


def last_fit(model: Any) -> Fit | None:
    """The last training of this very object in this process; its copies and pickles have none."""
    try:
        return _last.get(model)
    except TypeError:  # a model of the user's that cannot be hashed
        return None
