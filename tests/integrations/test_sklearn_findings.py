"""What an estimator says that its fit found is recorded: thresholds, features, penalties, and what was tried."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_selection import RFECV
from sklearn.linear_model import BayesianRidge, LassoCV, LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, y = make_classification(300, 6, weights=[0.8], random_state=0)
X, y = X[:200], y[:200]
Xr, yr = make_regression(80, 5, n_informative=2, noise=5.0, random_state=0)


def _best(run):
    return {name.removeprefix("best."): value for name, value in run.defaults.items() if name.startswith("best.")}


def test_a_tuned_threshold(autolog, only, evaluations):
    """The threshold and its score, and all that were tried."""
    selection = pytest.importorskip("sklearn.model_selection")
    if not hasattr(selection, "TunedThresholdClassifierCV"):
        pytest.skip("scikit-learn has none before 1.5")
    model = selection.TunedThresholdClassifierCV(LogisticRegression(), scoring="f1", cv=3, store_cv_results=True)
    model.fit(X, y)
    run = only()
    assert _best(run) == {"threshold": model.best_threshold_}
    assert run.metrics["best_score"] == model.best_score_
    (table,) = evaluations()["cv_results"]
    assert table["scores"] == model.cv_results_["scores"].tolist()


def test_the_features_that_an_elimination_keeps(autolog, only, evaluations):
    """Their number, and the score of each number of features."""
    model = RFECV(LogisticRegression(), cv=3).fit(X, y)
    assert _best(only()) == {"n_features": model.n_features_}
    (table,) = evaluations()["cv_results"]
    assert table["mean_test_score"] == model.cv_results_["mean_test_score"].tolist()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_penalty_that_was_chosen(autolog, seen, evaluations):
    """Of estimators that select it, also at the end of a pipeline; what others learn is not a choice."""
    lasso = LassoCV(cv=3).fit(Xr, yr)
    ridge = make_pipeline(StandardScaler(), RidgeCV(alphas=[0.1, 1.0, 10.0])).fit(Xr, yr)
    logistic = LogisticRegressionCV(Cs=3, cv=2).fit(X, y)
    BayesianRidge().fit(Xr, yr)
    runs = seen()
    assert _best(runs[0]) == {"alpha": lasso.alpha_}
    assert _best(runs[1]) == {"alpha": ridge[-1].alpha_}
    assert runs[1].metrics["best_score"] == pytest.approx(ridge[-1].best_score_)
    assert _best(runs[2])["C"] == np.ravel(logistic.C_)[0]
    assert _best(runs[3]) == {}
    (path,) = evaluations()["cv_results"]
    assert min(path["mse.mean"]) == pytest.approx(lasso.mse_path_.mean(axis=1).min())


def test_what_was_given_was_not_found(autolog, seen):
    """A number that the estimator was given is a parameter; one at which a fit stopped early is found."""
    KMeans(3, n_init=1).fit(Xr)
    GradientBoostingClassifier(n_estimators=5).fit(X, y)
    early = GradientBoostingClassifier(n_estimators=200, n_iter_no_change=1, random_state=0).fit(X, y)
    make_pipeline(PCA(0.5), LogisticRegression()).fit(X, y)
    assert [_best(run) for run in seen()] == [{}, {}, {"n_estimators": early.n_estimators_}, {}]
