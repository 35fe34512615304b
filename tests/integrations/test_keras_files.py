"""What Keras' callbacks write and restore, loops of `train_on_batch`, tuners and wrappers."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

import numpy as np  # noqa: E402

import autotrack  # noqa: E402
from autotrack import events  # noqa: E402
from autotrack.journal.blobs import blob_path  # noqa: E402
from autotrack.recording.collector import collector  # noqa: E402

X = np.random.default_rng(0).normal(size=(48, 6)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")


def made():
    """A small compiled classifier with fixed weights."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [keras.layers.Input((6,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss, metrics=["accuracy"])
    return model


@pytest.fixture
def autolog():
    """Autolog, switched on for Keras; off after the test."""
    autotrack.autolog("keras", log_models=False)
    yield
    autotrack.autolog(disable=True)


@pytest.fixture
def checkpoints(only, recorded):
    """The checkpoints of the only run that are kept in the end, by name."""

    def read():
        assert only().status == "finished"
        rows = {}
        for event in recorded():
            if isinstance(event, events.Artifact) and event.kind == "checkpoint":
                rows[event.name, event.replaces or event.time] = event
        return {name.removeprefix("checkpoints/"): row for (name, _), row in rows.items() if row.stored}

    return read


def test_the_best_model_is_kept_with_its_score(autolog, checkpoints, tmp_path):
    """`save_best_only` writes the same file again: what is kept is the last state of it, with epoch and score."""
    path = tmp_path / "best.keras"
    told = made().fit(X, Y, epochs=3, verbose=0, callbacks=[
        keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True)
    ])  # fmt: skip
    kept = checkpoints()["best.keras"]
    best = int(np.argmin(told.history["loss"]))
    assert (kept.step, kept.meta["epoch"], kept.meta["score"]) == (best, best, told.history["loss"][best])
    assert (kept.meta["monitor"], kept.meta["best"]) == ("train/loss", True)
    assert blob_path(collector().place.blobs, kept.digest).read_bytes() == path.read_bytes()


def test_numbered_weights_are_kept_by_the_policy(checkpoints, tmp_path):
    """`{epoch}` in the name and weights only: all of them, each at its epoch."""
    from autotrack.integrations.keras import AutotrackCallback

    made().fit(X, Y, epochs=3, verbose=0, callbacks=[
        keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch:02d}.weights.h5"), "loss", save_weights_only=True),
        AutotrackCallback(checkpoints="all", log_models=False),
    ])  # fmt: skip
    kept = checkpoints()
    assert {name: file.step for name, file in kept.items()} == {
        "01.weights.h5": 0, "02.weights.h5": 1, "03.weights.h5": 2,
    }  # fmt: skip


def test_no_checkpoint_is_recorded_where_none_was_written(autolog, only, tmp_path):
    """A threshold that nothing reaches."""
    made().fit(X, Y, epochs=2, verbose=0, callbacks=[
        keras.callbacks.ModelCheckpoint(
            tmp_path / "never.keras", monitor="loss", save_best_only=True, mode="min", initial_value_threshold=0.0
        )
    ])  # fmt: skip
    assert not [file for file in only().files.values() if file.kind == "checkpoint"]


