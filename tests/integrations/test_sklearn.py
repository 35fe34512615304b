"""scikit-learn's fits are recorded completely and truthfully: what a user does, and what must be there afterwards."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, IsolationForest, RandomForestClassifier, StackingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import autotrack
from autotrack.journal.blobs import blob_path
from autotrack.models import load_model
from autotrack.recording.collector import collector


@pytest.fixture(scope="module")
def cancer():
    """569 × 30 real measurements with two classes."""
    return load_breast_cancer(return_X_y=True)


class Mine(ClassifierMixin, BaseEstimator):
    """The user's own classifier, defined before autolog."""

    def __init__(self, bias=0, options=None):
        self.bias = bias
        self.options = options

    def fit(self, X, y, epochs=3, *, weights=None):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        raise AssertionError("nobody asked for a prediction")


class Failing(RegressorMixin, BaseEstimator):
    """An estimator whose fit raises."""

    error: BaseException = ValueError("no such luck")

    def fit(self, X, y=None):
        raise self.error

    def predict(self, X):
        return X


def test_a_fit_is_recorded_with_everything_that_belongs_to_it(autolog, only, cancer):
    """Estimator, params apart by who set them, data, metrics, duration and model of one plain fit."""
    X, y = cancer
    begun = time.perf_counter()
    fitted = LogisticRegression(C=0.5, max_iter=5000).fit(X, y)
    took = time.perf_counter() - begun
    run = only()
    assert (run.name, run.kind, run.status) == ("logisticregression-1", "training", "finished")
    assert (run.params.pop("model.class"), run.params.pop("model.module")) == (
        "LogisticRegression", "sklearn.linear_model._logistic",
    )  # fmt: skip
    assert run.params == {"C": 0.5, "max_iter": 5000}
    assert run.defaults["solver"] == "lbfgs"
    assert run.defaults["fit.sample_weight"] is None
    assert set(fitted.get_params()) == {*run.params, *run.defaults} - {"fit.sample_weight"}
    assert run.datasets["X"].meta["shape"] == [569, 30]
    assert run.datasets["X"].role == "train"
    assert len(run.datasets["X"].digest) == 64
    assert run.datasets["y"].meta["classes"] == {"0": 212, "1": 357}
    predicted = fitted.predict(X)
    assert run.metrics["train/accuracy"] == pytest.approx(accuracy_score(y, predicted))
    assert run.metrics["train/f1"] == pytest.approx(f1_score(y, predicted))
    assert run.metrics["train/f1.macro"] == pytest.approx(f1_score(y, predicted, average="macro"))
    assert run.metrics["train/log_loss"] == pytest.approx(log_loss(y, fitted.predict_proba(X)))
    assert run.metrics["train/n_iter"] == fitted.n_iter_[0]
    assert 0 < run.metrics["train/duration"] < took
    assert run.models["model"].flavor == "sklearn"


def test_the_kept_model_predicts_what_the_fitted_one_does(autolog, only, cancer):
    """The model's files load without trust, with signature, five rows of input and the packages it needs."""
    X, y = cancer
    fitted = LogisticRegression(max_iter=5000).fit(X, y)
    run = only()
    files = {
        name.removeprefix("model/"): blob_path(collector().place.blobs, artifact.digest).read_bytes()
        for name, artifact in run.files.items()
    }
    loaded = load_model(files)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    meta = run.models["model"].meta
    assert (meta["format"], meta["runs_code"]) == ("skops", False)
    assert meta["signature"]["inputs"] == {"kind": "array", "dtype": "float64", "shape": [None, 30]}
    assert meta["signature"]["outputs"]["dtype"] == "int64"
    assert any(line.startswith("scikit-learn==") for line in meta["requirements"])
    from autotrack.models.signature import read_example

    np.testing.assert_array_equal(read_example(files["input_example.json"]), X[:5])


def test_a_model_that_only_a_pickle_can_hold_is_kept_and_marked(autolog, only, cancer):
    """Forests are kept as a pickle; the record and the capture report say that loading asks for trust."""
    RandomForestClassifier(n_estimators=5, random_state=0).fit(*cancer)
    run = only()
    assert run.models["model"].meta["runs_code"]
    assert any("trust=True" in line for line in run.reported("model"))


def test_params_of_pipelines_are_recorded_by_step(autolog, only, cancer):
    """A pipeline is one training with the params of its steps; nothing inside it is recorded by itself."""
    make_pipeline(StandardScaler(with_mean=False), SVC(C=2.0)).fit(*cancer)
    run = only()
    assert run.params["svc__C"] == 2.0
    assert run.params["standardscaler__with_mean"] is False
    assert run.defaults["svc__kernel"] == "rbf"
    assert run.params["steps"] == [["standardscaler", "StandardScaler"], ["svc", "SVC"]]
    assert "train/accuracy" in run.metrics


