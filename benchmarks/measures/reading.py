"""Getting metric histories back: everything into one frame, and what one chart needs."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.harness import StepError
from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.trackers.base import Tracker

READERS = ("autotrack", "mlflow", "wandb", "trackio", "aim", "dvclive", "tensorboardX", "torch")


class _Reading(Measure):
    trackers = READERS
    shared = True

    def prepare(self, bench: Bench) -> None:
        bench.step("reading:fill", **self.size)

    def read(self, bench: Bench, repeats: int) -> dict[str, Any]:
        points = self.size["runs"] * self.size["metrics"] * self.size["steps"]
        names = [f"m{number}" for number in range(self.size["metrics"])]
        answer = bench.step("reading:history", metrics=names, repeats=repeats)
        if answer["rows"] != points:
            raise StepError(f"{answer['rows']:,} rows came back for {points:,} points")
        return answer | {"points": points}


class History(_Reading):
    name = "history"
    title = "History of 50 runs x 10 metrics x 1,000 steps into one DataFrame"
    columns = {
        "rate": Column("points per CPU s", 5_000_000, better="more", digits=0),
        "wall": Column("wall s", digits=2),
    }
    full = {"runs": 50, "metrics": 10, "steps": 1000}
    quick = {"runs": 5, "metrics": 4, "steps": 200}
    rounds = (3, 1)
    note = "already stored, imports done"

    def turn(self, bench: Bench) -> Figures:
        answer = self.read(bench, repeats=1)
        return {"rate": answer["points"] / answer["cpu"], "wall": answer["wall"]}


class Chart(_Reading):
    name = "chart"
    title = "One chart's data: 1 metric of 100 runs x 1,000 steps"
    columns = {"wall": Column("wall ms", 20), "cpu": Column("CPU ms")}
    full = {"runs": 100, "metrics": 1, "steps": 1000}
    quick = {"runs": 10, "metrics": 1, "steps": 200}
    rounds = (3, 1)
    note = "already stored, imports done"

    def turn(self, bench: Bench) -> Figures:
        answer = self.read(bench, repeats=5)
        return {"wall": answer["wall"] * 1e3, "cpu": answer["cpu"] * 1e3}


def fill(tracker: Tracker, *, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    """Record the runs and make them queryable."""
    tracker.fill(runs, metrics, steps)
    tracker.settle()
    return {}


def history(tracker: Tracker, *, metrics: list[str], repeats: int) -> dict[str, float]:
    """Read all points of the metrics after one reading for warmth; medians of wall and CPU seconds."""
    tracker.history(metrics[:1])
    wall, cpu, rows = [], [], 0
    for _ in range(repeats):
        began = time.perf_counter(), time.process_time()
        rows = len(tracker.history(metrics))
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    return {"rows": rows, "wall": statistics.median(wall), "cpu": statistics.median(cpu)}
