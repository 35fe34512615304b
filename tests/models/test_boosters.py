"""Models of XGBoost, LightGBM and CatBoost are kept in their own formats, and come back as what they were."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

import autotrack
from autotrack.exceptions import InvalidValueError
from autotrack.models import load_model, save_model

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")

X, numbers = load_iris(return_X_y=True)
names = np.array(["setosa", "versicolor", "virginica"])[numbers]
FEW = {"n_estimators": 3, "max_depth": 2}
QUIET = {"iterations": 3, "depth": 2, "verbose": 0, "allow_writing_files": False, "thread_count": 1}

PREPARED = """
import xgboost
def predicted(model, X):
    found = model.predict(xgboost.DMatrix(X)) if type(model) is xgboost.Booster else model.predict(X)
    return found.astype(str) if found.dtype == object else found
"""
exec(PREPARED)


def fitted():
    """Boosters, and the classes of each library for scikit-learn."""
    light = {**FEW, "verbose": -1, "n_jobs": 1}
    return {
        "xgb": xgboost.train({"max_depth": 2}, xgboost.DMatrix(X, numbers), 3),
        "xgb-classifier": xgboost.XGBClassifier(**FEW, n_jobs=1).fit(X, numbers),
        "xgb-regressor": xgboost.XGBRegressor(**FEW, n_jobs=1, early_stopping_rounds=1).fit(
            X, numbers, eval_set=[(X, numbers)], verbose=False
        ),
        "lgb": lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(X, numbers), 3),
        "lgb-classifier": lightgbm.LGBMClassifier(**light).fit(X, names),
        "lgb-regressor": lightgbm.LGBMRegressor(**light).fit(X, numbers),
        "cat": catboost.CatBoost({**QUIET, "loss_function": "RMSE"}).fit(X, numbers),
        "cat-classifier": catboost.CatBoostClassifier(**QUIET).fit(X, names),
    }


def test_models_predict_the_same_in_a_fresh_process(predict_elsewhere):
    """The class is the same, the parameters that were set are, and so is every prediction."""
    models = fitted()
    with autotrack.start_run("study") as run:
        for name, model in models.items():
            run.log_model(model, name, input_example=X)
    found = predict_elsewhere(models, X, "predicted(model, X)", PREPARED)
    for name, model in models.items():
        np.testing.assert_array_equal(found[name], predicted(model, X), err_msg=name)  # noqa: F821 - from PREPARED
        again = autotrack.load_model(f"runs:/study/{name}")
        assert type(again) is type(model), name
        if name.endswith(("classifier", "regressor")) and not name.startswith("cat"):
            assert repr(again.get_params()) == repr(model.get_params()), name
        if name.endswith("classifier"):
            np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
            assert again.classes_.tolist() == model.classes_.tolist()
    kept = {model.name: model for model in autotrack.get_run(run.id).models}
    formats = {model.flavor: model.meta["format"] for model in kept.values()}
    assert formats == {"xgboost": "ubj", "lightgbm": "txt", "catboost": "cbm"}
    assert not any(model.meta["runs_code"] for model in kept.values())
    assert kept["lgb"].meta["signature"]["inputs"]["shape"] == [None, 4]


def test_functions_of_the_user_are_not_dropped():
    """An estimator with an objective of its own cannot be kept in the native format: a pickle, or nothing."""

    def objective(y_true, y_pred):
        return y_pred - y_true, np.ones_like(y_true)

    for model in (
        xgboost.XGBRegressor(**FEW, objective=objective).fit(X, numbers),
        lightgbm.LGBMRegressor(**FEW, objective=objective, verbose=-1).fit(X, numbers),
    ):
        with pytest.raises(InvalidValueError, match="allow_pickle=True"):
            save_model(model)
        back = load_model(save_model(model, allow_pickle=True).files, trust=True)
        np.testing.assert_array_equal(back.predict(X), model.predict(X))


def test_a_file_names_no_other_class():
    """Only the library's own estimators are built."""
    saved = save_model(xgboost.XGBRegressor(**FEW).fit(X, numbers))
    details = {**saved.meta["details"], "class": "DMatrix"}
    with pytest.raises(InvalidValueError, match="none of: XGBModel"):
        load_model(saved.files, {**saved.meta, "details": details})
