"""A search over a network that skorch makes an estimator of."""

import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier

X, y = load_iris(return_X_y=True)
torch.manual_seed(0)


class Net(torch.nn.Module):
    def __init__(self, hidden=4):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 3))

    def forward(self, inputs):
        return self.layers(inputs)


net = NeuralNetClassifier(Net, criterion=torch.nn.CrossEntropyLoss, max_epochs=2, verbose=0)
search = GridSearchCV(net, {"module__hidden": [2, 8]}, cv=2)
search.fit(X.astype(np.float32), y)
