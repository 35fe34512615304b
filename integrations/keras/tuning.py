"""KerasTuner: a search is a run of kind "search", each trial a child of it, each execution a training of the trial."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from autotrack._guard import guarded
from autotrack.instrument.patching import Patches, Watch
from autotrack.integrations.keras.options import KerasOptions
from autotrack.recording.collector import recording_allowed
from autotrack.recording.failures import how_it_ended
from autotrack.recording.lifecycle.trainings import Training, begin_training, begin_trial
from autotrack.recording.run import Run

SEARCH = "keras_tuner.search"
TRIAL = "keras_tuner.trial"
TRIAL_END = "keras_tuner.trial_end"

_search: ContextVar[TunerSearch | None] = ContextVar("autotrack_keras_search", default=None)


class TunerSearch:
    """One call of a tuner's `search`."""

    def __init__(self, tuner: Any, options: KerasOptions) -> None:
        self._tuner = tuner
        self._trials: dict[str, Run] = {}
        self._failures: dict[str, BaseException] = {}
        self.trial: Run | None = None
        kind, oracle = type(tuner), tuner.oracle
        self.training: Training = begin_training(
            kind.__name__, "keras_tuner", run_name=options.name, experiment=options.experiment, tags=options.tags,
            run=options.run, kind="search", params={"tuner": kind.__name__},
        )  # fmt: skip
        with guarded("the settings of a search"):
            self.training.log_params(_settings(tuner, oracle))

    def trial_begins(self, trial: Any) -> None:
        """Open the run of a trial that is about to start."""
        self.trial = self._trials[trial.trial_id] = begin_trial(
            self.training, f"trial-{trial.trial_id}", params=dict(trial.hyperparameters.values)
        )

    def trial_left(self, trial: Any, error: BaseException | None) -> None:
        """Note the end of a trial's executions, and their error; its score comes later, with `trial_ended`."""
        self.trial = None
        if error is not None:
            self._failures[trial.trial_id] = error
            if not isinstance(error, Exception):
                self._finish(trial.trial_id, how_it_ended(error)[0])

    def trial_ended(self, trial: Any) -> None:
        """Record the score that the tuner has settled on for a trial, and finish the trial's run."""
        run = self._trials.get(trial.trial_id)
        if run is None:
            return
        ended = self._tuner.oracle.get_trial(trial.trial_id)
        if ended.score is not None:
            run.log({f"objective/{_objective(self._tuner.oracle)}": ended.score}, ended.best_step or 0)
            run.log_params({"best_step": ended.best_step})
        self._finish(trial.trial_id, "finished" if str(ended.status) == "COMPLETED" else "failed")

    def _finish(self, trial: str, status: Any) -> None:
        run = self._trials.pop(trial, None)
        if run is not None:
            run.finish(status, failure=self._failures.pop(trial, None))

    def finished(self) -> None:
        """Record the best trial, and finish the search."""
        with guarded("the results of a search"):
            best = self._tuner.oracle.get_best_trials(1)
            if best:
                self.training.log_params(
                    {
                        "best.trial": best[0].trial_id,
                        "best.score": best[0].score,
                        "best": dict(best[0].hyperparameters.values),
                    }
                )
                self.training.log({f"best/{_objective(self._tuner.oracle)}": best[0].score})
        self._end("finished", None)

    def failed(self, error: BaseException) -> None:
        """End the search with the exception that left it."""
        status, _ = how_it_ended(error)
        self._end("killed" if status == "finished" else status, error)

    def _end(self, status: Any, error: BaseException | None) -> None:
        for trial in tuple(self._trials):
            self._finish(trial, "failed" if status == "finished" else status)
        self.training.finish(status, error)


def current_trial() -> Run | None:
    """The run of the KerasTuner trial that this thread is in; None outside of one."""
    search = _search.get()
    return None if search is None else search.trial


class TunerHooks:
    """Observes the tuners of KerasTuner."""

    def __init__(self, patches: Patches, options: Any) -> None:
        self._patches = patches
        self._options = options

    def install(self, base: type) -> None:
        """Observe `base`, the class of all tuners."""
        for name, key, observer in (
            ("search", SEARCH, self._on_search),
            ("_run_and_update_trial", TRIAL, self._on_trial),
            ("on_trial_end", TRIAL_END, self._on_trial_end),
        ):
            self._patches.observe(key, observer)
            self._patches.method(base, name, key)

    def _on_search(self, wrapped: Any, tuner: Any, args: Any, kwargs: Mapping[str, Any]) -> _SearchWatch | None:
        if _search.get() is not None or not recording_allowed():
            return None
        search = TunerSearch(tuner, self._options())
        _search.set(search)
        return _SearchWatch(search)

    def _on_trial(self, wrapped: Any, tuner: Any, args: Any, kwargs: Mapping[str, Any]) -> _TrialWatch | None:
        search = _search.get()
        if search is None or not args:
            return None
        search.trial_begins(args[0])
        return _TrialWatch(search, args[0])

    def _on_trial_end(self, wrapped: Any, tuner: Any, args: Any, kwargs: Mapping[str, Any]) -> _TrialEnd | None:
        search = _search.get()
        trial = args[0] if args else kwargs.get("trial")
        return None if search is None else _TrialEnd(search, trial)


class _SearchWatch:
    def __init__(self, search: TunerSearch) -> None:
        self._search = search

    def returned(self, result: Any) -> None:
        _search.set(None)
        self._search.finished()

    def raised(self, error: BaseException) -> None:
        _search.set(None)
        self._search.failed(error)


class _TrialWatch:
    def __init__(self, search: TunerSearch, trial: Any) -> None:
        self._search = search
        self._trial = trial

    def returned(self, result: Any) -> None:
        self._search.trial_left(self._trial, None)

    def raised(self, error: BaseException) -> None:
        self._search.trial_left(self._trial, error)


class _TrialEnd(Watch):
    def __init__(self, search: TunerSearch, trial: Any) -> None:
        self._search = search
        self._trial = trial

    def returned(self, result: Any) -> None:
        self._search.trial_ended(self._trial)


def _settings(tuner: Any, oracle: Any) -> dict[str, Any]:
    space = {part.name: part.get_config() for part in oracle.get_space().space}
    return {
        "oracle": type(oracle).__name__,
        "objective": _objective(oracle),
        "direction": getattr(oracle.objective, "direction", None),
        "max_trials": oracle.max_trials,
        "seed": getattr(oracle, "seed", None),
        "executions_per_trial": getattr(tuner, "executions_per_trial", 1),
        "space": {
            name: {
                key: value for key, value in config.items() if key not in ("name", "conditions") and value is not None
            }
            for name, config in space.items()
        },
    }


def _objective(oracle: Any) -> str:
    return str(getattr(oracle.objective, "name", oracle.objective))
