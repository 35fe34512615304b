"""Fits, searches, validation and metrics of scikit-learn."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autotrack

autotrack.autolog("sklearn")
X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(X_train, y_train)
model.score(X_test, y_test)
accuracy_score(y_test, model.predict(X_test))
confusion_matrix(y_test, model.predict(X_test))
GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=2).fit(X_train, y_train)
cross_validate(LogisticRegression(max_iter=500), X, y, cv=2)
stepwise = SGDClassifier(random_state=0)
for part in np.array_split(np.random.default_rng(0).permutation(len(X)), 3):
    stepwise.partial_fit(X[part], y[part], classes=np.unique(y))
with autotrack.start_run("two fits", params={"C": "mine", "shared": 1}) as run:
    LogisticRegression(C=2.0, max_iter=500).fit(X_train, y_train)
    run.log({"between": 1.0})
    LogisticRegression(C=3.0, max_iter=500).fit(X_train, y_train)
