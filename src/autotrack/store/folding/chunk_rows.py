"""The history of metrics as rows: an axis of steps and times, and the values of each metric along it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from autotrack.store import schema
from autotrack.store.bulk import Keys, Writer
from autotrack.store.chunks import encode_axis, encode_values
from autotrack.store.folding.rows import MetricPoints

FULL = 1 << 16  # points in the longest chunk

_axes = Writer(schema.metric_axes)
_values = Writer(schema.metric_values)


@dataclass
class Piece:
    """The points of metrics that were logged together, to be written as one or more chunks."""

    pk: int
    training: int
    keys: tuple[str, ...]
    points: MetricPoints


def write_chunks(connection: Connection, keys: Keys, pieces: Iterable[Piece]) -> set[int]:
    """Write pieces as chunks; returns the keys of their runs."""
    parts = [part for piece in pieces for part in _cut(piece)]
    axes, values = [], []
    for pk, part in zip(keys.take(schema.metric_axes, len(parts)), parts, strict=True):
        points = part.points
        axis = encode_axis(points.steps, points.times)
        axes.append((pk, part.pk, len(points.steps), int(points.times.min()), part.training, axis))
        values += [
            (part.pk, key, pk, encode_values(array)) for key, array in zip(part.keys, points.values, strict=True)
        ]
    _axes.write(connection, axes)
    _values.write(connection, values)
    return {part.pk for part in parts}


def _cut(piece: Piece) -> Iterable[Piece]:
    """Split a piece into pieces of equal length, at most FULL points each."""
    count = len(piece.points.steps)
    if count <= FULL:
        return [piece]
    pieces = -(-count // FULL)
    edges = [count * index // pieces for index in range(pieces + 1)]
    return [
        Piece(piece.pk, piece.training, piece.keys, _between(piece.points, start, stop))
        for start, stop in itertools.pairwise(edges)
    ]


def _between(points: MetricPoints, start: int, stop: int) -> MetricPoints:
    values = tuple(array[start:stop] for array in points.values)
    return MetricPoints(points.steps[start:stop], points.times[start:stop], values)
