"""The data of the page: runs, their facts, and their curves, thinned out to what a screen can show."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from autotrack.outputs.report.columns import columns_of
from autotrack.outputs.report.encoding import plain, point
from autotrack.query.analysis import LESS_IS_BETTER, MORE_IS_BETTER
from autotrack.query.curves import Curve, curves_of
from autotrack.query.diff import facts_of, patch_of
from autotrack.query.downsampling import thin_out
from autotrack.query.shapes import MetricShape, run_shape
from autotrack.roles import relevance

if TYPE_CHECKING:
    from autotrack.query.records import Record, Runs

Progress = Callable[[int, int], None]

MOST_RUNS = 2_000
_POINTS_PER_CURVE = 400
_POINTS = 400_000
_PARAMS_PER_RUN = 400
_METRICS = 200
_PATCH_CHARACTERS = 200_000
_POINTS_AT_ONCE = 4_000_000
_CONTEXT = {"datasets": "Data", "code": "Code", "packages": "Packages", "environment": "Environment"}


@dataclass
class Content:
    """Builds the content of a page; `notes` lists what was left out."""

    runs: Runs
    progress: Progress | None = None
    notes: list[str] = field(default_factory=list)
    _shared: dict[str, int] = field(default_factory=dict)
    _shared_items: list[Any] = field(default_factory=list)

    def build(self) -> dict[str, Any]:
        """The whole content as plain data."""
        if len(self.runs) > MOST_RUNS:
            self.notes.append(f"The first {MOST_RUNS} of {len(self.runs)} runs are on this page.")
            self.runs = self.runs[:MOST_RUNS]
        runs = [self._run(record) for record in self._counted(self.runs)]
        metrics = self._metrics(runs)
        curves = dict(self._curves(metrics, sum(len(run["metrics"]) for run in runs)))
        return {
            "made": time.time(),
            "runs": runs,
            "shared": self._shared_items,
            "curves": curves,
            "columns": columns_of(runs, metrics, curves),
            "words": {"min": LESS_IS_BETTER, "max": MORE_IS_BETTER},
            "notes": self.notes,
        }

    def _counted(self, records: Sequence[Record]) -> Iterator[Record]:
        for number, record in enumerate(records):
            if self.progress is not None:
                self.progress(number, len(records))
            yield record
        if self.progress is not None:
            self.progress(len(records), len(records))

    def _run(self, record: Record) -> dict[str, Any]:
        run, facts = run_shape(record), facts_of(record)
        params = {key: plain(value) for key, value in list(facts["params"].items())[:_PARAMS_PER_RUN]}
        left = len(facts["params"]) - len(params)
        if left > 0:
            self.notes.append(f"{record.name}: {left} of its {len(facts['params'])} params are not on this page.")
        patch = patch_of(record)
        if len(patch) > _PATCH_CHARACTERS:
            patch = patch[:_PATCH_CHARACTERS] + "\n… (the rest is not on this page)"
        return {
            "id": run.id,
            "name": run.name,
            "experiment": run.experiment,
            "kind": run.kind,
            "status": run.status,
            "started": None if run.started is None else run.started.timestamp(),
            "duration": run.duration,
            "user": run.user,
            "host": run.host,
            "params": params,
            "origins": [key for key in params if record.params.origin(key) != "set"],
            "metrics": {key: _summary(found) for key, found in run.metrics.items()},
            "tags": plain(run.tags),
            "context": {title: self._share(plain(facts[name])) for name, title in _CONTEXT.items() if facts[name]},
            "patch": self._share(patch) if patch else None,
        }

    def _share(self, item: Any) -> int:
        """Return the index of an item in the shared list, which holds what runs have in common once."""
        key = repr(item)
        if key not in self._shared:
            self._shared[key] = len(self._shared_items)
            self._shared_items.append(item)
        return self._shared[key]

    def _metrics(self, runs: Sequence[Mapping[str, Any]]) -> list[str]:
        """The metrics on the page: those of most runs first, those of the machine last."""
        counts = Counter(key for run in runs for key in run["metrics"])
        order = sorted(counts, key=lambda key: (key.startswith("system/"), -counts[key], relevance(key), key))
        if len(order) > _METRICS:
            self.notes.append(f"{_METRICS} of {len(order)} metrics are on this page.")
        return order[:_METRICS]

    def _curves(self, metrics: Sequence[str], wanted: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        limit = max(40, min(_POINTS_PER_CURVE, _POINTS // max(1, wanted)))
        thinned = 0
        for metric in metrics:
            curves = [_curve(curve, limit) for curve in self._history(metric)]
            thinned += sum(len(curve["value"]) < curve["count"] for curve in curves)
            yield metric, curves
        if thinned:
            self.notes.append(
                f"{thinned} curves have more than {limit} points: of each stretch the lowest and the highest value"
                " are shown, and every gap; the figures in the tables are those of all points."
            )

    def _history(self, metric: str) -> Iterator[Curve]:
        """Yield the curves of one metric, read in batches of runs that fit into memory."""
        batch: list[int] = []
        points = 0
        for place, record in enumerate(self.runs):
            if metric in record.metrics:
                batch.append(place)
                points += record.metrics[metric].count
            if points > _POINTS_AT_ONCE:
                yield from self._read(metric, batch)
                batch, points = [], 0
        if batch:
            yield from self._read(metric, batch)

    def _read(self, metric: str, places: Sequence[int]) -> Iterator[Curve]:
        for curve in curves_of(self.runs.take(places), [metric])[metric]:
            yield replace(curve, run=places[curve.run])


def _summary(found: MetricShape) -> dict[str, Any]:
    return {**{name: plain(getattr(found, name)) for name in ("last", "min", "max")}, "count": found.count}


def _curve(curve: Curve, limit: int) -> dict[str, Any]:
    kept = thin_out(curve.values, limit)
    return {
        "run": curve.run,
        "count": len(curve.values),
        "step": curve.steps[kept].astype(int).tolist(),
        "time": [round(seconds, 3) for seconds in curve.times[kept].tolist()],
        "value": [point(value) for value in curve.values[kept].tolist()],
    }
