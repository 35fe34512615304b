"""Starting and finishing trainings (outermost calls of `fit` or `train`) and the trials of searches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from autotrack.events import Failure, FinalStatus, RunKind, TrainingFinished
from autotrack.ids import new_run_id
from autotrack.recording import ranks
from autotrack.recording.collector import collector
from autotrack.recording.failures import describe_failure
from autotrack.recording.lifecycle.start import follows, open_run, run_around, start_run
from autotrack.recording.metrics import MetricRecorder
from autotrack.recording.run import NullRun, Run, silence

_now = time.time


class Training(MetricRecorder):
    """One outermost `fit` or `train` of a model: in a run of its own, or as training `number` of an open run."""

    def __init__(self, run: Run, number: int, *, owns_run: bool, name: str = "") -> None:
        super().__init__(run.collector, run.id, number)
        self.run = run
        self.owns_run = owns_run
        self._attempt = run._attempt
        self._name = name

    @property
    def model_name(self) -> str:
        """The name of the trained model, unique within the run: `model`, `model-2`, …."""
        return "model" if self.number <= 1 else f"model-{self.number}"

    def _emit_params(self, values: dict[str, str], origin: str) -> None:
        super()._emit_params(values, origin)
        if self.number:
            hidden = self.run.clashes.trained(self._name, self.number, values, origin)
            if hidden:
                super()._emit_params(hidden, origin)

    def finish(self, status: FinalStatus = "finished", failure: Failure | BaseException | None = None) -> None:
        """Record the end of the training; also finishes the run if it was opened for this training."""
        if isinstance(failure, BaseException):
            failure = describe_failure(failure)
        if self.owns_run:
            self.run.finish(status, failure=failure)
        else:
            self.emit(TrainingFinished(run=self.id, time=_now(), training=self.number, status=status, failure=failure))

    def __reduce__(self) -> Any:
        return _in_worker, (self.run, self.number)


def _in_worker(run: Run, number: int) -> Training:
    return (NullTraining if isinstance(run, NullRun) else Training)(run, number, owns_run=False)


class NullTraining(Training):
    """A training that is not recorded: accepts every call and records nothing."""

    def finish(self, status: FinalStatus = "finished", failure: Failure | BaseException | None = None) -> None:
        if self.owns_run:
            self.run.finish(status)


silence(NullTraining)


def begin_training(
    name: str,
    framework: str,
    *,
    run_name: str | None = None,
    experiment: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    run: Run | str | None = None,
    kind: RunKind = "training",
) -> Training:
    """Begin a training or search named `name` (the estimator's or module's class).

    It is recorded in `run` if that is a `Run`, else in the active run. If there is none, a run of this kind is opened,
    which is active until the training ends. A string as `run` is the id of the run to open, or to resume if it exists.
    """
    if follows(collector()):
        return NullTraining(start_run(), 0, owns_run=True)
    around = run if isinstance(run, Run) else None if run else run_around()
    if isinstance(around, NullRun):
        return NullTraining(around, 0, owns_run=False)
    if around is not None:
        ranks.lead(around.collector.place, around.id)
        training = Training(around, around.next_training(name, framework, kind), owns_run=False, name=name.lower())
        if tags:
            training.set_tags(tags)
        if params:
            training.log_params(params)
        return training
    opened = open_run(
        run_name, experiment=experiment, tags=tags, params=params, run_id=run if isinstance(run, str) else None,
        kind=kind, base=name.lower(),
    )  # fmt: skip
    return Training(opened, 0, owns_run=True)


def begin_trial(
    search: Training, name: str, *, run_id: str | None = None, params: Mapping[str, Any], started: float | None = None
) -> Run:
    """Open the run of one trial of a search, without making it active and without capturing the environment.

    `started` is the time of its start in seconds since the epoch, by default now.
    """
    above = search.run
    run = Run(
        above.collector, run_id or new_run_id(), name=name, experiment=above.experiment, kind="trial",
        parent=above.id, parent_training=search.number,
    )  # fmt: skip
    run.thread = 0
    if started is not None:
        run.started = started
    run.begin()
    if params:
        run.log_params(params)
    return run
