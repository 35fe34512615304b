"""Whether two arguments are the same data is decided by what they hold, not by which objects they are."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy
import pandas
import pytest
from scipy import sparse

from autotrack.recording.same_data import Trace, same_data

ROWS = numpy.random.RandomState(0).rand(40, 3)
PICKED = numpy.arange(0, 40, 2)
FRAME = pandas.DataFrame({"a": ROWS[:, 0], "b": ["x", "y"] * 20})
OBJECTS = pandas.DataFrame({"a": [{"k": 1}, {"k": 2}]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ROWS, ROWS),
        (ROWS[:20], ROWS[:20]),
        (ROWS[PICKED], ROWS[PICKED].copy()),
        (numpy.asfortranarray(ROWS), ROWS),
        (FRAME, FRAME.copy()),
        (FRAME.iloc[PICKED], FRAME.iloc[PICKED].reset_index(drop=True)),
        (sparse.csr_matrix(ROWS), sparse.csr_matrix(ROWS)),
        ([1, 2, 3], [1, 2, 3]),
    ],
)
def test_views_and_copies_of_the_same_rows_are_the_same_data(one: Any, other: Any) -> None:
    """Neither the object nor its place in memory matters."""
    assert same_data(one, other)
    assert Trace(one).is_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ROWS[:20], ROWS[20:]),
        (ROWS[:20], ROWS[:19]),
        (ROWS[:20], ROWS[:40:2]),
        (ROWS, ROWS[:, ::-1]),
        (FRAME.iloc[:20], FRAME.iloc[20:]),
        (OBJECTS, pandas.DataFrame({"a": [{"k": 3}, {"k": 4}]})),
        ([1, 2, 3], [3, 2, 1]),
        (None, None),
        (iter(()), iter(())),
    ],
)
def test_other_rows_are_other_data(one: Any, other: Any) -> None:
    """Data that is only like other data, or that cannot be compared, is not the same."""
    assert not same_data(one, other)
    assert not Trace(one).is_of(other)


def test_a_trace_keeps_nothing_alive() -> None:
    """What was seen is recognised in a copy after it is gone itself."""
    first = ROWS.copy()
    trace, alive = Trace(first), weakref.ref(first)
    del first
    gc.collect()
    assert alive() is None
    assert trace.is_of(ROWS)
