"""Scripts that know nothing of us and reach frameworks through other libraries: one run per training, never double.

Each is launched by `autotrack run python script.py` and trains for a few steps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import autotrack

SCRIPTS = Path(__file__).with_name("scripts")


@pytest.fixture
def launched(tmp_path: Path) -> Callable[[str, str], tuple[Any, list[Any]]]:
    """Launch a script; returns the run at the top, and those below it."""

    def launch(name: str, needs: str) -> tuple[Any, list[Any]]:
        if find_spec(needs) is None:
            pytest.skip(f"{needs} is not installed")
        environment = {
            **os.environ, "PYTHONPATH": str(SCRIPTS), "KERAS_BACKEND": "torch", "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
        }  # fmt: skip
        command = [sys.executable, "-m", "autotrack", "run", "--", sys.executable, str(SCRIPTS / name)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=170)
        assert done.returncode == 0, done.stderr
        assert "AutotrackWarning" not in done.stderr, done.stderr
        (top,) = autotrack.runs()
        return top, list(top.children())

    return launch


def test_a_search_over_skorch(launched: Callable[..., Any]) -> None:
    """scikit-learn's search over skorch's estimator over torch: one search, a trial for each candidate."""
    top, below = launched("skorch_search.py", "skorch")
    assert top.params["best_params.module__hidden"] in (2, 8)
    assert Counter(run.kind for run in below) == {"trial": 2}
    assert {run.params["module__hidden"] for run in below} == {2, 8}


def test_optuna_over_lightning(launched: Callable[..., Any]) -> None:
    """Each trial is one run that holds its training by Lightning."""
    top, below = launched("optuna_lightning.py", "optuna")
    assert "best_params.lr" in top.params
    assert Counter(run.kind for run in below) == {"trial": 2}
    assert all({"loss", "objective"} <= set(run.metrics) for run in below)
    assert len(list(autotrack.runs(all=True))) == 3


def test_keras_tuner(launched: Callable[..., Any]) -> None:
    """A trial for each set of hyperparameters, with its curve."""
    _, below = launched("tuner.py", "keras_tuner")
    assert Counter(run.kind for run in below) == {"trial": 2}
    assert all(run.metrics["val/loss"].count == 2 for run in below)


def test_trl(launched: Callable[..., Any]) -> None:
    """Supervised fine-tuning of a tiny GPT-2: one row, with what TRL adds to transformers."""
    top, below = launched("trl_sft.py", "trl")
    assert below == []
    assert top.metrics["train/loss"].count == 2
    assert top.params["trainer.class"] == "SFTTrainer"


def test_sentence_transformers(launched: Callable[..., Any]) -> None:
    """Its trainer is one of transformers': one row."""
    top, below = launched("sentences.py", "sentence_transformers")
    assert below == []
    assert top.metrics["train/loss"].count == 2


def test_setfit(launched: Callable[..., Any]) -> None:
    """Its body is trained by transformers, its head by scikit-learn: two trainings of one job."""
    _, below = launched("setfit_head.py", "setfit")
    assert sorted(run.params["model.class"] for run in below) == ["LogisticRegression", "SentenceTransformer"]
