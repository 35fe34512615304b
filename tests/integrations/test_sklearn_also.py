"""Classes that inherit nothing of scikit-learn are estimators when the program says so."""

from __future__ import annotations

import pytest
import sklearn.base  # noqa: F401 - autolog waits for its import

import autotrack
from autotrack.exceptions import ConfigurationError

X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


class Mean:
    """A model that inherits nothing, and so is no estimator for anybody."""

    def __init__(self, shift=0.0, silent=False):
        self.shift = shift
        self.silent = silent

    def fit(self, X, y):
        if self.shift is None:
            raise ValueError("no shift")
        self.mean_ = sum(y) / len(y) + self.shift
        return self

    def predict(self, X):
        return [self.mean_ for _ in X]

    def score(self, X, y):
        return -sum(abs(self.mean_ - value) for value in y)


@pytest.fixture
def also(autolog):
    """Autolog that was told of the class."""
    autolog("sklearn", also=[Mean], log_models=False)


def test_a_class_that_the_program_names_is_recorded(also, only):
    """Its fit is a training with its parameters; its score belongs to it."""
    model = Mean(shift=0.5).fit(X, y)
    score = model.score(X, y)
    run = only()
    assert (run.params["model.class"], run.params["shift"], run.defaults["silent"]) == ("Mean", 0.5, False)
    assert run.metrics["train/score"] == score
    assert set(run.datasets) == {"X", "y"}
    assert run.status == "finished"


def test_its_failure_is_the_runs(also, only):
    """What its `fit` raises passes as it is, and ends the run."""
    with pytest.raises(ValueError, match="no shift"):
        Mean(shift=None).fit(X, y)
    assert (only().status, only().failure.message) == ("failed", "no shift")


def test_without_being_named_it_is_nobodys(autolog, seen):
    """Nothing gives it away."""
    Mean().fit(X, y)
    assert seen() == []


def test_afterwards_the_class_is_as_it_was(also):
    """Switching off removes every trace from it."""
    assert Mean.fit.__code__.co_filename != __file__
    autotrack.autolog(disable=True)
    assert Mean.fit.__code__.co_filename == __file__


def test_what_cannot_be_an_estimator_is_refused():
    """A class without `fit` is a mistake that is told at once."""
    with pytest.raises(ConfigurationError, match="no class with a method fit"):
        autotrack.autolog("sklearn", also=[int])
