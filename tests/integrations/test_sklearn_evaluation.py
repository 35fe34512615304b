"""What the user does with a model after its fit is recorded in the run of that model, under the role of the data."""

from __future__ import annotations

import itertools
import pickle
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    auc,
    classification_report,
    confusion_matrix,
    f1_score,
    get_scorer,
    make_scorer,
    mean_squared_error,
    precision_recall_curve,
    precision_recall_fscore_support,
    r2_score,
    roc_auc_score,
    roc_curve,
    silhouette_score,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import autotrack


@pytest.fixture(scope="module")
def cancer():
    """569 × 30 real measurements with two classes."""
    return load_breast_cancer(return_X_y=True)


@pytest.fixture
def halves(autolog, cancer):
    """The sides of one split, made under autolog: X_train, X_test, y_train, y_test."""
    return train_test_split(*cancer, random_state=0)


def test_score_on_held_out_data(halves, only):
    """`score` on the other side of the split is the test accuracy of the run, on the same side the training's."""
    X_train, X_test, y_train, y_test = halves
    model = GaussianNB().fit(X_train, y_train)
    on_test, on_train = model.score(X_test, y_test), model.score(X_train, y_train)
    metrics = only().metrics
    assert metrics["test/accuracy"] == on_test
    assert metrics["train/accuracy"] == on_train


def test_a_metric_function_that_was_imported_before_autolog(halves, only):
    """Names that the program holds already are observed: on all predictions and on a slice of them."""
    X_train, X_test, y_train, y_test = halves
    model = GaussianNB().fit(X_train, y_train)
    predicted = model.predict(X_test)
    whole = accuracy_score(y_test, predicted)
    part = f1_score(y_test[:50], predicted[:50], average="macro")
    metrics = only().metrics
    assert (metrics["test/accuracy"], metrics["test/f1.macro"]) == (whole, part)


def test_calls_that_differ_in_their_options_are_kept_apart(halves, only):
    """The options that are not the defaults are part of the name; a default said aloud is not."""
    X_train, X_test, y_train, y_test = halves
    predicted = GaussianNB().fit(X_train, y_train).predict(X_test)
    expected = {
        "test/f1": f1_score(y_test, predicted, average="binary"),
        "test/f1.pos_label_0": f1_score(y_test, predicted, pos_label=0),
        "test/f1.weighted": f1_score(y_true=y_test, y_pred=predicted, average="weighted"),
        "test/fbeta.beta_0.5": sklearn_metrics.fbeta_score(y_test, predicted, beta=0.5),
        "test/accuracy.normalize_False": accuracy_score(y_test, predicted, normalize=False),
        "test/accuracy.sample_weight": accuracy_score(y_test, predicted, sample_weight=np.arange(len(y_test))),
    }
    metrics = only().metrics
    assert {name: metrics.get(name) for name in expected} == expected


class Adapter(BaseEstimator):
    """Trains a model of its own, and answers by it whatever else is asked."""

    def __init__(self, smoothing=1e-9):
        self.smoothing = smoothing

    def fit(self, X, y):
        self.model = GaussianNB(var_smoothing=self.smoothing).fit(X, y)
        return self

    def __getattr__(self, name):
        if name.startswith("__") or name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)


def test_an_adapter_that_hands_its_score_on(halves, only):
    """The score of the model inside is the adapter's, and so are its predictions."""
    X_train, X_test, y_train, y_test = halves
    model = Adapter().fit(X_train, y_train)
    score = model.score(X_test, y_test)
    accuracy_score(y_train, model.predict(X_train))
    assert only().history["test/accuracy"] == [(0, score)]
    assert only().metrics["train/accuracy"] == accuracy_score(y_train, model.model.predict(X_train).tolist())


def test_two_models_and_their_predictions(halves, seen):
    """Each metric goes to the run of the model whose predictions it was given, whichever was fitted last."""
    X_train, X_test, y_train, y_test = halves
    bayes = GaussianNB().fit(X_train, y_train)
    wider = GaussianNB(var_smoothing=0.01).fit(X_train, y_train)
    of_bayes, of_wider = bayes.predict(X_test), wider.predict_proba(X_test)[:, 1]
    accuracy, area = accuracy_score(y_test, of_bayes), roc_auc_score(y_test, of_wider)
    first, second = seen()
    assert (first.metrics["test/accuracy"], second.metrics["test/roc_auc"]) == (accuracy, area)
    assert "test/roc_auc" not in first.metrics
    assert "test/accuracy" not in second.metrics


