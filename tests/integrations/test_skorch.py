"""Networks of skorch are trainings of scikit-learn with a history, which is recorded epoch by epoch."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

skorch = pytest.importorskip("skorch")
torch = pytest.importorskip("torch")

X = np.random.RandomState(0).rand(60, 4).astype("float32")
y = (X[:, 0] > 0.5).astype("int64")


def _net(**options):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Softmax(-1))
    return skorch.NeuralNetClassifier(module, max_epochs=3, lr=0.1, verbose=0, **options)


def _values(run, key):
    return [value for _, value in run.history[key]]


def test_the_history_of_a_network_is_its_metrics(autolog, only):
    """Losses and scores of each epoch under their roles, the program's own scores under that of their data."""
    scores = [("f1", skorch.callbacks.EpochScoring("f1", on_train=True)),
              ("recall", skorch.callbacks.EpochScoring("recall"))]  # fmt: skip
    net = _net(callbacks=scores).fit(X, y)
    run = only()
    for key, name in (
        ("train/loss", "train_loss"), ("val/loss", "valid_loss"), ("val/acc", "valid_acc"), ("train/epoch_time", "dur"),
        ("train/f1", "f1"), ("val/recall", "recall"), ("epoch", "epoch"),
    ):  # fmt: skip
        assert _values(run, key) == pytest.approx(net.history[:, name]), key
    assert not any("best" in key or "batch_count" in key for key in run.metrics)


def test_epochs_are_recorded_while_the_network_trains(autolog, only):
    """When an epoch ends, the ones before it are on record."""
    seen = []

    class Looking(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(len(only().history.get("train/loss", ())))

    make_pipeline(StandardScaler(), _net(callbacks=[Looking()])).fit(X, y)
    assert seen == [0, 1, 2]
    assert len(only().history["val/loss"]) == 3


def test_a_network_that_goes_on_adds_only_what_is_new(autolog, seen):
    """With `warm_start` a second fit continues the history: its run has the new epochs."""
    net = _net(warm_start=True)
    net.fit(X, y).fit(X, y)
    first, second = seen()
    assert _values(first, "train/loss") + _values(second, "train/loss") == net.history[:, "train_loss"]
    assert _values(second, "epoch") == [4, 5, 6]
