"""Keras models are kept as `.keras` files and loaded in Keras' safe mode."""

from __future__ import annotations

import os

import numpy as np
import pytest

import autotrack
from autotrack.exceptions import NotFoundError, UntrustedModelError
from autotrack.models import load_model, save_model

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")

MINE = """
import keras

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

@keras.saving.register_keras_serializable("mine")
class Thrice(keras.layers.Layer):
    def call(self, x):
        return 3 * x
"""


def made(*layers):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.layers.Input((4,)), *layers, keras.layers.Dense(2, activation="softmax")])


def test_models_predict_the_same_in_a_fresh_process(predict_elsewhere, tmp_path, monkeypatch):
    """A sequential model, a functional one that was compiled and trained, and one with layers of the user's module."""
    (tmp_path / "mine_of_keras.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import mine_of_keras as mine

    inputs = keras.Input((4,))
    functional = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.BatchNormalization()(inputs)))
    functional.compile("adam", "mse")
    functional.fit(X, X[:, :2], verbose=0)
    models = {"sequential": made(), "functional": functional, "own": made(mine.Twice(), mine.Thrice())}
    with autotrack.start_run("study") as run:
        for name, model in models.items():
            run.log_model(model, name, input_example=X)
    found = predict_elsewhere(models, X, "model.predict(X, verbose=0)")
    for name, model in models.items():
        np.testing.assert_array_equal(found[name], model.predict(X, verbose=0), err_msg=name)
    kept = autotrack.get_run(run.id).models[0]
    assert (kept.flavor, kept.meta["format"], kept.meta["runs_code"]) == ("keras", "keras", False)
    assert (kept.meta["details"]["backend"], kept.meta["run"]) == (keras.config.backend(), run.id)
    assert any(line.startswith("keras==") for line in kept.meta["requirements"])


def test_the_signature_is_what_the_model_says():
    """Without an example: shapes, dtypes and names of the inputs and outputs of its layers; several have parts."""
    found = save_model(made()).meta["signature"]
    assert (found["inputs"]["dtype"], found["inputs"]["shape"]) == ("float32", [None, 4])
    assert found["outputs"]["shape"] == [None, 2]
    inputs = [keras.Input((2,), name="left"), keras.Input((3,), name="right")]
    both = keras.Model(inputs, keras.layers.Concatenate()(inputs))
    parts = save_model(both).meta["signature"]["inputs"]["parts"]
    assert [(part["name"], part["shape"]) for part in parts] == [("left", [None, 2]), ("right", [None, 3])]


def test_python_functions_need_trust():
    """A lambda is kept by its bytecode, which is not run unless it is trusted."""
    model = made(keras.layers.Lambda(lambda x: x + 1, output_shape=(4,)))
    saved = save_model(model)
    assert saved.meta["runs_code"] is True
    with pytest.raises(UntrustedModelError, match="trust=True"):
        load_model(saved.files)
    back = load_model(saved.files, trust=True)
    np.testing.assert_array_equal(back.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_missing_class_is_named():
    """A layer that is defined nowhere else: one error that says what to do."""

    class Local(keras.layers.Layer):
        def call(self, x):
            return x

    saved = save_model(made(Local()))
    with pytest.raises(NotFoundError, match=r"needs the class Local, which is not here: import the module"):
        load_model(saved.files)
