"""Fewer points for a curve on a screen, without losing an extreme or hiding a gap."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def thin_out(values: npt.NDArray[Any], limit: int) -> npt.NDArray[np.int64]:
    """Indices, ascending, of at most `limit` points that show what all `values`, shape (n,), would show.

    Up to `limit` points are all kept. Beyond it the curve is cut into equal buckets; of each its lowest and its
    highest value stay, and a NaN or infinity where there is one. The first and the last point always stay.
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
