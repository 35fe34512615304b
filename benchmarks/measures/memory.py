"""How the training process grows while it logs."""

from __future__ import annotations

from benchmarks.cpu import helpers_memory, own_memory
from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.measures.calls import EVERYBODY, log_for, random_walks
from benchmarks.trackers.base import Tracker
from benchmarks.trackers.registry import FLOOR, OURS

SAMPLE_EVERY = 20_000
MIB = 1 << 20


class Memory(Measure):
    name = "memory"
    title = "Memory of the training process while 10 million points are logged, one metric per call"
    columns = {
        "grown": Column("MiB grown, at most", 60),
        "points": Column("points logged", better="more", digits=0),
        "helpers": Column("MiB of processes it started"),
    }
    full = {"calls": 10_000_000, "seconds": 20.0}
    quick = {"calls": 300_000, "seconds": 3.0}
    trackers = EVERYBODY
    rounds = (1, 1)
    note = "private memory with no file behind it; a peer that is slow logs for 20 s, and fewer points"

    def turn(self, bench: Bench) -> Figures:
        size = self.size | ({"seconds": 1200.0} if bench.tracker in (OURS, FLOOR) else {})
        return dict(bench.step("memory:grow", **size))


def grow(tracker: Tracker, *, calls: int, seconds: float) -> dict[str, float]:
    """Log and look at the memory now and then; MiB above what it was before the first call."""
    rows = random_walks(1, 100_000)
    log = tracker.open("memory")
    before = highest = own_memory()
    helpers, seen = 0, 0

    def watched(values: dict[str, float], step: int) -> None:
        nonlocal highest, helpers, seen
        log(values, step)
        if step >= seen:
            seen = step + SAMPLE_EVERY
            highest, helpers = max(highest, own_memory()), max(helpers, helpers_memory())

    done = log_for(watched, rows, calls, seconds)
    highest = max(highest, own_memory())
    tracker.finish()
    highest = max(highest, own_memory())
    return {"grown": (highest - before) / MIB, "points": done, "helpers": helpers / MIB}