@pytest.mark.parametrize(
    "estimator",
    [
        BaggingClassifier(LogisticRegression(max_iter=2000), n_estimators=3, n_jobs=2),
        StackingClassifier([("nb", GaussianNB()), ("lr", LogisticRegression(max_iter=2000))], cv=2, n_jobs=2),
        RandomForestClassifier(n_estimators=4, n_jobs=2),
        GridSearchCV(LogisticRegression(max_iter=2000), {"C": [0.1, 1.0]}, cv=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_meta_estimators_and_their_workers_are_one_training(autolog, seen, cancer, estimator, backend):
    """Fits inside a fit record nothing of their own, in this thread, in worker threads and in worker processes."""
    from joblib import parallel_backend

    X, y = cancer
    with parallel_backend(backend, n_jobs=2):
        estimator.fit(X[:, :5], y)
    (one,) = [one for one in seen() if one.kind != "trial"]
    assert one.name == f"{type(estimator).__name__.lower()}-1"


def test_four_threads_are_four_complete_records(autolog, seen, cancer):
    """Fits that run at the same time in threads of the user are recorded each by itself, and whole."""
    X, y = cancer
    start = threading.Barrier(4)

    def train(strength):
        start.wait()
        LogisticRegression(C=strength, max_iter=500).fit(X, y)

    threads = [threading.Thread(target=train, args=(strength,)) for strength in (0.1, 0.2, 0.3, 0.4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = seen()
    assert sorted(run.params["C"] for run in runs) == [0.1, 0.2, 0.3, 0.4]
    for run in runs:
        assert (run.status, run.parent) == ("finished", None)
        assert {"train/accuracy", "train/duration"} <= set(run.metrics) or run.reported("training metrics")
        assert run.datasets.keys() == {"X", "y"}
        assert "model" in run.models


def test_fits_beside_a_fit_of_the_main_thread_are_runs_of_their_own(autolog, seen):
    """While the main thread fits, another thread's fit is neither inside that training nor its child."""

    class Slow(RegressorMixin, BaseEstimator):
        def fit(self, X, y=None):
            other = threading.Thread(target=lambda: Ridge().fit([[1.0], [2.0]], [1.0, 2.0]))
            other.start()
            other.join()
            return self

        def predict(self, X):
            return X

    Slow().fit([[1.0]], [1.0])
    assert sorted((run.name, run.parent, run.status) for run in seen()) == [
        ("ridge-1", None, "finished"), ("slow-1", None, "finished"),
    ]  # fmt: skip


def test_the_users_own_joblib_threads_record_each_fit(autolog, seen, cancer):
    """Parallel fits that the user starts in threads are outermost fits: each is a record."""
    X, y = cancer
    Parallel(n_jobs=3, backend="threading")(delayed(GaussianNB(var_smoothing=s).fit)(X, y) for s in (1e-9, 1e-8, 1e-7))
    assert sorted(run.params.get("var_smoothing", 1e-9) for run in seen()) == [1e-9, 1e-8, 1e-7]


def test_the_users_own_estimator_is_recorded_and_never_called(autolog, only):
    """A user's class, defined before autolog: params, bound fit arguments and data; its predict is left alone."""
    Mine(options={"depth": 2}).fit([[1], [2]], [0, 1], 7, weights=np.ones(2))
    run = only()
    assert run.name == "mine-1"
    assert run.params["options.depth"] == 2
    assert run.params["fit.epochs"] == 7
    assert run.params["fit.weights"] == [1.0, 1.0]
    assert run.defaults["bias"] == 0
    assert "train/accuracy" not in run.metrics
    assert "not scikit-learn's own" in run.reported("training metrics")[0]


def test_classes_defined_after_autolog_are_recorded(autolog, seen):
    """Plain subclasses, fits inherited from a mixin, and children of a class with its own `__init_subclass__`."""

    class Mixin:
        def fit(self, X, y=None):
            return self

        def predict(self, X):
            return X

    class FromMixin(Mixin, BaseEstimator):
        pass

    class Registry(BaseEstimator):
        def __init_subclass__(cls, **options):  # calls no super: scikit-learn's own hook never runs
            cls.options = options

    class Registered(Registry, flag=True):
        def fit(self, X, y=None):
            return self

        def predict(self, X):
            return X

    assert Registered.options == {"flag": True}
    FromMixin().fit([[1]])
    Registered().fit([[1]])
    assert [run.name for run in seen()] == ["frommixin-1", "registered-1"]


def test_an_own_fit_that_calls_its_parents_is_one_training(autolog, only, cancer):
    """`super().fit(...)` inside a fit is part of it."""

    class Scaled(LogisticRegression):
        def fit(self, X, y):
            return super().fit(X / X.max(axis=0), y)

    Scaled(max_iter=500).fit(*cancer)
    assert only().name == "scaled-1"


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("no such luck"), "failed"), (KeyboardInterrupt(), "killed"), (SystemExit(2), "failed")],
)
def test_the_users_exception_is_recorded_and_passes(autolog, only, error, status):
    """The very exception object arrives, with only the user's frames in the record."""
    estimator = Failing()
    estimator.error = error
    handled = sys.exc_info()[1]  # what C code of another test may have left behind
    with pytest.raises(type(error)) as caught:
        estimator.fit([[1.0]])
    run = only()
    assert caught.value is error
    assert error.__context__ is handled
    assert error.__cause__ is None
    assert run.status == status
    assert run.failure.type == type(error).__name__
    assert "raise self.error" in run.failure.traceback
    assert "autotrack, not counted" not in run.failure.traceback
    assert run.metrics["train/duration"] >= 0
    assert run.models == {}


def test_scikit_learns_own_errors_fail_the_run(autolog, seen):
    """Bad input that scikit-learn refuses is a failed run, and the next fit is a new one."""
    with pytest.raises(ValueError, match="NaN"):
        LinearRegression().fit([[np.nan]], [1.0])
    LinearRegression().fit([[1.0]], [1.0])
    assert [(run.name, run.status) for run in seen()] == [
        ("linearregression-1", "failed"), ("linearregression-2", "finished"),
    ]  # fmt: skip


def test_a_call_with_wrong_arguments_fails_the_run_and_nothing_else(autolog, only):
    """The user's own TypeError arrives and is the run's failure; it is no failure of ours."""
    with pytest.raises(TypeError, match="sample_weights"):
        GaussianNB().fit([[1.0], [2.0]], [0, 1], sample_weights=[1, 1])
    assert (only().status, only().failure.type) == ("failed", "TypeError")


def test_an_estimator_that_cannot_predict_its_own_data_has_no_metrics(autolog, only):
    """Too few rows for its neighbours: the fit is a finished run, the report says why there are no metrics."""
    KNeighborsClassifier(n_neighbors=2).fit([[1.0]], [0])
    run = only()
    assert run.status == "finished"
    assert "predict raised ValueError" in run.reported("training metrics")[0]


def test_transformers_open_no_run(autolog, seen, cancer):
    """Scalers, decompositions and selectors by themselves are not trainings, whatever they fit inside."""
    X, y = cancer
    StandardScaler().fit(X)
    PCA(2).fit_transform(X)
    SelectFromModel(RandomForestClassifier(n_estimators=3)).fit(X, y)
    assert seen() == []


def test_in_an_open_run_transformers_are_noted_and_fits_are_its_trainings(autolog, seen, cancer):
    """One run of the user holds preprocessing, two trainings and the user's own metrics."""
    X, y = cancer
    with autotrack.start_run("study", experiment="cells") as run:
        scaled = StandardScaler(with_std=False).fit_transform(X)
        LogisticRegression(C=0.1, max_iter=500).fit(scaled, y)
        GaussianNB().fit(scaled, y)
        run.log({"mine": 1.0})
    top, first, second = sorted(seen(), key=lambda one: one.number)
    assert {one.run for one in (top, first, second)} == {run.id}
    assert (top.name, top.experiment, top.status, top.metrics) == ("study", "cells", "finished", {"mine": 1.0})
    assert top.params == {"preprocessing.1.class": "StandardScaler", "preprocessing.1.with_std": False}
    assert (first.number, first.name, first.status, first.params["C"]) == (1, "LogisticRegression", "finished", 0.1)
    assert (second.number, second.name, second.status) == (2, "GaussianNB", "finished")
    assert (list(first.models), list(second.models)) == (["model"], ["model-2"])


def test_a_failing_fit_in_an_open_run_fails_only_the_training(autolog, seen):
    """The user catches the exception and goes on: the run finishes, the training failed."""
    with autotrack.start_run("study"), suppress(ValueError):
        Failing().fit([[1.0]])
    top, training = sorted(seen(), key=lambda one: one.number)
    assert (top.status, training.status) == ("finished", "failed")
    assert training.failure.message == "no such luck"


def test_many_fits_in_one_run_keep_less_each(autolog, seen):
    """After a hundred trainings in one run only params and duration are kept, and the report says so once."""
    with autotrack.start_run("loop"):
        for number in range(103):
            Ridge(alpha=number).fit([[1.0], [2.0]], [1.0, 2.0])
    by_number = {one.number: one for one in seen()}
    assert by_number[100].models
    assert by_number[101].models == by_number[103].models == {}
    assert by_number[103].params["alpha"] == 102
    assert set(by_number[103].metrics) == {"train/duration"}
    assert len(by_number[0].reported("sklearn")) == 1


@pytest.mark.parametrize("keep", [lambda X: X, pd.DataFrame, lambda X: X.tolist()], ids=["array", "frame", "list"])
def test_regressors_have_the_metrics_of_regression(autolog, only, keep):
    """R², RMSE and MAE are those that scikit-learn's functions give, for arrays, frames and lists."""
    X, y = load_diabetes(return_X_y=True)
    fitted = Ridge().fit(keep(X), y)
    predicted, metrics = fitted.predict(keep(X)), only().metrics
    assert metrics["train/r2"] == pytest.approx(r2_score(y, predicted))
    assert metrics["train/rmse"] == pytest.approx(root_mean_squared_error(y, predicted))
    assert metrics["train/mae"] == pytest.approx(mean_absolute_error(y, predicted))


def test_regressors_of_several_targets(autolog, only):
    """Two columns of targets: R² is the mean over the columns, as scikit-learn has it."""
    X, y = load_diabetes(return_X_y=True)
    targets = np.column_stack([y, X[:, 0] * 3])
    fitted = LinearRegression().fit(X, targets)
    assert only().metrics["train/r2"] == pytest.approx(r2_score(targets, fitted.predict(X)))


def test_clusterers_and_outlier_detectors(autolog, seen, cancer):
    """What they found is recorded: clusters, inertia and iterations; the share of outliers."""
    X, _ = cancer
    KMeans(3, n_init=1, random_state=0).fit(X)
    IsolationForest(n_estimators=10, random_state=0, contamination=0.1).fit(X)
    clusters, outliers = seen()
    assert clusters.metrics["train/clusters"] == 3
    assert clusters.metrics["train/inertia"] > 0
    assert outliers.metrics.get("train/outlier_fraction", 0.1) == pytest.approx(0.1, abs=0.02)


def test_frames_are_recorded_with_their_columns(autolog, only):
    """Column names and dtypes are in the dataset and in the signature; the example is a frame."""
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0], "kind": [0, 1, 0]})
    LinearRegression().fit(frame, pd.Series([1.0, 2.0, 3.0], name="price"))
    run = only()
    assert run.datasets["X"].meta["names"] == ["age", "kind"]
    assert run.datasets["X"].meta["dtypes"] == ["float64", "int64"]
    assert [column["name"] for column in run.models["model"].meta["signature"]["inputs"]["columns"]] == ["age", "kind"]
    assert run.models["model"].meta["signature"]["outputs"]["name"] == "price"


