"""Each call of scikit-learn's cross-validation functions is one record, with the scores of every split."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import sklearn
from joblib import parallel_backend
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LassoCV
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    LearningCurveDisplay,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import autotrack

X, y = load_breast_cancer(return_X_y=True)
X, y = X[::3, :6], y[::3]


class Failing(ClassifierMixin, BaseEstimator):
    """A classifier whose fit raises."""

    error: BaseException = ValueError("no such luck")

    def fit(self, X, y):
        raise self.error

    def predict(self, X):
        return X


def _steps(values):
    return list(enumerate(values))


@pytest.mark.parametrize(("jobs", "backend"), [(None, "loky"), (2, "threading"), (2, "loky")])
def test_the_scores_of_all_splits_are_recorded(autolog, only, jobs, backend):
    """`cross_validate`: estimator, arguments, data, scores and times of each split, mean and deviation."""
    with parallel_backend(backend):
        scores = cross_validate(GaussianNB(var_smoothing=0.1), X, y, cv=3, n_jobs=jobs, return_train_score=True)
    run = only()
    assert (run.name, run.kind, run.status) == ("cross_validate-1", "training", "finished")
    assert run.params["model.class"] == "GaussianNB"
    assert run.params["var_smoothing"] == 0.1
    assert run.params["validation.cv"] == 3
    assert run.defaults["validation.scoring"] is None
    assert run.datasets["X"].meta["shape"] == [190, 6]
    assert run.datasets["y"].meta["classes"] == {"0": 76, "1": 114}
    assert run.history["val/score.split"] == _steps(scores["test_score"])
    assert run.history["train/score.split"] == _steps(scores["train_score"])
    assert run.history["fit_time"] == _steps(scores["fit_time"])
    assert run.metrics["val/score.mean"] == pytest.approx(scores["test_score"].mean())
    assert run.history["val/score"] == [(0, pytest.approx(scores["test_score"].mean()))]
    assert run.metrics["val/score.std"] == pytest.approx(scores["test_score"].std())
    assert run.models == {}


def test_cross_val_score_has_times_as_well(autolog, only):
    """One record for the two functions of which one calls the other; the score is called what it is."""
    scores = cross_val_score(GaussianNB(), X, y, cv=StratifiedKFold(4), scoring="f1")
    run = only()
    assert run.name == "cross_val_score-1"
    assert run.history["val/f1.split"] == _steps(scores)
    assert len(run.history["fit_time"]) == len(run.history["score_time"]) == 4
    assert "StratifiedKFold(n_splits=4" in run.params["validation.cv"]


def test_names_that_were_imported_before_autolog_are_recorded(script, recorded):
    """A script that imports the function first, and is one of the bare kind."""
    script(
        """
        from sklearn.datasets import load_iris
        from sklearn.model_selection import cross_val_score
        from sklearn.naive_bayes import GaussianNB
        import autotrack
        autotrack.autolog()
        cross_val_score(GaussianNB(), *load_iris(return_X_y=True))
        """
    )
    names = [event.name for event in recorded() if type(event).__name__ == "RunStarted"]
    assert names == ["cross_val_score-1"]


def test_several_metrics_are_recorded_by_their_names(autolog, only):
    """A list of scorers gives a metric each."""
    scores = cross_validate(GaussianNB(), X, y, cv=2, scoring=["accuracy", "roc_auc"], return_estimator=True)
    run = only()
    assert run.history["val/accuracy.split"] == _steps(scores["test_accuracy"])
    assert run.history["val/roc_auc.split"] == _steps(scores["test_roc_auc"])


def test_everything_given_by_name_is_recorded(autolog, only):
    """`estimator=` and the data as keywords."""
    cross_val_score(estimator=make_pipeline(StandardScaler(), GaussianNB()), X=X, y=y, cv=2)
    run = only()
    assert run.params["model.class"] == "Pipeline"
    assert run.datasets["X"].meta["shape"] == [190, 6]
    assert len(run.history["val/score.split"]) == 2


def test_arguments_of_the_function_are_not_mixed_up_with_those_of_the_estimator(autolog, only):
    """`LassoCV(cv=3)` in five folds: both are recorded."""
    cross_val_score(LassoCV(cv=3), X, X[:, 0], cv=5)
    run = only()
    assert (run.params["cv"], run.params["validation.cv"]) == (3, 5)


def test_a_learning_curve_is_a_table_and_metrics_by_rows(autolog, only, recorded):
    """Mean scores at the number of training rows as step; the table has mean, deviation and every split."""
    sizes, train, val, fit_times, _ = learning_curve(
        GaussianNB(), X, y, cv=3, train_sizes=[0.3, 0.6, 1.0], return_times=True
    )
    run = only()
    for key, scores in (("val/score", val), ("train/score", train)):
        steps, means = zip(*run.history[key], strict=True)
        assert steps == tuple(sizes)
        assert means == pytest.approx(scores.mean(1))
    (table,) = [event for event in recorded() if type(event).__name__ == "Evaluation"]
    assert table.name == "learning_curve"
    assert table.columns["train_size"] == sizes.tolist()
    assert table.columns["val/score.std"] == pytest.approx(val.std(1).tolist())
    assert table.columns["val/score.split2"] == val[:, 2].tolist()
    assert table.columns["fit_time.mean"] == pytest.approx(fit_times.mean(1).tolist())


def test_the_curve_of_a_display_is_recorded_too(autolog, only):
    """`LearningCurveDisplay.from_estimator` calls the function: one record."""
    pytest.importorskip("matplotlib").use("Agg")
    LearningCurveDisplay.from_estimator(GaussianNB(), X, y, cv=2, train_sizes=[0.5, 1.0])
    assert only().name == "learning_curve-1"


def test_a_validation_curve_is_a_table_by_the_values_of_the_parameter(autolog, only, recorded):
    """The parameter's values, the scores of training and validation."""
    depths = np.array([1, 2, 4])
    train, val = validation_curve(
        DecisionTreeClassifier(random_state=0), X, y, param_name="max_depth", param_range=depths, cv=2
    )
    run = only()
    (table,) = [event for event in recorded() if type(event).__name__ == "Evaluation"]
    assert table.columns["max_depth"] == [1, 2, 4]
    assert table.columns["train/score.mean"] == pytest.approx(train.mean(1).tolist())
    assert run.history["val/score"] == [(step, pytest.approx(mean)) for step, mean in enumerate(val.mean(1))]


