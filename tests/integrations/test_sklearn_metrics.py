"""Training metrics of scikit-learn's estimators are exact and the same each time, and their names say what they are."""

from __future__ import annotations

import math
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine, make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, precision_score, recall_score
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

import autotrack

CLASSES = {"iris": load_iris, "wine": load_wine, "cancer": load_breast_cancer, "digits": load_digits}
EVERYDAY = {
    "forest": RandomForestClassifier(50, random_state=0),
    "kernel machine": SVC(),
    "neighbours": KNeighborsClassifier(),
    "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
    "bayes": GaussianNB(),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "discriminant": LinearDiscriminantAnalysis(),
}


@pytest.mark.parametrize("data", CLASSES)
def test_everyday_classifiers_have_exact_metrics(autolog, seen, data):
    """Every one of them, computed on all rows."""
    X, y = CLASSES[data](return_X_y=True)
    fitted = [model.fit(X, y) for model in EVERYDAY.values()]
    runs = seen()
    autotrack.autolog(disable=True)
    for model, run in zip(fitted, runs, strict=True):
        predicted = model.predict(X)
        assert run.metrics["train/accuracy"] == pytest.approx(model.score(X, y), abs=1e-12)
        for name, function in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
            wanted = function(y, predicted, average="macro", zero_division=0)
            assert run.metrics[f"train/{name}.macro"] == pytest.approx(wanted, abs=1e-12)
            if data == "cancer":
                assert run.metrics[f"train/{name}"] == pytest.approx(function(y, predicted), abs=1e-12)
            else:
                assert f"train/{name}" not in run.metrics
        if hasattr(model, "predict_proba"):
            assert run.metrics["train/log_loss"] == pytest.approx(log_loss(y, model.predict_proba(X)), rel=1e-6)
        assert run.reported("training metrics") == []


@pytest.mark.parametrize("model", [Ridge(), RandomForestRegressor(10), SVR(), KNeighborsRegressor()], ids=str)
def test_everyday_regressors_have_exact_metrics(autolog, only, model):
    """R², RMSE and MAE on all rows."""
    X, y = load_diabetes(return_X_y=True)
    model.fit(X, y)
    run = only()
    autotrack.autolog(disable=True)
    assert run.metrics["train/r2"] == pytest.approx(model.score(X, y), abs=1e-12)
    assert run.metrics["train/mae"] == pytest.approx(mean_absolute_error(y, model.predict(X)), rel=1e-12)


@pytest.mark.parametrize(
    ("model", "rows", "looked_at"),
    [
        (GaussianNB(), 10_000, None),
        (GaussianNB(), 10_001, "5,001 of 10,001 rows"),
        (KNeighborsClassifier(), 2_000, None),
        (KNeighborsClassifier(), 2_001, "1,001 of 2,001 rows"),
        (make_pipeline(StandardScaler(), SVC(C=0.1)), 2_001, "1,001 of 2,001 rows"),
        (SVC(kernel="linear"), 2_001, None),
    ],
    ids=str,
)
def test_how_many_rows_depends_on_the_estimator_and_their_number(autolog, only, model, rows, looked_at):
    """Beyond a number of rows some are taken, evenly spaced, under a name of its own that the report explains."""
    X, y = np.zeros((rows, 2)), np.arange(rows) % 2
    X[:, 0] = np.arange(rows) % 3 + y
    model.fit(X, y)
    run = only()
    autotrack.autolog(disable=True)
    name, step = ("train/accuracy", 1) if looked_at is None else ("train/accuracy.sampled", 2)
    assert run.metrics[name] == model.score(X[::step], y[::step])
    assert len([key for key in run.metrics if "accuracy" in key]) == 1
    assert run.reported("training metrics") == (
        [] if looked_at is None else [f"computed on {looked_at}, evenly spaced"]
    )


def test_wide_data_is_looked_at_in_fewer_rows(autolog, only, monkeypatch):
    """The number of values is bounded, too."""
    monkeypatch.setattr("autotrack.integrations.sklearn.predicting.MOST_VALUES", 300)
    X, y = np.random.default_rng(0).normal(size=(60, 10)), np.arange(60) % 2
    GaussianNB().fit(X, y)
    assert only().reported("training metrics") == ["computed on 30 of 60 rows, evenly spaced"]


