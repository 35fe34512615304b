"""Searches are recorded whole: the search, every candidate as a run of its own, and which one is the best."""

from __future__ import annotations

import itertools
import pickle
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import sklearn
from joblib import parallel_backend
from scipy.stats import uniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - importing it makes the halving searches appear
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    ParameterGrid,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.model_selection._search import BaseSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import autotrack
from autotrack.journal.blobs import blob_path
from autotrack.models import load_model
from autotrack.recording.collector import collector

OURS = (
    str(Path(autotrack.__file__).parent),
    "<autotrack",
)  # files of the package, and functions that stand in for others
X, y = load_breast_cancer(return_X_y=True)
X, y = X[::3, :6], y[::3]

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers need not find this file


@pytest.fixture
def searched(seen):
    """The search that was recorded and its candidates, by number; nothing else was."""

    def read():
        search, *trials = sorted(seen(), key=lambda one: one.kind == "trial")
        assert search.kind == "search"
        assert all((one.kind, one.parent) == ("trial", search.run) for one in trials)
        return search, sorted(trials, key=lambda one: int(one.name.rpartition("/")[2]))

    return read


class Fragile(ClassifierMixin, BaseEstimator):
    """A classifier that cannot be fitted with some parameters."""

    def __init__(self, error=None, bias=0):
        self.error = error
        self.bias = bias

    def fit(self, X, y):
        if self.error is not None:
            raise self.error("no such luck")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self.bias])


def _check_against(table, trials, metric, splits):
    """Every candidate holds what `cv_results_` says of it."""
    assert len(trials) == len(table["params"])
    for row, trial in enumerate(trials):
        assert trial.params == dict(table["params"][row])
        scores = [(split, table[f"split{split}_test_score"][row]) for split in range(splits)]
        assert sorted(trial.history[f"val/{metric}.split"]) == scores
        assert trial.metrics[f"val/{metric}.mean"] == table["mean_test_score"][row]
        assert trial.history[f"val/{metric}"] == [(0, pytest.approx(table["mean_test_score"][row]))]
        assert trial.metrics[f"val/{metric}.std"] == table["std_test_score"][row]
        assert trial.metrics[f"val/{metric}.rank"] == table["rank_test_score"][row]
        assert trial.metrics["fit_time.mean"] == table["mean_fit_time"][row]
        assert np.mean([value for _, value in trial.history["fit_time"]]) == pytest.approx(table["mean_fit_time"][row])
        assert trial.status == "finished"
        assert not trial.models


@pytest.mark.parametrize(("jobs", "backend"), [(None, "loky"), (2, "threading"), (2, "loky")])
def test_every_candidate_of_a_grid_search_is_a_run_of_its_own(autolog, searched, jobs, backend):
    """Params, scores of every split, mean, deviation, rank, real times; the best on the search; one model."""
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 4]}, cv=3, n_jobs=jobs)
    with parallel_backend(backend):
        search.fit(X, y)
    run, trials = searched()
    assert (run.name, run.status) == ("gridsearchcv-1", "finished")
    assert [trial.name for trial in trials] == ["gridsearchcv-1/0", "gridsearchcv-1/1", "gridsearchcv-1/2"]
    _check_against(search.cv_results_, trials, "score", 3)
    assert run.params["param_grid.max_depth"] == [1, 2, 4]
    assert run.params["cv"] == 3
    assert run.params["best_params.max_depth"] == search.best_params_["max_depth"]
    assert run.metrics["best_score"] == search.best_score_
    assert run.metrics["best_index"] == search.best_index_
    assert run.metrics["refit_time"] == search.refit_time_
    assert (run.metrics["n_splits"], run.metrics["n_candidates"]) == (3, 3)
    assert sorted(run.history["val/score"]) == [
        (row, pytest.approx(mean)) for row, mean in enumerate(search.cv_results_["mean_test_score"])
    ]
    assert run.started <= min(trial.started for trial in trials)
    assert max(trial.ended for trial in trials) <= run.ended
    # three splits take at least as long as one of them, however many workers share them
    for trial, fit, score in zip(
        trials, search.cv_results_["mean_fit_time"], search.cv_results_["mean_score_time"], strict=True
    ):
        assert trial.ended - trial.started >= (fit + score) * 0.9


