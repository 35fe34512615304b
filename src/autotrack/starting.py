"""Opening runs: new ones, further attempts of old ones, implicit ones, and trainings inside them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from autotrack import announce, job, lifecycle, naming, notebook, ranks, requeuing
from autotrack import collector as collector_module
from autotrack.collector import Collector, active_run, collector, is_worker, recording_allowed
from autotrack.events import Failure, FinalStatus, RunKind, TrainingFinished
from autotrack.exceptions import InvalidValueError, RunActiveError
from autotrack.failures import describe_failure
from autotrack.housekeeping import Housekeeping
from autotrack.run import MetricRecorder, NullRun, Run, _now, silence
from autotrack.values import checked_key

_experiment: list[str] = []
collector_module.ambient = job.job_run


def set_experiment(name: str) -> None:
    """Name the experiment of all runs that start from now on in this process."""
    _experiment[:] = [checked_key(name)]


def experiment_name(owner: Collector, chosen: str | None = None) -> str:
    """The experiment of a new run: chosen, set, configured, or the name of the script."""
    return chosen or (_experiment[0] if _experiment else None) or owner.settings.experiment or naming.entry_name()


def start_run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    parent: Run | str | None = None,
    run_id: str | None = None,
    resume: Run | str | None = None,
    kind: RunKind = "run",
) -> Run:
    """Open a run; use it in a `with` block, or call `finish` on it.

    Inside another run the new one becomes its child, unless `parent` names one. With `run_id` the run gets that id;
    if there is such a run already, it is resumed: a further attempt of the same run. `resume` (an id, unique prefix,
    name or `last`) insists that there is one.

    Raises `RunActiveError` if the run is being written elsewhere, `NotFoundError` if there is nothing to resume,
    `InvalidValueError` for names, tags or params that cannot be kept.
    """
    return _start(
        name, experiment=experiment, tags=tags, params=params, parent=parent, run_id=run_id, resume=resume, kind=kind
    )


def _start(
    name: str | None,
    *,
    experiment: str | None,
    tags: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None,
    kind: RunKind,
    parent: Run | str | None = None,
    run_id: str | None = None,
    resume: Run | str | None = None,
    base: str | None = None,
) -> Run:
    """As `start_run`; without a name it gets the next one after `base`, by default the experiment's."""
    owner = collector()
    if not recording_allowed(automatic=False) or _follows(owner):
        silent = NullRun(owner, run_id or naming.new_run_id(), name=name or "off", experiment=experiment or "off")
        collector_module.push(silent)
        return silent
    shell = notebook.session()
    if shell is not None and parent is None:
        shell.make_way(owner)
    if run_id is not None or resume is not None:
        from autotrack.resuming import earlier_attempt

        wanted = resume.id if isinstance(resume, Run) else resume
        if run_id in owner.open_runs:
            raise RunActiveError(f"run {run_id} is already open in this process")
        earlier = earlier_attempt(owner, run_id=run_id, reference=wanted)
        if earlier is not None:
            return _open(earlier, params=params, tags=tags, resumed=True)
    owner.open_journal()
    around = _run_around()
    above = parent.id if isinstance(parent, Run) else parent or (around.id if around is not None else None)
    if above is None and run_id is None:
        left = requeuing.interrupted(owner, kind, experiment_name(owner, experiment), name)
        if left is not None:
            return _open(left, params=params, tags=tags, resumed=True)
    run = Run(
        owner,
        _checked_id(run_id) if run_id else naming.new_run_id(),
        name=checked_key(
            name or owner.settings.name or naming.numbered(owner.place.path, base or experiment_name(owner))
        ),
        experiment=experiment_name(owner, experiment or (around.experiment if around is not None else None)),
        kind=kind,
        parent=above,
    )
    return _open(run, params=params, tags={**owner.settings.tags, **(tags or {})}, resumed=False)


def _follows(owner: Collector) -> bool:
    """Whether this is a rank that records nothing but how its machine is doing; then that begins."""
    if not ranks.is_follower():
        return False
    if not is_worker():
        from autotrack.surroundings import follow

        lifecycle.install(owner)
        follow(owner)
    return True


