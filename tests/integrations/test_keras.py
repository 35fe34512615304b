"""Keras trainings are recorded completely and truthfully: what a user does, and what must be there afterwards."""

from __future__ import annotations

import copy
import gc
import math
import os
import pickle
import threading
from collections.abc import Iterator

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

import numpy as np  # noqa: E402

import autotrack  # noqa: E402
from autotrack.exceptions import ConfigurationError  # noqa: E402
from autotrack.integrations.keras import AutotrackCallback, KerasIntegration  # noqa: E402
from autotrack.journal.blobs import blob_path  # noqa: E402
from autotrack.recording.collector import collector  # noqa: E402
from autotrack.testing import IntegrationTestCase  # noqa: E402

X = np.random.default_rng(0).normal(size=(48, 6)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int64")


def made(**compiled):
    """A small compiled classifier with fixed weights."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [keras.layers.Input((6,)), keras.layers.Dense(8, activation="relu", name="hidden"), keras.layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(**{"optimizer": keras.optimizers.SGD(0.05), "loss": loss, "metrics": ["accuracy"], **compiled})
    return model


@pytest.fixture
def autolog() -> Iterator[None]:
    """Autolog, switched on for Keras; off after the test."""
    autotrack.autolog("keras", log_models=False)
    yield
    autotrack.autolog(disable=True)


@pytest.fixture
def history(recorded):
    """Every point of a metric: (step, value), in the order of recording."""

    def read(key, run=None):
        points = []
        for event in recorded():
            if hasattr(event, "frame") and key in event.frame.keys and run in (None, event.run):
                values = event.values[event.frame.keys.index(key)]
                points += zip(event.steps.tolist(), values.tolist(), strict=True)
        return points

    return read


def quiet_callback(**options):
    """The callback, without keeping models."""
    return AutotrackCallback(**{"log_models": False, **options})


# The callback


def test_a_callback_records_a_training_with_everything_that_belongs_to_it(only, history):
    """Arguments, compile settings, plan, model, data, metrics and end of one fit, with autolog off."""
    model = made()
    told = model.fit(X, Y, 16, 3, validation_data=(X[:12], Y[:12]), verbose=0, callbacks=[quiet_callback()])
    run = only()
    assert (run.name, run.kind, run.status) == ("sequential-1", "training", "finished")
    assert (run.params["model.class"], run.params["batch_size"], run.params["epochs"]) == ("Sequential", 16, 3)
    assert run.params["optimizer.name"] == "SGD"
    assert run.params["optimizer.learning_rate"] == 0.05
    assert run.params["loss.class"] == "SparseCategoricalCrossentropy"
    assert run.params["loss.from_logits"] is True
    assert run.params["metrics"] == ["accuracy"]
    assert run.defaults["optimizer.momentum"] == 0.0
    assert run.defaults["shuffle"] is True
    assert (run.params["steps_in_epoch"], run.params["planned_steps"]) == (3, 9)
    assert run.params["keras.backend"] == keras.backend.backend()
    assert run.params["precision"] == "float32"
    assert run.params["seed"] == 7
    assert run.params["model.parameters"] == model.count_params() == 6 * 8 + 8 + 8 * 2 + 2
    assert {name: data.role for name, data in run.datasets.items()} == {
        "x": "train", "y": "train", "val_x": "val", "val_y": "val",
    }  # fmt: skip
    assert run.datasets["x"].meta["shape"] == [48, 6]
    assert len(run.datasets["x"].digest) == 64
    assert history("train/loss") == list(enumerate(told.history["loss"]))
    assert history("val/accuracy") == list(enumerate(told.history["val_accuracy"]))
    assert history("epoch") == [(0, 0), (1, 1), (2, 2)]
    assert [rate for _, rate in history("train/learning_rate")] == pytest.approx([0.05] * 3)
    assert all(seconds > 0 for _, seconds in history("train/epoch_time"))
    assert len(history("train/steps_per_second")) == len(history("train/samples_per_second")) == 3
    assert run.params["end.reason"] == "finished"
    assert run.params["end.epochs"] == 3
    (line,) = run.reported("capture")
    assert line.startswith("keras: hooks fit, CallbackList; seen 3 epochs, 9 batches; ")


def test_options_of_the_callback_are_those_of_the_run(only):
    """Experiment, name and tags."""
    made().fit(
        X, Y, verbose=0, callbacks=[quiet_callback(experiment="digits", name="mine", tags={"team": "x"})]
    )  # fmt: skip
    run = only()
    assert (run.name, run.experiment, run.tags) == ("mine", "digits", {"team": "x"})


def test_an_option_that_nothing_knows_is_refused():
    """At once, where the user can see it."""
    with pytest.raises(ConfigurationError, match="sometimes"):
        AutotrackCallback(log_every="sometimes")


def test_a_callback_records_into_the_run_that_it_was_given(seen):
    """`run=` names an open run, also when another one is active."""
    with autotrack.start_run("mine") as mine, autotrack.start_run("other"):
        made().fit(X, Y, verbose=0, callbacks=[quiet_callback(run=mine)])
    trained = [one for one in seen() if "train/loss" in one.metrics]
    assert [(one.run, one.status) for one in trained] == [(mine.id, "finished")]
    assert mine.status == "finished"


def test_every_batch_can_be_recorded(only, history):
    """With `log_every="batch"` all metrics share one axis: the batch since the first epoch."""
    told = made().fit(X, Y, batch_size=16, epochs=2, verbose=0, validation_split=0.25, callbacks=[
        quiet_callback(log_every="batch")
    ])  # fmt: skip
    assert only().status == "finished"
    assert [step for step, _ in history("train/loss")] == [0, 1, 2, 3, 4, 5]
    assert [history("train/loss")[at][1] for at in (2, 5)] == told.history["loss"]
    assert history("val/loss") == list(zip((2, 5), told.history["val_loss"], strict=True))
    assert [epoch for _, epoch in history("epoch")] == [0, 0, 0, 1, 1, 1]


def test_every_nth_batch_can_be_recorded(history):
    """The last batch of an epoch brings the epoch's own row in any case."""
    made().fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[quiet_callback(log_every=4)])
    assert sorted(step for step, _ in history("train/loss")) == [3, 5, 7, 11]


