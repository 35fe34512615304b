"""What happens inside a fit is recorded while it happens, also in worker processes, and leaves no trace behind."""

from __future__ import annotations

import copy
import itertools
import pickle
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
from joblib import parallel_backend
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - importing it makes the halving searches appear
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import autotrack
from autotrack import events
from autotrack.integrations.sklearn.candidates import Candidates
from autotrack.integrations.sklearn.iterative_fits import is_looked_at
from autotrack.integrations.sklearn.worker_candidates import Workers
from autotrack.journal.reader import journals
from autotrack.recording.collector import collector
from autotrack.recording.lifecycle.trainings import begin_training

callback = pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

X, y = load_breast_cancer(return_X_y=True)
X, y = X[::3, :6], y[::3]

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers need not find this file


class Waiting(ClassifierMixin, BaseEstimator):
    """A classifier that announces that it is being fitted, and waits for a file."""

    def __init__(self, number=0, folder=None):
        self.number = number
        self.folder = folder

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        deadline = time.monotonic() + 170
        while self.number and not (Path(self.folder) / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class Fragile(ClassifierMixin, BaseEstimator):
    """A classifier that cannot be fitted with some parameters."""

    def __init__(self, good=True):
        self.good = good

    def fit(self, X, y):
        if not self.good:
            raise ValueError("no such luck")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class Counting:
    """A user's own callback: counts the tasks that end in this process."""

    def __init__(self):
        self.ended = 0

    def setup(self, estimator, context):
        self.first = estimator._skl_callbacks[0] is self

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.ended += 1


def _trials(seen):
    return sorted((one for one in seen() if one.kind == "trial"), key=lambda one: int(one.name.rpartition("/")[2]))


def test_candidates_in_worker_processes_have_their_real_times(autolog, seen, recorded):
    """Workers write into journals of their own and open no run; the times are those of the splits."""
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4]}, cv=3, n_jobs=2)
    search.fit(X, y)
    writers = {}
    for journal in journals(collector().place.journals):
        writers.setdefault(journal.header.pid, []).extend(type(event).__name__ for event in journal.read(0).events)
    (owner,) = [pid for pid, events in writers.items() if "RunStarted" in events]
    assert any("MetricRows" in events for pid, events in writers.items() if pid != owner)
    trials = _trials(seen)
    rows = {event.run: event for event in recorded() if type(event).__name__ == "MetricRows"}
    assert len(trials) == 4
    for row, trial in enumerate(trials):
        assert trial.status == "finished"
        assert sorted(trial.history["val/score.split"]) == [
            (split, search.cv_results_[f"split{split}_test_score"][row]) for split in range(3)
        ]
        assert trial.run in rows
        assert trial.started < trial.ended
    (run,) = [one for one in seen() if one.kind == "search"]
    assert run.started <= trials[0].started
    assert run.reported("candidates") == []


def test_a_candidate_in_a_worker_is_a_run_while_it_runs(autolog, seen, tmp_path):
    """Before the first fit of a candidate has ended, its run is open; a candidate that is done is finished."""
    search = GridSearchCV(Waiting(folder=str(tmp_path)), {"number": [0, 1]}, cv=2, n_jobs=2, refit=False)
    thread = threading.Thread(target=search.fit, args=(X, y))
    thread.start()
    deadline = time.monotonic() + 170
    trials = []
    while len(trials) < 2 and time.monotonic() < deadline and thread.is_alive():
        for pulse in tuple(collector().pulses):
            pulse()
        trials = [trial for trial in _trials(seen) if trial.params]  # which are in another journal than its beginning
    statuses = {trial.params["number"]: trial.status for trial in trials}
    (tmp_path / "go").touch()
    thread.join()
    assert statuses[1] == "running"
    assert [trial.status for trial in _trials(seen)] == ["finished", "finished"]


class Journal:
    """Stands in for the journal of a worker: `batches` has the events of each reading."""

    def __init__(self, name, batches):
        self.id = name
        self.batches = iter(batches)

    def committed(self):
        return 0

    def read(self, position):
        return SimpleNamespace(end=position + 1, events=list(next(self.batches, ())))


