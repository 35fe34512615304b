"""A loop of one's own that does not live to see its end: it is killed in the middle, as by `kill -9`."""

import os
import signal

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import autotrack

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.25, random_state=0)
model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=0)

with autotrack.start_run("unfinished", params={"eta0": 0.01, "epochs": 100}) as run:
    for epoch in range(100):
        model.partial_fit(X_train, y_train, classes=range(10))
        run.log({"test/loss": log_loss(y_test, model.predict_proba(X_test))}, step=epoch)
        if epoch == 29:
            print("30 of 100 epochs, and now: kill -9", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
