"""What is gone after `kill -9` at full speed, of the calls that had returned."""

from __future__ import annotations

import mmap
import random
import struct
import time
from pathlib import Path

from benchmarks.harness import StepError, last_words, start_step, wait
from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.measures.calls import EVERYBODY
from benchmarks.trackers.base import Tracker

COUNTER = struct.Struct("=Q")
START_LIMIT = 120.0


class Loss(Measure):
    name = "kill"
    title = "Lost after kill -9 at full speed, of acknowledged calls"
    columns = {
        "lost_percent": Column("lost %", 0, digits=2),
        "lost": Column("lost calls", 0, digits=0),
        "acknowledged": Column("acknowledged calls", better="more", digits=0),
    }
    full = {"seconds": [1.0, 6.0]}
    quick = {"seconds": [0.5, 1.5]}
    trackers = EVERYBODY[1:]
    rounds = (10, 1)
    note = "one process logs one metric per call and is killed at a random moment; each tracker's own reader counts"

    def turn(self, bench: Bench) -> Figures:
        counter = bench.folder / "acknowledged"
        counter.write_bytes(COUNTER.pack(0))
        began = time.perf_counter()
        process = start_step("loss:log_forever", bench.tracker, bench.folder, bench.environment, {"file": str(counter)})
        while _acknowledged(counter) == 0:
            if process.poll() is not None or time.perf_counter() - began > START_LIMIT:
                process.kill()
                raise StepError(last_words(bench.folder, process.wait()))
            time.sleep(0.005)
        time.sleep(random.uniform(*self.size["seconds"]))
        process.kill()
        wait(process, began)
        acknowledged = _acknowledged(counter)
        found = bench.step("loss:count")["found"]
        lost = max(0, acknowledged - found)
        return {"lost_percent": 100 * lost / acknowledged, "lost": lost, "acknowledged": acknowledged, "found": found}


def log_forever(tracker: Tracker, *, file: str) -> None:
    """Log until killed; the number of calls that have returned stands in `file` before the next one begins."""
    with Path(file).open("r+b") as opened:
        counter = mmap.mmap(opened.fileno(), COUNTER.size)
    log = tracker.open("killed")
    step = 0
    while True:
        log({"loss": float(step)}, step)
        step += 1
        COUNTER.pack_into(counter, 0, step)


def count(tracker: Tracker) -> dict[str, int]:
    """How many points are there, by the tracker's own reader in another process."""
    tracker.settle()
    return {"found": tracker.count("loss")}


def _acknowledged(counter: Path) -> int:
    return int(COUNTER.unpack(counter.read_bytes())[0])
