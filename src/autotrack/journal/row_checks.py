"""Checks many metric rows at once: a stretch of row records of one size, with NumPy in place of a loop over records."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from autotrack.journal.layout import KIND_SHIFT, RECORD, Kind

AT_ONCE = 4096  # rows, so that the arrays of one check stay in the processor's cache
_POLYNOMIAL = 0xEDB88320  # of CRC-32 as in zlib, bits reversed

Ints = npt.NDArray[np.int64]


def intact_rows(data: memoryview, offset: int, end: int) -> Ints:
    """The offsets of the intact row records of one size that lie side by side from `offset` on, at most `AT_ONCE`.

    `offset` is a multiple of 8 with a row record; of the records before `end`, the first that is of another kind or
    size, or whose checksum does not match, ends the stretch.
    """
    head = RECORD.unpack_from(data, offset)[1]
    size = RECORD.size + (head & ((1 << KIND_SHIFT) - 1))
    count = min((end - offset) // size, AT_ONCE)
    if head >> KIND_SHIFT != Kind.ROW or size % 8 or count < 1:
        return np.empty(0, dtype=np.int64)
    records = np.frombuffer(data, dtype=np.uint32, offset=offset, count=count * size // 4).reshape(count, size // 4)
    count = _leading(records[:, 1] == head)
    records = records[:count]
    count = _leading(_checksums(records[:, 1:]) == records[:, 0])
    return np.arange(offset, offset + size * count, size, dtype=np.int64)


def _leading(passed: npt.NDArray[np.bool_]) -> int:
    """How many values before the first False."""
    return int(len(passed) if passed.all() else passed.argmin())


def _checksums(records: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The CRC-32 of the bytes of each row of a two-dimensional array, two bytes at a time."""
    table = _table()
    columns = np.ascontiguousarray(np.ascontiguousarray(records).view(np.dtype("<u2")).T)
    found = np.full(len(records), 0xFFFFFFFF, dtype=np.uint32)
    for column in columns:
        found = table[(found & 0xFFFF) ^ column] ^ (found >> 16)
    return ~found


@functools.cache
def _table() -> npt.NDArray[np.uint32]:
    """What two bytes contribute to a CRC-32, for each of their 65,536 values."""
    table: npt.NDArray[np.uint32] = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table