def _split(candidates, number, begun, ended):
    """What a worker writes of a split of the first candidate, at its beginning and at its end."""
    run, frame = candidates.id(0), events.Frame(run=candidates.id(0), keys=("val/score.split",), types="d")
    return (
        events.Params(run=run, time=begun, values={"depth": "1"}),
        events.MetricRows(frame, np.array([number]), np.array([ended]), (np.array([0.5]),)),
    )


@pytest.mark.parametrize("late", ["both", "the end"])
def test_a_candidate_lasts_from_the_first_beginning_to_the_last_end(autolog, seen, monkeypatch, late):
    """Also where the split that begins and ends first is read last: journals are read one after the other."""
    training = begin_training("GridSearchCV", "sklearn", kind="search")
    candidates = Candidates(training)
    moment = time.time() + 3600 if late == "both" else 1.0  # written while the second is read, or long before
    begun, ended = _split(candidates, 0, moment, moment + 2)
    first = Journal("first", [[], [begun, ended]] if late == "both" else [[begun], [ended]])
    second = Journal("second", [_split(candidates, 1, moment + 1, moment + 3)])
    monkeypatch.setattr(Workers, "_journals", lambda _: [first, second])
    workers = Workers(collector(), candidates, SimpleNamespace(n_splits_=2))
    for pulse in tuple(collector().pulses):
        pulse()
    workers.close()
    training.finish()
    (trial,) = [one for one in seen() if one.kind == "trial"]
    assert (trial.started, trial.ended, trial.status) == (moment, moment + 3, "finished")


def test_a_heartbeat_that_comes_after_the_search_opens_nothing(autolog, seen, monkeypatch):
    """It may have waited for the last look at the journals: a candidate's run that it opened would never end."""
    training = begin_training("GridSearchCV", "sklearn", kind="search")
    candidates = Candidates(training)
    monkeypatch.setattr(Workers, "_journals", lambda _: [Journal("late", [[], _split(candidates, 0, 1.0, 2.0)])])
    workers = Workers(collector(), candidates, SimpleNamespace(n_splits_=2))
    workers.close()
    workers.listen_now_and_then()
    training.finish()
    assert [one.kind for one in seen()] == ["search"]


def test_candidates_that_were_not_observed_lie_within_their_search(autolog, seen):
    """Their splits ran side by side: the sum of the durations may be longer than the whole search."""
    training = begin_training("GridSearchCV", "sklearn", kind="search")
    candidates = Candidates(training)
    result = {"test_scores": 0.5, "fit_time": 1800.0, "score_time": 0.0}
    assert candidates.complete([{"depth": 1}], 2, [result, result]) == 1
    training.finish()
    search, trial = seen()
    assert search.started <= trial.started <= trial.ended <= search.ended


def test_rounds_of_a_halving_search_in_workers_are_told_apart(autolog, seen):
    """The same candidate in a later round is another run, with the scores of that round."""
    search = HalvingGridSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4]}, cv=2, factor=2, min_resources=40,
        random_state=0, n_jobs=2,
    ).fit(X, y)  # fmt: skip
    trials = _trials(seen)
    table = search.cv_results_
    assert [trial.params["max_depth"] for trial in trials] == [params["max_depth"] for params in table["params"]]
    for row, trial in enumerate(trials):
        assert sorted(trial.history["val/score.split"]) == [(k, table[f"split{k}_test_score"][row]) for k in range(2)]


