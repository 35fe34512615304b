"""How large a store becomes and how long a look takes: many runs of one process, and many processes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measures.base import Bench, Column, Figures, Measure
from benchmarks.trackers.base import Tracker
from benchmarks.trackers.registry import OURS

MIB = 1 << 20
PLACE = ".autotrack"


class ManyRuns(Measure):
    name = "runs"
    title = "Runs of two params and two metrics, one after the other in one process"
    columns = {
        "record": Column("CPU ms per run, recorded", digits=2),
        "fold": Column("CPU ms per run, folded", 0.4, digits=2),
        "size": Column("store, bytes per run", 1500, digits=0),
    }
    full = {"runs": 5_000}
    quick = {"runs": 300}
    trackers = (OURS,)
    rounds = (3, 1)
    note = "the store after the first look, with the environment of the process, which all of its runs share"

    def turn(self, bench: Bench) -> Figures:
        recorded = bench.step("size:record_runs", **self.size)
        return dict(recorded) | dict(bench.step("size:look", runs=self.size["runs"]))


class ManyJournals(Measure):
    name = "runs-100k"
    title = "100,000 runs in the journals of 1,000 processes"
    columns = {
        "first": Column("first look, CPU s", 60),
        "memory": Column("MiB at most", digits=0),
        "later": Column("later look, ms", 50),
        "search": Column("best 100, ms", 40),
        "command": Column("`autotrack runs`, CPU s", 0.5, digits=2),
        "size": Column("store, bytes per run", 1500, digits=0),
    }
    full = {"journals": 1_000, "runs": 100}
    quick = {"journals": 20, "runs": 10}
    trackers = (OURS,)
    rounds = (1, 1)
    note = "written by one process through a journal each; a later look finds nothing new and lists the latest 20"

    def turn(self, bench: Bench) -> Figures:
        bench.step("size:write_journals", **self.size)
        figures = dict(bench.step("size:look", runs=self.size["journals"] * self.size["runs"]))
        figures["first"] = figures.pop("total")
        return figures | dict(bench.step("size:look_again"))


class TenMillion(Measure):
    name = "points-10m"
    title = "The first look at one run with 10 million points of one metric"
    columns = {
        "first": Column("first look, CPU s", 12),
        "history": Column("history_arrow, CPU s"),
        "beyond": Column("MiB beyond the returned", 200, digits=0),
    }
    full = {"points": 10_000_000}
    quick = {"points": 300_000}
    trackers = (OURS,)
    rounds = (1, 1)

    def turn(self, bench: Bench) -> Figures:
        bench.step("size:write_points", **self.size)
        return dict(bench.step("size:read_points"))


def record_runs(_: Tracker, *, runs: int) -> Figures:
    """Record runs through the public interface, after one whose environment was captured."""
    import autotrack
    from autotrack.recording.collector import collector

    with autotrack.start_run("first"):
        pass
    collector().background.wait(60.0)
    begun = time.process_time()
    for number in range(runs):
        with autotrack.start_run(f"run-{number}") as run:
            run.log_params({"lr": number / 1000, "depth": number % 7})
            run.log({"val/loss": number / 2, "val/accuracy": 0.5}, step=0)
    return {"record": (time.process_time() - begun) * 1000 / runs}


def look(_: Tracker, *, runs: int) -> Figures:
    """Fold everything, in this fresh process."""
    import autotrack
    import autotrack.store.folding.journals  # the import is not the fold

    begun = time.process_time()
    autotrack.runs(limit=20)
    seconds = time.process_time() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    size = sum(path.stat().st_size for path in Path(PLACE).glob("store.db*"))
    return {"total": seconds, "fold": seconds * 1000 / runs, "size": size / runs, "memory": memory / MIB}


def look_again(_: Tracker) -> Figures:
    """Look when nothing is new, search, and run the command."""
    import autotrack

    def best() -> None:
        for run in autotrack.runs("params.depth < 4", order_by="metrics.val/loss", limit=100):
            dict(run.params), dict(run.metrics)

    later = _least(lambda: autotrack.runs(limit=20))
    search = _least(best)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "autotrack", "runs"], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"later": later * 1000, "search": search * 1000, "command": command}


def write_journals(_: Tracker, *, journals: int, runs: int) -> Figures:
    """Write as many journals as processes would, each with its environment and its runs."""
    from msgspec.structs import replace

    from autotrack import events
    from autotrack.events import Frame
    from autotrack.journal.writer import JournalWriter
    from autotrack.place import Place, prepare

    place = Place(Path(PLACE).absolute())
    prepare(place)
    moment = 1.7e9
    for number in range(journals):
        writer = JournalWriter(place.journals, user="ann", host="lab")
        sections = list(_environment(number))
        for inner in range(runs):
            run, moment = f"{number:06d}{inner:010d}", moment + 1
            name = f"run-{number * runs + inner}"
            writer.append(events.RunStarted(run=run, time=moment, name=name, experiment="code", user="ann", host="lab"))
            if inner:
                digests = {section.name: section.digest for section in sections}
                writer.append(events.SharedSections(run=run, time=moment, digests=digests))
            else:
                for section in sections:
                    writer.append(replace(section, run=run, time=moment))
            writer.append(
                events.Params(run=run, time=moment, values={"lr": str(inner / 1000), "depth": str(inner % 7)})
            )
            frame = Frame(run=run, keys=("val/loss", "val/accuracy"), types="dd")
            writer.append_row(writer.packer(frame), 0, moment, (number / 2 + inner, 0.5))
            writer.append(events.RunFinished(run=run, time=moment + 0.5, status="finished"))
        writer.close()
    return {}


def write_points(_: Tracker, *, points: int) -> Figures:
    """Write the points of one metric into one journal."""
    from autotrack import events
    from autotrack.events import Frame
    from autotrack.journal.writer import JournalWriter
    from autotrack.place import Place, prepare

    place = Place(Path(PLACE).absolute())
    prepare(place)
    writer = JournalWriter(place.journals)
    writer.append(events.RunStarted(run="r", time=1.7e9, name="r", experiment="code"))
    packer = writer.packer(Frame(run="r", keys=("loss",), types="d"))
    for step in range(points):
        writer.append_row(packer, step, 1.7e9 + step / 1000, (step * 0.618 % 1,))
    writer.append(events.RunFinished(run="r", time=1.8e9, status="finished"))
    writer.close()
    return {}


def read_points(_: Tracker) -> Figures:
    """Fold the points, then read them all as an Arrow table."""
    import pyarrow as pa  # noqa: F401 - the import is not the reading

    import autotrack
    import autotrack.store.folding.journals

    begun = time.process_time()
    runs = autotrack.runs()
    first = time.process_time() - begun
    table = runs.history_arrow("loss")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    seconds = time.process_time() - begun - first
    return {"first": first, "history": seconds, "beyond": (memory - table.nbytes) / MIB, "pid": os.getpid()}


def _environment(number: int) -> Iterator[object]:
    from msgspec.structs import replace

    from autotrack.events import Section

    contents = {
        "process": {"argv": ["train.py", str(number)], "pid": number, "python": "3.12.4", "cwd": "/home/ann/code"},
        "packages": {f"package-{index}": f"{index}.1.0" for index in range(200)},
        "git": {"commit": f"{number // 50:040x}", "branch": "main", "dirty": False},
        "hardware": {"cpu": "Example", "cores": 8, "memory": 1 << 35, "gpus": [{"name": "Example"}]},
    }
    for name, data in contents.items():
        section = Section(run="", time=0.0, name=name, data=data)
        yield replace(section, digest=section.content_digest())


def _least(function: Callable[[], object], times: int = 5) -> float:
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        function()
        found.append(time.perf_counter() - begun)
    return min(found)