def test_candidates_that_run_one_after_another_do_so_in_the_record(autolog, searched):
    """No candidate begins before the one before it has ended."""
    GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2, 3, 4]}, cv=2).fit(X, y)
    _, trials = searched()
    for before, after in itertools.pairwise(trials):
        assert before.ended <= after.started


def test_the_search_keeps_the_model_of_its_best_candidate(autolog, searched):
    """What is kept is the refitted estimator, ready to predict."""
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1.0]}, cv=3).fit(X, y)
    run, _ = searched()
    files = {
        name.removeprefix("model/"): blob_path(collector().place.blobs, artifact.digest).read_bytes()
        for name, artifact in run.files.items()
    }
    loaded = load_model(files)
    assert type(loaded) is GaussianNB
    np.testing.assert_array_equal(loaded.predict(X), search.predict(X))
    assert run.metrics["train/accuracy"] == accuracy_score(y, search.predict(X))


def test_a_search_that_refits_nothing_keeps_no_model(autolog, searched):
    """With `refit=False` there is a best candidate but no model, and the report says so."""
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1.0]}, cv=2, refit=False).fit(X, y)
    run, trials = searched()
    assert run.models == {}
    assert "refit=False" in run.reported("model")[0]
    assert run.params["best_params.var_smoothing"] == search.best_params_["var_smoothing"]
    assert len(trials) == 2


def test_a_randomized_search_is_recorded_and_draws_what_it_would(autolog, searched):
    """The candidates are those of the search; the random numbers of the program are used as without autolog."""
    search = RandomizedSearchCV(
        LogisticRegression(max_iter=20), {"C": uniform(0.1, 10)}, n_iter=3, cv=2, random_state=3, scoring="f1"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
        autotrack.autolog(disable=True)
        again = clone(search).fit(X, y)
    run, trials = searched()
    assert search.cv_results_["params"] == again.cv_results_["params"]
    _check_against(search.cv_results_, trials, "f1", 2)
    assert sorted(step for step, _ in run.history["val/f1"]) == [0, 1, 2]


@pytest.mark.parametrize("kind", [HalvingGridSearchCV, HalvingRandomSearchCV])
def test_every_round_of_a_halving_search_is_recorded(autolog, searched, kind):
    """A candidate that survives is evaluated anew with more resources: a run per row of `cv_results_`."""
    search = kind(
        DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4, 5, 6]}, cv=2, min_resources=40,
        random_state=0, factor=2,
    )  # fmt: skip
    search.fit(X, y)
    run, trials = searched()
    table = search.cv_results_
    assert len(set(table["iter"])) > 1
    _check_against(table, trials, "score", 2)
    assert [trial.metrics["iter"] for trial in trials] == table["iter"].tolist()
    assert [trial.metrics["n_resources"] for trial in trials] == table["n_resources"].tolist()
    assert run.metrics["n_candidates"] == len(table["params"])


class OneByOne(BaseSearchCV):
    """A third party's search: asks for one candidate after another, each chosen when the last is known."""

    def __init__(self, estimator, grid, cv=None, n_jobs=None):
        super().__init__(estimator=estimator, cv=cv, n_jobs=n_jobs)
        self.grid = grid

    def _run_search(self, evaluate_candidates):
        for candidate in ParameterGrid(self.grid):
            evaluate_candidates([candidate])