def test_data_that_the_fit_changes_is_recorded_as_it_was(autolog, only):
    """With `copy_X=False` the fit works in place: fingerprint and example are of before, metrics are left out."""
    X = np.arange(12.0).reshape(6, 2) ** 2
    before = X.copy()
    LinearRegression(copy_X=False).fit(X, np.arange(6.0))
    assert not np.array_equal(X, before)
    run = only()
    from autotrack.models.signature import read_example
    from autotrack.recording.fingerprint import describe

    assert run.datasets["X"].digest == describe(before)[0]
    example = blob_path(collector().place.blobs, run.files["model/input_example.json"].digest).read_bytes()
    np.testing.assert_array_equal(read_example(example), before[:5])
    assert "copy_X=False" in run.reported("training metrics")[0]


def test_sparse_data_stays_sparse(autolog, only):
    """A 20,000 × 20,000 matrix with 40,000 values is recorded without a dense copy of it."""
    import tracemalloc

    rows, columns = np.random.default_rng(0).integers(20_000, size=(2, 40_000))
    X = scipy.sparse.csr_matrix((np.ones(40_000), (rows, columns)), shape=(20_000, 20_000))
    y = np.arange(20_000) % 2
    model = LogisticRegression(max_iter=3)
    tracemalloc.start()
    try:
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50 << 20
    run = only()
    assert run.datasets["X"].meta["nonzero"] == X.nnz
    assert run.models["model"].meta["signature"]["inputs"]["kind"] == "sparse"