WORDS = ["a good film", "a bad film", "good", "bad"] * 5
KINDS = pd.DataFrame({"colour": ["red", "blue"] * 10, "size": ["s", "m", "l", "s"] * 5})


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (make_pipeline(TfidfVectorizer(), LogisticRegression()), WORDS),
        (make_pipeline(CountVectorizer(), LogisticRegression()), WORDS),
        (make_pipeline(OneHotEncoder(), LogisticRegression()), KINDS),
        (make_pipeline(make_column_transformer((OrdinalEncoder(), ["size"])), LogisticRegression()), KINDS),
    ],
    ids=["words", "counts", "one-hot", "ordinal"],
)
def test_a_class_among_the_parameters_is_no_function_of_the_users(autolog, only, model, inputs):
    """`dtype=numpy.float64`, the default of encoders and vectorizers, keeps nobody from predicting."""
    y = [1, 0] * 10
    model.fit(inputs, y)
    assert only().metrics["train/accuracy"] == accuracy_score(y, model.predict(inputs))


@pytest.mark.parametrize("as_given", [np.asarray, pd.DataFrame, lambda y: pd.DataFrame(y).astype("category")])
def test_labels_in_one_column_are_a_column(autolog, only, as_given):
    """As a frame or an array of one column."""
    X, y = load_iris(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=2).fit(X, as_given(y.reshape(-1, 1)))
    assert only().metrics["train/accuracy"] == (model.predict(X) == y).mean()


def test_a_target_in_one_column_is_a_column(autolog, only):
    """Of a regressor, too."""
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(X, y.reshape(-1, 1))
    run = only()
    autotrack.autolog(disable=True)
    assert run.metrics["train/r2"] == pytest.approx(model.score(X, y))


def test_one_name_stands_for_one_quantity(autolog, only, points):
    """What the user computes by default for the class 1 is not continued by our mean over the classes."""
    X, y = make_classification(400, 6, weights=[0.85], flip_y=0.1, random_state=3)
    model = LogisticRegression().fit(X, y)
    mine = f1_score(y, model.predict(X))
    mean = f1_score(y, model.predict(X), average="macro")
    assert points("train/f1") == pytest.approx([mine, mine])
    assert points("train/f1.macro") == pytest.approx([mean, mean])


def test_labels_without_a_one_have_no_positive_class(autolog, only):
    """Where scikit-learn's default is an error there is only the mean."""
    X, y = load_breast_cancer(return_X_y=True)
    GaussianNB().fit(X, np.array(["ill", "well"])[y])
    assert {key for key in only().metrics if "f1" in key} == {"train/f1.macro"}


@pytest.mark.parametrize("piped", [False, True])
def test_the_weights_of_the_fit_are_used_and_told_apart(autolog, only, piped):
    """Ours are weighted and say so; scores with and without weights are two metrics."""
    X, y = make_classification(300, 5, flip_y=0.2, random_state=0)
    weights = np.where(y == 1, 5.0, 0.5)
    model = make_pipeline(StandardScaler(), LogisticRegression()) if piped else LogisticRegression()
    model.fit(X, y, **{("logisticregression__" if piped else "") + "sample_weight": weights})
    predicted = model.predict(X)
    ours = only().metrics
    assert ours["train/accuracy.sample_weight"] == pytest.approx(accuracy_score(y, predicted, sample_weight=weights))
    assert ours["train/f1.macro.sample_weight"] == pytest.approx(
        f1_score(y, predicted, average="macro", sample_weight=weights)
    )
    assert {key for key in ours if "accuracy" in key} == {"train/accuracy.sample_weight"}


