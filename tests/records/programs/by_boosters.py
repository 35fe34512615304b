"""XGBoost by its own interface, and LightGBM by scikit-learn's."""

import lightgbm
import numpy as np
import xgboost

import autotrack

autotrack.autolog()
X = np.random.default_rng(0).normal(size=(80, 3))
y = (X[:, 0] > 0).astype(int)
xgboost.train(
    {"max_depth": 2, "objective": "binary:logistic", "eval_metric": "logloss"},
    xgboost.DMatrix(X, y),
    4,
    evals=[(xgboost.DMatrix(X, y), "train"), (xgboost.DMatrix(X[:20], y[:20]), "valid")],
    verbose_eval=False,
)
lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(X, y, eval_set=[(X[:20], y[:20])])
