"""Benign or malignant: a linear model and a forest on 569 tumours."""

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autotrack

autotrack.autolog()

X, y = load_breast_cancer(return_X_y=True, as_frame=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)

for model in (
    make_pipeline(StandardScaler(), LogisticRegression(C=0.5)),
    RandomForestClassifier(n_estimators=200, max_depth=6, random_state=0),
):
    model.fit(X_train, y_train)
    print(f"{type(model).__name__}: accuracy {model.score(X_test, y_test):.3f} on unseen tumours")