def test_a_backup_is_kept_although_keras_deletes_it(autolog, checkpoints, tmp_path):
    """`BackupAndRestore` removes its folder at the end of a training that ended well."""
    made().fit(X, Y, epochs=1, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    assert not (tmp_path / "backup").exists()
    assert {"backup/latest.weights.h5", "backup/training_metadata.json"} == set(checkpoints())


class Interrupted(keras.callbacks.Callback):
    """Ends a training in its third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_training_that_goes_on_from_a_backup_says_so(autolog, seen, tmp_path):
    """Its first epoch is the one that the backup was at, and it names the run that was interrupted."""
    backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
    with pytest.raises(KeyboardInterrupt):
        made().fit(X, Y, epochs=4, verbose=0, callbacks=[backup, Interrupted()])
    made().fit(X, Y, epochs=4, verbose=0, callbacks=[keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))])
    stopped, resumed = seen()
    assert stopped.status == "killed"
    assert (resumed.status, resumed.params["first_epoch"], resumed.params["end.epochs"]) == ("finished", 2, 2)
    assert resumed.params["resumed.epoch"] == 2
    assert resumed.tags["resumed_from"] == stopped.run


def test_a_loop_of_train_on_batch_is_recorded_in_the_open_run(autolog, only, recorded):
    """Each call is a row; compile settings and layers are there once."""
    model = made()
    with autotrack.start_run("mine"):
        told = [model.train_on_batch(X, Y) for _ in range(3)]
        told.append(list(model.train_on_batch(X, Y, return_dict=True).values()))
    run = only()
    rows = [event for event in recorded() if isinstance(event, events.MetricRows) and "train/loss" in event.frame.keys]
    assert [step for row in rows for step in row.steps.tolist()] == [0, 1, 2, 3]
    losses = [value for row in rows for value in row.values[row.frame.keys.index("train/loss")].tolist()]
    assert losses[:3] == pytest.approx([loss for loss, _ in told[:3]])
    assert "train/accuracy" in run.metrics
    assert run.params["optimizer.name"] == "SGD"
    assert any("train_on_batch of Sequential" in line for line in run.reported("capture"))


def test_two_models_in_one_loop_are_kept_apart(autolog, only):
    """As in adversarial training: the second one's metrics carry its name."""
    one, other = made(), made()
    with autotrack.start_run("mine"):
        one.train_on_batch(X, Y)
        other.train_on_batch(X, Y)
    assert {"train/loss", f"train/{other.name}/loss"} <= set(only().metrics)


def test_a_search_is_a_run_with_a_child_for_each_trial(autolog, seen, tmp_path):
    """Hyperparameters and the objective of each trial, metrics of each execution, the best in the search."""
    keras_tuner = pytest.importorskip("keras_tuner")

    def build(hp):
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [keras.layers.Input((6,)), keras.layers.Dense(hp.Choice("units", [2, 4])), keras.layers.Dense(2)]
        )
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    tuner = keras_tuner.GridSearch(
        build, objective="val_loss", executions_per_trial=2, directory=str(tmp_path / "tuner"), project_name="t"
    )
    tuner.search(X, Y, epochs=2, validation_split=0.25, verbose=0)
    found = seen()
    (search,) = [one for one in found if one.kind == "search"]
    trials = [one for one in found if one.kind == "trial"]
    assert (search.status, search.name) == ("finished", "gridsearch-1")
    assert [(one.parent, one.status) for one in trials] == [(search.run, "finished")] * 2
    assert sorted(one.params["units"] for one in trials) == [2, 4]
    assert all("objective/val_loss" in one.metrics for one in trials)
    executions = [one for one in found if one.number and "val/loss" in one.metrics]
    assert sorted(one.run for one in executions) == sorted([one.run for one in trials] * 2)
    best = tuner.get_best_hyperparameters()[0].values["units"]
    assert search.params["best.units"] == best
    assert search.params["space.units.values"] == [2, 4]
    assert not any(one.models or "model/model.keras" in one.files for one in found)


def test_a_trial_that_fails_is_marked(autolog, seen, tmp_path):
    """The tuner goes on, and so does the record: the trial has the exception."""
    keras_tuner = pytest.importorskip("keras_tuner")

    def build(hp):
        if hp.Choice("units", [2, 4]) == 4:
            raise ValueError("cannot be built")
        return made()

    tuner = keras_tuner.GridSearch(build, objective="val_loss", directory=str(tmp_path / "tuner"), project_name="t")
    tuner.search(X, Y, validation_split=0.25, verbose=0)
    trials = {one.params["units"]: one for one in seen() if one.kind == "trial"}
    assert trials[2].status == "finished"
    assert trials[4].status == "failed"
    assert trials[4].failure.message == "cannot be built"
    assert [one.status for one in seen() if one.kind == "search"] == ["finished"]


def test_a_model_in_a_scikit_learn_wrapper_is_one_run(seen):
    """Under autolog of both: scikit-learn's run, with what Keras reports in it."""
    from sklearn.base import clone

    def build(X, y):
        model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "categorical_crossentropy")
        return model

    autotrack.autolog("sklearn", log_models=False)
    autotrack.autolog("keras", log_models=False)
    try:
        wrapped = clone(keras.wrappers.SKLearnClassifier(build, fit_kwargs={"epochs": 2, "verbose": 0}))
        wrapped.fit(X, Y)
    finally:
        autotrack.autolog(disable=True)
    found = seen()
    assert len({one.run for one in found}) == 1
    assert any("train/loss" in one.metrics for one in found)
    assert all(one.status == "finished" for one in found if one.kind)
