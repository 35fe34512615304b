"""Which digit is it: three classifiers on 1,797 handwritten ones."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

import autotrack

autotrack.autolog()

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.25, random_state=0)

for model in (
    KNeighborsClassifier(n_neighbors=5),
    SVC(C=10, gamma="scale"),
    MLPClassifier(hidden_layer_sizes=(64,), max_iter=500, random_state=0),
):
    model.fit(X_train, y_train)
    print(f"{type(model).__name__}: accuracy {model.score(X_test, y_test):.3f} on unseen digits")
