"""How far will it get in a year: two regressions on 442 patients."""

from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split

import autotrack

autotrack.autolog()

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)

for model in (
    Ridge(alpha=0.1),
    GradientBoostingRegressor(n_estimators=100, learning_rate=0.05, max_depth=2, random_state=0),
):
    model.fit(X_train, y_train)
    print(f"{type(model).__name__}: R² {model.score(X_test, y_test):.3f} on unseen patients")
