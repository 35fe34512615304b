"""Finding runs: a filter on a param, ordered by a metric."""

from __future__ import annotations

import statistics
import time
from typing import ClassVar

from benchmarks.harness import StepError
from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.trackers.base import Tracker

REPEATS = 7
BEST = 100


class Search(Measure):
    """A search for one run in ten."""

    name = "search"
    title = "Search in 1,000 runs (a param's value, ordered by a metric)"
    columns: ClassVar[dict[str, Column]] = {
        "best": Column("wall ms, best 100 with facts", 10),
        "best_cpu": Column("CPU ms of it"),
        "all": Column("wall ms, all that match", 10),
    }
    full: ClassVar[dict[str, int]] = {"runs": 1000}
    quick: ClassVar[dict[str, int]] = {"runs": 100}
    trackers: ClassVar[tuple[str, ...]] = (
        "raw", "autotrack", "mlflow", "wandb", "trackio", "aim", "dvclive", "tensorboardX", "torch",
    )  # fmt: skip
    rounds = (3, 1)
    shared = True
    note = (
        "one run in ten matches; `best 100` come with params and metrics, `all` as the tracker's search returns them; "
        "imports done; autotrack looks for new journals each time"
    )

    def prepare(self, bench: Bench) -> None:
        bench.step("searching:fill", **self.size)

    def turn(self, bench: Bench) -> Figures:
        answer = bench.step("searching:search")
        expected = self.size["runs"] // 10
        if answer["found"] != expected or answer["found_best"] != min(BEST, expected):
            raise StepError(f"found {answer['found']} runs of {expected}")
        return {name: answer[name] * 1e3 for name in ("best", "best_cpu", "all", "first")}


class LargeSearch(Search):
    """The same among many."""

    name = "search-100k"
    title = "Search in 100,000 runs (a param's value, ordered by a metric)"
    columns: ClassVar[dict[str, Column]] = {
        name: Column(column.title, column.target and 150) for name, column in Search.columns.items()
    }
    full: ClassVar[dict[str, int]] = {"runs": 100_000}
    quick: ClassVar[dict[str, int]] = {"runs": 2_000}
    trackers: ClassVar[tuple[str, ...]] = ("raw", "autotrack")


def fill(tracker: Tracker, *, runs: int) -> dict[str, int]:
    """Record the runs and make them queryable."""
    tracker.fill_searchable(runs)
    tracker.settle()
    return {}


def search(tracker: Tracker) -> dict[str, float]:
    """Search, once for warmth and then again and again; medians of wall seconds."""
    began = time.perf_counter()
    tracker.search(BEST)
    figures = {"first": time.perf_counter() - began}
    for name, limit in (("best", BEST), ("all", None)):
        found, wall, cpu = 0, [], []
        for _ in range(REPEATS):
            moment = time.perf_counter(), time.process_time()
            found = tracker.search(limit)
            wall.append(time.perf_counter() - moment[0])
            cpu.append(time.process_time() - moment[1])
        figures |= {name: statistics.median(wall), f"{name}_cpu": statistics.median(cpu), f"found_{name}": found}
    return figures | {"found": figures["found_all"]}
