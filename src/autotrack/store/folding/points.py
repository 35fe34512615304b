"""The metric points of one batch, written as summaries and chunks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from autotrack.store import schema
from autotrack.store.bulk import Keys, rows_in
from autotrack.store.folding.chunk_rows import Piece, write_chunks
from autotrack.store.folding.rows import GatheredRows, MetricPoints, Slot
from autotrack.store.folding.run_rows import TouchedRuns
from autotrack.store.folding.single_points import Metric, pieces_of_single_points, without_single_points
from autotrack.store.folding.summaries import MetricSummary, summarise, write_summaries


@dataclass
class PointWriter:
    """Writes the metric points of one batch."""

    connection: Connection
    keys: Keys
    summaries: dict[Metric, MetricSummary] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)

    def write(self, gathered: GatheredRows, touched: TouchedRuns) -> set[int]:
        """Write all points of the batch; returns the keys of the runs that got chunks."""
        for (slot, keys, _), parts in gathered.points.items():
            self._add(slot, keys, _joined(parts))
        stored = self._add_stored(touched.known)
        write_summaries(self.connection, self.summaries.values())
        first = pieces_of_single_points(self.connection, stored, self._integers())
        fresh = (without_single_points(piece, self.summaries) for piece in self.pieces)
        return write_chunks(self.connection, self.keys, [*first, *(piece for piece in fresh if piece is not None)])

    def _add(self, slot: Slot, keys: tuple[str, ...], points: MetricPoints) -> None:
        self.pieces.append(Piece(slot.pk, slot.training, keys, points))
        for key, values in zip(keys, points.values, strict=True):
            summary = summarise(slot.pk, key, (points.steps, points.times), values, slot.training)
            known = self.summaries.setdefault((slot.pk, key), summary)
            if known is not summary:
                known.add(summary)

    def _add_stored(self, known: set[int]) -> list[MetricSummary]:
        """Merge the stored summaries of the same metrics into those of the batch; returns copies of the stored ones."""
        stored: list[MetricSummary] = []
        for row in rows_in(self.connection, schema.metrics, "run_pk", {pk for pk, _ in self.summaries if pk in known}):
            summary = self.summaries.get((row.run_pk, row.key))
            if summary is not None:
                stored.append(MetricSummary(**row._mapping))
                self.summaries[row.run_pk, row.key] = both = MetricSummary(**row._mapping)
                both.add(summary)
        return stored

    def _integers(self) -> set[Metric]:
        """The metrics that have integer values in the batch."""
        return {
            (piece.pk, key)
            for piece in self.pieces
            for key, values in zip(piece.keys, piece.points.values, strict=True)
            if values.dtype.kind != "f"
        }


def _joined(parts: list[MetricPoints]) -> MetricPoints:
    if len(parts) == 1:
        return parts[0]
    steps, times = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    return MetricPoints(
        steps, times, tuple(np.concatenate(arrays) for arrays in zip(*(p.values for p in parts), strict=True))
    )
