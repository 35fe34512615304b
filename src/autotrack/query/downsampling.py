"""Downsampling of curves for the screen, which keeps extremes and gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def thin_out(values: npt.NDArray[Any], limit: int) -> npt.NDArray[np.int64]:
    """Indices, ascending, of at most `limit` points (5 or more) that look like all `values`, shape (n,).

    Up to `limit` points are all kept. Beyond it the curve is cut into equal buckets, and the lowest and highest value
    of each are kept, and its first NaN or infinity, if any. The first and the last point are always kept.
    """
    count = len(values)
    if count <= limit:
        return np.arange(count)
    buckets = max(1, (limit - 2) // 3)
    size = -(-count // buckets)
    padded = np.full(buckets * size, np.nan)
    padded[:count] = values
    grid = padded.reshape(buckets, size)
    finite = np.isfinite(grid)
    starts = np.arange(buckets) * size
    seen = finite.any(axis=1)
    lowest = (starts + np.where(finite, grid, np.inf).argmin(axis=1))[seen]
    highest = (starts + np.where(finite, grid, -np.inf).argmax(axis=1))[seen]
    outside = ~finite & (starts[:, None] + np.arange(size) < count)
    gaps = (starts + outside.argmax(axis=1))[outside.any(axis=1)]
    return np.unique(np.concatenate([[0], lowest, highest, gaps, [count - 1]])).astype(np.int64)
