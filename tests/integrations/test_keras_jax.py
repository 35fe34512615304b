"""Keras on JAX: what the tests of Keras say about torch holds there, too; and nothing loads TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("keras") is None or find_spec("jax") is None:
    pytest.skip("Keras or JAX is not installed", allow_module_level=True)

HERE = Path(__file__).parent
CHOSEN = (
    "everything_that_belongs or every_batch or with_and_without or asynchronous or rate_of_an_epoch or early_stopping "
    "or failed and autolog or evaluation_after or OwnStep or weights_can_be_watched"
)


def test_keras_on_jax_is_recorded_like_keras_on_torch():
    """A selection of the tests of Keras, run in a process whose backend is JAX."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE / "test_keras.py"), "-n0", "-x", "-k", CHOSEN],
        env={**os.environ, "KERAS_BACKEND": "jax"}, cwd=HERE.parent.parent, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]


def test_nothing_of_ours_loads_tensorflow(script):
    """Neither autolog nor the callback; and Keras is not loaded before somebody asks for it."""
    script(
        """
        import sys
        import autotrack
        autotrack.autolog("keras")
        assert "keras" not in sys.modules
        import autotrack.integrations.keras
        assert "keras" not in sys.modules
        from autotrack.integrations.keras import AutotrackCallback
        assert "keras" in sys.modules and "tensorflow" not in sys.modules
        """,
        KERAS_BACKEND="jax",
    )