def test_results_that_are_no_number(halves, evaluations):
    """Matrices, curves and reports are kept as tables, under the role of the data; areas under curves as metrics."""
    X_train, X_test, y_train, y_test = halves
    model = GaussianNB().fit(X_train, y_train)
    predicted, scores = model.predict(X_test), model.predict_proba(X_test)[:, 1]
    matrix = confusion_matrix(y_test, predicted)
    report = classification_report(y_test, predicted, output_dict=True)
    text = classification_report(y_test, predicted)
    fpr, tpr, thresholds = roc_curve(y_test, scores)
    precision, _, _ = precision_recall_curve(y_test, scores)
    per_class = f1_score(y_test, predicted, average=None)
    found = evaluations()
    assert found["test/confusion_matrix"] == [
        {"true": ["0", "1"], "0": matrix[:, 0].tolist(), "1": matrix[:, 1].tolist()}
    ]
    by_class, lines = found["test/classification_report"]
    assert by_class["class"] == ["0", "1", "macro avg", "weighted avg", "accuracy"]
    assert by_class["recall"][0] == report["0"]["recall"]
    assert by_class["precision"][-1] == report["accuracy"]
    assert "\n".join(lines["report"]).strip() == text.strip()
    (curve,) = found["test/roc_curve"]
    assert (curve["fpr"], curve["tpr"], curve["threshold"]) == (fpr.tolist(), tpr.tolist(), thresholds.tolist())
    (pr,) = found["test/pr_curve"]
    assert (pr["precision"][0], pr["recall"][-1], pr["threshold"][-1]) == (precision[0], 0.0, None)
    assert found["test/f1.None"] == [{"f1": per_class.tolist()}]


def test_the_area_under_a_curve_belongs_to_the_curve(halves, only):
    """`auc(fpr, tpr)` has no predictions among its arguments and still goes to the model's run."""
    X_train, X_test, y_train, y_test = halves
    scores = GaussianNB().fit(X_train, y_train).predict_proba(X_test)[:, 1]
    fpr, tpr, _ = roc_curve(y_test, scores)
    area = auc(fpr, tpr)
    assert only().metrics["test/roc_curve.auc"] == area


def test_several_numbers_at_once(halves, only):
    """A tuple of averages is a metric for each."""
    X_train, X_test, y_train, y_test = halves
    predicted = GaussianNB().fit(X_train, y_train).predict(X_test)
    precision, recall, fscore, _ = precision_recall_fscore_support(y_test, predicted, average="macro")
    metrics = only().metrics
    assert metrics["test/precision.macro"] == precision
    assert metrics["test/recall.macro"] == recall
    assert metrics["test/fscore.macro"] == fscore


def test_long_curves_keep_some_of_their_points(autolog, evaluations):
    """A curve of thousands of points is kept as two hundred, with the first and the last."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(4000, 1))
    y = (X[:, 0] + generator.normal(size=4000) > 0).astype(int)
    model = GaussianNB().fit(X, y)
    fpr, tpr, _ = roc_curve(y, model.predict_proba(X)[:, 1], drop_intermediate=False)
    curve = evaluations()["train/roc_curve"][-1]
    assert len(fpr) > 3000
    assert len(curve["fpr"]) == 200
    assert (curve["fpr"][0], curve["fpr"][-1], curve["tpr"][-1]) == (fpr[0], fpr[-1], tpr[-1])


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (KNeighborsClassifier(), "accuracy"),
        (GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}, cv=2), "accuracy"),
        (GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}, cv=2, scoring="f1"), "f1"),
    ],
)
def test_a_score_goes_by_what_it_is(halves, estimator, name):
    """Estimators whose `score` is their own, and searches, whose `score` is what they were told."""
    X_train, X_test, y_train, y_test = halves
    value = clone(estimator).fit(X_train, y_train).score(X_test, y_test)
    record = next(run for run in autotrack.runs(all=True) if run.kind != "trial")
    assert record.metrics[f"test/{name}"].last == value


def test_scorers_are_recorded_like_the_functions_in_them(halves, only):
    """Scorer objects that the user calls: named, negated and made of a function of the user's."""

    def spread(y_true, y_pred):
        return float(np.std(y_true - y_pred)) + 0 * accuracy_score(y_true, y_pred)

    X_train, X_test, y_train, y_test = halves
    model = GaussianNB().fit(X_train, y_train)
    expected = {
        "test/f1": get_scorer("f1")(model, X_test, y_test),
        "test/f1.macro": get_scorer("f1_macro")(model, X_test, y_test),
        "test/neg_log_loss": get_scorer("neg_log_loss")(model, X_test, y_test),
        "test/spread": make_scorer(spread)(model, X=X_test, y_true=y_test),
    }
    metrics = only().metrics
    assert {name: value for name, value in metrics.items() if name.startswith("test/")} == expected