def test_a_failure_in_a_worker_is_the_candidates(autolog, seen):
    """With `error_score="raise"` the search fails with the user's exception, and the candidate is the failed one."""
    search = GridSearchCV(Fragile(), {"good": [True, False]}, cv=2, n_jobs=2, error_score="raise")
    with pytest.raises(ValueError, match="no such luck"):
        search.fit(X, y)
    (run,) = [one for one in seen() if one.kind == "search"]
    assert run.status == "failed"
    failed = {trial.params["good"]: trial.failure for trial in _trials(seen) if trial.status == "failed"}
    assert failed[False].message == "no such luck"
    assert "Fragile" not in vars(search)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_search_is_afterwards_what_it_was(autolog, own, fails):
    """Its dictionary, pickles, copies and clones know nothing of the callback; the user's own are where they were."""
    search = GridSearchCV(Fragile(good=not fails), {"good": [not fails]}, cv=2, n_jobs=2, error_score="raise")
    counting = Counting()
    if own:
        search.set_callbacks(counting)
    before, callbacks = list(vars(search)), vars(search).get("_skl_callbacks")
    with suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    assert list(vars(search))[: len(before)] == before
    assert vars(search).get("_skl_callbacks") is callbacks
    assert callbacks == ([counting] if own else None)
    if own:
        assert counting.first
        assert counting.ended == (0 if fails else 3)  # the search itself, its candidates, the refit
    for other in (clone(search), copy.deepcopy(search), pickle.loads(pickle.dumps(search))):
        assert b"autotrack" not in pickle.dumps(other)


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_every_backend_gives_the_same_results(autolog, seen, backend):
    """Candidates, scores and the order of ranks do not depend on where they were evaluated."""
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}, cv=2)
    plain = clone(search).fit(X, y)
    with parallel_backend(backend, n_jobs=2):
        search.fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    trials = _trials(seen)
    assert len(trials) == 4
    for one in (trials[:2], trials[2:]):
        assert len({trial.metrics["val/score.mean"] for trial in one}) == 1


def test_each_iteration_of_a_solver_is_recorded(autolog, only):
    """The log loss of the training data after every iteration of a logistic regression, as the solver goes."""
    scaled = StandardScaler().fit_transform(X)
    fitted = LogisticRegression().fit(scaled, y)
    run = only()
    *losses, final = run.history["train/log_loss"]
    assert [step for step, _ in losses] == list(range(int(fitted.n_iter_[0])))
    assert losses[-1][1] == pytest.approx(log_loss(y, fitted.predict_proba(scaled)), rel=1e-6)
    assert final[1] == losses[-1][1]
    assert losses[0][1] > losses[-1][1]


def test_listening_to_a_solver_changes_nothing(autolog):
    """Coefficients, attributes, the user's own callbacks and pickles are those of a fit that nobody listens to."""
    counting = Counting()
    heard = LogisticRegression(max_iter=30).set_callbacks(counting).fit(X, y)
    ended = counting.ended
    assert vars(heard)["_skl_callbacks"] == [counting]
    autotrack.autolog(disable=True)
    plain = LogisticRegression(max_iter=30).set_callbacks(Counting()).fit(X, y)
    assert vars(plain)["_skl_callbacks"][0].ended == ended
    np.testing.assert_array_equal(heard.coef_, plain.coef_)
    assert list(vars(heard)) == list(vars(plain))
    assert b"autotrack" not in pickle.dumps(heard)


def test_of_many_iterations_some_are_looked_at(autolog, only, monkeypatch):
    """Each of the first 24, then ever fewer, by their number alone; the report says how many, and of which rows."""
    monkeypatch.setattr("autotrack.integrations.sklearn.iterative_fits.MOST_ROWS", 50)
    fitted = LogisticRegression(max_iter=1000, C=1e4).fit(X * [1, 100, 1, 1, 1, 1], y)
    (iterations,) = fitted.n_iter_
    run = only()
    steps = [step for step, _ in run.history["train/log_loss"]]
    assert iterations > 48
    assert steps[:26] == [*range(24), 24, 26]
    kept, sample = [report for report in run.reports if report.what == "metrics per iteration"]
    assert f"the loss of {len(steps) - 1} of {iterations} iterations" in kept.message
    assert "48 of 190 rows" in sample.message


def test_the_number_of_losses_is_bounded_by_the_number_of_iterations():
    """Some hundred of thousands of iterations, and never two neighbours left out among the first."""
    looked_at = [number for number in range(100_000) if is_looked_at(number)]
    assert len(looked_at) < 175
    assert sum(number < 2_338 for number in looked_at) == 103
    assert max(after - before for before, after in itertools.pairwise(looked_at[:37])) == 2
