"""Optuna: a study is recorded as a run of kind `search`, each of its trials as a child run, while it runs.

Trainings inside an objective belong to its trial. Studies that another framework runs for a search of its own are
recorded by that framework's integration.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar

from autotrack._guard import guarded
from autotrack.events import FinalStatus
from autotrack.instrument.patching import Watch
from autotrack.integrations.base import Integration
from autotrack.recording import collector as collector_module
from autotrack.recording.collector import is_worker, recording_allowed
from autotrack.recording.failures import how_it_ended
from autotrack.recording.lifecycle.trainings import Training, begin_training, begin_trial
from autotrack.recording.run import Run
from autotrack.training.ownership import training_in_charge

REPORTED = "objective.reported"  # values of a trial on its way, which are not its result
OPTIMIZE, ASK, TELL, SUGGEST, REPORT = (f"optuna.{word}" for word in ("optimize", "ask", "tell", "suggest", "report"))


class OptunaIntegration(Integration):
    """Records studies that are run by `optimize` or by `ask` and `tell`."""

    watches: ClassVar[tuple[str, ...]] = ("optuna.study", "optuna.trial")
    distribution: ClassVar[str] = "optuna"
    requires: ClassVar[str] = ">=3.4"

    def install(self) -> None:
        """Patch the methods of studies and trials."""
        studies, trials = sys.modules.get("optuna.study.study"), sys.modules.get("optuna.trial._trial")
        telling = sys.modules.get("optuna.study._tell")
        if studies is None or trials is None or telling is None:
            return  # not all imported yet: called again after the other watched module
        self._searches: weakref.WeakKeyDictionary[Any, StudyTraining] = weakref.WeakKeyDictionary()
        self._trials: weakref.WeakKeyDictionary[Any, Run] = weakref.WeakKeyDictionary()
        for key, observer in (
            (OPTIMIZE, self._on_optimize), (ASK, self._on_ask), (TELL, self._on_tell), (SUGGEST, self._on_suggest),
            (REPORT, self._on_report),
        ):  # fmt: skip
            self.patches.observe(key, observer)
        self.patches.method(studies.Study, "optimize", OPTIMIZE)
        self.patches.method(studies.Study, "ask", ASK)
        self.patches.method(trials.Trial, "_suggest", SUGGEST)
        self.patches.method(trials.Trial, "report", REPORT)
        self.patches.function(telling._tell_with_warning, TELL)

    def _on_optimize(self, wrapped: Any, study: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not _is_ours() or study in self._searches:
            return None
        names = ("func", "n_trials", "timeout", "n_jobs")
        given = {**dict(zip(names, args, strict=False)), **{name: kwargs[name] for name in names if name in kwargs}}
        return _Optimizing(self, study, self._search(study, given))

    def _search(self, study: Any, given: Mapping[str, Any]) -> StudyTraining:
        found = self._searches.get(study)
        if found is None:
            found = self._searches[study] = StudyTraining(study, self.options, given)
        return found

    def _on_ask(self, wrapped: Any, study: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return _Asked(self, study) if _is_ours() or study in self._searches else None

    def _on_suggest(self, wrapped: Any, trial: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        run = self._trials.get(trial)
        name = args[0] if args else kwargs.get("name")
        return None if run is None or name is None else _Suggested(run, str(name))

    def _on_report(self, wrapped: Any, trial: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        run = self._trials.get(trial)
        given = {**dict(zip(("value", "step"), args, strict=False)), **kwargs}
        if run is not None:
            run.log({REPORTED: float(given["value"])}, step=int(given["step"]))

    def _on_tell(self, wrapped: Any, nothing: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        given = {**dict(zip(("study", "trial"), args, strict=False)), **kwargs}
        trial = given["trial"]
        if isinstance(trial, int):  # `tell` was given the trial's number
            trial = next((one for one in self._trials if one.number == trial and one.study is given["study"]), None)
        run = self._trials.get(trial) if trial is not None else None
        return None if run is None else _Told(run, trial)


class StudyTraining:
    """The training that records a study."""

    def __init__(self, study: Any, options: Any, given: Mapping[str, Any]) -> None:
        name = "study" if study.study_name.startswith("no-name-") else study.study_name  # Optuna makes up the first
        self.training: Training = begin_training(
            name, "optuna", kind="search", run_name=options.name, experiment=options.experiment,
            tags=options.tags, run=options.run,
        )  # fmt: skip
        with guarded("what a study was asked for"):
            self.training.log_params(
                {
                    "study": study.study_name,
                    "directions": [direction.name.lower() for direction in study.directions],
                    "sampler": type(study.sampler).__name__,
                    "pruner": type(study.pruner).__name__,
                    "storage": type(study._storage).__name__,
                    **{name: value for name, value in given.items() if value is not None},
                }
            )

    def finish(self, study: Any, error: BaseException | None) -> None:
        """Record the trials' states, the best trial and the study's outcome, and finish the training."""
        with guarded("what a study found"):
            trials = study.get_trials(deepcopy=False)
            counts: dict[str, int] = {}
            for trial in trials:
                counts[trial.state.name.lower()] = counts.get(trial.state.name.lower(), 0) + 1
            self.training.log({f"trials/{state}": count for state, count in counts.items()})
            best = study.best_trials if counts.get("complete") else []
            if len(study.directions) > 1:
                self.training.log_params({"best_trials": [trial.number for trial in best]})
            elif best:
                self.training.log_params({"best_params": best[0].params, "best_trial": best[0].number})
                self.training.log(_objectives(best[0].values, "best_score"))
        if error is None:
            self.training.finish()
        else:
            self.training.finish(how_it_ended(error)[0], failure=error)


class _Optimizing:
    """Watch of `optimize`: finishes the study's training."""

    def __init__(self, owner: OptunaIntegration, study: Any, search: StudyTraining) -> None:
        self._owner = owner
        self._study = study
        self._search = search

    def returned(self, result: Any) -> None:
        self._owner._searches.pop(self._study, None)
        self._search.finish(self._study, None)

    def raised(self, error: BaseException) -> None:
        self._owner._searches.pop(self._study, None)
        self._search.finish(self._study, error)