def test_generators_are_not_consumed(autolog, only):
    """Data that can be read only once arrives at the user's fit whole."""

    class Streaming(ClassifierMixin, BaseEstimator):
        def fit(self, batches):
            self.rows_ = [row for batch in batches for row in batch]
            return self

        def predict(self, X):
            return X

    model = Streaming().fit([number] for number in range(3))
    assert model.rows_ == [0, 1, 2]
    assert only().datasets["batches"].meta["type"] == "builtins.generator"


def test_models_beyond_the_limit_are_named_in_the_report(autolog, only, cancer):
    """A model over the size limit is not kept, and the report names the option that lifts it."""
    autotrack.configure(model_limit=100)
    LogisticRegression(max_iter=500).fit(*cancer)
    run = only()
    assert run.models == {}
    assert "model_limit" in run.reported("model")[0]


def test_options_choose_what_is_recorded(autolog, only, cancer):
    """Experiment, name, tags, and what is left out."""
    autolog(
        "sklearn", experiment="cells", name="first", tags={"team": "a"}, log_models=False, log_training_metrics=False,
        log_datasets=False,
    )  # fmt: skip
    GaussianNB().fit(*cancer)
    run = only()
    assert (run.experiment, run.name, run.tags["team"]) == ("cells", "first", "a")
    assert (run.models, run.datasets, run.files) == ({}, {}, {})
    assert set(run.metrics) == {"train/duration"}