def test_what_scikit_learn_and_estimators_call_themselves_is_not_recorded(autolog, seen, cancer):
    """Metrics inside `score`, inside cross-validation and inside a fit of the user's are parts of these."""

    class Careful(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.model_ = GaussianNB().fit(X, y)
            self.quality_ = accuracy_score(y, self.model_.predict(X))
            return self

        def predict(self, X):
            return self.model_.predict(X)

        def score(self, X, y):
            return 10 * accuracy_score(y, self.predict(X))

    X, y = cancer
    model = Careful().fit(X, y)
    value = model.score(X, y)
    cross_val_score(GaussianNB(), X, y, cv=3, scoring="f1")
    runs = seen()
    assert runs[0].metrics["train/score"] == value
    assert not any("accuracy" in name for name in runs[0].metrics)
    assert not any(name.startswith("eval/") for run in runs for name in run.metrics)


def test_data_of_unknown_role_is_named_after_its_variable(autolog, only, cancer):
    """Data of which nothing is known is `eval/…`; the name that the program gives it is a tag."""
    X, y = cancer
    model = GaussianNB().fit(X[:300], y[:300])
    X_fresh, y_fresh = X[300:], y[300:]
    whole = accuracy_score(y_fresh, model.predict(X_fresh))
    assert only().metrics["eval/accuracy"] == whole
    part = model.score(X[300:400], y[300:400])
    score = model.score(
        X_fresh,
        y_fresh,
    )
    assert score == whole != part
    assert only().metrics["eval/accuracy"] == whole
    assert only().tags["eval/accuracy.data"] == "y_fresh, X_fresh"


def test_training_data_is_known_by_its_memory(autolog, only, cancer):
    """The training data itself and a slice of it are the training's; other rows of the same array are not."""
    X, y = cancer
    X_some, y_some = X[:400], y[:400]
    model = GaussianNB().fit(X_some, y_some)
    model.score(X_some[::3], y_some[::3])
    assert only().metrics["train/accuracy"] == accuracy_score(y[:400:3], model.predict(X[:400:3]))
    model.score(X[400:], y[400:])
    assert only().metrics["eval/accuracy"] == model.score(X[400:], y[400:])


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_equal_copies_of_the_training_data_are_the_training_data(autolog, seen, cancer, kind):
    """What holds the rows and values that were fitted is `train`, whichever copy; all else is `eval`."""
    X, y = kind(cancer[0])[:400], cancer[1][:400]
    rows = getattr(X, "iloc", X)
    expected = []
    for fitted, held_out in KFold(2).split(X):
        model = GaussianNB().fit(rows[fitted], y[fitted])
        expected.append((model.score(rows[held_out], y[held_out]), model.score(rows[fitted], y[fitted])))
        f1_score(y[held_out], model.predict(rows[held_out]))
        f1_score(y[fitted], model.predict(rows[fitted]))
        accuracy_score(1 - y[fitted], model.predict(rows[fitted]))  # other values on the same rows
    for run, (held_out, fitted) in zip(seen(), expected, strict=True):
        assert [value for _, value in run.history["eval/accuracy"]] == [held_out, pytest.approx(1 - fitted)]
        assert len(run.history["eval/f1"]) == 1
        assert run.metrics["train/accuracy"] == fitted


def test_a_validation_set_is_told_from_a_test_set(autolog, only, cancer):
    """Split twice: what was held out of the training part is `val`, what was held out before is `test`."""
    X_rest, X_test, y_rest, y_test = train_test_split(*cancer, random_state=0)
    X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, random_state=0)
    model = GaussianNB().fit(X_train, y_train)
    val, test = model.score(X_val, y_val), model.score(X_test, y_test)
    mixed = model.score(X_rest, y_rest)
    metrics = only().metrics
    assert (metrics["val/accuracy"], metrics["test/accuracy"], metrics["eval/accuracy"]) == (val, test, mixed)


