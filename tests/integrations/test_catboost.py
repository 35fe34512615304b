"""CatBoost: each outermost fit and `cv` is a training, and changes nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autotrack

catboost = pytest.importorskip("catboost")

PARAMS = {
    "loss_function": "Logloss", "custom_metric": ["AUC:hints=skip_train~false"], "depth": 2, "learning_rate": 0.5,
    "random_seed": 3, "thread_count": 1, "allow_writing_files": False, "logging_level": "Silent",
}  # fmt: skip
X, Y = load_breast_cancer(return_X_y=True)
NAMES = [f"feature {number}" for number in range(X.shape[1])]


@pytest.fixture(autouse=True)
def autolog() -> Iterator[None]:
    """Autolog for CatBoost and scikit-learn, as far as a test lasts."""
    autotrack.autolog("catboost", "sklearn")
    yield
    autotrack.autolog(disable=True)


def pools() -> tuple[object, object]:
    """A training and a validation pool of a real data set."""
    return catboost.Pool(X[:400], Y[:400], feature_names=NAMES), catboost.Pool(X[400:], Y[400:], feature_names=NAMES)


class Remember:
    """A callback of the user's, which may end the training with an exception or by saying so."""

    def __init__(self, at: int = -1, error: BaseException | None = None):
        self.seen = []
        self.at = at
        self.error = error

    def after_iteration(self, info):
        self.seen.append(info.iteration)
        if info.iteration == self.at and self.error is not None:
            raise self.error
        return info.iteration != self.at


def test_a_training_is_a_run(only, evaluations):
    """Params as bound, evaluations at their iteration, the best one, importances, data."""
    train, held_out = pools()
    model = catboost.train(train, PARAMS, iterations=60, eval_set=held_out, early_stopping_rounds=2)
    run = only()
    assert (run.name, run.kind, run.status) == ("catboost-1", "training", "finished")
    assert {name: run.params[name] for name in PARAMS} == PARAMS
    assert run.params["iterations"] == 60
    kept = model.get_evals_result()
    for prefix, name in (("train", "learn"), ("val", "validation")):
        for metric, values in kept[name].items():
            assert run.history[f"{prefix}/{metric}"] == list(enumerate(values))
    assert {"train/Logloss", "val/Logloss", "val/AUC"} <= {*run.history}
    assert run.params["end.best_iteration"] == model.best_iteration_
    assert run.params["end.best_metric"] == "val/Logloss"
    assert run.history["best_score"] == [(model.best_iteration_, kept["validation"]["Logloss"][model.best_iteration_])]
    assert run.params["end.stopped_by"] == "overfitting detector"
    assert run.params["end.iterations"] == len(kept["learn"]["Logloss"]) < 60
    assert (run.datasets["X"].role, run.datasets["X"].meta["rows"]) == ("train", 400)
    assert run.datasets["validation"].meta["names"] == NAMES
    assert run.datasets["validation"].role == "val"
    (table,) = evaluations()["feature_importances"]
    assert table["importance"] == sorted(model.feature_importances_.tolist(), reverse=True)
    assert table["feature"][0] == NAMES[model.feature_importances_.argmax()]
    assert "when the training had ended" in run.reported("evaluations")[0]


def test_the_model_is_kept_in_its_own_format(only):
    """What is loaded from the kept file predicts the same."""
    fitted = catboost.CatBoostClassifier(iterations=4, **PARAMS).fit(X, Y)
    run = only()
    model = run.models["model"]
    assert run.name == "catboostclassifier-1"
    assert (model.flavor, model.meta["format"], model.meta["runs_code"]) == ("catboost", "cbm", False)
    assert any(line.startswith("catboost==") for line in model.meta["requirements"])
    again = autotrack.load_model(f"runs:/{run.run}/model")
    assert type(again) is catboost.CatBoostClassifier
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert model.meta["input_example"]
    assert run.datasets["X"].digest
    assert run.datasets["y"].meta["rows"] == len(Y)


