"""A small network of Keras, on torch."""

import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np

import autotrack

autotrack.autolog("keras")
keras.utils.set_random_seed(0)
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
y = X.sum(1, keepdims=True)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
model.fit(
    X,
    y,
    validation_split=0.25,
    epochs=3,
    batch_size=16,
    verbose=0,
    callbacks=[keras.callbacks.ModelCheckpoint("best.keras")],
)
model.evaluate(X, y, verbose=0)
