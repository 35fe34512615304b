"""Metrics with a single point: the summary of the metric is all that is stored of it, so that it takes no chunk.

With the second point the first one moves into a chunk, together with those of the metrics that were logged with it. A
whole number that the summary, a double, cannot hold exactly has a chunk from the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from autotrack.store import schema
from autotrack.store.bulk import rows_in
from autotrack.store.folding.chunk_rows import Piece
from autotrack.store.folding.rows import MetricPoints
from autotrack.store.folding.summaries import MetricSummary

_EXACT = 1 << 53  # integers up to here are exact as doubles

Metric = tuple[int, str]  # the key of the run, and that of the metric


def without_single_points(piece: Piece, summaries: Mapping[Metric, MetricSummary]) -> Piece | None:
    """The piece without the metrics that need no chunk; None if none is left. `summaries` count all points so far."""
    if len(piece.points.steps) > 1:
        return piece
    kept = [
        (key, values)
        for key, values in zip(piece.keys, piece.points.values, strict=True)
        if summaries[piece.pk, key].count > 1 or not _fits_a_summary(values)
    ]
    if not kept:
        return None
    keys, values = zip(*kept, strict=True)
    return Piece(piece.pk, piece.training, keys, piece.points._replace(values=values))


def pieces_of_single_points(
    connection: Connection, stored: Iterable[MetricSummary], integers: Collection[Metric]
) -> list[Piece]:
    """The points that are stored only in these summaries, as pieces for chunks; int64 for the metrics `integers`."""
    single = [summary for summary in stored if summary.count == 1]
    if not single:
        return []
    runs = {summary.run_pk for summary in single}
    chunks = rows_in(connection, schema.metric_values, "run_pk", runs, only=("run_pk", "key"))
    chunked = {(row.run_pk, row.key) for row in chunks}
    together: dict[tuple[int, int, int, int], list[MetricSummary]] = defaultdict(list)
    for summary in single:
        if (summary.run_pk, summary.key) not in chunked:
            together[summary.run_pk, summary.training, summary.first_step, summary.first_time].append(summary)
    return [_piece(*where, group, integers) for where, group in together.items()]


def _piece(
    pk: int, training: int, step: int, time: int, summaries: list[MetricSummary], integers: Collection[Metric]
) -> Piece:
    values = tuple(_value(summary.first, integer=(pk, summary.key) in integers) for summary in summaries)
    points = MetricPoints(np.array([step]), np.array([time]), values)
    return Piece(pk, training, tuple(summary.key for summary in summaries), points)


def _value(value: float | None, *, integer: bool) -> npt.NDArray[Any]:
    """One value as an array: a summary holds whole numbers as doubles, and None for NaN."""
    if integer and value is not None and value.is_integer():
        return np.array([value], np.int64)
    return np.array([np.nan if value is None else value])


def _fits_a_summary(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind == "f" or bool(-_EXACT <= values[0] <= _EXACT)
