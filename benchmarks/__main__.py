"""`python -m benchmarks`: measure, print the tables, write the JSON file."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.harness import adopt_orphans
from benchmarks.machine import machine, versions
from benchmarks.measures.registry import MEASURES
from benchmarks.report import as_json, print_section, print_targets
from benchmarks.session import run_measure
from benchmarks.trackers.registry import FLOOR, OURS, PLACES


def main() -> None:
    """Measure what was asked for."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes and folders are cleaned up
    console = Console(width=None if sys.stdout.isatty() else 170)
    if not adopt_orphans():
        console.print("[dim]CPU time of processes that outlive their parent is not counted on this system[/]")
    base = options.dir.resolve() if options.dir else None
    facts = machine(base or Path("/tmp"))
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), style="dim")
    chosen = set(options.peer or PLACES) | {OURS, FLOOR, "raw"}
    sections = []
    with console.status("") as status:
        for kind in MEASURES:
            if options.only and kind.name not in options.only:
                continue
            measure = kind(quick=options.quick)
            trackers = [key for key in measure.trackers if key in chosen]
            section = run_measure(measure, trackers, base, status.update)
            sections.append(section)
            print_section(console, section)
            content = as_json(sections, facts, versions(sorted(chosen)), options.quick)
            options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.quick:
        console.print("Quick sizes: the figures show that everything works, not how fast it is.", style="dim")
    else:
        print_targets(console, sections)
    console.print(f"All turns: {options.json}", style="dim")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [kind.name for kind in MEASURES]
    parser.add_argument("--quick", action="store_true", help="small sizes and few turns: some minutes on two cores")
    parser.add_argument("--only", action="append", metavar="NAME", choices=names, help=f"one of: {', '.join(names)}")
    parser.add_argument(
        "--peer", action="append", metavar="NAME", choices=list(PLACES), help="only this beside autotrack"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"), help="where all turns are written")
    parser.add_argument("--dir", type=Path, help="where the temporary folders are made: a real disk, not tmpfs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
