"""XGBoost's own interface: each outermost `train` and `cv` is a training, and changes nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

import autotrack

xgboost = pytest.importorskip("xgboost")

PARAMS = {
    "objective": "binary:logistic", "max_depth": 2, "eta": 0.3, "nthread": 1, "seed": 3, "subsample": 0.7,
    "eval_metric": ["logloss", "auc"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def autolog() -> Iterator[None]:
    """Autolog for XGBoost and scikit-learn, as far as a test lasts."""
    autotrack.autolog("xgboost", "sklearn")
    yield
    autotrack.autolog(disable=True)


@pytest.fixture
def data() -> tuple[object, object]:
    """A training and a validation matrix of a real data set."""
    X, y = load_breast_cancer(return_X_y=True)
    names = [f"feature {number}" for number in range(X.shape[1])]
    return tuple(
        xgboost.DMatrix(X[part], y[part], feature_names=names, nthread=1) for part in (slice(0, 400), slice(400, None))
    )


class Remember(xgboost.callback.TrainingCallback):
    """A callback of the user's, which may end the training with an exception or by saying so."""

    def __init__(self, at: int = -1, error: BaseException | None = None):
        self.seen = 0
        self.at = at
        self.error = error

    def after_iteration(self, model, epoch, evals_log):
        self.seen += 1
        if epoch == self.at and self.error is not None:
            raise self.error
        return epoch == self.at


def test_a_training_is_a_run(data, only, evaluations):
    """Params as bound, evaluations at their iteration, the best one, importances, data."""
    train, held_out = data
    kept, callbacks = {}, [Remember(), xgboost.callback.EarlyStopping(rounds=3, min_delta=1e-6)]
    booster = xgboost.train(
        PARAMS, train, 30, evals=[(train, "fitted"), (held_out, "holdout")], evals_result=kept, verbose_eval=False,
        callbacks=callbacks,
    )  # fmt: skip
    run = only()
    assert (run.name, run.kind, run.status) == ("xgboost-1", "training", "finished")
    assert {name: run.params[name] for name in PARAMS} == PARAMS
    assert run.params["num_boost_round"] == 30
    assert (run.params["callbacks.Remember.at"], run.params["callbacks.EarlyStopping.rounds"]) == (-1, 3)
    assert "maximize" in run.defaults
    for prefix, name in (("train", "fitted"), ("holdout", "holdout")):
        for metric in PARAMS["eval_metric"]:
            assert run.history[f"{prefix}/{metric}"] == list(enumerate(kept[name][metric]))
    assert run.params["end.best_iteration"] == booster.best_iteration
    assert run.params["end.best_metric"] == "holdout/auc"
    assert run.history["best_score"] == [(booster.best_iteration, booster.best_score)]
    assert kept["holdout"]["auc"][booster.best_iteration] == booster.best_score
    assert run.params["end.stopped_by"] == "EarlyStopping"
    assert run.params["end.iterations"] == booster.num_boosted_rounds() < 30
    assert (run.datasets["dtrain"].role, run.datasets["holdout"].role) == ("train", "unknown")
    assert (run.datasets["dtrain"].meta["rows"], run.datasets["dtrain"].meta["columns"]) == (400, 30)
    assert run.datasets["dtrain"].meta["names"] == train.feature_names
    (table,) = evaluations()["feature_importances"]
    gains = booster.get_score(importance_type="gain")
    assert dict(zip(table["feature"], table["gain"], strict=True)) == gains
    assert table["gain"] == sorted(gains.values(), reverse=True)
    assert len(callbacks) == 2
    assert callbacks[0].seen == booster.num_boosted_rounds()


def test_the_model_is_kept_in_its_own_format(data, only):
    """What is loaded from the kept file predicts the same, and is as it was sized and digested."""
    train, held_out = data
    booster = xgboost.train(PARAMS, train, 4)
    run = only()
    model = run.models["model"]
    assert (model.flavor, model.meta["format"], model.meta["runs_code"]) == ("xgboost", "ubj", False)
    assert any(line.startswith("xgboost==") for line in model.meta["requirements"])
    again = autotrack.load_model(f"runs:/{run.run}/model")
    np.testing.assert_array_equal(again.predict(held_out), booster.predict(held_out))
    assert [column["name"] for column in model.meta["signature"]["inputs"]["columns"]] == train.feature_names


def test_a_model_beyond_the_limit_is_named(data, only):
    """Its digest is recorded, its bytes are not, and the report says so."""
    autotrack.configure(model_limit=100)
    xgboost.train(PARAMS, data[0], 2)
    run = only()
    assert not run.models["model"].stored
    assert "model_limit" in run.reported("model")[0]


