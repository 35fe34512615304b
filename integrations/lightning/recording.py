"""One fit of a `Trainer`, and the evaluations of its model, as one training."""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.base import Options
from autotrack.integrations.lightning import facts
from autotrack.integrations.lightning.tuning import tuned
from autotrack.recording import ranks
from autotrack.recording.collector import is_worker
from autotrack.recording.failures import how_it_ended
from autotrack.recording.lifecycle.environment_capture import follow
from autotrack.recording.lifecycle.trainings import Training, begin_training
from autotrack.schedulers import status_of_termination
from autotrack.training import ownership
from autotrack.training.checkpoints import Checkpoints, origin_of
from autotrack.training.neural.optimizers import learning_rates
from autotrack.training.neural.throughput import Stopwatch, Throughput, report_capture
from autotrack.training.neural.watching import Watcher

HOOKS = ("Trainer.fit", "callback", "logger connector", "save_checkpoint")

_of_trainer: weakref.WeakKeyDictionary[Any, Recording] = weakref.WeakKeyDictionary()
_of_model: weakref.WeakKeyDictionary[Any, Recording] = weakref.WeakKeyDictionary()


def recording_of(trainer: Any, model: Any = None) -> Recording | None:
    """The latest recording of this trainer, else of this model; None if there is none."""
    found = _of_trainer.get(trainer)
    if found is not None and (model is None or found.model is None or found.model is model):
        return found
    return _of_model.get(model) if model is not None else None


