"""LightGBM's own interface: each outermost `train` and `cv` is a training, and changes nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

import autotrack

lightgbm = pytest.importorskip("lightgbm")

PARAMS = {
    "objective": "binary", "num_leaves": 5, "eta": 0.3, "num_threads": 1, "seed": 3, "bagging_fraction": 0.7,
    "bagging_freq": 1, "metric": ["binary_logloss", "auc"], "verbosity": -1, "deterministic": True,
}  # fmt: skip
X, Y = load_breast_cancer(return_X_y=True)
NAMES = [f"feature_{number}" for number in range(X.shape[1])]


@pytest.fixture(autouse=True)
def autolog() -> Iterator[None]:
    """Autolog for LightGBM and scikit-learn, as far as a test lasts."""
    autotrack.autolog("lightgbm", "sklearn")
    yield
    autotrack.autolog(disable=True)


def sets() -> tuple[object, object]:
    """A training and a validation set of a real data set."""
    train = lightgbm.Dataset(X[:400], Y[:400], feature_name=NAMES)
    return train, train.create_valid(X[400:], Y[400:])


def test_a_training_is_a_run(only, evaluations):
    """Params as bound, evaluations at their iteration, the best one, importances, data."""
    train, held_out = sets()
    kept, seen = {}, []
    callbacks = [
        lightgbm.record_evaluation(kept), lambda environment: seen.append(environment.iteration),
        lightgbm.early_stopping(2, verbose=False),
    ]  # fmt: skip
    booster = lightgbm.train(
        PARAMS, train, 60, valid_sets=[held_out, train], valid_names=["holdout", "fitted"], callbacks=callbacks
    )
    run = only()
    assert (run.name, run.kind, run.status) == ("lightgbm-1", "training", "finished")
    assert {name: run.params[name] for name in PARAMS} == PARAMS
    assert run.params["num_boost_round"] == 60
    assert run.params["callbacks._EarlyStoppingCallback.stopping_rounds"] == 2
    assert "keep_training_booster" in run.defaults
    for prefix, name in (("train", "fitted"), ("holdout", "holdout")):
        for metric in PARAMS["metric"]:
            assert run.history[f"{prefix}/{metric}"] == list(enumerate(kept[name][metric]))
    best = booster.best_iteration - 1
    assert run.params["end.best_iteration"] == booster.best_iteration
    assert run.params["end.best_metric"] == "holdout/binary_logloss"
    assert run.history["best_score"] == [(best, kept["holdout"]["binary_logloss"][best])]
    assert run.params["end.stopped_by"] == "early_stopping"
    assert run.params["end.iterations"] == len(seen) < 60
    assert (run.datasets["train_set"].role, run.datasets["train_set"].meta["rows"]) == ("train", 400)
    assert run.datasets["train_set"].meta["names"] == NAMES
    assert run.datasets["holdout"].digest
    (table,) = evaluations()["feature_importances"]
    assert table["gain"] == sorted(booster.feature_importance("gain").tolist(), reverse=True)
    assert table["feature"][0] == NAMES[booster.feature_importance("gain").argmax()]
    assert len(callbacks) == 3


def test_the_model_is_kept_in_its_own_format(only):
    """What is loaded from the kept file predicts the same."""
    booster = lightgbm.train(PARAMS, sets()[0], 4)
    run = only()
    model = run.models["model"]
    assert (model.flavor, model.meta["format"], model.meta["runs_code"]) == ("lightgbm", "txt", False)
    assert any(line.startswith("lightgbm==") for line in model.meta["requirements"])
    np.testing.assert_array_equal(autotrack.load_model(f"runs:/{run.run}/model").predict(X), booster.predict(X))
    assert model.meta["signature"]["inputs"]["shape"] == [None, 30]
    assert model.meta["input_example"]


def test_a_training_goes_on_with_a_model(seen):
    """The iterations count on from those that the model has."""
    train, held_out = sets()
    train.free_raw_data = held_out.free_raw_data = False
    first = lightgbm.train(PARAMS, train, 3, valid_sets=[held_out])
    lightgbm.train(PARAMS, train, 2, valid_sets=[held_out], init_model=first)
    _, run = seen()
    assert [step for step, _ in run.history["val/auc"]] == [3, 4]
    assert run.params["end.iterations"] == 5
    assert "end.stopped_by" not in run.params


@pytest.mark.parametrize(("error", "status"), [(ValueError("enough"), "failed"), (KeyboardInterrupt(), "killed")])
def test_what_ends_with_an_exception(only, error, status):
    """The user's exception passes through; the evaluations before it are there."""

    def breaks(environment):
        if environment.iteration == 2:
            raise error

    train, held_out = sets()
    with pytest.raises(type(error)):
        lightgbm.train(PARAMS, train, 9, valid_sets=[held_out], callbacks=[breaks])
    run = only()
    assert run.status == status
    assert [step for step, _ in run.history["val/auc"]] == [0, 1, 2]


