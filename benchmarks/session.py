"""One run of the benchmark: every measure, the trackers taking turns, and what came out of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import StepError, fresh_folder
from benchmarks.machine import missing
from benchmarks.measures.base import Bench, Figures, Measure
from benchmarks.trackers.base import NotOffered

Progress = Callable[[str], None]


@dataclass
class Section:
    """A measure's figures: per tracker the turns in order, or the reason why there are none."""

    measure: Measure
    turns: dict[str, list[Figures]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def run_measure(measure: Measure, trackers: list[str], base: Path | None, progress: Progress) -> Section:
    """Measure the trackers by turns: A B C, A B C, …; one that cannot is left out from there on, with its reason."""
    section = Section(measure)
    with ExitStack() as folders:
        benches = {}
        for key in trackers:
            reason = missing(key)
            if reason is not None:
                section.absent[key] = reason
            else:
                benches[key] = Bench(key, folders.enter_context(fresh_folder(base)))
        if measure.shared:
            _each(section, benches, measure.prepare, progress, "preparing")
        for number in range(measure.repeats):
            _each(
                section,
                benches,
                lambda bench: section.turns.setdefault(bench.tracker, []).append(_turn(measure, bench, base)),
                progress,
                f"round {number + 1} of {measure.repeats}",
            )
    return section


def _turn(measure: Measure, bench: Bench, base: Path | None) -> Figures:
    if measure.shared:
        return measure.turn(bench)
    with fresh_folder(base) as folder:
        return measure.turn(Bench(bench.tracker, folder))


def _each(
    section: Section, benches: dict[str, Bench], do: Callable[[Bench], None], progress: Progress, what: str
) -> None:
    for key in list(benches):
        progress(f"{section.measure.name}: {what}: {key}")
        try:
            do(benches[key])
        except NotOffered as reason:
            section.absent[key] = str(reason)
        except (StepError, OSError, subprocess.SubprocessError) as error:
            section.absent[key] = f"failed: {error}"
        if key in section.absent:
            del benches[key]