class _Asked(Watch):
    """Watch of `ask`: opens a run for the new trial."""

    def __init__(self, owner: OptunaIntegration, study: Any) -> None:
        self._owner = owner
        self._study = study

    def returned(self, trial: Any) -> None:
        search = self._owner._search(self._study, {})
        run = begin_trial(search.training, f"trial-{trial.number}", params=dict(trial.params))
        self._owner._trials[trial] = run
        collector_module.push(run)


class _Suggested(Watch):
    """Watch of a trial's `_suggest`: records the value of the parameter."""

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self._name = name

    def returned(self, value: Any) -> None:
        self._run.log_params({self._name: value})


class _Told(Watch):
    """Watch of `tell`: records a trial's outcome and finishes its run."""

    def __init__(self, run: Run, trial: Any) -> None:
        self._run = run
        self._trial = trial

    def returned(self, result: Any) -> None:
        state, values = result[0].name, result[1]
        if values and state == "COMPLETE":  # a pruned trial's value is the last one that it reported
            self._run.log(_objectives(values, "objective"))
        if state == "PRUNED":
            self._run.set_tags({"pruned": "yes"})
        status: FinalStatus = "failed" if state == "FAIL" else "finished"
        attributes = self._trial.user_attrs
        if attributes:
            self._run.log_params({"user_attrs": attributes})
        self._run.finish(status)


def _objectives(values: Any, name: str) -> dict[str, float]:
    if len(values) == 1:
        return {name: float(values[0])}
    return {f"{name}.{number}": float(value) for number, value in enumerate(values)}


def _is_ours() -> bool:
    return not is_worker() and recording_allowed() and training_in_charge() is None