def test_paused_records_nothing(autolog, seen, cancer):
    """Inside `paused()` nothing is recorded; after it, everything is."""
    with autotrack.paused():
        GaussianNB().fit(*cancer)
    assert seen() == []
    GaussianNB().fit(*cancer)
    assert len(seen()) == 1


def test_switched_off_by_the_environment(script, tmp_path):
    """With AUTOTRACK=0 autolog patches nothing and no file appears."""
    script(
        """
        import autotrack, sklearn.linear_model as lm
        before = dict(vars(lm.LinearRegression))
        autotrack.autolog()
        assert dict(vars(lm.LinearRegression)) == before
        lm.LinearRegression().fit([[1], [2]], [1, 2])
        """,
        AUTOTRACK="0",
    )
    assert not (tmp_path / ".autotrack").exists()


@pytest.mark.swallows
def test_a_failure_of_ours_is_a_warning_and_a_line_in_the_report(autolog, only, cancer, monkeypatch):
    """When recording breaks, the fit's result is untouched, one warning shows and the report has a line."""
    from autotrack.integrations.sklearn import metrics

    def broken(*_):
        raise RuntimeError("ours")

    monkeypatch.setattr(metrics, "compute", broken)
    with pytest.warns(UserWarning, match="training metrics failed"):
        fitted = GaussianNB().fit(*cancer)
    assert fitted.classes_.tolist() == [0, 1]
    run = only()
    assert run.status == "finished"
    assert any("RuntimeError: ours" in line for line in run.reported("training metrics"))
    assert "model" in run.models


class Center(TransformerMixin, BaseEstimator):
    """A user's transformer, fitted as part of a pipeline."""

    def fit(self, X, y=None):
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X):
        return X - self.mean_


def test_a_pipeline_with_a_users_step_is_not_predicted_with(autolog, only, cancer):
    """One part that is not scikit-learn's own is enough to leave predict alone."""
    make_pipeline(Center(), GaussianNB()).fit(*cancer)
    assert "Center is not scikit-learn's own" in only().reported("training metrics")[0]


def test_a_worker_process_in_which_the_program_opened_a_run(script):
    """What is trained there is in that run, with its scores, whichever way the process was started."""
    script(
        """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        import autotrack
        autotrack.autolog()
        from sklearn.linear_model import Ridge

        X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0]

        def work(alpha):
            with autotrack.start_run(f"own-{alpha}"):
                Ridge(alpha=alpha).fit(X, y).score(X, y)
            Ridge(alpha=9.0).fit(X, y)  # nobody knows whose worker this is

        if __name__ == "__main__":
            for method, alpha in (("fork", 1.0), ("spawn", 2.0)):
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
                    list(pool.map(work, [alpha]))
        """
    )
    found = {run.name: run for run in autotrack.runs(all=True)}
    assert set(found) == {"own-1.0", "own-2.0"}
    for alpha in (1.0, 2.0):
        assert found[f"own-{alpha}"].params["alpha"] == alpha
        assert "train/r2" in found[f"own-{alpha}"].metrics
