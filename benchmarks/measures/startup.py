"""What a tracker costs before it has recorded anything: its import, and the smallest whole program."""

from __future__ import annotations

import sys
import time

from benchmarks.harness import StepError, last_words, start, wait
from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.trackers.registry import tracker_class

TIMED_IMPORT = """import sys, time
began = time.process_time(), time.perf_counter()
{imports}
print(time.process_time() - began[0], time.perf_counter() - began[1], file=open(sys.argv[1], "w"))
"""


class Import(Measure):
    name = "import"
    title = "Import, in a fresh process"
    columns = {"cpu": Column("CPU s", 0.06, digits=3), "wall": Column("wall s", digits=3)}
    full = quick = {}
    trackers = ("list.append", "autotrack", "mlflow", "wandb", "trackio", "aim", "dvclive", "tensorboardX", "torch")
    rounds = (7, 1)
    shared = True
    note = "one import before the first turn is thrown away: bytecode is compiled, files are in the page cache"

    def prepare(self, bench: Bench) -> None:
        self.turn(bench)

    def turn(self, bench: Bench) -> Figures:
        answer = bench.folder / "import.txt"
        imports = TIMED_IMPORT.format(imports=tracker_class(bench.tracker).imports)
        _run(bench, ["-c", imports, str(answer)])
        cpu, wall = map(float, answer.read_text().split())
        return {"cpu": cpu, "wall": wall}


class Process(Measure):
    name = "process"
    title = "A whole process with one run of one point, the environment included"
    columns = {"cpu": Column("CPU s", 0.5, digits=2), "wall": Column("wall s", digits=2)}
    full = quick = {}
    trackers = Import.trackers
    rounds = (7, 1)
    note = "CPU of the process and all that it starts; wall time until the process itself has ended"

    def turn(self, bench: Bench) -> Figures:
        script = bench.folder / "work" / "train.py"
        script.write_text(tracker_class(bench.tracker).script)
        return _run(bench, [str(script)])


def _run(bench: Bench, arguments: list[str]) -> Figures:
    began = time.perf_counter()
    outcome = wait(start([sys.executable, *arguments], bench.folder, bench.environment), began)
    if outcome.code:
        raise StepError(last_words(bench.folder, outcome.code))
    return {"cpu": outcome.cpu, "wall": outcome.wall}