def test_data_that_was_transformed_is_known_by_its_targets(autolog, only, cancer):
    """Scaled inputs are new arrays; the targets that go with them say which side they are of."""
    X_train, X_test, y_train, y_test = train_test_split(*cancer, random_state=0)
    scaler = StandardScaler().fit(X_train)
    model = GaussianNB().fit(scaler.transform(X_train), y_train)
    model.score(scaler.transform(X_test), y_test)
    model.score(scaler.transform(X_train), y_train)
    assert {"test/accuracy", "train/accuracy"} <= set(only().metrics)
    assert "eval/accuracy" not in only().metrics


def test_frames_are_known_by_their_rows(autolog, only):
    """Columns taken from the two sides of a split frame are of these sides."""
    frame = load_iris(as_frame=True).frame
    train, test = train_test_split(frame, random_state=0)
    columns = ["sepal length (cm)", "petal width (cm)"]
    model = GaussianNB().fit(train[columns], train["target"])
    value = accuracy_score(test["target"], model.predict(test[columns]))
    error = mean_squared_error(train["target"], model.predict(train[columns]))
    assert only().metrics["test/accuracy"] == value
    assert only().metrics["train/mse"] == error


def test_pipelines_regressors_and_clusterers(autolog, seen):
    """The score of a pipeline is that of its last step; clusters are judged by their data and labels."""
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X_train, y_train)
    value = pipeline.score(X_test, y_test)
    assert value == r2_score(y_test, pipeline.predict(X_test))
    clusters = KMeans(3, n_init=1, random_state=0)
    labels = clusters.fit_predict(X)
    quality = silhouette_score(X, labels)
    assert silhouette_score(X, clusters.labels_) == quality
    clusters.score(X)
    first, second = seen()
    assert first.metrics["test/r2"] == value
    assert second.metrics["train/silhouette"] == quality
    assert second.metrics["train/score"] == clusters.score(X)


def test_copies_go_to_the_run_that_is_at_hand_and_are_named(autolog, only, cancer):
    """A list or a copy is nobody's predictions: with one run only it is recorded there, and the report says so."""
    X, y = cancer
    model = GaussianNB().fit(X, y)
    value = accuracy_score(y.tolist(), model.predict(X).tolist())
    assert only().metrics["eval/accuracy"] == value
    assert "was not given predictions of a recorded model" in only().reported("metrics")[0]


def test_copies_beside_several_models_are_only_named(autolog, seen, cancer):
    """With two models in the program nobody knows whose copy it is: the value is in the report, not in the metrics."""
    X, y = cancer
    first, second = GaussianNB().fit(X, y), GaussianNB(var_smoothing=1e-8).fit(X, y)
    value = accuracy_score(y, first.predict(X).copy())
    runs = seen()
    assert all("eval/accuracy" not in run.metrics for run in runs)
    (line,) = runs[1].reported("metrics")
    assert f"accuracy_score = {value}" in line
    assert second.classes_.tolist() == [0, 1]


def test_metrics_in_an_open_run_without_a_model_are_its_metrics(autolog, only):
    """Whatever was trained elsewhere: what the functions say inside a run belongs to that run."""
    with autotrack.start_run("elsewhere"):
        for value in (0, 1):
            accuracy_score([0, 1], [0, value])
    assert only().metrics == {"eval/accuracy": 1.0}


