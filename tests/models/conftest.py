"""What the tests of the flavors share: predictions of logged models, made in a fresh process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_SCRIPT = """
import numpy as np
import autotrack
{preparation}
X = np.load("X.npy")
found = {{}}
for name in {names}:
    model = autotrack.load_model("runs:/study/" + name)
    found[name] = {expression}
np.savez("found.npz", **found)
"""


@pytest.fixture
def predict_elsewhere(script: Any, tmp_path: Path) -> Callable[..., dict[str, np.ndarray]]:
    """Load models of the run "study" in a process that has never seen them, and evaluate an expression on each.

    The expression knows `model`, `name`, and the data `X`; `preparation` are statements that come before.
    """

    def predict(names: Iterable[str], X: np.ndarray, expression: str, preparation: str = "") -> dict[str, np.ndarray]:
        np.save(tmp_path / "X.npy", X)
        script(_SCRIPT.format(names=list(names), expression=expression, preparation=preparation), KERAS_BACKEND="torch")
        with np.load(tmp_path / "found.npz") as found:
            return dict(found)

    return predict