def test_without_autolog_only_fits_with_the_callback_are_recorded(seen):
    """The hooks of a callback do not listen to other trainings."""
    callback = quiet_callback()
    made().fit(X, Y, verbose=0)
    assert seen() == []
    made().fit(X, Y, verbose=0, callbacks=[callback])
    assert len(seen()) == 1


def test_keras_is_as_it_was_once_nobody_listens(place):
    """The last callback takes the hooks with it; autolog does when it is switched off."""
    gc.collect()
    before = dict(vars(keras.callbacks.CallbackList)), keras.Model.fit.__code__
    callback = quiet_callback()
    autotrack.autolog("keras")
    assert keras.Model.fit.__code__ is not before[1]
    autotrack.autolog(disable=True)
    assert keras.Model.fit.__code__ is not before[1]
    del callback
    gc.collect()
    assert (dict(vars(keras.callbacks.CallbackList)), keras.Model.fit.__code__) == before


def test_a_callback_copies_and_pickles(only):
    """Tuners copy callbacks; a copy records like the original."""
    callback = quiet_callback(name="mine", log_every=4)
    for again in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        assert again.options == callback.options
    made().fit(X, Y, verbose=0, callbacks=[copy.deepcopy(callback)])
    assert only().name == "mine"


def test_a_loop_of_ones_own_may_call_the_callbacks(only, history):
    """`CallbackList` in a hand-written loop: a training from `on_train_begin` to `on_train_end`."""
    model = made()
    callbacks = keras.callbacks.CallbackList([quiet_callback()], model=model, epochs=2, steps=1)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        loss, accuracy = model.train_on_batch(X, Y)
        callbacks.on_train_batch_end(0, {"loss": loss})
        callbacks.on_epoch_end(epoch, {"loss": loss, "accuracy": accuracy})
    callbacks.on_train_end()
    run = only()
    assert (run.name, run.status) == ("sequential-1", "finished")
    assert [step for step, _ in history("train/loss")] == [0, 1]
    assert run.params["optimizer.name"] == "SGD"
    assert "a loop calls the callbacks by itself: there are no arguments of fit" in run.reported("capture")


