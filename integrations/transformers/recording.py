"""The recordings of one training of a `Trainer`, and of a search over several."""

from __future__ import annotations

import os
import weakref
from collections import Counter
from collections.abc import Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.integrations.base import Options
from autotrack.integrations.transformers import facts
from autotrack.integrations.transformers.metrics import renamed
from autotrack.recording import ranks
from autotrack.recording.failures import how_it_ended
from autotrack.recording.lifecycle.trainings import Training, begin_training, begin_trial
from autotrack.training import ownership
from autotrack.training.checkpoints import Checkpoints, origin_of
from autotrack.training.neural.throughput import Stopwatch, Throughput, report_capture
from autotrack.training.neural.watching import Watcher

HOOKS = ("Trainer.train", "callback")

_searches: weakref.WeakKeyDictionary[Any, HyperparameterSearch] = weakref.WeakKeyDictionary()


def search_of(trainer: Any) -> HyperparameterSearch | None:
    """The search that this trainer is in; None outside of one."""
    return _searches.get(trainer)


class Recording:
    """The recording of a training; evaluations and predictions after it are recorded in it, too."""

    def __init__(self, trainer: Any, options: Options, training: Training) -> None:
        self.training = training
        self.options = options
        self.stopwatch = Stopwatch()
        self._trainer = weakref.ref(trainer)
        self._checkpoints = Checkpoints(training, options.checkpoints)
        self._pace = Throughput()
        self._watcher: Watcher | None = None
        self._seen: Counter[str] = Counter()
        self._charge: ownership.Charge | None = None
        self.trial: Any = None
        self._resumed: Any = None
        self._epoch_at = -1  # the last step at which the epoch was recorded

    @classmethod
    def begin(
        cls, trainer: Any, options: Options, given: Mapping[str, Any], search: HyperparameterSearch | None
    ) -> Recording:
        """Open the training, or the next trial of the search."""
        if search is not None and given.get("trial") is not None:
            training = search.trial(given["trial"])
        else:
            training = begin_training(
                type(trainer.model).__name__, "transformers", run_name=options.name, experiment=options.experiment,
                tags=options.tags, run=options.run,
            )  # fmt: skip
        recording = cls(trainer, options, training)
        recording.trial = given.get("trial")
        resumed = recording._resumed = given.get("resume_from_checkpoint")
        if resumed:
            training.log_params({"resume_from_checkpoint": resumed if resumed is True else os.fspath(resumed)})
        return recording

    def carried_by(self, carrier: Any) -> Recording:
        """Have `carrier` forward the events of the loop to this recording; returns the recording."""
        carrier.autotrack_recording = self
        return self

    def describe(self, state: Any, objects: Mapping[str, Any]) -> None:
        """Record the settings as requested and as resolved, once model and optimizer are set up; start watching."""
        trainer = self._trainer()
        if self._charge is None:
            self._charge = ownership.take("transformers")
        if self.options.watch and self._watcher is None and trainer is not None:
            self._watcher = Watcher(self.training, trainer.model, self.options.watch)
        with guarded("what a training goes on from"):
            self._link(trainer, state)
        ranks.lead(self.training.collector.place, self.training.id)
        asked = getattr(self.trial, "params", None)
        if asked:
            self.training.log_params(dict(asked))
        for what, record in facts.GATHERERS:
            with guarded(what):
                record(self.training, trainer, state, objects)

    def _link(self, trainer: Any, state: Any) -> None:
        if not state.global_step or trainer is None:
            return
        folder = facts.resumed_from(trainer, self._resumed, state)
        origin = origin_of(self.training.collector.place, folder)
        if origin is not None:
            self.training.set_tags({"resumed_from": origin})

    def watch(self, state: Any) -> None:
        """Have the watcher, if there is one, look at gradients and weights at the current step."""
        if self._watcher is not None:
            self._watcher.look(state.global_step)

    def epoch_begins(self) -> None:
        """Start the time of an epoch."""
        self._pace.begin_epoch()

    def epoch_ends(self, state: Any) -> None:
        """Record the duration of an epoch."""
        row = self._with_epoch({**self._pace.end_epoch(), "epoch": state.epoch or 0}, state.global_step)
        self.training.log(row, step=state.global_step)
        self._seen["epochs"] += 1

    def metrics(self, state: Any, logs: Mapping[str, Any]) -> None:
        """Record what the trainer logs, at its step, under names with the role first."""
        if not state.is_world_process_zero:
            return
        every = self.options.log_every
        if "loss" in logs and (every == "epoch" or (isinstance(every, int) and state.global_step % every)):
            return
        numbers, others = renamed(logs)
        numbers = self._with_epoch(numbers, state.global_step)
        if numbers:
            self.training.log(numbers, step=state.global_step)
            self._seen["rows of metrics"] += 1
        for key in others:
            self._seen[f"values of {key} that are no numbers"] += 1

    def _with_epoch(self, row: dict[str, Any], step: int) -> dict[str, Any]:
        """The row, without the epoch where it stands at this step already."""
        if "epoch" in row and step <= self._epoch_at:
            return {key: value for key, value in row.items() if key != "epoch"}
        if "epoch" in row:
            self._epoch_at = step
        return row

    def predicted(self, state: Any, metrics: Mapping[str, Any]) -> None:
        """Record the metrics of `predict`, which the trainer itself does not log."""
        self.metrics(state, metrics)

    def checkpoint(self, state: Any) -> None:
        """Record the checkpoint folder that has just been written."""
        trainer = self._trainer()
        if trainer is None or not state.is_world_process_zero:
            return
        folder, about = facts.checkpoint(trainer, state)
        if os.path.isdir(folder):
            self._checkpoints.saved(folder, **about)
            self._seen["checkpoints"] += 1

    def returned(self, result: Any) -> None:
        """Finish the training after a normal return."""
        self._end(None)

    def raised(self, error: BaseException) -> None:
        """Finish the training with the exception, which propagates to the user."""
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if self._charge is not None:
            self._charge.release()
        trainer = self._trainer()
        with guarded("the end of a training"):
            if trainer is not None:
                facts.record_end(self.training, trainer)
            report_capture(self.training, "transformers", hooks=HOOKS, stopwatch=self.stopwatch, seen=dict(self._seen))
            self._checkpoints.finish()
        if error is None:
            self.training.finish()
        elif type(error).__name__ == "TrialPruned":
            self.training.set_tags({"pruned": "yes"})
            self.training.finish()
        else:
            self.training.finish(how_it_ended(error)[0], failure=error)


