"""A loop of `partial_fit` is one run for each estimator, with a step for each call."""

from __future__ import annotations

import gc
from collections import deque

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

import autotrack
from autotrack.integrations.sklearn.partial import PartialFits
from autotrack.recording.collector import collector
from autotrack.recording.run import active_run


@pytest.fixture
def batches():
    """Fifteen batches of ten rows, of three classes."""
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return [(X[rows], y[rows]) for rows in np.split(order, 15)]


def test_a_loop_is_one_run_with_a_step_for_each_call(autolog, only, points, batches):
    """Params, the first batch, duration and rows of each call; the model as it is at the end."""
    model = SGDClassifier(alpha=0.01, random_state=0)
    for X, y in batches:
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert only().status == "running"
    autotrack.autolog(disable=True)
    run = only()
    assert (run.name, run.kind, run.status) == ("sgdclassifier-1", "training", "finished")
    assert (run.params["alpha"], run.params["fit.classes"]) == (0.01, [0, 1, 2])
    assert run.datasets["X"].meta["shape"] == [10, 4]
    assert len(points("train/duration")) == 15
    assert points("train/rows") == [10] * 15
    assert run.models["model"].flavor == "sklearn"


def test_two_loops_at_once_are_two_runs(autolog, seen, points, batches):
    """Interleaved calls of two objects, one a clone of the other: each has its own."""
    first = GaussianNB(var_smoothing=1e-3)
    second = clone(first)
    for X, y in batches[:4]:
        first.partial_fit(X, y, classes=[0, 1, 2])
        second.partial_fit(X, y, classes=[0, 1, 2])
    second.partial_fit(*batches[5])
    assert [run.name for run in seen()] == ["gaussiannb-1", "gaussiannb-2"]
    assert len(points("train/duration")) == 9


def test_an_open_loop_is_in_nobodys_way(autolog, seen, batches):
    """A fit between two calls is a run of its own, and no run is active."""
    model = GaussianNB().partial_fit(*batches[0], classes=[0, 1, 2])
    assert active_run() is None
    Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
    model.partial_fit(*batches[1])
    loop, fit = seen()
    assert (fit.name, fit.parent, fit.number) == ("ridge-1", None, 0)
    assert loop.status == "running"


def test_what_is_predicted_in_a_loop_belongs_to_it(autolog, only, points, batches):
    """Progressive validation: each batch is predicted before it is learned."""
    model, expected = GaussianNB(), []
    model.partial_fit(*batches[0], classes=[0, 1, 2])
    for X, y in batches[1:]:
        expected.append(accuracy_score(y, model.predict(X)))
        model.partial_fit(X, y)
    assert points("eval/accuracy") == expected
    assert only().name == "gaussiannb-1"


def test_in_an_open_run_it_is_a_training_of_it(autolog, seen, batches):
    """The user's run holds the loop as its first training."""
    with autotrack.start_run("study"):
        model = GaussianNB()
        for X, y in batches:
            model.partial_fit(X, y, classes=[0, 1, 2])
    top, training = sorted(seen(), key=lambda one: one.number)
    assert (top.status, training.name, training.status) == ("finished", "GaussianNB", "finished")
    assert training.metrics["train/rows"] == 10


def test_a_fit_ends_the_loop_and_goes_on_in_its_own_run(autolog, seen, batches):
    """After `fit` the object begins anew; calls of `partial_fit` after it belong to that fit."""
    model = GaussianNB().partial_fit(*batches[0], classes=[0, 1, 2])
    model.fit(*batches[1])
    model.partial_fit(*batches[2])
    loop, fit = seen()
    assert (loop.status, fit.status) == ("finished", "finished")
    assert "train/rows" in fit.metrics


def test_the_run_ends_when_the_estimator_is_gone(autolog, only, batches):
    """Nothing holds the estimator; the run is closed soon after it has gone."""
    model = GaussianNB().partial_fit(*batches[0], classes=[0, 1, 2])
    del model
    gc.collect()
    while only().status == "running":  # where the heartbeat came first, it is still about to end the run
        for pulse in collector().pulses:
            pulse()
    assert only().status == "finished"


def test_two_threads_may_end_loops_at_once(autolog, only, batches, monkeypatch):
    """One of them finds nothing left to end, though there was something when it looked."""

    class Emptied(deque):
        def __bool__(self):
            return True

    model = GaussianNB().partial_fit(*batches[0], classes=[0, 1, 2])
    (end_gone,) = (pulse for pulse in collector().pulses if isinstance(getattr(pulse, "__self__", None), PartialFits))
    collector().pulses.remove(end_gone)  # the heartbeat does not interfere
    monkeypatch.setattr(end_gone.__self__, "_gone", Emptied())
    del model
    gc.collect()
    end_gone()
    assert only().status == "finished"


def test_a_call_that_raises_is_named_and_the_loop_goes_on(autolog, only, points, batches):
    """The user's exception arrives; the run says which call it was."""
    model = GaussianNB().partial_fit(*batches[0], classes=[0, 1, 2])
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(batches[1][0][:, :2], batches[1][1])
    model.partial_fit(*batches[1])
    assert len(points("train/duration")) == 2
    assert "call 2 raised ValueError" in only().reported("partial_fit")[0]


def test_transformers_and_fits_inside_fits_open_none(autolog, seen, batches):
    """A scaler that learns in pieces is preprocessing."""
    scaler = StandardScaler()
    for X, _ in batches:
        scaler.partial_fit(X)
    assert seen() == []


def test_the_end_of_the_program_ends_it(script, recorded):
    """A script of a plain loop: the run is finished, and holds the model of the last call."""
    script(
        """
        import autotrack
        autotrack.autolog()
        from sklearn.naive_bayes import GaussianNB
        model = GaussianNB()
        for _ in range(3):
            model.partial_fit([[1.0], [2.0]], [0, 1], classes=[0, 1])
        """
    )
    kinds = [type(event).__name__ for event in recorded()]
    assert kinds.count("RunStarted") == kinds.count("RunFinished") == 1
    assert kinds.count("Model") == 3