def test_a_loop_that_never_ended_does_not_hide_what_follows(seen):
    """Its end is named as unknown, and the next training is recorded by itself."""
    callbacks = keras.callbacks.CallbackList([quiet_callback()], model=made(), epochs=2, steps=1)
    callbacks.on_train_begin()
    made().fit(X, Y, verbose=0, callbacks=[quiet_callback()])
    left, fitted = seen()
    assert left.status == "failed"
    assert "the loop never called on_train_end: how it ended is not known" in left.reported("capture")
    assert fitted.status == "finished"


# Autolog


def test_autolog_records_the_bound_arguments(autolog, only):
    """`fit(x, y, 16, 3)`: batch size and epochs by position."""
    made().fit(X, Y, 16, 3, 0)
    run = only()
    assert (run.params["batch_size"], run.params["epochs"], run.params["verbose"]) == (16, 3, 0)
    assert "epochs" not in run.defaults


@pytest.mark.parametrize("callbacks", [None, [], (), keras.callbacks.History()])
def test_callbacks_may_be_given_in_any_way(autolog, only, history, callbacks):
    """None, an empty list, a tuple, a single one; also by position."""
    made().fit(X, Y, 16, 2, 0, callbacks)
    assert only().status == "finished"
    assert len(history("train/loss")) == 2


def test_the_same_list_serves_two_fits(autolog, seen):
    """The user's list stays as it is, and each fit is recorded."""
    mine = [keras.callbacks.EarlyStopping(monitor="loss")]
    before = list(mine)
    model = made()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=mine)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=mine)
    assert mine == before
    assert [(one.name, one.status) for one in seen()] == [("sequential-1", "finished"), ("sequential-2", "finished")]


def test_a_callback_list_of_the_users_is_left_as_it_was(autolog, only, history):
    """`CallbackList` given to `fit`."""
    model = made()
    mine = keras.callbacks.CallbackList([keras.callbacks.TerminateOnNaN()], model=model, add_history=True, epochs=2)
    before = list(mine.callbacks)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=mine)
    assert mine.callbacks == before
    assert only().status == "finished"
    assert len(history("train/loss")) == 2


def test_callback_and_autolog_together_record_once(autolog, only, history):
    """One run, with the options of the callback."""
    made().fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[quiet_callback(name="mine"), quiet_callback()])
    assert only().name == "mine"
    assert len(history("train/loss")) == 2


