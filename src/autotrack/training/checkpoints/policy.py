"""The policy for checkpoints: which ones are kept, and which of those are marked as the best and the last.

Checkpoints are listed in the order in which they were written and identified by their numbers. An incomplete one, of
which not all files could be stored, is neither the best nor the last; "last" keeps it as long as it is the latest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from autotrack.exceptions import InvalidValueError
from autotrack.instrument.options import POLICIES
from autotrack.training.checkpoints.files import Checkpoint


class CheckpointPolicy:
    """One of `POLICIES` by its `name`, with the number of best checkpoints to `keep` for each monitored metric."""

    def __init__(self, name: str, keep: int) -> None:
        """Create a policy that keeps at least one best checkpoint; `InvalidValueError` for an unknown name."""
        if name not in POLICIES:
            raise InvalidValueError(f"checkpoints={name!r}: there are {', '.join(map(repr, POLICIES))}")
        self.name = name
        self.keep = max(1, keep)

    def outdone(self, checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
        """The checkpoints among `checkpoints` that are not kept."""
        if self.name == "all":
            return []
        whole = _whole(checkpoints)
        wanted = set[int]()
        if "last" in self.name:
            wanted |= _last_of(whole) | {one.number for one in checkpoints[-1:] if not one.complete}
        if "best" in self.name:
            wanted |= _best_of(whole, self.keep)
        return [one for one in checkpoints if one.number not in wanted]

    def may_skip(self, checkpoint: Checkpoint, checkpoints: Sequence[Checkpoint]) -> bool:
        """Whether `checkpoint`, one of `checkpoints`, need not be copied if newer ones are waiting."""
        return self.name != "all" and checkpoint.number not in _best_of(checkpoints, self.keep)

    def marks(self, checkpoints: Sequence[Checkpoint]) -> dict[int, tuple[bool, bool]]:
        """Whether each of the kept `checkpoints` is the best and whether it is the last, by number.

        The policy "last" does not keep the best, and "best" not the last: there the framework's own mark counts.
        """
        whole = _whole(checkpoints)
        best, last = _best_of(whole, 1), _last_of(whole)
        return {
            one.number: (
                one.number in best if self.name != "last" else bool(one.facts["best"]),
                one.number in last if self.name != "best" else bool(one.facts["last"]),
            )
            for one in checkpoints
        }


def _whole(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    return [one for one in checkpoints if one.complete]


def _last_of(checkpoints: Sequence[Checkpoint]) -> set[int]:
    """The latest checkpoint, among those that the framework does not mark as other than the last if there are any."""
    lasts = [one for one in checkpoints if one.facts["last"] is not False] or checkpoints
    return {one.number for one in lasts[-1:]}


def _best_of(checkpoints: Sequence[Checkpoint], most: int) -> set[int]:
    """The best checkpoints, at most `most` for each monitored metric."""
    return {one.number for ranking in _rankings(checkpoints) for one in ranking[:most]}


def _rankings(checkpoints: Sequence[Checkpoint]) -> Iterator[list[Checkpoint]]:
    """The checkpoints per monitored metric, best first: by score and `mode`, else those marked best, latest first."""
    groups: dict[Any, list[Checkpoint]] = {}
    for one in checkpoints:
        groups.setdefault(one.facts["monitor"], []).append(one)
    for group in groups.values():
        ranked = [one for one in group if one.mode in {"min", "max"} and one.score is not None]
        if ranked:
            yield sorted(ranked, key=lambda one: one.score or 0.0, reverse=ranked[-1].mode == "max")
        else:
            called = [one for one in reversed(group) if one.facts["best"]]
            if called:
                yield called
