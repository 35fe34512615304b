"""The skops files that we write are those that skops reads, for every estimator that they can hold."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse
import skops.io
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from autotrack.models.skops_file import HARMLESS, TooLarge, Unwritable, skops_bytes

rng = np.random.default_rng(0)
X = np.abs(rng.normal(size=(60, 5)))
y = (X[:, 0] > 0.7).astype(int)
# What draws its predictions anew each time, and what takes other data than numbers.
LEFT_OUT = {"DummyClassifier", "FeatureHasher", "HashingVectorizer", "PatchExtractor"}


def _fitted(kind):
    try:
        return kind().fit(X, y)
    except (TypeError, ValueError, AttributeError):  # needs arguments or data of its own
        return None


def _same(mine, back):
    for method in ("predict", "transform", "predict_proba"):
        if hasattr(mine, method):
            expected, found = getattr(mine, method)(X), getattr(back, method)(X)
            if scipy.sparse.issparse(expected):
                expected, found = expected.toarray(), found.toarray()
            np.testing.assert_allclose(np.asarray(found), np.asarray(expected))


def test_every_estimator_of_scikit_learn_comes_back_equal_or_is_refused():
    """What is written loads without trust in anything and predicts the same; the rest is refused with a reason."""
    written, refused = [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in all_estimators():
            fitted = None if name in LEFT_OUT else _fitted(kind)
            if fitted is None:
                continue
            try:
                data = skops_bytes(fitted)
            except Unwritable as reason:
                refused[name] = str(reason)
                continue
            assert set(skops.io.get_untrusted_types(data=data)) <= set(HARMLESS), name
            _same(fitted, skops.io.loads(data, trusted=list(HARMLESS)))
            written.append(name)
    assert len(written) > 90
    assert {"LogisticRegression", "Ridge", "KMeans", "SVC", "GaussianNB", "PCA", "SimpleImputer"} <= set(written)
    assert refused["DecisionTreeClassifier"] == "a sklearn.tree._tree.Tree"


def test_pipelines_of_text_and_missing_values_come_back():
    """Object arrays of strings, dtypes, sparse matrices, slices and nested estimators."""
    table = np.array([["a", "x"], ["b", "y"], [None, "x"], ["a", "y"]], dtype=object)
    labels = np.array(["no", "yes", "no", "yes"], dtype=object)
    model = make_pipeline(
        SimpleImputer(missing_values=None, strategy="most_frequent"),
        OneHotEncoder(),
        SVC(probability=False, random_state=1),
    ).fit(table, labels)
    back = skops.io.loads(skops_bytes(model), trusted=list(HARMLESS))
    assert back.predict(table).tolist() == model.predict(table).tolist()
    assert back.get_params()["svc__random_state"] == 1


def test_random_states_and_class_weights_come_back():
    """A generator object goes on where it was; dict parameters keep the types of their keys."""
    model = Ridge(random_state=np.random.RandomState(3)).fit(X, y)
    back = skops.io.loads(skops_bytes(model))
    assert back.random_state.rand() == np.random.RandomState(3).rand()
    weighted = LogisticRegression(class_weight={0: 1.5, 1: 2}).fit(X, y)
    assert skops.io.loads(skops_bytes(weighted)).class_weight == {0: 1.5, 1: 2}


def test_equal_models_are_equal_bytes():
    """The same fit twice gives the same file, so that it is stored once."""
    assert skops_bytes(Ridge().fit(X, y)) == skops_bytes(Ridge().fit(X, y))


class Mine(BaseEstimator):
    """A class that is not scikit-learn's."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (DecisionTreeClassifier().fit(X, y), "Tree"),
        (FunctionTransformer(np.log1p).fit(X), "ufunc"),
        (make_pipeline(StandardScaler(), Mine()), "Mine"),
        (Ridge(alpha=np.array([Mine()])), "Mine"),
        (Ridge(random_state=np.random.default_rng(0)), "Generator"),
    ],
)
def test_what_could_run_code_is_refused(model, reason):
    """Functions, other people's classes and compiled objects are named, never written by halves."""
    with pytest.raises(Unwritable, match=reason):
        skops_bytes(model)


def test_an_object_inside_itself_is_refused():
    """A cycle ends in a reason, not in a recursion error."""
    model = Ridge()
    model.alpha = [model]
    with pytest.raises(Unwritable, match="contains itself"):
        skops_bytes(model)


def test_limits_stop_the_writing():
    """Too many bytes end it at the next array."""
    model = StandardScaler().fit(np.zeros((2, 10_000)))
    with pytest.raises(TooLarge, match="more than 1,000 bytes"):
        skops_bytes(model, limit=1000)
