"""What the name of a metric says about it."""

from __future__ import annotations

import pytest

from autotrack.roles import aliases, relevance, role_of


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("val/loss", "val"), ("eval_loss", "val"), ("dev/loss", "val"), ("valid_acc", "val"), ("holdout_f1", "test"),
        ("learn/logloss", "train"), ("loss", ""), ("value_loss", ""), ("val", ""), ("val/", ""), ("tests_run", ""),
    ],
)  # fmt: skip
def test_a_key_tells_its_role_in_every_spelling(key: str, role: str) -> None:
    """A whole first word before a slash or an underscore, and nothing that only begins like one."""
    assert role_of(key) == role


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("val_loss", ("val_loss", "val/loss")), ("dev_loss", ("dev_loss", "val/loss")),
        ("holdout_f1", ("holdout_f1", "test/f1")), ("val/loss", ("val/loss",)), ("train_loss", ("train_loss",)),
        ("loss", ("loss",)),
    ],
)  # fmt: skip
def test_native_names_may_mean_a_key_with_its_role_first(name: str, keys: tuple[str, ...]) -> None:
    """Of validation and test data only; the name itself comes first."""
    assert aliases(name) == keys


def test_scores_on_data_that_was_not_trained_on_come_first_and_times_last() -> None:
    """Test, validation, training, no role, then whatever took time, whichever role it has."""
    keys = ["test/fit_time", "loss", "train/loss", "eval_loss", "test_acc"]
    assert sorted(keys, key=relevance) == ["test_acc", "eval_loss", "train/loss", "loss", "test/fit_time"]
