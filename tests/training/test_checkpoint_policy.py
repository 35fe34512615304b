"""The policy alone, without files: which checkpoints are kept, which may be skipped, which are marked best and last."""

from __future__ import annotations

from typing import Any

import pytest

from autotrack.exceptions import InvalidValueError
from autotrack.training.checkpoints.files import Checkpoint
from autotrack.training.checkpoints.policy import CheckpointPolicy


def checkpoint(
    number: int, score: float | None = None, mode: str | None = "min", *, complete: bool = True, **facts: Any
) -> Checkpoint:
    facts = {"monitor": "loss", "best": None, "last": None, **facts}
    return Checkpoint(number, f"e{number}", facts, score, mode, complete=complete)


def scored(*scores: float, mode: str = "min") -> list[Checkpoint]:
    """Checkpoints 1, 2, … with these scores."""
    return [checkpoint(number, score, mode) for number, score in enumerate(scores, 1)]


def kept(name: str, checkpoints: list[Checkpoint], keep: int = 1) -> list[int]:
    """The numbers of those that are not outdone."""
    outdone = CheckpointPolicy(name, keep).outdone(checkpoints)
    return [one.number for one in checkpoints if one not in outdone]


@pytest.mark.parametrize(
    ("name", "keep", "expected"),
    [
        ("last", 1, [4]),
        ("best", 1, [2]),
        ("best", 0, [2]),
        ("best", 2, [2, 4]),
        ("best+last", 1, [2, 4]),
        ("best+last", 3, [2, 3, 4]),
        ("all", 1, [1, 2, 3, 4]),
    ],
)
def test_the_name_of_a_policy_says_which_are_kept(name, keep, expected):
    """Of four checkpoints whose second has the lowest loss."""
    assert kept(name, scored(0.9, 0.3, 0.7, 0.5), keep) == expected


def test_the_mode_says_which_score_is_better():
    """The highest with "max", the lowest with "min"."""
    assert kept("best", scored(0.1, 0.5, 0.3, mode="max")) == [2]
    assert kept("best", scored(0.1, 0.5, 0.3, mode="min")) == [1]


def test_of_equal_scores_the_first_is_the_best():
    """Whichever the mode: a later one has to be better."""
    for mode in ("min", "max"):
        assert kept("best", scored(0.5, 0.5, mode=mode)) == [1]


def test_one_without_a_score_does_not_compete_with_scores():
    """Not even if the framework marks it as the best."""
    assert kept("best", [checkpoint(1, 0.5), checkpoint(2, None, best=True)]) == [1]


def test_without_scores_the_latest_that_the_framework_marks_is_the_best():
    """And none is if it marks none."""
    marks = [True, True, False]
    assert kept("best", [checkpoint(number, best=best) for number, best in enumerate(marks)]) == [1]
    assert kept("best", [checkpoint(1), checkpoint(2)]) == []


def test_a_checkpoint_that_the_framework_marks_as_not_the_last_is_not():
    """Unless all are marked so: then the latest is the last."""
    assert kept("last", [checkpoint(1), checkpoint(2, last=True), checkpoint(3, last=False)]) == [2]
    assert kept("last", [checkpoint(1, last=False), checkpoint(2, last=False)]) == [2]


def test_an_incomplete_checkpoint_stands_in_for_no_complete_one():
    """It is kept as long as it is the latest, together with the complete ones that it would have outdone."""
    incomplete = checkpoint(2, 0.1, complete=False)
    assert kept("best+last", [checkpoint(1, 0.5), incomplete]) == [1, 2]
    assert kept("best", [checkpoint(1, 0.5), incomplete]) == [1]
    assert kept("best+last", [checkpoint(1, 0.5), incomplete, checkpoint(3, 0.9)]) == [1, 3]


def test_only_the_best_are_copied_while_newer_ones_wait():
    """With "all", every one is."""
    checkpoints = scored(0.3, 0.9)
    policy = CheckpointPolicy("best+last", 1)
    assert [policy.may_skip(one, checkpoints) for one in checkpoints] == [False, True]
    assert not CheckpointPolicy("best+last", 2).may_skip(checkpoints[1], checkpoints)
    assert not CheckpointPolicy("all", 1).may_skip(checkpoints[1], checkpoints)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("all", {1: (True, False), 2: (False, True)}),
        ("best+last", {1: (True, False), 2: (False, True)}),
        ("best", {1: (True, True), 2: (False, False)}),
        ("last", {1: (False, False), 2: (True, True)}),
    ],
)
def test_what_a_policy_does_not_keep_is_marked_by_the_framework_alone(name, expected):
    """The framework marks the second as the best and the first as the last; by score and order it is the other way."""
    checkpoints = [checkpoint(1, 0.3, best=False, last=True), checkpoint(2, 0.9, best=True, last=None)]
    assert CheckpointPolicy(name, 1).marks(checkpoints) == expected


def test_one_best_is_marked_for_each_monitored_metric():
    """However many are kept, and no incomplete one."""
    checkpoints = [
        checkpoint(1, 0.1, "min", monitor="loss"),
        checkpoint(2, 0.2, "min", monitor="loss"),
        checkpoint(3, 0.7, "max", monitor="f1"),
        checkpoint(4, 0.9, "max", monitor="f1", complete=False),
    ]
    marks = CheckpointPolicy("best+last", 5).marks(checkpoints)
    assert [number for number, (best, _) in marks.items() if best] == [1, 3]
    assert [number for number, (_, last) in marks.items() if last] == [3]


def test_an_unknown_policy_is_refused():
    """With the names of those that there are."""
    with pytest.raises(InvalidValueError, match=r"checkpoints='newest': there are 'none', 'best', 'last'"):
        CheckpointPolicy("newest", 1)
