"""Opening runs: new runs, further attempts of earlier runs, and implicit runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from autotrack._process import on_reset
from autotrack.events import RunKind
from autotrack.exceptions import InvalidValueError, RunActiveError
from autotrack.ids import new_run_id
from autotrack.recording import collector as collector_module
from autotrack.recording import messages, notebook, ranks
from autotrack.recording.collector import Collector, collector, is_worker, recording_allowed
from autotrack.recording.lifecycle import ending, job, names, requeue
from autotrack.recording.lifecycle.housekeeping import Housekeeping
from autotrack.recording.run import NullRun, Run, active_run, last_run
from autotrack.values import checked_key


class _Chosen:
    """Choices made in code that apply to all later runs."""

    experiment: str | None = None


_chosen = _Chosen()
collector_module.ambient = job.job_run


@on_reset
def forget() -> None:
    """Clear the experiment set by `set_experiment`."""
    _chosen.experiment = None


def set_experiment(name: str) -> None:
    """Set the experiment of all runs that start afterwards in this process."""
    _chosen.experiment = checked_key(name)


def experiment_name(owner: Collector, chosen: str | None = None) -> str:
    """The experiment of a new run: `chosen`, else from `set_experiment`, the settings, or the script's name."""
    return chosen or _chosen.experiment or owner.settings.experiment or names.entry_name()


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

    Inside another run the new one becomes its child, unless `parent` names one. With `run_id` the run gets that id; if
    a run of that id exists already, it is resumed: a further attempt of the same run. `resume` (an id, unique prefix,
    name or `last`) resumes a run that must exist.

    `RunActiveError` if the run is being written elsewhere, `NotFoundError` if `resume` names no run,
    `InvalidValueError` for names, tags or params that cannot be recorded.
    """
    return open_run(
        name, experiment=experiment, tags=tags, params=params, parent=parent, run_id=run_id, resume=resume, kind=kind
    )


def open_run(
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
    """As `start_run`; a run without a name is numbered after `base` (`base-12`), by default the experiment's name."""
    owner = collector()
    if not recording_allowed(automatic=False) or follows(owner):
        return _open_silently(
            NullRun(owner, run_id or new_run_id(), name=name or "off", experiment=experiment or "off")
        )
    shell = notebook.session()
    if shell is not None and parent is None:
        shell.make_way(owner)
    earlier = _resumed(owner, run_id, resume)
    if earlier is not None:
        return _open(earlier, params=params, tags=tags, resumed=True)
    owner.open_journal()
    around = run_around()
    above = _id_of(parent) or _id_of(around)
    if above is None and run_id is None:
        left = requeue.interrupted(owner, kind, experiment_name(owner, experiment), name)
        if left is not None:
            return _open(left, params=params, tags=tags, resumed=True)
    run = Run(
        owner,
        _checked_id(run_id) if run_id else new_run_id(),
        name=checked_key(name or owner.settings.name or names.numbered(owner.place, base or experiment_name(owner))),
        experiment=experiment_name(owner, experiment or (around.experiment if around is not None else None)),
        kind=kind,
        parent=above,
    )
    return _open(run, params=params, tags={**owner.settings.tags, **(tags or {})}, resumed=False)


def follows(owner: Collector) -> bool:
    """Whether this is a rank other than 0, which opens no runs; starts its system monitor as a side effect."""
    if not ranks.is_follower():
        return False
    if not is_worker():
        from autotrack.recording.lifecycle.environment_capture import follow

        ending.install(owner)
        follow(owner)
    return True


def run_around() -> Run | None:
    """The active run, as the parent of a new one; None if there is none or it is another thread's training.

    An implicit run is finished instead of becoming the parent.
    """
    around = active_run()
    if around is not None and around.implicit:
        around.finish()
        return None
    if around is not None and around.kind in ("training", "search") and around.thread != threading.get_ident():
        return None
    return around


def _resumed(owner: Collector, run_id: str | None, resume: Run | str | None) -> Run | None:
    """The next attempt of the run that the caller resumes, by a reference or by an id that exists; else None."""
    if run_id is None and resume is None:
        return None
    from autotrack.recording.lifecycle.resume import earlier_attempt

    if run_id in owner.open_runs:
        raise RunActiveError(f"run {run_id} is already open in this process")
    return earlier_attempt(owner, run_id=run_id, reference=_id_of(resume))


def _id_of(run: Run | str | None) -> str | None:
    return run.id if isinstance(run, Run) else run


def _open_silently(run: NullRun) -> NullRun:
    collector_module.push(run)
    return run


def _open(run: Run, *, params: Mapping[str, Any] | None, tags: Mapping[str, Any] | None, resumed: bool) -> Run:
    from autotrack.recording.lifecycle.environment_capture import record_surroundings

    _settle_in(run.collector)
    run.begin(resumed=resumed)
    collector_module.push(run)
    if tags:
        run.set_tags(tags)
    if params:
        run.log_params(params)
    messages.recording(run)
    record_surroundings(run)
    if run.parent is None:
        ranks.lead(run.collector.place, run.id)
        requeue.remember(run)
    return run


def _settle_in(owner: Collector) -> None:
    ending.install(owner)
    if not owner.pulses:
        owner.pulses.append(Housekeeping(owner))


def _checked_id(run_id: str) -> str:
    checked_key(run_id)
    if any(character in run_id for character in "/\\ \t\n~") or len(run_id) > 128 or run_id == "last":
        raise InvalidValueError(f"run id {run_id!r}: use up to 128 characters without spaces, slashes and '~'")
    return run_id


def run_for_late_facts() -> Run:
    """The run for facts logged by `autotrack.log` and the like: the active run, else the last run of this thread.

    Without either, an implicit run is opened; it ends when another run is started.
    """
    run = active_run()
    if run is not None:
        return run
    owner = collector()
    last = last_run(owner, threading.get_ident())
    if last is not None and recording_allowed(automatic=False):
        return last
    run = start_run()
    run.implicit = True
    return run
