"""What is recorded of seeds, without importing or changing anything."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from autotrack.environment import seeds

torch = pytest.importorskip("torch")


def test_seeds_that_were_set() -> None:
    """After seeding everything the seeds of NumPy and torch are known, and the states are the same every time."""
    states = []
    for _ in range(2):
        random.seed(7)
        np.random.seed(42)
        torch.manual_seed(1234)
        data = seeds.gather().data
        assert data["numpy"]["seed"] == 42
        assert data["torch"]["seed"] == 1234
        states.append((data["random"]["state"], data["numpy"]["state"]))
    assert states[0] == states[1]
    random.seed(8)
    np.random.seed(43)
    changed = seeds.gather().data
    assert changed["random"]["state"] != states[0][0]
    assert changed["numpy"]["state"] != states[0][1]


def test_seed_is_not_guessed_once_numbers_were_drawn() -> None:
    """After a draw NumPy's state no longer tells the seed: then there is none, only the state."""
    np.random.seed(42)
    np.random.random()
    assert "seed" not in seeds.gather().data["numpy"]
    np.random.seed([1, 2, 3])
    assert "seed" not in seeds.gather().data["numpy"]


def test_gathering_draws_nothing() -> None:
    """The numbers that follow are those that would have followed."""
    draws = []
    for look in (False, True):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        if look:
            seeds.gather()
        draws.append((random.random(), np.random.random(), torch.rand(1).item()))
    assert draws[0] == draws[1]


def test_flags_of_determinism() -> None:
    """Flags are what torch says of itself."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        data = seeds.gather().data["torch"]
    finally:
        torch.use_deterministic_algorithms(before)
    assert data["deterministic_algorithms"] is True
    assert data["cudnn_benchmark"] is torch.backends.cudnn.benchmark
    assert data["cudnn_deterministic"] is torch.backends.cudnn.deterministic


def test_nothing_is_imported(script: Any) -> None:
    """In a program without NumPy and torch there is only Python's own flag and the variables."""
    done = script(
        """
        import json, sys
        from autotrack.environment import seeds
        before = set(sys.modules)
        data = seeds.gather().data
        print(json.dumps([data, sorted(set(sys.modules) - before)]))
        """,
        PYTHONHASHSEED="0", CUBLAS_WORKSPACE_CONFIG=":4096:8",
    )  # fmt: skip
    data, imported = json.loads(done.stdout)
    assert imported == []
    data.pop("random", None)
    assert data == {"hash_randomization": False, "PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def test_module_that_is_still_being_imported(script: Any, tmp_path: Any) -> None:
    """A half-imported torch is not looked at."""
    (tmp_path / "torch.py").write_text(
        "from autotrack.environment import seeds\nassert 'torch' not in seeds.gather().data\n"
        "def initial_seed():\n    return 5\n"
    )
    done = script(
        """
        import torch
        from autotrack.environment import seeds
        print(seeds.gather().data["torch"])
        """
    )
    assert done.stdout.strip() == "{'seed': 5}"
