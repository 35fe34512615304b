"""Determines the role of data for a model: the data it was trained on (`train`) or held-out data (`val`, `test`).

Roles follow from object identity, never from variable names: the training data, views of it, and the parts that
`train_test_split` made of the same data set. No data is kept alive: arrays are referenced weakly, frames by the
identity of their index, which pandas shares with the columns and frames selected from them.
"""

from __future__ import annotations

import sys
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

MOST_PARTS = 512

Side = Literal["train", "test"]


@dataclass(frozen=True)
class Part:
    """The train or test side of a split."""

    split: Split
    side: Side

    def path(self) -> list[Part]:
        """The parts from the outermost split down to this one."""
        whole = self.split.whole
        return [self] if whole is None else [*whole.path(), self]


@dataclass(frozen=True, eq=False)
class Split:
    """One call of `train_test_split`: marks of its arguments, and the part of an earlier split being split, if any."""

    whole: Part | None
    given: tuple[Mark, ...]


class Mark:
    """Identifies data later on without keeping it alive."""

    __slots__ = ("_index", "_reference", "part")

    def __init__(self, data: Any) -> None:
        self._reference = _weak(data)
        self._index = _index_of(data)
        self.part = part_of(data)

    def covers(self, data: Any) -> bool:
        """Whether `data` is the marked data, or a view of some of its rows or columns."""
        if self._index is not None:
            return _index_of(data) is self._index
        marked = None if self._reference is None else self._reference()
        return marked is not None and (data is marked or _is_within(data, marked))

    def is_same_as(self, other: Mark) -> bool:
        """Whether both mark the same data and it still exists."""
        if self._index is not None or other._index is not None:
            return self._index is other._index
        marked = None if self._reference is None else self._reference()
        return marked is not None and other._reference is not None and other._reference() is marked


_parts: OrderedDict[int, tuple[Any, Part]] = OrderedDict()


def note_split(given: tuple[Any, ...], made: Any) -> None:
    """Remember the result of `train_test_split(*given)`: train and test side of each argument in turn."""
    wholes = {part for data in given if (part := part_of(data)) is not None}
    split = Split(wholes.pop() if len(wholes) == 1 else None, tuple(map(Mark, given)))
    sides: tuple[Side, Side] = ("train", "test")
    for position, data in enumerate(made):
        _note(data, Part(split, sides[position % 2]))


def part_of(data: Any) -> Part | None:
    """The part of a split that `data` is, or is a view of; None if unknown."""
    index = _index_of(data)
    if index is not None:
        known = _parts.get(id(index))
        return known[1] if known is not None and known[0] is index else None
    while data is not None:
        known = _parts.get(id(data))
        if known is not None and known[0]() is data:
            return known[1]
        data = getattr(data, "base", None) if type(data).__module__ == "numpy" else None
    return None


def role_of(data: Any, trained_on: Mark) -> str:
    """`train`, `val` or `test`: what `data` is for a model that was fitted on `trained_on`; empty if unknown.

    Data is `test` if it is the test side of a split on whose train side, or a part of it, the model was fitted; `val`,
    if that split was made of the train side of an earlier split, whose other side is the `test` data.
    """
    if trained_on.covers(data):
        return "train"
    part = part_of(data)
    if part is None:
        return ""
    if any(given.is_same_as(trained_on) for above in part.path() for given in above.split.given):
        return "train"
    if trained_on.part is None:
        return ""
    return _between(trained_on.part.path(), part.path())


def _between(trained: list[Part], asked: list[Part]) -> str:
    for depth, (one, other) in enumerate(zip(trained, asked, strict=False)):
        if one.split is not other.split:
            return ""
        if one.side != other.side:
            last = depth == len(asked) - 1
            if one.side != "train" or not last:
                return ""
            return "val" if depth > 0 and trained[depth - 1].side == "train" else "test" if depth == 0 else ""
    return "train" if len(asked) >= len(trained) else ""


def _note(data: Any, part: Part) -> None:
    index = _index_of(data)
    reference = _weak(data) if index is None else index
    if reference is not None:
        _parts[id(data) if index is None else id(index)] = (reference, part)
        if len(_parts) > MOST_PARTS:
            _parts.popitem(last=False)


def _weak(data: Any) -> Any:
    try:
        return weakref.ref(data)
    except TypeError:  # lists and tuples
        return None


def _index_of(data: Any) -> Any:
    """The object by which pandas recognises that two indexes are views of one another; None if `data` has no index."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(data, (pandas.DataFrame, pandas.Series)):
        return None
    return getattr(data.index, "_id", None)


def _is_within(data: Any, whole: Any) -> bool:
    """Whether an array is a view of rows or columns of another, by their memory addresses."""
    if type(data).__module__ != "numpy" or type(whole).__module__ != "numpy" or not hasattr(data, "base"):
        return False
    if data.base is None or not whole.size or not data.size:
        return False
    if data.base is whole:
        return True
    if data.base is not whole.base or whole.base is None or not whole.ndim or data.ndim != whole.ndim:
        return False
    offset = data.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    row = whole.strides[0]
    if row <= 0 or offset < 0 or offset % row or data.strides[0] % row or data.strides[1:] != whole.strides[1:]:
        return False
    last = offset // row + (len(data) - 1) * (data.strides[0] // row)
    return bool(data.shape[1:] == whole.shape[1:] and 0 <= last < len(whole))