@pytest.mark.parametrize("jobs", [None, 2])
def test_a_third_partys_search_is_recorded_with_no_extra_work(autolog, searched, jobs):
    """A subclass of `BaseSearchCV` with rounds of its own: every candidate once, in order."""
    search = OneByOne(GaussianNB(), {"var_smoothing": [1e-9, 1e-3, 1.0]}, cv=2, n_jobs=jobs)
    search.fit(X, y)
    run, trials = searched()
    assert run.name == "onebyone-1"
    _check_against(search.cv_results_, trials, "score", 2)


def test_the_best_candidate_is_the_one_of_the_best_mean(autolog):
    """No question about runs is answered by a candidate's luckiest split: best, orders, filters and fronts agree."""
    grid = {"max_depth": [1, 2, 3, 6], "min_samples_leaf": [1, 20]}
    splits = ShuffleSplit(8, test_size=0.1, random_state=0)
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=splits, scoring="roc_auc").fit(X, y)
    table = search.cv_results_
    mean = table["mean_test_score"]
    assert max(table[f"split{k}_test_score"].max() for k in range(8)) > mean.max()
    trials = autotrack.runs("run.kind = 'trial'")
    for found in (
        autotrack.best("val/roc_auc", filter="run.kind = 'trial'"),
        autotrack.best("val_roc_auc", filter="run.kind = 'trial'"),
        autotrack.runs("run.kind = 'trial'", order_by="-metrics.val/roc_auc.max")[0],
        trials.pareto({"metrics.val/roc_auc": "max"})[0],
    ):
        assert found.metrics["val/roc_auc"].max == pytest.approx(mean.max())
        assert found.metrics["val/roc_auc.rank"].last == 1
    bar = sorted(mean)[-2] - 1e-9
    assert len(autotrack.runs(f"run.kind = 'trial' and metrics.val/roc_auc > {bar}")) == (mean > bar).sum()


def test_several_metrics_are_recorded_by_their_names(autolog, searched):
    """Scores of validation and training splits of each metric, and the metric that decides."""
    search = GridSearchCV(
        GaussianNB(), {"var_smoothing": [1e-9, 1.0]}, cv=2, return_train_score=True, refit="f1",
        scoring={"accuracy": "accuracy", "f1": make_scorer(f1_score)},
    ).fit(X, y)  # fmt: skip
    run, trials = searched()
    table = search.cv_results_
    for metric in ("accuracy", "f1"):
        for row, trial in enumerate(trials):
            assert trial.history[f"val/{metric}.split"] == [
                (k, table[f"split{k}_test_{metric}"][row]) for k in range(2)
            ]
            assert trial.history[f"train/{metric}.split"] == [
                (k, table[f"split{k}_train_{metric}"][row]) for k in range(2)
            ]
            assert trial.metrics[f"val/{metric}.rank"] == table[f"rank_test_{metric}"][row]
            assert trial.metrics[f"train/{metric}.mean"] == table[f"mean_train_{metric}"][row]
    assert run.defaults["scorers"] == ["accuracy", "f1"]
    assert run.params["refit"] == "f1"
    assert run.metrics["best_score"] == table["mean_test_f1"][search.best_index_]


def test_parameters_of_steps_and_whole_estimators_are_candidates(autolog, searched):
    """Steps that are exchanged are recorded by class, their parameters under scikit-learn's names."""
    pipeline = make_pipeline(StandardScaler(), GaussianNB())
    grid = {"standardscaler": [StandardScaler(), MinMaxScaler(), "passthrough"], "gaussiannb__var_smoothing": [0.5]}
    GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    _, trials = searched()
    assert [trial.params["standardscaler"] for trial in trials] == ["StandardScaler", "MinMaxScaler", "passthrough"]
    assert {trial.params["gaussiannb__var_smoothing"] for trial in trials} == {0.5}