def test_who_stopped_it(only):
    """A callback of the user's that says so."""

    def enough(environment):
        if environment.iteration == 3:
            raise lightgbm.callback.EarlyStopException(1, environment.evaluation_result_list)

    train, held_out = sets()
    lightgbm.train({**PARAMS, "n_iter": 9}, train, valid_sets=[held_out], callbacks=[enough])
    run = only()
    assert run.params["end.stopped_by"] == "enough"
    assert (run.params["end.iterations"], run.params["end.best_iteration"]) == (4, 2)


def test_a_cross_validation(only):
    """Mean and deviation of each iteration, the number of folds; no model."""
    kept = lightgbm.cv(
        {**PARAMS, "early_stopping_round": 2}, sets()[0], 40, nfold=4, eval_train_metric=True, return_cvbooster=True
    )
    run = only()
    assert (run.name, run.params["nfold"], run.params["end.folds"]) == ("lightgbm-cv-1", 4, 4)
    for ours, theirs in (("train/binary_logloss", "train binary_logloss"), ("val/auc", "valid auc")):
        for part, word in (("mean", "mean"), ("std", "stdv")):
            values = kept[f"{theirs}-{word}"]
            recorded = run.history[f"{ours}.{part}"]
            assert recorded[: len(values)] == list(enumerate(values))
            assert len(recorded) == run.params["end.iterations"]
    assert run.params["end.best_iteration"] == kept["cvbooster"].best_iteration
    assert run.params["end.stopped_by"] == "early_stopping"
    assert not run.models


def test_a_cross_validation_that_goes_to_its_end(only):
    """The best iteration is known, nothing stopped it."""
    kept = lightgbm.cv({**PARAMS, "early_stopping_round": 9}, sets()[0], 4, nfold=2)
    run = only()
    assert run.params["end.best_iteration"] == len(kept["valid auc-mean"])
    assert run.metrics["best_score"] == kept["valid binary_logloss-mean"][-1]
    assert "end.stopped_by" not in run.params


def test_an_estimator_is_recorded_once(only):
    """The fit of an estimator is scikit-learn's record; the call inside adds nothing to it."""
    model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(X, Y, eval_set=[(X, Y)])
    run = only()
    assert run.name == "lgbmclassifier-1"
    assert run.history["train/binary_logloss"] == list(enumerate(model.evals_result_["training"]["binary_logloss"]))


def test_callbacks_that_evaluate(only):
    """What a callback asks for again, or trains, is not recorded beside the training's own."""

    def asks(environment):
        environment.model.eval_valid()
        lightgbm.train(PARAMS, sets()[0], 2, valid_sets=[sets()[1]])

    train, held_out = sets()
    lightgbm.train(PARAMS, train, 3, valid_sets=[held_out], callbacks=[asks])
    assert [step for step, _ in only().history["val/auc"]] == [0, 1, 2]


def test_a_training_inside_a_trial(seen):
    """It joins the trial that it is trained for."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    autotrack.autolog("optuna", "lightgbm")

    def objective(trial):
        leaves = trial.suggest_int("num_leaves", 2, 8)
        train, held_out = sets()
        booster = lightgbm.train({**PARAMS, "num_leaves": leaves}, train, 2, valid_sets=[held_out])
        return booster.best_score["valid_0"]["auc"]

    optuna.create_study(direction="maximize").optimize(objective, n_trials=2)
    assert {run.kind for run in seen()} == {"search", "trial", "training"}
    (search,) = autotrack.runs()
    assert len(list(search.children())) == 2
    assert all(run.params["objective"] == "binary" for run in search.children())


def test_nothing_is_changed_and_nothing_stays():
    """The model is the same bit for bit, and so are the functions."""
    recorded = lightgbm.train(PARAMS, sets()[0], 5).model_to_string()
    code, method = lightgbm.train.__code__, lightgbm.Booster.update
    autotrack.autolog(disable=True)
    assert lightgbm.train.__code__ is not code
    assert lightgbm.Booster.update is not method
    assert lightgbm.train(PARAMS, sets()[0], 5).model_to_string() == recorded
    assert len(list(autotrack.runs(all=True))) == 1