class Subclassed(keras.Model):
    """A model of the user's own, with its own training step."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)


class OwnStep(Subclassed):
    """A training step that adds a number of its own to what Keras reports."""

    def train_step(self, *args):
        found = super().train_step(*args)
        if keras.backend.backend() == "jax":
            return {**found[0], "magic": 42.0}, found[1]
        return {**found, "magic": 42.0}


def functional():
    """A model of two inputs."""
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    return keras.Model([left, right], keras.layers.Dense(1)(keras.layers.Concatenate()([left, right])))


@pytest.mark.parametrize(
    ("build", "inputs"), [(Subclassed, X), (OwnStep, X), (functional, {"left": X, "right": X}), (functional, [X, X])]
)
def test_any_kind_of_model_is_recorded(autolog, only, history, build, inputs):
    """Subclassed, with a training step of its own, functional with several inputs."""
    model = build()
    model.compile("sgd", "mse")
    model.fit(inputs, Y.astype("float32"), epochs=2, verbose=0)
    run = only()
    assert (run.params["model.class"], run.status) == (type(model).__name__, "finished")
    assert run.params["loss"] == "mse"
    assert len(history("train/loss")) == 2
    if build is OwnStep:
        assert [value for _, value in history("train/magic")] == [42.0, 42.0]
    if isinstance(inputs, dict):
        assert {"x.left", "x.right", "y"} == set(run.datasets)
    if isinstance(inputs, list):
        assert {"x.0", "x.1", "y"} == set(run.datasets)


def test_what_callbacks_add_to_the_logs_keeps_its_name(autolog, only):
    """It is the user's metric, not Keras'."""

    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["my_f1"] = 0.5
            logs["words"] = "none"

    made().fit(X, Y, verbose=0, callbacks=[Adds()])
    run = only()
    assert run.metrics["my_f1"] == 0.5
    assert run.reported("metric words") == ["not recorded: it is a str, not a number"]


def test_two_fits_in_an_open_run_are_its_trainings(autolog, seen):
    """`start_run` around them: one run, and each fit apart in it."""
    with autotrack.start_run("mine") as mine:
        model = made()
        model.fit(X, Y, verbose=0)
        model.fit(X, Y, verbose=0)
    assert {one.run for one in seen()} == {mine.id}
    assert [one.number for one in seen() if "train/loss" in one.metrics] == [1, 2]


def test_fits_in_threads_are_complete_records(autolog, seen):
    """Four models in four threads."""
    models = [made() for _ in range(4)]
    threads = [threading.Thread(target=model.fit, args=(X, Y, 16, 2, 0)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = seen()
    assert len({one.run for one in runs}) == 4
    assert all(one.status == "finished" and one.params["epochs"] == 2 and "train/loss" in one.metrics for one in runs)


def test_a_fit_inside_a_fit_is_named(autolog, only):
    """Only the outermost is a training; the report counts the others."""
    inner = made()

    class Trains(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            inner.fit(X, Y, verbose=0)

    made().fit(X, Y, epochs=2, verbose=0, callbacks=[Trains()])
    run = only()
    assert any("skipped 2 fits of Sequential inside this one" in line for line in run.reported("capture"))


def test_nothing_is_recorded_while_paused(autolog, seen):
    """`autotrack.paused()`."""
    with autotrack.paused():
        made().fit(X, Y, verbose=0)
    assert seen() == []


def test_the_callback_leaves_asynchronous_dispatch_on(history):
    """Batches are recorded from Keras' threads, and training does not wait for it."""
    model = made()
    mine = keras.callbacks.CallbackList([quiet_callback(log_every="batch")], model=model, add_history=True, epochs=2)
    assert mine._async_train
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=mine)
    assert [step for step, _ in history("train/loss")] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("calls", "written"),
    [
        ("b0 e0 b1 e1", [0, 1]),
        ("b0 b1 b2 e2 e1 e0", [0, 1, 2]),
        ("b0 b1 e1 b2 e0 e2", [0, 1, 2]),
        ("b0 b2 b4 e5 e1 e3", [1, 3, 5]),  # two steps per execution
        ("b0 b2 e3 e1 b4 e4", [1, 3, 4]),
        ("e0 e1", [0, 1]),  # a loop that reports only the ends
        ("b0 b1 e1 flush b0 e0", [1, 0]),  # the first batch never ended
    ],
)
def test_batches_are_written_in_the_order_in_which_they_began(calls, written):
    """Whatever thread is first to report an end; none is written twice or lost."""
    from autotrack.integrations.keras.batch_order import BatchOrder

    found = []
    order = BatchOrder(lambda batch, logs: found.append(batch))
    for call in calls.split():
        if call == "flush":
            order.flush()
        elif call[0] == "b":
            order.begins(int(call[1:]))
        else:
            order.ended(int(call[1:]), {})
    assert found == written