def test_evaluations_are_live_where_there_are_callbacks(only):
    """A callback that ends the training; its list stays as it is."""
    callbacks = [Remember(3)]
    train, held_out = pools()
    model = catboost.CatBoost({**PARAMS, "iterations": 9}).fit(train, eval_set=held_out, callbacks=callbacks)
    run = only()
    assert run.history["val/Logloss"] == list(enumerate(model.get_evals_result()["validation"]["Logloss"]))
    assert run.params["end.stopped_by"] == "Remember"
    assert run.params["end.iterations"] == 3
    assert run.params["callbacks.Remember.at"] == 3
    assert not run.reported("evaluations")
    assert (len(callbacks), callbacks[0].seen) == (1, [1, 2, 3])


@pytest.mark.parametrize("callbacks", [None, [Remember()]])
def test_evaluations_now_and_then(only, callbacks):
    """Each at its iteration, also where not every iteration is evaluated."""
    train, held_out = pools()
    model = catboost.CatBoost({**PARAMS, "iterations": 10, "metric_period": 4})
    model.fit(train, eval_set=held_out, callbacks=callbacks)
    values = model.get_evals_result()["validation"]["Logloss"]
    assert only().history["val/Logloss"] == list(zip([0, 4, 8, 9], values, strict=True))


@pytest.mark.parametrize(("error", "status"), [(ValueError("enough"), "failed"), (KeyboardInterrupt(), "killed")])
def test_what_ends_with_an_exception(only, error, status):
    """CatBoost makes an error of its own of it, which passes through; the evaluations before it are there."""
    train, held_out = pools()
    model = catboost.CatBoost({**PARAMS, "iterations": 9})
    with pytest.raises(catboost.CatBoostError):
        model.fit(train, eval_set=held_out, callbacks=[Remember(3, error)])
    run = only()
    assert (run.status, type(error).__name__ in run.failure.message) == (status, True)
    assert [step for step, _ in run.history["val/Logloss"]] == [0, 1, 2]


def test_a_cross_validation(only):
    """Mean and deviation of each iteration, the number of folds; no model."""
    kept = catboost.cv(pools()[0], {**PARAMS, "train_dir": "somewhere"}, iterations=5, fold_count=4, as_pandas=False)
    run = only()
    assert (run.name, run.params["fold_count"], run.params["end.folds"]) == ("catboost-cv-1", 4, 4)
    for ours, theirs in (("train/Logloss", "train-Logloss"), ("val/AUC", "test-AUC")):
        for part in ("mean", "std"):
            assert run.history[f"{ours}.{part}"] == list(enumerate(kept[f"{theirs}-{part}"]))
    assert run.params["end.iterations"] == 5
    assert not run.models


def test_a_pipeline_is_recorded_once(only):
    """Inside an estimator's fit it is part of that."""
    make_pipeline(StandardScaler(), catboost.CatBoostClassifier(iterations=2, **PARAMS)).fit(X, Y)
    run = only()
    assert run.name == "pipeline-1"


def test_nothing_is_changed_and_nothing_stays():
    """The model is the same bit for bit, and so are the functions."""
    recorded = catboost.train(pools()[0], PARAMS, iterations=5)
    code, method = catboost.cv.__code__, catboost.CatBoost._fit
    autotrack.autolog(disable=True)
    assert catboost.cv.__code__ is not code
    assert catboost.CatBoost._fit is not method
    plain = catboost.train(pools()[0], PARAMS, iterations=5)
    np.testing.assert_array_equal(recorded.predict(X), plain.predict(X))
    assert recorded.get_evals_result() == plain.get_evals_result()
    assert recorded.get_params() == plain.get_params()
    assert len(list(autotrack.runs(all=True))) == 1


def test_of_several_sets_the_last_one_judges(only):
    """Best iteration, metric and score belong to one set: the one by which CatBoost chose."""
    draw = np.random.RandomState(0)
    inputs = draw.rand(300, 5)
    target = (inputs[:, 0] + 0.8 * draw.rand(300) > 0.9).astype(int)
    good, bad = (inputs[100:200], target[100:200]), (inputs[200:], draw.permutation(target[200:]))
    model = catboost.CatBoostClassifier(
        iterations=40, learning_rate=0.3, random_seed=0, verbose=False, allow_writing_files=False, use_best_model=True
    )
    model.fit(inputs[:100], target[:100], eval_set=[good, bad])
    run = only()
    best = model.best_iteration_
    assert (run.params["end.best_iteration"], run.params["end.best_metric"]) == (best, "val/validation_1/Logloss")
    assert run.history["best_score"] == [(best, model.get_evals_result()["validation_1"]["Logloss"][best])]