def test_without_any_run_nothing_is_recorded(autolog, seen):
    """A metric function in a program that trains nothing opens no run."""
    accuracy_score([0, 1], [0, 1])
    assert seen() == []


def test_evaluation_in_an_open_run_belongs_to_the_training(autolog, seen, cancer):
    """Two models in one run: the metrics of each carry its number."""
    X_train, X_test, y_train, y_test = train_test_split(*cancer, random_state=0)
    with autotrack.start_run("study"):
        models = [GaussianNB(var_smoothing=smoothing).fit(X_train, y_train) for smoothing in (1e-9, 1e-2)]
        values = [model.score(X_test, y_test) for model in models]
    by_number = {one.number: one for one in seen()}
    assert [by_number[number].metrics["test/accuracy"] for number in (1, 2)] == values


def test_an_unpickled_models_score_goes_to_no_run(autolog, only, cancer):
    """A pickle of the model is another object: what is done with it does not reach the old run."""
    X, y = cancer
    model = GaussianNB().fit(X, y)
    before = only().metrics
    again = pickle.loads(pickle.dumps(model))
    assert again.score(X, y) == model.score(X[:], y)
    again.predict(X)
    expected = {**before, "train/accuracy": model.score(X, y)}
    assert only().metrics == expected


def test_a_model_that_is_fitted_again_is_in_its_new_run(autolog, seen, cancer):
    """After a second fit of the same object `score` belongs to the second run."""
    X_train, X_test, y_train, y_test = train_test_split(*cancer, random_state=0)
    model = GaussianNB().fit(X_train[:100], y_train[:100])
    model.fit(X_train, y_train)
    value = model.score(X_test, y_test)
    first, second = seen()
    assert second.metrics["test/accuracy"] == value
    assert "test/accuracy" not in first.metrics


def test_threads_evaluate_each_their_own_model(autolog, seen, cancer):
    """Four threads that fit, predict and measure at once: each value is in the run of its thread's model."""
    X_train, X_test, y_train, y_test = train_test_split(*cancer, random_state=0)
    start, found = threading.Barrier(4), {}

    def work(smoothing):
        start.wait()
        model = GaussianNB(var_smoothing=smoothing).fit(X_train, y_train)
        found[smoothing] = accuracy_score(y_test, model.predict(X_test))

    threads = [threading.Thread(target=work, args=(10.0**-power,)) for power in (1, 3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {run.params["var_smoothing"]: run.metrics["test/accuracy"] for run in seen()} == found


def test_prediction_takes_time_that_is_measured_on_the_way(autolog, only, cancer, monkeypatch):
    """Milliseconds per row, a point for each of the first calls and then ever fewer."""
    X, y = cancer
    model = GaussianNB().fit(X, y)
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)  # on which each prediction takes a second
    monkeypatch.setattr("autotrack.integrations.sklearn.evaluating.time", clock)
    for _ in range(100):
        model.predict(X)
    model.predict_proba(X[:4])
    assert only().metrics["predict/latency_ms"] == pytest.approx(1000 / 569)
    assert only().metrics["predict_proba/latency_ms"] == 250.0


def test_there_are_few_points_of_latency(autolog, points, cancer):
    """A hundred calls are thirteen points: ten single ones, and the means up to the 16th, 32nd and 64th."""
    X, y = cancer
    model = GaussianNB().fit(X, y)
    for _ in range(100):
        model.predict(X[:1])
    assert len(points("predict/latency_ms")) == 13


def test_a_metric_that_raises_raises(autolog, only, cancer):
    """The user's error arrives as it is; the next call is recorded."""
    X, y = cancer
    model = GaussianNB().fit(X, y)
    predicted = model.predict(X)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        accuracy_score(y[:-1], predicted)
    with pytest.raises(ValueError, match="features"):
        model.predict(X[:, :3])
    value = f1_score(y, predicted)
    assert only().metrics["train/f1"] == value


def test_paused_and_disabled(autolog, only, cancer):
    """Inside `paused()` and after `disable=True` nothing is recorded of metrics."""
    X, y = cancer
    model = GaussianNB().fit(X, y)
    predicted = model.predict(X)
    with autotrack.paused():
        f1_score(y, predicted, average="micro")
    autotrack.autolog(disable=True)
    f1_score(y, predicted, average="weighted")
    model.score(X[:9], y[:9])
    assert not {"train/f1.micro", "train/f1.weighted"} & set(only().metrics)


def test_the_functions_are_the_same_objects(autolog, cancer):
    """Identity, pickles, signatures and the registry of scorers hold with autolog on."""
    assert sklearn_metrics.accuracy_score is accuracy_score
    assert pickle.loads(pickle.dumps(accuracy_score)) is accuracy_score
    scorer = pickle.loads(pickle.dumps(get_scorer("accuracy")))
    assert scorer._score_func is accuracy_score
    assert scorer(GaussianNB().fit(*cancer), *cancer) > 0.9


def test_disabling_gives_the_functions_their_own_code_back():
    """The code objects of all metric functions and of `train_test_split` are the very ones that were there."""
    functions = [getattr(sklearn_metrics, name) for name in sklearn_metrics.__all__]
    codes = {function: function.__code__ for function in functions if hasattr(function, "__code__")}
    codes[train_test_split] = train_test_split.__code__
    autotrack.autolog("sklearn")
    changed = [function for function, code in codes.items() if function.__code__ is not code]
    autotrack.autolog(disable=True)
    assert {accuracy_score, roc_curve, train_test_split} <= set(changed)
    assert all(function.__code__ is code for function, code in codes.items())


def test_series_of_predictions_and_frames_of_targets(autolog, only):
    """Targets as a Series with the index of the split are known, whatever the order of columns."""
    data = load_iris(as_frame=True)
    X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, random_state=0)
    model = LogisticRegression(max_iter=500).fit(X_train, y_train)
    assert isinstance(y_test, pd.Series)
    value = accuracy_score(y_test, model.predict(X_test[X_test.columns]))
    assert only().metrics["test/accuracy"] == value


