"""Third parties' estimators with scikit-learn's interface are recorded like its own, with nothing done for them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autotrack
from autotrack import events
from autotrack.exceptions import UntrustedModelError
from autotrack.journal.blobs import blob_path
from autotrack.models import load_model
from autotrack.recording.collector import collector

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")


@pytest.fixture
def halves(autolog):
    """The sides of one split of a real data set: X_train, X_test, y_train, y_test."""
    return train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)


@pytest.fixture
def rows(recorded):
    """The steps and values of one metric."""

    def read(key):
        found = [event for event in recorded() if isinstance(event, events.MetricRows) and key in event.frame.keys]
        return [
            (step, value)
            for one in found
            for step, value in zip(one.steps.tolist(), one.values[one.frame.keys.index(key)].tolist(), strict=True)
        ]

    return read


class Remember(xgboost.callback.TrainingCallback):
    """A callback of the user's that counts the iterations it sees."""

    def __init__(self):
        self.seen = 0

    def after_iteration(self, model, epoch, evals_log):
        self.seen += 1
        return False


def test_xgboost_with_evaluation_sets_and_callbacks(halves, only, rows):
    """Params, sets by their role at each iteration, importances, test accuracy; the user's list stays as it is."""
    X_train, X_test, y_train, y_test = halves
    callbacks = [Remember()]
    model = xgboost.XGBClassifier(n_estimators=7, max_depth=2, n_jobs=1, callbacks=callbacks)
    model.fit(X_train, y_train, eval_set=[(X_train, y_train), (X_test, y_test)], verbose=False)
    accuracy = accuracy_score(y_test, model.predict(X_test))
    score = model.score(X_test, y_test)
    run = only()
    assert (run.name, run.params["max_depth"], run.params["n_estimators"]) == ("xgbclassifier-1", 2, 7)
    assert run.params["fit.verbose"] is False
    assert run.metrics["test/accuracy"] == accuracy == score
    kept = model.evals_result()
    assert rows("train/logloss") == list(enumerate(kept["validation_0"]["logloss"]))
    assert rows("val/logloss") == list(enumerate(kept["validation_1"]["logloss"]))
    assert model.get_params()["callbacks"] is callbacks
    assert len(callbacks) == 1
    assert callbacks[0].seen == 7
    autotrack.autolog(disable=True)
    assert run.metrics["train/accuracy"] == model.score(X_train, y_train)


def test_xgboosts_model_is_a_pickle_that_says_so(autolog, only):
    """No safe format holds it: it is kept, loading it asks for trust, and then it predicts the same."""
    X, y = load_diabetes(return_X_y=True)
    model = xgboost.XGBRegressor(n_estimators=5, n_jobs=1).fit(X, y)
    run = only()
    assert run.models["model"].meta["runs_code"]
    assert any(line.startswith("xgboost==") for line in run.models["model"].meta["requirements"])
    files = {
        name.removeprefix("model/"): blob_path(collector().place.blobs, artifact.digest).read_bytes()
        for name, artifact in run.files.items()
    }
    with pytest.raises(UntrustedModelError):
        load_model(files)
    np.testing.assert_array_equal(load_model(files, trust=True).predict(X), model.predict(X))


def test_several_validation_sets_are_told_apart(halves, rows):
    """Two sets that are not the training data: each under its own name."""
    X_train, X_test, y_train, y_test = halves
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1, eval_metric=["error", "auc"])
    model.fit(X_train, y_train, eval_set=[(X_test[:70], y_test[:70]), (X_test[70:], y_test[70:])], verbose=False)
    kept = model.evals_result()
    assert [value for _, value in rows("val/validation_1/auc")] == kept["validation_1"]["auc"]
    assert [value for _, value in rows("val/validation_0/error")] == kept["validation_0"]["error"]


def test_lightgbm_with_evaluation_sets_and_callbacks(halves, only, rows, evaluations):
    """The same for LightGBM, whatever it calls the sets; importances by column."""
    X_train, X_test, y_train, y_test = halves
    seen = []
    callbacks = [lambda environment: seen.append(environment.iteration)]
    model = lightgbm.LGBMClassifier(n_estimators=6, num_leaves=5, n_jobs=1, verbose=-1)
    model.fit(X_train, y_train, eval_X=(X_train, X_test), eval_y=(y_train, y_test), callbacks=callbacks)
    score = model.score(X_test, y_test)
    run = only()
    assert (run.name, run.params["num_leaves"]) == ("lgbmclassifier-1", 5)
    assert run.metrics["test/accuracy"] == score
    in_training, held_out = model.evals_result_.values()
    assert [value for _, value in rows("train/binary_logloss")] == in_training["binary_logloss"]
    assert [value for _, value in rows("val/binary_logloss")] == held_out["binary_logloss"]
    assert (len(callbacks), seen) == (1, list(range(6)))
    (table,) = evaluations()["feature_importances"]
    assert table["feature"][0] == f"x{model.feature_importances_.argmax()}"
    assert run.models["model"].meta["runs_code"]


def test_a_pipeline_that_ends_in_one(halves, only):
    """The score of a pipeline with somebody else's last step is what that step's score is."""
    X_train, X_test, y_train, y_test = halves
    pipeline = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2, n_jobs=1)).fit(X_train, y_train)
    score = pipeline.score(X_test, y_test)
    run = only()
    assert run.params["xgbclassifier__n_estimators"] == 2
    assert run.metrics["test/accuracy"] == score


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_estimators_of_boosting_libraries_have_training_metrics(autolog, only, library, kind):
    """They predict without an effect, so their metrics are computed as those of scikit-learn's own."""
    if library == "xgboost":
        model = getattr(xgboost, f"XGB{kind}")(n_estimators=5)
    else:
        model = getattr(lightgbm, f"LGBM{kind}")(n_estimators=5, verbose=-1)
    X, y = load_iris(return_X_y=True) if kind == "Classifier" else load_diabetes(return_X_y=True)
    model.fit(X, y)
    run = only()
    autotrack.autolog(disable=True)
    metric = "train/accuracy" if kind == "Classifier" else "train/r2"
    assert run.metrics[metric] == pytest.approx(model.score(X, y))
    assert run.reported("training metrics") == []


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("copied", [np.copy, lambda data: data[:]])
def test_early_stopping_and_roles_are_told_as_by_the_native_interface(halves, only, rows, library, copied):
    """The words of both ways in are the same; training data is known by what it holds, not by being the same array."""
    X_train, X_test, y_train, y_test = halves
    sets = [(copied(X_train), copied(y_train)), (X_test, y_test)]
    if library == "xgboost":
        model = xgboost.XGBClassifier(
            n_estimators=40, learning_rate=0.9, early_stopping_rounds=2, eval_metric=["auc", "logloss"], n_jobs=1
        ).fit(X_train, y_train, eval_set=sets, verbose=False)
        number, step, key = model.best_iteration, model.best_iteration, "val/logloss"
    else:
        model = lightgbm.LGBMClassifier(n_estimators=40, learning_rate=0.9, verbose=-1, n_jobs=1).fit(
            X_train, y_train, eval_set=sets, callbacks=[lightgbm.early_stopping(2, verbose=False)]
        )
        number, step, key = model.best_iteration_, model.best_iteration_ - 1, "val/binary_logloss"
    run = only()
    assert (run.params["end.best_iteration"], run.params["end.best_metric"]) == (number, key)
    assert rows("best_score") == [(step, dict(rows(key))[step])]
    assert rows(key.replace("val/", "train/"))
    assert not [name for name in run.metrics if "validation" in name or "valid_" in name]