class Recording:
    """The recording of a fit (or of an evaluation without one), and of later evaluations of its trainer or model."""

    def __init__(self, trainer: Any, model: Any, training: Training, options: Options) -> None:
        self.training = training
        self.options = options
        self.fitting = True
        self.handed_over = False
        self._model = weakref.ref(model) if model is not None else None
        self._checkpoints = Checkpoints(training, options.checkpoints)
        self.stopwatch = Stopwatch()
        self._pace = Throughput()
        self._watcher: Watcher | None = None
        self._rates: dict[str, Any] = {}
        self._began_at = 0, 0
        self._beside: dict[str, int] = {}  # the last step at which a value stood that is added to rows
        self._brought: set[str] = set()  # the metrics in rows of this epoch
        self._held: dict[str, Any] = {}  # what the trainer held for its loggers at the end of the epoch before
        self._seen: Counter[str] = Counter()
        self._charge: ownership.Charge | None = None
        self.adopt(trainer)

    @property
    def model(self) -> Any:
        """The module that is trained; None if it is gone."""
        return self._model() if self._model is not None else None

    @classmethod
    def of_fit(
        cls,
        trainer: Any,
        wrapped: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: Options,
        observe_in_worker: Callable[[], None],
    ) -> _FitWatch:
        """Open the training of a fit that is about to begin; returns the watch of its end.

        `observe_in_worker`, a module-level function, is called first in each process that the trainer starts for the
        fit.
        """
        asked = facts.arguments(wrapped, trainer, args, kwargs)
        model = asked.pop("model", None)
        training = _open(model, options)
        recording = cls(trainer, model, training, options)
        with guarded("the arguments of fit"):
            training.log_params({"fit": facts.brief_arguments(asked)})
            found = tuned(trainer)
            if found:
                training.log_params({"tuner": found})
        if "MultiProcessing" in type(getattr(trainer.strategy, "launcher", None)).__name__:
            recording.hand_over(trainer, observe_in_worker)
        return _FitWatch(recording, trainer)

    @classmethod
    def of_evaluation(cls, trainer: Any, model: Any, what: str, options: Options) -> _FitWatch:
        """Open a training for an evaluation of a model without a recorded fit; returns the watch of its end."""
        training = _open(model, options)
        recording = cls(trainer, model, training, options)
        recording.fitting = False
        training.log_params({"stage": what})
        return _FitWatch(recording, trainer)

    def hand_over(self, trainer: Any, observe_in_worker: Callable[[], None]) -> None:
        """Attach the training to the carriers, which go with the trainer to the processes that will run the loop."""
        self.handed_over = True
        for callback in trainer.callbacks:
            if hasattr(callback, "autotrack_carrier"):
                callback.autotrack_handed = (observe_in_worker, self.training, replace(self.options, run=None))

    @classmethod
    def of_worker(
        cls, trainer: Any, module: Any, handed: tuple[Callable[[], None], Training, Options]
    ) -> Recording | None:
        """Continue the training in a process that the trainer started; None on ranks other than 0.

        Those start their system monitor as a side effect.
        """
        observe, training, options = handed
        observe()
        if trainer.global_rank != 0:
            follow(training.collector)
            return None
        return cls(trainer, module, training, options)

    def adopt(self, trainer: Any) -> None:
        """Route events of this trainer and its model to this recording."""
        _of_trainer[trainer] = self
        model = self.model
        if model is not None:
            _of_model[model] = self

    @staticmethod
    def is_carried(trainer: Any) -> bool:
        """Whether a carrier is among the trainer's callbacks; Lightning's finders replace these during their trials."""
        return any(hasattr(callback, "autotrack_carrier") for callback in trainer.callbacks)

    def lead(self) -> None:
        """Publish the run's id to the other ranks; called when the strategy has set them up."""
        ranks.lead(self.training.collector.place, self.training.id)

    def describe(self, trainer: Any, module: Any) -> None:
        """Record the settings as requested and as resolved, once model and optimizers are set up; start watching."""
        for what, record in facts.GATHERERS:
            with guarded(what):
                record(self.training, trainer, module)
        self._charge = ownership.take("lightning")
        with guarded("what a fit goes on from"):
            origin = origin_of(self.training.collector.place, trainer.ckpt_path) if trainer.ckpt_path else None
            if origin is not None:
                self.training.set_tags({"resumed_from": origin})
        if self.options.watch:
            self._watcher = Watcher(self.training, module, self.options.watch)

    def watch(self, trainer: Any) -> None:
        """Have the watcher, if there is one, look at gradients and weights at the current step."""
        if self._watcher is not None:
            self._watcher.look(trainer.global_step)

    def data(self, trainer: Any) -> None:
        """Record the data loaders without drawing a batch from them."""
        with guarded("the data"):
            facts.record_data(self.training, trainer)

    def batch_begins(self, trainer: Any) -> None:
        """Keep the learning rates of the batch: when its metrics are logged, schedulers have set those of the next."""
        self._rates = learning_rates(trainer.optimizers)

    def epoch_begins(self, trainer: Any) -> None:
        """Reset the step and batch counters at the start of an epoch."""
        self.left_over(trainer)
        self._began_at = trainer.global_step, trainer.fit_loop.total_batch_idx
        self._pace.restart()
        self._pace.begin_epoch()

    def epoch_ends(self, trainer: Any) -> None:
        """Record the duration of an epoch, and its steps and samples per second."""
        steps, batches = self._began_at
        samples = (trainer.fit_loop.total_batch_idx - batches) * (facts.batch_size(trainer) or 0)
        self._pace.step(samples=samples * max(trainer.world_size, 1), steps=trainer.global_step - steps)
        row = {**self._pace.end_epoch(), **self._pace.rates()}
        self._add(row, {"epoch": trainer.current_epoch}, trainer.global_step)
        self.training.log(row, step=trainer.global_step)
        self._seen["epochs"] += 1

    def left_over(self, trainer: Any) -> None:
        """Record the metrics of the epoch before that are meant for loggers but were in no row, at its last step.

        Lightning passes those of single batches only every `log_every_n_steps`, which an epoch may not have. Its own
        record of them is read, since the property would have processes wait for one another.
        """
        held = dict(getattr(trainer._logger_connector, "_logged_metrics", None) or {})
        left = {
            key: value for key, value in held.items() if key not in self._brought and self._held.get(key) is not value
        }
        self._brought, self._held = set(), held
        steps = trainer.fit_loop.epoch_loop._batches_that_stepped
        if left and steps and trainer.is_global_zero:
            self.training.log(left, step=steps - 1)
            self._seen["metrics left over by loggers"] += 1

    def metrics(self, trainer: Any, metrics: Mapping[str, Any], step: int | None) -> None:
        """Record one row that Lightning passes to its loggers, at the same step."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        self._brought.update(metrics)
        row = dict(metrics)
        of_user = step is not None or "step" in row  # which may run ahead of Lightning's own steps
        if step is None:
            given = row.pop("step", None)
            step = int(given) if given is not None else trainer.fit_loop.epoch_loop._batches_that_stepped
            self._add(row, {"epoch": row.pop("epoch", trainer.current_epoch)}, step, of_user=of_user)
        if trainer.training:
            if self._is_left_out(trainer, step):
                return
            self._add(row, self._rates, step, of_user=of_user)
        self.training.log(row, step=step)
        self._seen["rows of metrics"] += 1

    def _add(self, row: dict[str, Any], values: Mapping[str, Any], step: int, *, of_user: bool = False) -> None:
        """Add values to a row, unless they stand at this step of Lightning's, or a later one, already.

        `of_user` is set for a step that the program logs itself, at which they always stand.
        """
        for key, value in values.items():
            if of_user:
                row[key] = value
            elif step > self._beside.get(key, -1):
                self._beside[key] = step
                row[key] = value

    def _is_left_out(self, trainer: Any, step: int) -> bool:
        """Whether `log_every` leaves the row of this step out; rows of epochs are always kept."""
        every = self.options.log_every
        if every in (None, "batch") or trainer._logger_connector._first_loop_iter is None:
            return False
        return every == "epoch" or (isinstance(every, int) and (step + 1) % every != 0)

    def checkpoint(self, trainer: Any, path: Any) -> None:
        """Record a checkpoint that has just been written."""
        if trainer.is_global_zero and path is not None:
            self._seen["checkpoints"] += 1
            self._checkpoints.saved(os.fspath(path), **facts.about_checkpoint(trainer, os.fspath(path)))

    def leave(self) -> None:
        """Release the loop of this thread, which the integration for plain PyTorch may then record again."""
        charge, self._charge = self._charge, None
        if charge is not None:
            charge.release()

    def wind_up(self, trainer: Any) -> None:
        """Record the end of the fit and the capture report; a worker process also waits for its background work."""
        self.leave()
        with guarded("the end of a fit"):
            if self.fitting:
                self.left_over(trainer)
                facts.record_end(self.training, trainer)
            report_capture(self.training, "Lightning", hooks=HOOKS, stopwatch=self.stopwatch, seen=dict(self._seen))
            self._checkpoints.finish()
        if is_worker():  # a worker process ends without running exit handlers
            owner = self.training.collector
            owner.background.wait(owner.settings.exit_timeout)

    def finish(self, trainer: Any, error: BaseException | None) -> None:
        """Finish the training with the status that `error` and the trainer's state give; None for a normal return."""
        if not self.handed_over:
            self.wind_up(trainer)
        if error is None:
            status = "killed" if trainer.interrupted else "finished"
            self.training.finish(status)  # type: ignore[arg-type]
        elif isinstance(error, SystemExit) and trainer.interrupted:
            self.training.finish("killed")  # Lightning turns a KeyboardInterrupt into the end of the program
        elif type(error).__name__ == "SIGTERMException":
            self.training.finish(status_of_termination(os.environ))
        else:
            self.training.finish(how_it_ended(error)[0], failure=error)


class _FitWatch:
    """Watch of `fit`, `validate` or `test`: finishes the recording."""

    def __init__(self, recording: Recording, trainer: Any) -> None:
        self._recording = recording
        self._trainer = trainer

    def returned(self, result: Any) -> None:
        self._recording.finish(self._trainer, None)

    def raised(self, error: BaseException) -> None:
        self._recording.finish(self._trainer, error)


def _open(model: Any, options: Options) -> Training:
    kind = type(getattr(model, "_orig_mod", model))  # the module that torch.compile wraps
    name = kind.__name__ if model is not None else "Trainer"
    return begin_training(
        name, "lightning", run_name=options.name, experiment=options.experiment, tags=options.tags, run=options.run
    )
