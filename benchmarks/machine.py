"""What was measured on, and what was measured: facts for the table's foot and the JSON file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.harness import ROOT
from benchmarks.trackers.registry import PLACES, tracker_class

FAILED_INSTALLS = "benchmark-installs.json"


def machine(folder: Path) -> dict[str, str | int | float]:
    """CPU, memory, system, Python, load, and the file system that was written to."""
    import psutil

    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30), 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "filesystem": _filesystem(folder),
        "load_at_start": os.getloadavg()[0],
        "commit": _commit(),
    }


def versions(trackers: list[str]) -> dict[str, str]:
    """The installed version of every distribution of these trackers."""
    names = {name for key in trackers for name in tracker_class(key).distributions}
    return {name: found for name in sorted(names) if (found := _version(name))}


def missing(key: str) -> str | None:
    """Why the tracker called `key` cannot be measured here, None if it can."""
    reasons = _failed_installs()
    for name in tracker_class(key).distributions:
        if _version(name) is None:
            return f"not installed: {reasons.get(name, f'no {name} in this environment')}"
    return None


def titles() -> dict[str, str]:
    """What the table calls each tracker."""
    return {key: tracker_class(key).name for key in PLACES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _failed_installs() -> dict[str, str]:
    try:
        return dict(json.loads((Path(sys.prefix) / FAILED_INSTALLS).read_text()))
    except OSError:
        return {}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _filesystem(folder: Path) -> str:
    import psutil

    mounts = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
