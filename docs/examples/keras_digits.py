"""Which digit is it: a small network on 1,797 handwritten ones, trained by Keras."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import autotrack

autotrack.autolog("keras")

X, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.25, random_state=0)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.layers.Input((64,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(10, activation="softmax"),
    ],
    name="digits",
)
model.compile(optimizer=keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    x_train, y_train, batch_size=64, epochs=8, validation_split=0.2, verbose=0,
    callbacks=[keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)],
)  # fmt: skip
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"{model.name}: accuracy {accuracy:.3f} on unseen digits")
