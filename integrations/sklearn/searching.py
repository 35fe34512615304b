"""Searches: a search is a training of kind `search`, each of its candidates a run of kind `trial`."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from autotrack._guard import guarded
from autotrack.events import RunKind
from autotrack.instrument.patching import Observer
from autotrack.integrations.sklearn.candidates import MOST_CANDIDATES, Candidates, metric_name
from autotrack.integrations.sklearn.facts import candidate_params, varied_params
from autotrack.integrations.sklearn.fitting import Fit, Preprocessing
from autotrack.integrations.sklearn.places import RESULTS, SPLIT
from autotrack.integrations.sklearn.worker_candidates import ListeningFit, WorkerCarrier, Workers, works_in_processes
from autotrack.recording.failures import describe_failure
from autotrack.recording.lifecycle.trainings import NullTraining, Training

_this_thread = threading.local()


class Search(ListeningFit):
    """The fit of a `GridSearchCV` or another search."""

    kind: RunKind = "search"
    candidates: Candidates | None = None
    _unseen = 0
    _carrier: WorkerCarrier | None = None
    _workers: Workers | None = None

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Open the training of the search; candidates' runs are opened as they are evaluated."""
        super().begin(args, kwargs)
        if self._training is not None and not isinstance(self._training, NullTraining):
            metric = metric_name(getattr(self._estimator, "scoring", None))
            varied: list[str] = []
            with guarded("the parameters of a search's candidates"):
                varied = varied_params(self._estimator)
            self.candidates = Candidates(self._training, metric, varied)
            if works_in_processes(self._estimator):
                self._workers = Workers(self._training.collector, self.candidates, self._estimator)
                self._carrier = WorkerCarrier(pickle.dumps(self._training), metric, varied)
                self.listen(self._carrier)

    def measure(self) -> None:
        """Set `duration`, detach the callback and read the workers' remaining events."""
        super().measure()
        if self._workers is not None:
            self._workers.close()

    def is_of(self, estimator: Any) -> bool:
        """Whether this is the fit of `estimator` (by identity)."""
        return self._estimator is estimator

    def format(self, parameters: Any, splits: int, results: Any) -> None:
        """Record, after a round of candidates, those whose splits were not observed."""
        if self.candidates is None:
            return
        if self._workers is not None:
            with guarded("what workers recorded"):
                self._workers.listen()
        self._unseen += self.candidates.complete(parameters, splits, results)
        if self._carrier is not None:
            self._carrier.first = self.candidates.count

    def finished(self) -> None:
        """Record the candidates' summaries and the best candidate, then the results of any fit."""
        if self._training is not None and self.candidates is not None:
            with guarded("the candidates of a search"):
                self._sum_up(self._training, self.candidates)
        super().finished()

    def failed(self, error: BaseException) -> None:
        """Finish the candidates still being evaluated, then record the exception."""
        if self.candidates is not None:
            with guarded("the candidates of a search"):
                self.candidates.close()
        super().failed(error)

    @property
    def _model(self) -> Any:
        return vars(self._estimator).get("best_estimator_")

    def _sum_up(self, training: Training, candidates: Candidates) -> None:
        found = vars(self._estimator)
        candidates.close()
        candidates.summarise(found.get("cv_results_", {}))
        best = found.get("best_params_")
        if best is not None:
            params = candidate_params(best, candidates.varied)
            training.log_params({"best_params": params.chosen})
            if params.default:
                training.log_params({"best_params": params.default}, origin="default")
        values = {"best_score": found.get("best_score_"), "best_index": found.get("best_index_")}
        values |= {"refit_time": found.get("refit_time_"), "n_splits": found.get("n_splits_")}
        values["n_candidates"] = candidates.count
        training.log({name: value for name, value in values.items() if value is not None})
        scorers = found.get("scorer_")
        if isinstance(scorers, Mapping):
            training.log_params({"scorers": list(scorers)}, origin="config")
        if self._unseen:
            message = f"of {self._unseen:,} candidates it is known how long they took, not when: they ran in workers"
            training.report("candidates", message, level="info")
        if candidates.count > MOST_CANDIDATES:
            message = f"only the first {MOST_CANDIDATES:,} of {candidates.count:,} have a run of their own"
            training.report("candidates", message, count=candidates.count - MOST_CANDIDATES)
        if self._model is None:
            training.report("model", "none to keep: the search refits none (refit=False)", level="info")


class Searches:
    """Observes the splits that scikit-learn evaluates in this process, and records them with their search."""

    def __init__(
        self,
        under_way: Collection[Fit | Preprocessing],
        outermost: Callable[[], Fit | Preprocessing | None],
        level: Callable[[], int],
    ) -> None:
        self._under_way = under_way
        self._outermost = outermost
        self._level = level

    def observers(self) -> dict[str, Observer]:
        """The observers of the functions with which searches evaluate candidates, by key."""
        return {SPLIT: self._on_split, RESULTS: self._on_results}

    def _on_split(self, wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Split | None:
        if getattr(_this_thread, "inside", False):
            return None  # a split of a search inside a search
        search = self._search_of(kwargs)
        if search is None or search.candidates is None or kwargs.get("candidate_progress") is None:
            return None
        (number, of), (split, splits) = kwargs["candidate_progress"], kwargs["split_progress"]
        row = search.candidates.row(number, of, split)
        search.candidates.began(row, kwargs["parameters"] or {}, splits, time.time())
        _this_thread.inside = True
        return _Split(search.candidates, row, split)

    def _on_results(self, wrapped: Any, search: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        given = dict(zip(("candidate_params", "n_splits", "out"), args, strict=False)) | dict(kwargs)
        for fit in tuple(self._under_way):
            if isinstance(fit, Search) and fit.is_of(search):
                fit.format(given["candidate_params"], given["n_splits"], given["out"])

    def _search_of(self, kwargs: Mapping[str, Any]) -> Search | None:
        """The search that a split belongs to: `caller` since scikit-learn 1.9, before that inferred from context."""
        searches = [fit for fit in tuple(self._under_way) if isinstance(fit, Search)]
        if "caller" in kwargs:
            return next((search for search in searches if search.is_of(kwargs["caller"])), None)
        outermost = self._outermost()
        if outermost is not None and outermost.active:
            return outermost if isinstance(outermost, Search) else None
        level = self._level()
        above = [search for search in searches if search.level < level]
        return above[0] if len(above) == 1 else None


class _Split:
    """Watch of the evaluation of one split of one candidate."""

    def __init__(self, candidates: Candidates, row: int, split: int) -> None:
        self._candidates = candidates
        self._row = row
        self._split = split

    def returned(self, result: Any) -> None:
        _this_thread.inside = False
        self._candidates.ended(self._row, self._split, result)

    def raised(self, error: BaseException) -> None:
        _this_thread.inside = False
        self._candidates.failed(self._row, describe_failure(error), interrupted=not isinstance(error, Exception))


def is_search(estimator: Any) -> bool:
    """Whether `estimator` is a search of scikit-learn, or a third party's subclass of one."""
    module = sys.modules.get("sklearn.model_selection._search")
    return module is not None and isinstance(estimator, module.BaseSearchCV)
