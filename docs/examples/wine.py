"""Which cultivar is it: a grid search on 178 wines, and a model of XGBoost's where that is installed."""

from importlib.util import find_spec

from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import autotrack

autotrack.autolog()

X, y = load_wine(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)

models = [
    GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1, 10], "svc__gamma": [0.01, 0.1]}, cv=3)
]
if find_spec("xgboost"):
    from xgboost import XGBClassifier

    models.append(XGBClassifier(n_estimators=40, max_depth=3, learning_rate=0.2, random_state=0))

for model in models:
    model.fit(X_train, y_train)
    print(f"{type(model).__name__}: accuracy {model.score(X_test, y_test):.3f} on unseen wines")