@pytest.mark.parametrize("jobs", [None, 2])
def test_estimators_among_the_candidates_bring_their_parameters(autolog, searched, jobs):
    """Candidates that are two estimators of one class differ in what these were given; so do the grid and the best."""
    grid = {"clf": [LogisticRegression(C=0.001), LogisticRegression(), GaussianNB(priors=[0.5, 0.5])]}
    search = GridSearchCV(Pipeline([("s", StandardScaler()), ("clf", GaussianNB())]), grid, cv=2, n_jobs=jobs)
    search.fit(X, y)
    run, trials = searched()
    assert [trial.params for trial in trials] == [
        {"clf": "LogisticRegression", "clf__C": 0.001},
        {"clf": "LogisticRegression", "clf__C": 1.0},
        {"clf": "GaussianNB", "clf__priors": [0.5, 0.5]},
    ]
    assert [trial.defaults.get("clf__max_iter") for trial in trials] == [100, 100, None]
    assert run.params["param_grid.clf"] == ["LogisticRegression(C=0.001)", "LogisticRegression()",
                                            "GaussianNB(priors=[0.5, 0.5])"]  # fmt: skip
    best = {name.removeprefix("best_params."): value for name, value in run.params.items() if "best_params" in name}
    assert best == trials[search.best_index_].params


@pytest.mark.parametrize("jobs", [None, 2])
def test_a_candidate_that_cannot_be_fitted_is_a_failed_run(autolog, searched, jobs):
    """With an `error_score` the search goes on: the run has the exception, its scores are the error score."""
    search = GridSearchCV(Fragile(), {"error": [None, ValueError]}, cv=2, error_score=-1.0, n_jobs=jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    run, (good, bad) = searched()
    assert (run.status, good.status, bad.status) == ("finished", "finished", "failed")
    assert (bad.failure.type, bad.failure.message) == ("ValueError", "no such luck")
    assert "in fit" in bad.failure.traceback
    assert not any(path in bad.failure.traceback for path in OURS)
    assert sorted(bad.history["val/score.split"]) == [(0, -1.0), (1, -1.0)]


def test_an_exception_that_ends_the_search_is_the_candidates_and_the_searchs(autolog, searched):
    """With `error_score="raise"` the user sees exactly their exception; what was evaluated before is kept."""
    search = GridSearchCV(Fragile(), {"bias": [0], "error": [None, ValueError, None]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="no such luck"):
        search.fit(X, y)
    run, (good, bad) = searched()
    assert (run.status, good.status, bad.status) == ("failed", "finished", "failed")
    assert run.failure.message == bad.failure.message == "no such luck"
    assert len(good.history["val/score.split"]) == 2


def test_an_interrupted_search_is_killed_and_so_is_the_candidate_under_way(autolog, searched):
    """Ctrl-C in a fit: search and candidate are `killed`, the candidates before are as they were."""
    with suppress(KeyboardInterrupt):
        GridSearchCV(Fragile(), {"error": [None, KeyboardInterrupt]}, cv=2).fit(X, y)
    run, (good, bad) = searched()
    assert (run.status, good.status, bad.status) == ("killed", "finished", "killed")


def test_in_an_open_run_a_search_is_a_training_with_candidates(autolog, seen):
    """Two searches in a run: their candidates are runs below it, and say to which of the two they belong."""
    with autotrack.start_run("both"):
        GridSearchCV(GaussianNB(), {"var_smoothing": [0.1, 0.2]}, cv=2).fit(X, y)
        GridSearchCV(Fragile(), {"bias": [0, 1]}, cv=2).fit(X, y)
    everything = seen()
    (run,) = [one for one in everything if one.kind == "run"]
    searches = [one for one in everything if one.kind == "search"]
    assert [(one.run, one.number, one.status) for one in searches] == [
        (run.run, 1, "finished"), (run.run, 2, "finished"),
    ]  # fmt: skip
    trials = [one for one in everything if one.kind == "trial"]
    assert [(one.parent, one.parent_training, one.name) for one in trials] == [
        (run.run, 1, "both/1.0"), (run.run, 1, "both/1.1"), (run.run, 2, "both/2.0"), (run.run, 2, "both/2.1"),
    ]  # fmt: skip
    assert searches[0].metrics["n_candidates"] == 2


def test_searches_in_threads_keep_their_candidates_apart(autolog, seen):
    """Two searches at the same time, each with worker threads of its own."""
    start = threading.Barrier(2)

    def train(depths):
        start.wait()
        with parallel_backend("threading"):
            GridSearchCV(DecisionTreeClassifier(), {"max_depth": depths}, cv=3, n_jobs=2).fit(X, y)

    threads = [threading.Thread(target=train, args=(depths,)) for depths in ([1, 2, 3], [4, 5, 6])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    searches = {one.run: one.params["param_grid.max_depth"] for one in seen() if one.kind == "search"}
    assert sorted(searches.values()) == [[1, 2, 3], [4, 5, 6]]
    for run, depths in searches.items():
        mine = [one for one in seen() if one.parent == run]
        assert sorted(one.params["max_depth"] for one in mine) == depths
        assert all(len(one.history["val/score.split"]) == 3 for one in mine)


def test_a_search_inside_a_search_is_one_record(autolog, searched):
    """The candidates of the outer search are runs; what the inner search tries is its own affair."""
    inner = GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2, 3]}, cv=2)
    GridSearchCV(inner, {"estimator__criterion": ["gini", "entropy"]}, cv=2).fit(X, y)
    _, trials = searched()
    assert [trial.params["estimator__criterion"] for trial in trials] == ["gini", "entropy"]
    assert all(len(trial.history["val/score.split"]) == 2 for trial in trials)