def test_a_classifiers_fit_keeps_its_tables(autolog, evaluations, cancer):
    """Confusion matrix, ROC and precision-recall curve of the training data, without being asked."""
    X, y = cancer
    model = GaussianNB(var_smoothing=0.01).fit(X, y)
    found = evaluations()
    matrix = confusion_matrix(y, model.predict(X))
    assert found["train/confusion_matrix"] == [
        {"true": ["0", "1"], "0": matrix[:, 0].tolist(), "1": matrix[:, 1].tolist()}
    ]
    scores = model.predict_proba(X)[:, 1]
    (roc,) = found["train/roc_curve"]
    assert set(roc["class"]) == {"1"}
    assert len(roc["fpr"]) == 200
    assert auc(roc["fpr"], roc["tpr"]) == pytest.approx(roc_auc_score(y, scores), abs=1e-3)
    (pr,) = found["train/pr_curve"]
    assert (pr["recall"][-1], pr["precision"][-1]) == (1.0, pytest.approx(y.mean()))


def test_curves_of_several_classes_are_one_against_the_rest(autolog, evaluations):
    """Three species: a curve for each, and the matrix of all."""
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = SVC().fit(X, names)
    found = evaluations()
    (roc,) = found["train/roc_curve"]
    scores = model.decision_function(X)
    for column, name in enumerate(model.classes_):
        rows = [row for row, label in enumerate(roc["class"]) if label == name]
        fpr, tpr = [roc["fpr"][row] for row in rows], [roc["tpr"][row] for row in rows]
        assert auc(fpr, tpr) == pytest.approx(roc_auc_score(names == name, scores[:, column]), abs=0.01)
    assert found["train/confusion_matrix"][0]["true"] == ["setosa", "versicolor", "virginica"]


def test_a_regressors_fit_keeps_residuals_and_coefficients(autolog, evaluations):
    """Two hundred true values beside what was predicted; coefficients by name, the largest first."""
    data = load_diabetes(as_frame=True)
    model = LinearRegression().fit(data.data, data.target)
    found = evaluations()
    (table,) = found["train/residuals"]
    assert len(table["true"]) == 200
    assert np.subtract(table["true"], table["predicted"]) == pytest.approx(np.array(table["residual"]))
    assert table["predicted"][0] == pytest.approx(model.predict(data.data)[0])
    (coefficients,) = found["coefficients"]
    order = np.argsort(-np.abs(model.coef_))
    assert coefficients["feature"] == data.data.columns[order].tolist()
    assert coefficients["coefficient"] == model.coef_[order].tolist()