@pytest.mark.parametrize(("every", "due"), [(1, [1, 5, 6]), (2, [1, 5]), (3, [5]), (7, [6])])
def test_rows_of_several_steps_at_once(history, every, due):
    """A row is due once the batches since the last one are enough; one without values neither counts nor holds up."""
    from autotrack.integrations.keras.measuring import Epochs
    from autotrack.recording.lifecycle.trainings import begin_training
    from autotrack.training.neural.throughput import Stopwatch

    training = begin_training("Sequential", framework="keras")
    epochs = Epochs(training, every, None, Stopwatch())
    epochs.begin(0, None)
    epochs.epoch_begins(0)
    for first in (0, 2, 4, 6):
        epochs.batch_begins(first)
    for last, logs in ((3, None), (5, {"loss": 5.0}), (1, {"loss": 1.0}), (6, {"loss": 6.0})):
        epochs.batch_ended(last, logs)
    training.finish()
    assert [step for step, _ in history("train/loss")] == due


# Watching


def test_weights_can_be_watched(only, history):
    """Every so many batches with their gradients where these are at hand, else once per epoch."""
    made().fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[quiet_callback(watch=2)])
    run = only()
    if keras.backend.backend() == "torch":
        assert [step for step, _ in history("gradients/norm")] == [0, 2, 4]
        assert [step for step, _ in history("weights/norm")] == [0, 2, 4]
    else:
        assert [step for step, _ in history("weights/norm")] == [0, 1]
        assert run.reported("watch") == ["gradients are not at hand on jax: norms of weights at each epoch's end"]
    assert all(value > 0 for _, value in history("weights/norm"))


# Rates, ends


def test_a_schedule_is_a_config_and_its_rate_is_recorded(autolog, only, history):
    """The config by its own names; the actual rate at the end of each epoch."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
    made(optimizer=keras.optimizers.SGD(schedule)).fit(X, Y, batch_size=16, epochs=2, verbose=0)
    run = only()
    assert (run.params["scheduler.name"], run.params["scheduler.decay_steps"]) == ("ExponentialDecay", 3)
    assert [rate for _, rate in history("train/learning_rate")] == pytest.approx([0.05, 0.025])


def test_the_rate_of_an_epoch_is_the_one_it_was_trained_with(autolog, history):
    """Callbacks that change it at the end of an epoch change that of the next."""

    class Halves(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.05 / 2 ** (epoch + 1)

    made().fit(X, Y, epochs=3, verbose=0, callbacks=[Halves()])
    assert [rate for _, rate in history("train/learning_rate")] == pytest.approx([0.05, 0.025, 0.0125])


def test_a_schedule_of_the_users_own_is_not_called_by_us(autolog, only):
    """Calling it could have an effect: its rate is not recorded, and the report says so."""
    calls = []

    @keras.saving.register_keras_serializable("tests")
    class Mine(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            calls.append(1)
            return 0.05

        def get_config(self):
            return {"slope": 3}

    def train():
        calls.clear()
        made(optimizer=keras.optimizers.SGD(Mine())).fit(X, Y, epochs=2, verbose=0)
        return len(calls)

    with autotrack.paused():
        unobserved = train()
    assert train() == unobserved
    run = only()
    assert (run.params["scheduler.name"], run.params["scheduler.slope"]) == ("Mine", 3)
    assert "train/learning_rate" not in run.metrics
    assert run.reported("metric train/learning_rate") == [
        "not recorded: only calling the program's own Mine could tell"
    ]


def of_a_function():
    """A learning rate that only a call can tell."""
    return 0.05


@pytest.mark.parametrize(
    ("rate", "recorded_as"), [(of_a_function, "of_a_function"), (lambda: 0.05, "<lambda>"), (0.05, 0.05)]
)
@pytest.mark.filterwarnings("error:The object being serialized includes a `lambda`")
def test_a_rate_is_a_value_or_a_name(autolog, only, rate, recorded_as):
    """Never an address in memory, and nothing is said about it to the user."""
    made(optimizer=keras.optimizers.SGD(rate)).fit(X, Y, verbose=0)
    run = only()
    assert run.params["optimizer.learning_rate"] == recorded_as
    assert run.reported("compile") == []


def test_early_stopping_tells_by_whom_where_and_what_was_restored(autolog, only):
    """`end.*` names the callback, its epoch, and the epoch whose weights were restored."""
    stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=2, mode="max", restore_best_weights=True)
    made().fit(X, Y, epochs=20, verbose=0, callbacks=[stopping])
    run = only()
    assert run.status == "finished"
    assert run.params["end.reason"] == "stopped early"
    assert run.params["end.stopped_by"] == "EarlyStopping"
    assert run.params["end.stopped_epoch"] == stopping.stopped_epoch == 2
    assert run.params["end.restored_from"] == 0
    assert run.params["callbacks.EarlyStopping.patience"] == 2
    assert run.params["callbacks.EarlyStopping.monitor"] == "loss"


def test_a_callback_of_the_users_that_stops_is_named(autolog, only):
    """It sets `model.stop_training`."""

    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    made().fit(X, Y, epochs=5, verbose=0, callbacks=[Enough()])
    run = only()
    assert (run.params["end.stopped_by"], run.params["end.stopped_epoch"], run.params["end.epochs"]) == ("Enough", 1, 2)


def test_a_training_that_turns_to_nan_says_who_stopped_it(autolog, only):
    """`TerminateOnNaN` stops amidst an epoch."""
    bad = np.full_like(X, np.nan)
    made().fit(bad, Y, epochs=5, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()])
    run = only()
    assert (run.params["end.reason"], run.params["end.stopped_by"]) == ("stopped early", "TerminateOnNaN")
    assert math.isnan(run.metrics["train/loss"])


class Raises(keras.callbacks.Callback):
    """Ends a training by an exception in its second epoch."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise self.error