def test_a_permutation_test_is_recorded_with_its_p_value(autolog, only, recorded):
    """Score, p-value and the scores of the permuted targets."""
    score, permuted, p_value = permutation_test_score(GaussianNB(), X, y, cv=2, n_permutations=5)
    run = only()
    assert (run.metrics["val/score"], run.metrics["p_value"]) == (score, p_value)
    (table,) = [event for event in recorded() if type(event).__name__ == "Evaluation"]
    assert table.columns["score"] == permuted.tolist()


def test_metrics_of_out_of_fold_predictions_belong_to_their_cross_validation(autolog, only):
    """What is computed from `cross_val_predict` goes to its record, and is not called a training score."""
    predicted = cross_val_predict(GaussianNB(), X, y, cv=3)
    accuracy = accuracy_score(y, predicted)
    run = only()
    assert run.name == "cross_val_predict-1"
    assert [key for key, value in run.metrics.items() if value == accuracy and not key.startswith("train/")]
    assert not [key for key in run.metrics if key.startswith("train/")]


def test_in_an_open_run_each_call_is_a_training(autolog, seen):
    """Two cross-validations in one run, each with its own scores."""
    with autotrack.start_run("compared"):
        first = cross_val_score(GaussianNB(), X, y, cv=2)
        second = cross_val_score(DecisionTreeClassifier(max_depth=1), X, y, cv=2)
    run, one, two = seen()
    assert (run.kind, one.number, two.number) == ("run", 1, 2)
    assert one.history["val/score.split"] == _steps(first)
    assert two.history["val/score.split"] == _steps(second)


def test_nested_cross_validation_is_one_record_that_says_so(autolog, only):
    """A search inside a cross-validation: its candidates are not kept, and the report names that."""
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1.0]}, cv=2)
    cross_val_score(search, X, y, cv=2)
    run = only()
    assert run.params["model.class"] == "GridSearchCV"
    assert run.params["param_grid.var_smoothing"] == [1e-9, 1.0]
    assert "not kept" in run.reported("candidates")[0]


def test_a_split_that_failed_is_named(autolog, only):
    """Scores of failed splits are NaN, as scikit-learn gives them, and the report counts them."""

    class Sometimes(GaussianNB):
        def fit(self, X, y):
            if len(X) == 126:
                raise ValueError("no such luck")
            return super().fit(X, y)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = cross_val_score(Sometimes(), X, y, cv=3)
    run = only()
    np.testing.assert_array_equal([value for _, value in run.history["val/score.split"]], scores)
    failed = int(np.isnan(scores).sum())
    assert 0 < failed < 3
    assert [report.count for report in run.reports if report.what == "splits"] == [failed]


@pytest.mark.parametrize(("error", "status"), [(ValueError("no such luck"), "failed"), (KeyboardInterrupt(), "killed")])
def test_an_exception_reaches_the_user_and_is_recorded(autolog, only, error, status, monkeypatch):
    """The run is failed or killed, and the same exception comes out."""
    monkeypatch.setattr(Failing, "error", error)
    with pytest.raises(type(error)) as caught:
        cross_val_score(Failing(), X, y, cv=2, error_score="raise")
    assert caught.value is error
    assert only().status == status


def test_a_call_that_is_wrong_raises_what_it_does_without(autolog, seen):
    """A missing argument and a bad one: scikit-learn's own complaints."""
    with pytest.raises(TypeError, match="missing"):
        cross_val_score()
    with pytest.raises(ValueError, match="cv"):
        cross_val_score(GaussianNB(), X, y, cv="none")
    assert [one.status for one in seen()] == ["failed"]


def test_cross_validation_inside_a_fit_is_a_part_of_it(autolog, only):
    """An estimator that chooses by cross-validation is one training."""

    class Choosing(GaussianNB):
        def fit(self, X, y):
            self.scores_ = cross_val_score(GaussianNB(), X, y, cv=2)
            return super().fit(X, y)

    Choosing().fit(X, y)
    assert only().name == "choosing-1"


def test_metadata_routing_and_pauses_are_honoured(autolog, seen):
    """Sample weights by routing arrive; `paused()` records nothing."""
    with autotrack.paused():
        cross_val_score(GaussianNB(), X, y, cv=2)
    assert seen() == []
    weights = np.linspace(0.1, 1, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = GaussianNB().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        logged = cross_val_score(estimator, X, y, cv=2, params={"sample_weight": weights})
        autotrack.autolog(disable=True)
        plain = cross_val_score(clone(estimator), X, y, cv=2, params={"sample_weight": weights})
    np.testing.assert_array_equal(logged, plain)


def test_the_functions_are_themselves_again_after_disabling(autolog):
    """Identity, pickles and code: the same object throughout, its own code again at the end."""
    assert pickle.loads(pickle.dumps(cross_val_score)) is cross_val_score
    assert cross_val_score.__code__.co_filename.startswith("<autotrack")
    autotrack.autolog(disable=True)
    assert not cross_val_score.__code__.co_filename.startswith("<autotrack")
