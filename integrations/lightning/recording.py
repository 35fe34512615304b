"""One fit of a `Trainer`, and the evaluations of what it fitted, as one training."""

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
from autotrack.training.checkpoint_origins import origin_of
from autotrack.training.checkpoints import Checkpoints
from autotrack.training.neural.optimizers import learning_rates
from autotrack.training.neural.pace import Pace, Stopwatch, report_capture
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
    """A fit (or a lone evaluation) from its beginning to its end, and what comes after it."""

    def __init__(self, trainer: Any, model: Any, training: Training, options: Options) -> None:
        self.training = training
        self.options = options
        self.fitting = True
        self.handed_over = False
        self._model = weakref.ref(model) if model is not None else None
        self._checkpoints = Checkpoints(training, options.checkpoints)
        self.stopwatch = Stopwatch()
        self._pace = Pace()
        self._watcher: Watcher | None = None
        self._rates: dict[str, Any] = {}
        self._began_at = 0, 0
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
        """Open the training of a fit that is about to begin; returns what waits for its end.

        `observe_in_worker`, a module's function, is called first in each process that the trainer makes for the fit.
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
        """Open a run for an evaluation of something that nobody was seen fitting."""
        training = _open(model, options)
        recording = cls(trainer, model, training, options)
        recording.fitting = False
        training.log_params({"stage": what})
        return _FitWatch(recording, trainer)

    def hand_over(self, trainer: Any, observe_in_worker: Callable[[], None]) -> None:
        """Leave the loop to the processes that the trainer is about to make; the carrier travels with the trainer."""
        self.handed_over = True
        for callback in trainer.callbacks:
            if hasattr(callback, "autotrack_carrier"):
                callback.autotrack_handed = (observe_in_worker, self.training, replace(self.options, run=None))

    @classmethod
    def of_worker(
        cls, trainer: Any, module: Any, handed: tuple[Callable[[], None], Training, Options]
    ) -> Recording | None:
        """In a process that the trainer made: continue the training; None on ranks that only follow."""
        observe, training, options = handed
        observe()
        if trainer.global_rank != 0:
            follow(training.collector)
            return None
        return cls(trainer, module, training, options)

    def adopt(self, trainer: Any) -> None:
        """Take what this trainer reports from now on."""
        _of_trainer[trainer] = self
        model = self.model
        if model is not None:
            _of_model[model] = self

    @staticmethod
    def is_carried(trainer: Any) -> bool:
        """Whether the trainer runs for the user: the finders swap its callbacks for their own while they try."""
        return any(hasattr(callback, "autotrack_carrier") for callback in trainer.callbacks)

    def lead(self) -> None:
        """Tell other ranks which run it is; called when the strategy has set them up."""
        ranks.lead(self.training.collector.place, self.training.id)

    def describe(self, trainer: Any, module: Any) -> None:
        """Record what was asked for and what it was resolved to, once model and optimizers are in place."""
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
        """Look at gradients and weights, if that was asked for and it is time."""
        if self._watcher is not None:
            self._watcher.look(trainer.global_step)

    def data(self, trainer: Any) -> None:
        """Record what the loaders hold, without taking anything from them."""
        with guarded("the data"):
            facts.record_data(self.training, trainer)

    def batch_begins(self, trainer: Any) -> None:
        """Take the learning rates: when metrics are logged, schedulers have changed them for the next batch."""
        self._rates = learning_rates(trainer.optimizers)

    def epoch_begins(self, trainer: Any) -> None:
        """Count from here."""
        self._began_at = trainer.global_step, trainer.fit_loop.total_batch_idx
        self._pace.restart()
        self._pace.begin_epoch()

    def epoch_ends(self, trainer: Any) -> None:
        """Record how long an epoch took, and how much went through it."""
        steps, batches = self._began_at
        samples = (trainer.fit_loop.total_batch_idx - batches) * (facts.batch_size(trainer) or 0)
        self._pace.step(samples=samples * max(trainer.world_size, 1), steps=trainer.global_step - steps)
        row = {"epoch": trainer.current_epoch, **self._pace.end_epoch(), **self._pace.rates()}
        self.training.log(row, step=trainer.global_step)
        self._seen["epochs"] += 1

    def metrics(self, trainer: Any, metrics: Mapping[str, Any], step: int | None) -> None:
        """Record one row that Lightning hands to its loggers, at the step that they get."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        row = dict(metrics)
        if step is None:
            given = row.pop("step", None)
            step = int(given) if given is not None else trainer.fit_loop.epoch_loop._batches_that_stepped
            row.setdefault("epoch", trainer.current_epoch)
        if trainer.training:
            if self._is_left_out(trainer, step):
                return
            row.update(self._rates)
        self.training.log(row, step=step)
        self._seen["rows of metrics"] += 1

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
        """Let other observers of torch look again."""
        charge, self._charge = self._charge, None
        if charge is not None:
            charge.release()

    def wind_up(self, trainer: Any) -> None:
        """Record how far the fit came, and wait for the checkpoints."""
        self.leave()
        with guarded("the end of a fit"):
            if self.fitting:
                facts.record_end(self.training, trainer)
            report_capture(self.training, "Lightning", hooks=HOOKS, stopwatch=self.stopwatch, seen=dict(self._seen))
            self._checkpoints.finish()
        if is_worker():  # which ends without its exit handlers
            owner = self.training.collector
            owner.background.wait(owner.settings.exit_timeout)

    def finish(self, trainer: Any, error: BaseException | None) -> None:
        """Record how the fit ended."""
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
    """Waits for the end of a fit."""

    def __init__(self, recording: Recording, trainer: Any) -> None:
        self._recording = recording
        self._trainer = trainer

    def returned(self, result: Any) -> None:
        self._recording.finish(self._trainer, None)

    def raised(self, error: BaseException) -> None:
        self._recording.finish(self._trainer, error)


def _open(model: Any, options: Options) -> Training:
    kind = type(getattr(model, "_orig_mod", model))  # what torch.compile wraps
    name = kind.__name__ if model is not None else "Trainer"
    return begin_training(
        name, "lightning", run_name=options.name, experiment=options.experiment, tags=options.tags, run=options.run
    )