class HyperparameterSearch:
    """A hyperparameter search; its trials are child runs."""

    def __init__(self, trainer: Any, options: Options, given: Mapping[str, Any]) -> None:
        self._trainer = trainer
        self.training = begin_training(
            f"search-{type(trainer.model).__name__}" if trainer.model is not None else "search", "transformers",
            kind="search", run_name=options.name, experiment=options.experiment, tags=options.tags, run=options.run,
        )  # fmt: skip
        asked = {name: given[name] for name in ("n_trials", "direction", "backend") if name in given}
        if asked:
            self.training.log_params({"search": {name: facts.short(value) for name, value in asked.items()}})
        _searches[trainer] = self
        self._charge = ownership.take("transformers")

    def trial(self, trial: Any) -> Training:
        """Open the run of the next trial, and return its training."""
        number = getattr(trial, "number", None)
        params = trial if isinstance(trial, dict) else {}
        run = begin_trial(self.training, f"trial-{number}" if number is not None else "trial", params=params)
        return Training(run, 0, owns_run=True)

    def returned(self, result: Any) -> None:
        """Record the best trial, and finish the search."""
        self._release()
        with guarded("what a search found"):
            best = result[0] if isinstance(result, list) and result else result
            if getattr(best, "hyperparameters", None) is not None:
                self.training.log_params({"best_params": dict(best.hyperparameters), "best_trial": str(best.run_id)})
            if isinstance(getattr(best, "objective", None), (int, float)):
                self.training.log({"best_score": best.objective})
        self.training.finish()

    def raised(self, error: BaseException) -> None:
        """Finish the search with the exception that ended it."""
        self._release()
        self.training.finish(how_it_ended(error)[0], failure=error)

    def _release(self) -> None:
        self._charge.release()
        _searches.pop(self._trainer, None)