def test_importances_are_those_of_the_hundred_largest(autolog, evaluations):
    """Of a pipeline's last step, by number where there are no names; coefficients of each class beside one another."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(60, 150)), generator.integers(0, 3, 60)
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=5, random_state=0)).fit(X, y)
    (table,) = evaluations()["feature_importances"]
    importances = forest[-1].feature_importances_
    assert len(table["feature"]) == 100
    assert table["importance"] == sorted(importances, reverse=True)[:100]
    assert table["feature"][0] == f"x{importances.argmax()}"
    LogisticRegression(max_iter=50).fit(X[:, :4], y)
    (table,) = evaluations()["coefficients"]
    assert list(table) == ["feature", "coefficient.0", "coefficient.1", "coefficient.2"]


def test_the_loss_of_each_iteration_that_an_estimator_kept(autolog, points):
    """A network's loss curve is a metric with a point for each iteration."""
    X, y = load_iris(return_X_y=True)
    model = MLPClassifier(max_iter=10, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert points("train/loss") == model.loss_curve_
    assert len(model.loss_curve_) == 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["array", "sparse"])
def test_large_data_is_never_copied(script, kind):
    """Fit, prediction, score and metrics on 200 MB, or on a sparse matrix that would be 3 GB, take + 50 MB at most."""
    made = {
        "array": "X = np.ones((250_000, 100)); X[:, 0] = np.arange(250_000) % 7; y = np.arange(250_000) % 2",
        "sparse": "places = np.random.default_rng(0).integers(20_000, size=(2, 40_000)); "
        "X = scipy.sparse.csr_matrix((np.ones(40_000), places), shape=(20_000, 20_000)); y = np.arange(20_000) % 2",
    }
    script(
        f"""
        import tracemalloc
        import numpy as np, scipy.sparse
        from sklearn.base import BaseEstimator, ClassifierMixin, clone
        from sklearn.linear_model import SGDClassifier
        from sklearn.metrics import accuracy_score, roc_auc_score, roc_curve
        import autotrack
        {made[kind]}
        model = SGDClassifier(max_iter=1, tol=None)

        def peak():
            tracemalloc.start()
            model.fit(X, y)
            said = model.predict(X)
            accuracy_score(y, said)
            roc_curve(y, model.decision_function(X))
            model.score(X, y)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return most

        plain = peak()
        autotrack.autolog()
        assert peak() - plain < 50 << 20, (peak(), plain)
        """
    )


@pytest.mark.slow
@pytest.mark.parametrize("which", ["confusion or f1 or report or accuracy"])
def test_scikit_learns_own_tests_of_metrics_agree(script, which):
    """Shipped tests of the classification metrics pass, skip and fail as they do without autolog."""
    source = """
        import os, sys
        import pytest
        import sklearn.metrics
        import autotrack

        class Outcomes:
            found = []

            def pytest_runtest_logreport(self, report):
                if report.when == "call" or report.outcome != "passed":
                    self.found.append((report.nodeid.partition("::")[2], report.outcome))

            def pytest_collection_finish(self, session):
                if sys.argv[1] == "on":
                    autotrack.autolog("sklearn")

        os.chdir(os.path.join(os.path.dirname(sklearn.metrics.__file__), "tests"))
        outcomes = Outcomes()
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", os.devnull, "--rootdir", "."]
        pytest.main(["test_classification.py", *options, "-k", sys.argv[2]], plugins=[outcomes])
        print(*(f"outcome {name} {outcome}" for name, outcome in sorted(outcomes.found)), sep="\\n")
        """
    off, on = (
        [line for line in script(source, word, which, timeout=300).stdout.splitlines() if line.startswith("outcome")]
        for word in ("off", "on")
    )
    assert len(off) > 50
    assert on == off