@pytest.mark.parametrize(("error", "status"), [(ValueError("no such luck"), "failed"), (KeyboardInterrupt(), "killed")])
@pytest.mark.parametrize("by", ["autolog", "callback"])
def test_an_exception_is_the_users_and_the_run_says_so(request, only, error, status, by):
    """The very exception passes; the run has its traceback, or is killed."""
    callbacks = [Raises(error)]
    if by == "callback":
        callbacks.append(quiet_callback())
    else:
        request.getfixturevalue("autolog")
    with pytest.raises(type(error)) as caught:
        made().fit(X, Y, epochs=3, verbose=0, callbacks=callbacks)
    assert caught.value is error
    run = only()
    assert (run.status, run.params["end.epochs"]) == (status, 1)
    if status == "failed":
        assert (run.failure.type, run.failure.message) == ("ValueError", "no such luck")
        assert "on_epoch_begin" in run.failure.traceback
    made().fit(X, Y, verbose=0, callbacks=[quiet_callback()])


# Evaluations


def test_an_evaluation_after_the_fit_belongs_to_its_run(autolog, only):
    """Its role is told by the data that fit had, else by the caller's name for it."""
    model = made()
    x_val, x_test = X[:10].copy(), X[10:20].copy()
    model.fit(X, Y, epochs=2, verbose=0, validation_data=(x_val, Y[:10]))
    tested = model.evaluate(x_test, Y[10:20], verbose=0)
    validated = model.evaluate(x_val, Y[:10], verbose=0, return_dict=True)
    again = model.evaluate(X, Y, verbose=0)
    unknown = X[20:30].copy()
    model.evaluate(unknown, Y[20:30], verbose=0)
    run = only()
    assert [run.metrics["test/loss"], run.metrics["test/accuracy"]] == tested
    assert run.metrics["val/loss"] == validated["loss"]
    assert run.metrics["train/loss"] == again[0]
    assert "eval/loss" in run.metrics
    assert run.status == "finished"


