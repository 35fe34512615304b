"""The Pareto front of a matrix of objectives, for any number of points and objectives.

Divide and conquer after Kung, Luccio and Preparata, "On Finding the Maxima of a Set of Vectors" (JACM 22, 1975):
O(n log n) for two objectives, O(n log^(k-2) n) for k, with whole-array comparisons once the parts are small.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_SMALL = 1 << 14  # number of comparisons up to which one array operation is cheaper than splitting


def non_dominated(points: Points) -> Mask:
    """Mask of the rows of `points`, shape (n, objectives), that no other row dominates; objectives are minimised.

    A row dominates another if it is nowhere greater and somewhere less; so equal rows stay together.
    The points hold no NaN; infinities are ordinary extremes.
    """
    if points.ndim != 2:
        raise ValueError(f"points have shape {points.shape}, not (n, objectives)")
    if not points.size:
        return np.ones(len(points), dtype=np.bool_)
    distinct, inverse = np.unique(points, axis=0, return_inverse=True)
    return np.asarray(_front(distinct)[inverse.reshape(-1)], dtype=np.bool_)


def _front(points: Points) -> Mask:
    """Mask of the front of distinct rows in lexicographic order."""
    if points.shape[1] <= 2 or len(points) ** 2 <= _SMALL:
        return ~_beaten_by_earlier(points)
    middle = len(points) // 2
    mask = np.concatenate([_front(points[:middle]), _front(points[middle:])])
    better = points[:middle][mask[:middle]]
    rest = np.flatnonzero(mask[middle:]) + middle
    mask[rest[_covered(points[rest, 1:], better[:, 1:])]] = False
    return mask


def _beaten_by_earlier(points: Points) -> Mask:
    """Mask of the distinct, lexicographically ordered rows that an earlier row dominates."""
    if points.shape[1] <= 2:
        last = points[:, -1]
        best = np.minimum.accumulate(last)
        beaten = np.zeros(len(points), dtype=np.bool_)
        beaten[1:] = best[:-1] <= last[1:]
        return beaten
    nowhere_greater: Mask = np.all(points[:, None, :] <= points[None, :, :], axis=2)
    np.fill_diagonal(nowhere_greater, False)
    return np.asarray(nowhere_greater.any(axis=0), dtype=np.bool_)


def _covered(points: Points, by: Points) -> Mask:
    """Mask of the rows of `points` for which some row of `by` is nowhere greater."""
    if not len(points) or not len(by):
        return np.zeros(len(points), dtype=np.bool_)
    if points.shape[1] == 1:
        return np.asarray(by.min() <= points[:, 0], dtype=np.bool_)
    if points.shape[1] == 2:
        return _covered_in_a_plane(points, by)
    if len(points) * len(by) <= _SMALL:
        return np.asarray((by[:, None, :] <= points[None, :, :]).all(axis=2).any(axis=0), dtype=np.bool_)
    return _covered_by_halves(points, by)


def _covered_in_a_plane(points: Points, by: Points) -> Mask:
    by = by[np.argsort(by[:, 0], kind="stable")]
    lowest = np.minimum.accumulate(by[:, 1])
    before = np.searchsorted(by[:, 0], points[:, 0], side="right")
    return np.asarray((before > 0) & (lowest[np.maximum(before, 1) - 1] <= points[:, 1]), dtype=np.bool_)


def _covered_by_halves(points: Points, by: Points) -> Mask:
    """Split at a middle value of the first objective: rows of `by` above it can only cover points above it."""
    values = np.unique(np.concatenate([points[:, 0], by[:, 0]]))
    if len(values) == 1:
        return _covered(points[:, 1:], by[:, 1:])
    split = values[(len(values) - 1) // 2]
    low, by_low = points[:, 0] <= split, by[:, 0] <= split
    covered = np.zeros(len(points), dtype=np.bool_)
    covered[low] = _covered(points[low], by[by_low])
    high = np.flatnonzero(~low)
    covered[high] = _covered(points[high, 1:], by[by_low, 1:])
    high = high[~covered[high]]
    covered[high] = _covered(points[high], by[~by_low])
    return covered