def test_a_training_goes_on_with_a_model(data, seen):
    """The iterations count on from those that the model has, as the best one does."""
    train, held_out = data
    options = {"evals": [(held_out, "eval")], "verbose_eval": False}
    first = xgboost.train(PARAMS, train, 3, **options)
    second = xgboost.train(PARAMS, train, 4, xgb_model=first, early_stopping_rounds=4, **options)
    _, run = seen()
    assert [step for step, _ in run.history["val/auc"]] == [3, 4, 5, 6]
    assert run.params["end.best_iteration"] == second.best_iteration
    assert run.params["end.iterations"] == 7


@pytest.mark.parametrize(("error", "status"), [(ValueError("enough"), "failed"), (KeyboardInterrupt(), "killed")])
def test_what_ends_with_an_exception(data, only, error, status):
    """The user's exception passes through; the evaluations before it are there."""
    train, held_out = data
    with pytest.raises(type(error)):
        xgboost.train(PARAMS, train, 9, evals=[(held_out, "valid")], callbacks=[Remember(2, error)], verbose_eval=False)
    run = only()
    assert run.status == status
    assert [step for step, _ in run.history["val/logloss"]] == [0, 1]
    xgboost.train(PARAMS, train, 1)


def test_who_stopped_it(data, only):
    """A callback of the user's that says so."""
    xgboost.train(PARAMS, data[0], 9, callbacks=[Remember(3)])
    assert (only().params["end.stopped_by"], only().params["end.iterations"]) == ("Remember", 4)


def test_the_best_iteration_is_put_back(data, only):
    """How far it came, and what is left of it."""
    stopping = xgboost.callback.EarlyStopping(rounds=2, save_best=True)
    booster = xgboost.train(PARAMS, data[0], 50, evals=[(data[1], "eval")], verbose_eval=False, callbacks=[stopping])
    run = only()
    best = booster.num_boosted_rounds() - 1
    assert run.params["end.restored_from"] == run.params["end.best_iteration"] == best
    assert run.params["end.iterations"] == best + 3 == len(run.history["val/auc"])


def test_a_pruned_trial(data, seen):
    """The training in it is part of the trial, and has not failed."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    autotrack.autolog("optuna", "xgboost")

    def objective(trial):
        callbacks = [Remember(1, optuna.TrialPruned())]
        xgboost.train(PARAMS, data[0], 3, evals=[(data[1], "eval")], verbose_eval=False, callbacks=callbacks)

    optuna.create_study().optimize(objective, n_trials=1)
    search, trial, training = seen()
    assert (search.kind, trial.kind, training.name) == ("search", "trial", "xgboost")
    assert training.run == trial.run
    assert (training.status, training.failure, training.tags) == ("finished", None, {"pruned": "yes"})
    assert training.params["max_depth"] == 2
    assert not training.models


def test_a_cross_validation(data, only):
    """Mean and deviation of each iteration, the number of folds; no model."""
    kept = xgboost.cv(PARAMS, data[0], 20, nfold=4, early_stopping_rounds=2, as_pandas=False)
    run = only()
    assert (run.name, run.params["nfold"], run.params["end.folds"]) == ("xgboost-cv-1", 4, 4)
    for ours, theirs in (("train/logloss", "train-logloss"), ("val/auc", "test-auc")):
        assert [value for _, value in run.history[f"{ours}.mean"]][: len(kept[f"{theirs}-mean"])] == list(
            kept[f"{theirs}-mean"]
        )
        assert [value for _, value in run.history[f"{ours}.std"]][: len(kept[f"{theirs}-std"])] == list(
            kept[f"{theirs}-std"]
        )
    assert run.params["end.best_iteration"] == len(kept["test-auc-mean"]) - 1
    assert run.metrics["best_score"] == kept["test-auc-mean"][-1]
    assert run.params["end.stopped_by"] == "EarlyStopping"
    assert not run.models


def test_trainings_join_what_is_open(data, seen):
    """Two trainings of one run are apart, each with its model."""
    with autotrack.start_run("both"):
        for rounds in (1, 2):
            xgboost.train(PARAMS, data[0], rounds)
    run, first, second = seen()
    assert (run.name, first.name, second.name) == ("both", "xgboost", "xgboost")
    assert (first.params["num_boost_round"], second.params["num_boost_round"]) == (1, 2)
    assert [*first.models, *second.models] == ["model", "model-2"]
    assert second.status == "finished"


def test_an_estimator_is_recorded_once(data, only):
    """The fit of an estimator is scikit-learn's record; the call inside adds nothing to it."""
    X, y = load_breast_cancer(return_X_y=True)
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, y, eval_set=[(X, y)], verbose=False)
    run = only()
    assert run.name == "xgbclassifier-1"
    assert run.history["train/logloss"] == list(enumerate(model.evals_result()["validation_0"]["logloss"]))
    assert run.models["model"].flavor == "sklearn"