def test_a_search_while_paused_or_switched_off_records_nothing(autolog, seen, monkeypatch):
    """`paused()` and `AUTOTRACK=0` hold for the candidates as for the search."""
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [0.1, 0.2]}, cv=2)
    with autotrack.paused():
        search.fit(X, y)
    monkeypatch.setenv("AUTOTRACK", "0")
    search.fit(X, y)
    assert seen() == []


def test_metadata_routing_goes_through_a_search(autolog, searched):
    """With routing enabled, sample weights reach fits and scores, and the search is recorded."""
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = GaussianNB().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(estimator, {"var_smoothing": [1e-9, 1.0]}, cv=2)
        search.fit(X, y, sample_weight=np.linspace(0.1, 1, len(y)))
    _, trials = searched()
    _check_against(search.cv_results_, trials, "score", 2)


def test_searches_travel_and_are_what_they_are_without(autolog):
    """Pickle, clone, params and results of a search know nothing of autolog."""
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1.0]}, cv=2).fit(X, y)
    assert b"autotrack" not in pickle.dumps(search)
    autotrack.autolog(disable=True)
    plain = clone(search).fit(X, y)
    assert list(vars(search)) == list(vars(plain))
    assert list(search.cv_results_) == list(plain.cv_results_)
    for name in ("split0_test_score", "split1_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[name], plain.cv_results_[name])


def test_after_the_first_ten_thousand_candidates_have_no_run_of_their_own(autolog, searched, monkeypatch):
    """The limit is kept and named; the scores of all are in the search."""
    monkeypatch.setattr("autotrack.integrations.sklearn.candidates.MOST_CANDIDATES", 2)
    monkeypatch.setattr("autotrack.integrations.sklearn.searching.MOST_CANDIDATES", 2)
    GridSearchCV(GaussianNB(), {"var_smoothing": [0.1, 0.2, 0.3]}, cv=2).fit(X, y)
    run, trials = searched()
    assert len(trials) == 2
    assert run.metrics["n_candidates"] == 3
    assert "only the first 2 of 3" in run.reported("candidates")[0]


def test_candidates_are_not_what_late_facts_go_to(autolog, seen):
    """What is logged after a search belongs to the search, not to its last candidate."""
    GridSearchCV(GaussianNB(), {"var_smoothing": [0.1, 0.2]}, cv=2).fit(X, y)
    autotrack.log({"mine": 1.0})
    (search,) = [one for one in seen() if one.kind == "search"]
    assert search.metrics["mine"] == 1.0