def _run_around() -> Run | None:
    """The run that a new one begins in: not an implicit one, which ends here, nor another thread's training."""
    around = active_run()
    if around is not None and around.implicit:
        around.finish()
        return None
    if around is not None and around.kind in ("training", "search") and around.thread != threading.get_ident():
        return None
    return around


def _open(run: Run, *, params: Mapping[str, Any] | None, tags: Mapping[str, Any] | None, resumed: bool) -> Run:
    from autotrack.surroundings import record_surroundings

    _settle_in(run._collector)
    run.begin(resumed=resumed)
    collector_module.push(run)
    if tags:
        run.set_tags(tags)
    if params:
        run.log_params(params)
    announce.recording(run)
    record_surroundings(run)
    if run.parent is None:
        ranks.lead(run._collector.place.path, run.id)
        requeuing.remember(run)
    return run


def _settle_in(owner: Collector) -> None:
    lifecycle.install(owner)
    if not owner.pulses:
        owner.pulses.append(Housekeeping(owner))


def _checked_id(run_id: str) -> str:
    checked_key(run_id)
    if any(character in run_id for character in "/\\ \t\n~") or len(run_id) > 128 or run_id == "last":
        raise InvalidValueError(f"run id {run_id!r}: use up to 128 characters without spaces, slashes and '~'")
    return run_id


class Training(MetricRecorder):
    """One outermost `fit` or `train` of a model: in a run of its own, or as training `number` of an open run."""

    def __init__(self, run: Run, number: int, *, owns_run: bool) -> None:
        super().__init__(run._collector, run.id, number)
        self.run = run
        self.owns_run = owns_run
        self._attempt = run._attempt

    def finish(self, status: FinalStatus = "finished", failure: Failure | BaseException | None = None) -> None:
        """Record how the training ended; also ends the run, if it was opened for this training."""
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
    """A training that is not recorded: takes everything, keeps nothing."""

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
    """Begin a training or search called `name` (the estimator's or module's class).

    It belongs to `run`, if that is an open one, else to the active run. With no run open, it opens one of this kind,
    which is the active run until the training ends; an id as `run` names it, and resumes it if it exists.
    """
    if _follows(collector()):
        return NullTraining(start_run(), 0, owns_run=True)
    around = run if isinstance(run, Run) else None if run else _run_around()
    if isinstance(around, NullRun):
        return NullTraining(around, 0, owns_run=False)
    if around is not None:
        ranks.lead(around._collector.place.path, around.id)
        training = Training(around, around.next_training(name, framework, kind), owns_run=False)
        if tags:
            training.set_tags(tags)
        if params:
            training.log_params(params)
        return training
    opened = _start(
        run_name, experiment=experiment, tags=tags, params=params, run_id=run if isinstance(run, str) else None,
        kind=kind, base=name.lower(),
    )  # fmt: skip
    return Training(opened, 0, owns_run=True)


def begin_trial(
    search: Training, name: str, *, run_id: str | None = None, params: Mapping[str, Any], started: float | None = None
) -> Run:
    """Open the run of one candidate of a search, at little cost: it is nobody's active run, and looks at nothing.

    `started` is when it began, in seconds since the epoch, by default now.
    """
    above = search.run
    run = Run(
        above._collector, run_id or naming.new_run_id(), name=name, experiment=above.experiment, kind="trial",
        parent=above.id, parent_training=search.number,
    )  # fmt: skip
    run.thread = 0
    if started is not None:
        run.started = started
    run.begin()
    if params:
        run.log_params(params)
    return run


def run_for_late_facts() -> Run:
    """Where `autotrack.log` and its kin go: the active run, else the last one, else an implicit new one."""
    run = active_run()
    if run is not None:
        return run
    owner = collector()
    last = owner.last_runs.get(threading.get_ident())
    if last is not None and recording_allowed(automatic=False):
        return last
    run = start_run()
    run.implicit = True
    return run


__all__ = [
    "Training", "begin_training", "begin_trial", "experiment_name", "run_for_late_facts", "set_experiment", "start_run",
]  # fmt: skip
