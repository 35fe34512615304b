"""KerasTuner looking for a number of units."""

import keras
import keras_tuner
import numpy as np


def build(hp):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(hp.Int("units", 2, 4)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model


tuner = keras_tuner.RandomSearch(build, objective="val_loss", max_trials=2, directory="tuned", overwrite=True)
x = np.random.default_rng(0).normal(size=(16, 3))
tuner.search(x, x[:, 0], epochs=2, validation_split=0.5, verbose=0)
