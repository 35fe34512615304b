"""What automatic logging adds to a search with scikit-learn, and to many fits in one run."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any, ClassVar

from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.measures.sklearn_fit import ONE_THREAD
from benchmarks.trackers.base import Tracker


class GridSearch(Measure):
    """A grid search in one process, every candidate recorded where the tracker can."""

    name = "sklearn-search"
    title = "GridSearchCV, 20 candidates x 5 splits: time added on the caller's thread"
    columns: ClassVar[dict[str, Column]] = {
        "added": Column("ms per search", 120),
        "added_cpu": Column("CPU ms of it"),
        "plain": Column("ms, the search itself"),
        "candidates": Column("candidates on record", 20, better="more", digits=0),
    }
    full: ClassVar[dict[str, float]] = {"candidates": 20, "searches": 5}
    quick: ClassVar[dict[str, float]] = {"candidates": 20, "searches": 2}
    trackers: ClassVar[tuple[str, ...]] = ("autotrack", "mlflow")
    note = "mlflow records the best five candidates by default"

    def turn(self, bench: Bench) -> Figures:
        bench = replace(bench, extra=ONE_THREAD)
        figures: Figures = bench.step("sklearn_search:search", **self.size)
        return figures


class LargeGridSearch(GridSearch):
    """A thousand candidates."""

    name = "sklearn-search-1k"
    title = "GridSearchCV, 1,000 candidates x 5 splits: time added on the caller's thread"
    columns: ClassVar[dict[str, Column]] = {
        **GridSearch.columns,
        "added": Column("ms per search", 1_000),
        "candidates": Column("candidates on record", 1_000, better="more", digits=0),
    }
    full: ClassVar[dict[str, float]] = {"candidates": 1_000, "searches": 1}
    quick: ClassVar[dict[str, float]] = {"candidates": 200, "searches": 1}
    trackers: ClassVar[tuple[str, ...]] = ("autotrack",)
    note = ""


class Loop(Measure):
    """Fits of a tiny estimator in one open run."""

    name = "sklearn-loop"
    title = "10,000 fits of a tiny estimator under one open run: time added on the caller's thread"
    columns: ClassVar[dict[str, Column]] = {
        "added": Column("µs per fit past the first 100", 300),
        "plain": Column("µs, the fit itself"),
        "autolog": Column("CPU ms of autolog(), scikit-learn imported, entry points scanned", 10),
    }
    full: ClassVar[dict[str, float]] = {"fits": 10_000}
    quick: ClassVar[dict[str, float]] = {"fits": 1_000}
    trackers: ClassVar[tuple[str, ...]] = ("autotrack",)

    def turn(self, bench: Bench) -> Figures:
        bench = replace(bench, extra=ONE_THREAD)
        figures: Figures = bench.step("sklearn_search:loop", **self.size)
        return figures


def search(tracker: Tracker, *, candidates: int, searches: int) -> dict[str, float]:
    """Search without and with automatic logging, in turns; milliseconds, medians."""
    import numpy
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    data, target = make_classification(300, 10, random_state=0)
    grid = {"C": numpy.logspace(-3, 3, candidates)}

    def timed() -> tuple[float, float]:
        looking = GridSearchCV(LogisticRegression(), grid, cv=5)
        began = time.perf_counter(), time.thread_time()
        looking.fit(data, target)
        return (time.perf_counter() - began[0]) * 1e3, (time.thread_time() - began[1]) * 1e3

    timed()
    plain = [timed() for _ in range(searches)]
    tracker.autolog()
    LogisticRegression().fit(data, target)  # what the first fit of a process costs has a row of its own
    logged = [timed() for _ in range(searches)]
    wall, cpu = ([statistics.median(row[part] for row in rows) for rows in (plain, logged)] for part in (0, 1))
    return {
        "added": wall[1] - wall[0],
        "added_cpu": cpu[1] - cpu[0],
        "plain": wall[0],
        "candidates": tracker.candidates() / searches,
    }


def loop(tracker: Tracker, *, fits: int) -> dict[str, float]:
    """Fit again and again; microseconds, and what switching automatic logging on took."""
    from importlib.metadata import entry_points

    from sklearn.dummy import DummyClassifier

    entry_points(group="autotrack.integrations")

    class Tiny(DummyClassifier):
        """The user's own estimator: nothing is computed for it."""

    def timed(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            Tiny().fit([[0.0], [1.0]], [0, 1])
        return (time.perf_counter() - began) / count * 1e6

    timed(100)
    plain = timed(fits // 10)
    began = time.thread_time()
    tracker.autolog()
    switched_on = (time.thread_time() - began) * 1e3
    with_run: Any = tracker.open()
    with_run({"loss": 0.0}, 0)
    timed(100)
    logged = timed(fits)
    tracker.finish()
    return {"added": logged - plain, "plain": plain, "autolog": switched_on}
