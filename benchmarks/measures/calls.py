"""What a call of `log` costs the training, and what it costs in all until its points can be queried."""

from __future__ import annotations

import itertools
import time
from typing import Any

from benchmarks.cpu import tree_cpu
from benchmarks.harness import disk_usage
from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.trackers.base import Log, Tracker

EVERYBODY = (
    "list.append", "autotrack", "mlflow", "mlflow-async", "wandb", "trackio", "aim", "dvclive", "tensorboardX", "torch",
)  # fmt: skip
WARM_UP = 20


class Call(Measure):
    name = "log"
    title = "A call of log with 4 floats"
    columns = {
        "p50": Column("p50 µs", 4),
        "p99": Column("p99 µs", 40),
        "cpu": Column("CPU µs per call", 8),
    }
    full = {"calls": 200_000, "seconds": 5.0}
    quick = {"calls": 20_000, "seconds": 1.0}
    trackers = EVERYBODY
    note = (
        "at full speed; CPU of the whole process tree from the first call until the points are queryable, less that of "
        "a run with one call"
    )

    def turn(self, bench: Bench) -> Figures:
        timed = bench.step("calls:timed_calls", **self.size)
        used = _until_queryable(bench, metrics=4, **self.size)
        return used | {"p50": timed["p50"], "p99": timed["p99"], "cpu": used["cpu_total"] / used["calls"] * 1e6}


class Throughput(Measure):
    name = "points"
    title = "Points per CPU second, one metric per call, until queryable"
    columns = {"rate": Column("points per CPU s", 180_000, better="more", digits=0)}
    full = {"calls": 500_000, "seconds": 5.0}
    quick = {"calls": 100_000, "seconds": 1.0}
    trackers = EVERYBODY
    note = "CPU counted as above: what a run of one call costs is taken off"

    def turn(self, bench: Bench) -> Figures:
        used = _until_queryable(bench, metrics=1, **self.size)
        return used | {"rate": used["calls"] / used["cpu_total"]}


class Disk(Measure):
    name = "disk"
    title = "Disk per point after finish (random-walk values)"
    columns = {
        "one": Column("bytes, 1 metric per step", 14),
        "four": Column("bytes, 4 metrics per step", 10),
    }
    full = {"calls": 200_000, "seconds": 10.0}
    quick = {"calls": 50_000, "seconds": 1.0}
    trackers = EVERYBODY[1:]
    rounds = (2, 1)
    note = "allocated blocks, less those of a run with one point; mlflow is filled through its batch call"

    def turn(self, bench: Bench) -> Figures:
        figures: Figures = {}
        for column, metrics in (("one", 1), ("four", 4)):
            self._used(bench, metrics, calls=1, seconds=60.0)  # makes the store
            small = self._used(bench, metrics, calls=1, seconds=60.0)[0]
            large, calls = self._used(bench, metrics, **self.size)
            points = max(1, calls - 1) * metrics
            figures |= {column: (large - small) / points, f"{column}_points": points}
        return figures

    def _used(self, bench: Bench, metrics: int, *, calls: int, seconds: float) -> tuple[int, int]:
        before = disk_usage(bench.folder)
        logged = bench.step("calls:log_in_bulk", metrics=metrics, calls=calls, seconds=seconds)
        bench.step("calls:settle")
        return disk_usage(bench.folder) - before, int(logged["calls"])


def _until_queryable(bench: Bench, *, metrics: int, calls: int, seconds: float) -> dict[str, Any]:
    """CPU seconds of all calls but the first: what a run of one call costs in the same store is taken off."""
    _logged_and_settled(bench, metrics=metrics, calls=1, seconds=seconds)  # makes the store
    single = _logged_and_settled(bench, metrics=metrics, calls=1, seconds=seconds)
    logged = _logged_and_settled(bench, metrics=metrics, calls=calls, seconds=seconds)
    cpu = {part: max(0.0, logged[part] - single[part]) for part in ("logging", "settling")}
    return {
        "calls": logged["calls"] - 1,
        "cpu_logging": cpu["logging"],
        "cpu_settling": cpu["settling"],
        "cpu_total": sum(cpu.values()),
        "cpu_single": single["logging"] + single["settling"],
    }


def _logged_and_settled(bench: Bench, **size: Any) -> dict[str, float]:
    logged = bench.step("calls:log_all", **size)
    return {"calls": logged["calls"], "logging": logged["cpu"], "settling": bench.step("calls:settle")["cpu"]}


def timed_calls(tracker: Tracker, *, calls: int, seconds: float) -> dict[str, float]:
    """Time single calls of `log`, until there are enough of them or the time is over; in µs."""
    import numpy as np

    log = tracker.open("timed")
    rows = random_walks(4, calls + WARM_UP)
    for step in range(WARM_UP):
        log(rows[step], step)
    clock = time.perf_counter_ns
    times = np.zeros(calls, dtype=np.int64)
    deadline = clock() + int(seconds * 1e9)
    done = 0
    for done in range(calls):
        step = done + WARM_UP
        values = rows[step]
        began = clock()
        log(values, step)
        ended = clock()
        times[done] = ended - began
        if ended > deadline:
            break
    tracker.finish()
    p50, p99 = np.percentile(times[: done + 1], [50, 99]) / 1e3
    return {"p50": float(p50), "p99": float(p99), "timed_calls": done + 1}


def log_all(tracker: Tracker, *, metrics: int, calls: int, seconds: float) -> dict[str, float]:
    """Log at full speed and finish; CPU seconds from the first call until the run is finished."""
    rows = random_walks(metrics, calls)
    log = tracker.open(f"all-{metrics}-{calls}")
    before = tree_cpu()
    done = log_for(log, rows, calls, seconds)
    tracker.finish()
    return {"cpu": tree_cpu() - before, "calls": done}


def log_in_bulk(tracker: Tracker, *, metrics: int, calls: int, seconds: float) -> dict[str, float]:
    """As `log_all`, but by a faster way into the same storage where the tracker has one."""
    rows = random_walks(metrics, calls)
    log = tracker.open(f"bulk-{metrics}-{calls}")
    done = tracker.log_many(rows) or log_for(log, rows, calls, seconds)
    tracker.finish()
    return {"cpu": 0.0, "calls": done}


def log_for(log: Log, rows: list[dict[str, float]], calls: int, seconds: float) -> int:
    """Log the rows over and over at full speed, `calls` times or until the time is over; returns how often."""
    deadline = time.perf_counter() + seconds
    for step, values in zip(range(calls), itertools.cycle(rows), strict=False):
        log(values, step)
        if not step & 63 and time.perf_counter() > deadline:
            return step + 1
    return calls


def settle(tracker: Tracker) -> dict[str, float]:
    """Make what was logged queryable, in a process that has all its imports and the store open."""
    tracker.prepare_reading()
    before = tree_cpu()
    tracker.settle()
    return {"cpu": tree_cpu() - before}


def random_walks(metrics: int, steps: int) -> list[dict[str, float]]:
    """Rows of that many metrics whose values walk at random, in full precision."""
    import numpy as np

    names = [f"train/loss_{number}" for number in range(metrics)]
    values = np.random.default_rng(metrics).standard_normal((steps, metrics)).cumsum(axis=0)
    return [dict(zip(names, row, strict=True)) for row in values.tolist()]
