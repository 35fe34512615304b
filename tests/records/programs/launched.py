"""A script that knows nothing of tracking, with two fits."""

import warnings

from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier

X, y = load_iris(return_X_y=True)
print("a tree")
print(DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y).score(X, y))
warnings.warn("and a ridge", stacklevel=1)
Ridge(alpha=0.5).fit(X, y)