def test_scores_with_weights_have_a_name_of_their_own(autolog, points):
    """`score(X, y)` and `score(X, y, w)`, and metric functions with weights."""
    X, y = make_classification(300, 5, flip_y=0.2, random_state=0)
    weights = np.where(y == 1, 5.0, 0.5)
    model = LogisticRegression().fit(X, y)
    plain, weighted = model.score(X, y), model.score(X, y, weights)
    assert plain != weighted
    assert points("train/accuracy") == pytest.approx([plain, plain])
    assert points("train/accuracy.sample_weight") == pytest.approx([weighted])
    mean_absolute_error(y, model.predict(X), sample_weight=weights)
    assert len(points("train/mae.sample_weight")) == 1


@pytest.mark.parametrize(
    "model", [SelfTrainingClassifier(LogisticRegression(), threshold=0.8), LabelSpreading()], ids=str
)
def test_rows_without_a_label_are_not_judged(autolog, only, model):
    """-1 is no class; the report counts the labelled rows."""
    X, y = make_classification(200, 6, random_state=0)
    known = np.random.RandomState(0).rand(200) >= 0.7
    model.fit(X, np.where(known, y, -1))
    run = only()
    right = (model.predict(X)[known] == y[known]).mean()
    assert run.metrics["train/accuracy"] == pytest.approx(right)
    assert run.reported("training metrics") == [f"computed on {known.sum()} labelled of 200 rows"]


@pytest.mark.parametrize(
    "model",
    [
        MultiOutputClassifier(LogisticRegression()),
        ClassifierChain(LogisticRegression()),
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(),
    ],
    ids=str,
)
def test_several_outputs_have_the_accuracy_of_the_whole_row(autolog, only, model):
    """As the estimators' own `score`."""
    X, y = make_classification(120, 6, flip_y=0.3, random_state=0)
    both = np.column_stack([y, X[:, 0] > 0])
    model.fit(X, both)
    run = only()
    autotrack.autolog(disable=True)
    assert run.metrics["train/accuracy"] == pytest.approx(model.score(X, both))


def test_one_row_has_no_r2(autolog, only):
    """As scikit-learn's own function returns NaN."""
    KNeighborsRegressor(1).fit([[1.0]], [2.0])
    run = only()
    assert math.isnan(run.metrics["train/r2"])
    assert run.metrics["train/mae"] == 0.0


def test_what_a_metric_fits_on_its_way_is_nobodys_preprocessing(autolog):
    """Metric functions fit a LabelEncoder; the run of the user has no parameter of it."""
    with autotrack.start_run("own") as run:
        f1_score(["a", "b", "a"], ["a", "a", "a"], average="macro", zero_division=0)
        precision_score([0, 1, 1], [0, 1, 0])
        StandardScaler().fit([[1.0], [2.0]])
    record = autotrack.get_run(run.id)
    assert {key for key in record.params if key.startswith("preprocessing")} == {"preprocessing.1.class"}
    assert record.params["preprocessing.1.class"] == "StandardScaler"


def test_three_identical_fits_have_one_record(autolog, seen):
    """Each time the same metrics, and those of the model."""
    X, y = make_classification(200, 6, random_state=0)
    for _ in range(3):
        RandomForestClassifier(30, max_depth=3, random_state=0).fit(X, y)
        GaussianProcessClassifier(random_state=0).fit(X[:60], y[:60])
        GradientBoostingClassifier(n_estimators=5, random_state=0).fit(X, y)
    found = [
        {key: value for key, value in run.metrics.items() if "duration" not in key and not math.isnan(value)}
        for run in seen()
    ]
    assert found[:3] == found[3:6] == found[6:]
    assert all("train/accuracy" in metrics for metrics in found)


class Locked(ClassifierMixin, BaseEstimator):
    """A classifier that cannot be pickled."""

    def fit(self, X, y):
        self.lock = threading.Lock()
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def test_a_model_that_cannot_be_pickled_is_named_without_a_warning(autolog, only, recwarn):
    """A line of the capture report says why it was not kept."""
    Locked().fit([[1.0], [2.0]], [0, 1])
    run = only()
    assert (run.status, run.models) == ("finished", {})
    assert run.reported("model") == [
        "not kept: a Locked cannot be pickled (TypeError: cannot pickle '_thread.lock' object)"
    ]
    assert [str(warning.message) for warning in recwarn] == []