def test_an_evaluation_by_a_callback_belongs_to_the_training(autolog, only, history):
    """At the epoch in which it was made; validation is not counted twice."""
    x_test = X[:10].copy()

    class Tests(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(x_test, Y[:10], verbose=0)

    made().fit(X, Y, epochs=2, verbose=0, validation_split=0.25, callbacks=[Tests()])
    assert only().status == "finished"
    assert [step for step, _ in history("test/loss")] == [0, 1]
    assert [step for step, _ in history("val/loss")] == [0, 1]


def test_a_copy_of_a_model_is_not_the_model(autolog, only):
    """Its evaluation goes to no old run."""
    model = made()
    model.fit(X, Y, verbose=0)
    for other in (copy.deepcopy(model), keras.models.clone_model(model), pickle.loads(pickle.dumps(model))):
        other.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        x_test = X
        other.evaluate(x_test, Y, verbose=0)
    assert "test/loss" not in only().metrics


def test_predict_alone_opens_no_run(autolog, seen):
    """Nor does an evaluation of a model that was never trained here."""
    model = made()
    model.predict(X, verbose=0)
    model.evaluate(X, Y, verbose=0)
    assert seen() == []


def test_an_evaluation_in_an_open_run_is_recorded_there(autolog, only):
    """Of a model that was not trained here."""
    with autotrack.start_run("mine"):
        x_test = X
        made().evaluate(x_test, Y, verbose=0)
    assert "test/loss" in only().metrics


# Data


def test_what_a_split_holds_out_is_validation_data(autolog, only):
    """`validation_split=0.25` of 48 rows trains on the first 36 and judges by the last 12."""
    made().fit(X, Y, epochs=1, validation_split=0.25, verbose=0)
    shapes = {name: (one.role, one.meta["shape"]) for name, one in only().datasets.items()}
    assert shapes == {"x": ("train", [36, 6]), "y": ("train", [36]), "val_x": ("val", [12, 6]), "val_y": ("val", [12])}


def test_sizes_are_those_that_keras_tells(autolog, only):
    """Parameters as `count_params` and layers as `model.layers`: a Dropout's random state is no parameter."""
    keras.utils.set_random_seed(0)
    inputs = keras.layers.Input((6,))
    hidden = keras.layers.Dropout(0.2)(keras.layers.Dense(8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.BatchNormalization()(hidden)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, epochs=1, verbose=0)
    params = only().params
    assert (params["model.parameters"], params["model.layers"]) == (model.count_params(), len(model.layers)) == (106, 5)


def test_generators_are_never_consumed_by_us(autolog, only):
    """Keras takes all batches, one by one."""
    taken = []

    def batches():
        for at in range(4):
            taken.append(at)
            yield X[at * 12 : at * 12 + 12], Y[at * 12 : at * 12 + 12]

    def train():
        taken.clear()
        made().fit(batches(), steps_per_epoch=4, verbose=0)
        return list(taken)

    with autotrack.paused():
        unobserved = train()
    assert train() == unobserved == [0, 1, 2, 3]
    run = only()
    assert run.datasets["x"].meta["type"] == "builtins.generator"
    assert run.params["steps_per_epoch"] == 4


def test_a_dataset_class_is_asked_for_nothing(autolog, only):
    """A `PyDataset` is described by its class and settings."""

    class Mine(keras.utils.PyDataset):
        asked = 0

        def __len__(self):
            return 3

        def __getitem__(self, index):
            type(self).asked += 1
            return X[index * 16 : index * 16 + 16], Y[index * 16 : index * 16 + 16]

    def train():
        Mine.asked = 0
        made().fit(Mine(workers=1, max_queue_size=4), epochs=2, verbose=0)
        return Mine.asked

    with autotrack.paused():
        unobserved = train()
    assert train() == unobserved
    run = only()
    assert run.datasets["x"].meta["type"].endswith("Mine")
    assert run.datasets["x"].meta["max_queue_size"] == 4
    assert run.params["steps_in_epoch"] == 3


def test_a_torch_loader_is_described(autolog, only):
    """Batch size, workers and the class of its data set, without asking for a batch."""
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    made().fit(torch.utils.data.DataLoader(data, batch_size=12), verbose=0)
    run = only()
    assert run.datasets["x"].meta["batch_size"] == 12
    assert run.datasets["x"].meta["dataset"].endswith("TensorDataset")
    assert run.datasets["x"].meta["rows"] == 48
    assert run.params["batch_size"] == 12
    assert "train/samples_per_second" in run.metrics


def test_the_data_is_not_held_after_the_fit(autolog):
    """Neither is the model."""
    import weakref

    model, mine = made(), X.copy()
    model.fit(mine, Y, verbose=0)
    alive = weakref.ref(mine), weakref.ref(model)
    del model, mine
    gc.collect()
    assert [one() for one in alive] == [None, None]


# The model


def test_the_layers_are_a_table_and_the_config_an_artifact(autolog, only, recorded):
    """Name, type, shape, weights and whether they are trained, layer by layer."""
    model = made()
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    run = only()
    (table,) = [event for event in recorded() if getattr(event, "name", "") == "model/layers"]
    assert table.columns["type"] == ["Dense", "Dense"]
    assert table.columns["name"][0].endswith("hidden")
    assert table.columns["output_shape"] == ["(None, 8)", "(None, 2)"]
    assert table.columns["parameters"] == [56, 18]
    assert table.columns["trainable"] == [False, True]
    assert (run.params["model.parameters"], run.params["model.trainable_parameters"]) == (74, 18)
    config = blob_path(collector().place.blobs, run.files["model/config.json"].digest).read_text()
    assert '"class_name": "Sequential"' in config


def test_a_model_that_cannot_tell_its_config_is_named(autolog, only):
    """`get_config` of the user's raises: the training is recorded, the report says what is missing."""

    class Shy(Subclassed):
        def get_config(self):
            raise RuntimeError("not telling")

    model = Shy()
    model.compile("sgd", "mse")
    model.fit(X, Y.astype("float32"), verbose=0)
    run = only()
    assert run.status == "finished"
    assert run.reported("model config") == ["not recorded: RuntimeError: not telling"]


def test_the_trained_model_is_kept_as_a_keras_file(only, tmp_path):
    """It predicts what the model predicts, loaded by Keras or by `autotrack.load_model`."""
    model = made()
    model.fit(X, Y, verbose=0, callbacks=[AutotrackCallback()])
    run = only()
    assert run.models["model"].flavor == "keras"
    loaded = autotrack.load_model(f"runs:/{run.run}/model")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    path = tmp_path / "again.keras"
    path.write_bytes(blob_path(collector().place.blobs, run.files["model/model.keras"].digest).read_bytes())
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_model_beyond_the_limit_is_not_written(only):
    """The report names the option that lifts it."""
    autotrack.configure(model_limit=100)
    made().fit(X, Y, verbose=0, callbacks=[AutotrackCallback()])
    run = only()
    assert "model/model.keras" not in run.files
    (line,) = run.reported("model")
    assert "model_limit=100" in line


def test_a_trained_model_carries_nothing_of_ours(autolog):
    """Its attributes and pickles are those of a training without autolog."""

    def attributes():
        model = made()
        model.fit(X, Y, verbose=0)
        return sorted(vars(model)), b"autotrack" in pickle.dumps(model), vars(copy.deepcopy(model)).keys()

    with autotrack.paused():
        unobserved = attributes()
    assert attributes() == unobserved
    assert unobserved[1] is False


class TestKeras(IntegrationTestCase):
    """What every integration must hold."""

    def install(self):
        self.integration = KerasIntegration(KerasIntegration.options_type())
        self.integration.install()

    def uninstall(self):
        self.integration.uninstall()

    def train(self, *, fail=False):
        model = made()
        callbacks = [Raises(ZeroDivisionError())] if fail else None
        model.fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
        return [weights.tobytes() for weights in model.get_weights()]