def test_a_search_is_recorded_once(seen):
    """Candidates in threads of their own are part of the search."""
    from joblib import parallel_config
    from sklearn.model_selection import GridSearchCV

    X, y = load_breast_cancer(return_X_y=True)
    with parallel_config("threading"):
        GridSearchCV(xgboost.XGBClassifier(n_estimators=2, n_jobs=1), {"max_depth": [1, 2]}, cv=2, n_jobs=2).fit(X, y)
    assert {run.kind for run in seen()} == {"search", "trial"}
    assert len(seen()) == 3


def test_estimators_without_scikit_learns_integration(only):
    """Then what is inside is the outermost training."""
    autotrack.autolog(disable=True)
    autotrack.autolog("xgboost")
    X, y = load_breast_cancer(return_X_y=True)
    xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(
        X, y, eval_set=[(X[:90], y[:90]), (X[90:], y[90:])], verbose=False
    )
    run = only()
    assert run.name == "xgboost-1"
    assert {"val/validation_0/logloss", "val/validation_1/logloss"} <= {*run.history}


def test_every_third_iteration(data, only):
    """Fewer are recorded where one asks for fewer, and the last one in any case."""
    autotrack.autolog("xgboost", log_every=3)
    xgboost.train(PARAMS, data[0], 6, evals=[(data[1], "valid")], verbose_eval=False)
    assert [step for step, _ in only().history["val/auc"]] == [0, 3, 5]


def test_a_linear_model_and_a_ranking(data, seen, evaluations):
    """Other boosters, params as pairs in which a name comes twice, other matrices."""
    X, y = load_breast_cancer(return_X_y=True)
    ranked = xgboost.QuantileDMatrix(X, y, group=[69, 500], nthread=1)
    xgboost.train(
        [("booster", "gblinear"), ("nthread", 1), ("eval_metric", "mae"), ("eval_metric", "rmse")], data[0], 2
    )
    xgboost.train({"objective": "rank:ndcg", "nthread": 1}, ranked, 2, evals=[(ranked, "x")], verbose_eval=False)
    linear, ranking = seen()
    assert linear.params["eval_metric"] == ["mae", "rmse"]
    assert set(evaluations()["feature_importances"][0]) == {"feature", "weight"}
    assert {*ranking.metrics} == {"train/duration", "train/ndcg@32"}
    assert ranking.datasets["dtrain"].meta["rows"] == 569


def test_xgboost_is_imported_later(script, seen):
    """Autolog may come first, and imports nothing of it."""
    script(
        """
        import sys, autotrack
        autotrack.autolog()
        assert "xgboost" not in sys.modules
        import numpy, xgboost
        X = numpy.arange(40.0).reshape(20, 2)
        xgboost.train({"nthread": 1}, xgboost.DMatrix(X, X[:, 0]), 2)
        """
    )
    assert [run.name for run in seen()] == ["xgboost-1"]


def test_a_training_inside_a_training(data, only):
    """What a callback trains is not mixed with the training that it is called in."""

    class TrainsToo(xgboost.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            xgboost.train(PARAMS, data[0], 5, evals=[(data[1], "valid")], verbose_eval=False)
            return False

    xgboost.train(PARAMS, data[0], 2, evals=[(data[1], "valid")], verbose_eval=False, callbacks=[TrainsToo()])
    assert [step for step, _ in only().history["val/auc"]] == [0, 1]


def test_nothing_is_changed_and_nothing_stays(data):
    """The model is the same bit for bit, and so are the functions."""
    recorded = xgboost.train(PARAMS, data[0], 5, evals=[(data[1], "x")], verbose_eval=False).save_raw("ubj")
    code = xgboost.train.__wrapped__.__code__
    method = xgboost.callback.CallbackContainer.after_iteration
    autotrack.autolog(disable=True)
    assert xgboost.train.__wrapped__.__code__ is not code
    assert xgboost.callback.CallbackContainer.after_iteration is not method
    plain = xgboost.train(PARAMS, data[0], 5, evals=[(data[1], "x")], verbose_eval=False).save_raw("ubj")
    assert recorded == plain
    assert len(list(autotrack.runs(all=True))) == 1
