"""Gaps in machine, data and attempts: differences from the run's machine, data sets not kept, earlier attempts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autotrack.environment import hardware
from autotrack.environment.process import operating_system
from autotrack.outputs.reproduction.gaps import Gap

if TYPE_CHECKING:
    from autotrack.query.records import Record

_PARTS = (("cpu", "processor"), ("gpu", "GPU"), ("driver", "GPU driver"), ("cuda", "CUDA"))


def machine_gaps(record: Record) -> Iterator[Gap]:
    """Yield the differences between this machine and that of the run which can change results."""
    process: Mapping[str, Any] = record.environment.get("process") or {}
    recorded = record.environment.get("hardware")
    if not recorded:
        yield Gap("machine", "the machine was not recorded")
    else:
        here = hardware.gather(limit=2.0).data
        for key, word in _PARTS:
            then, now = recorded.get(key), here.get(key)
            if then != now and (then or now):
                yield Gap("machine", f"{word}: {then or 'none'} then, {now or 'none'} here")
    system = process.get("os")
    if system and system != operating_system():
        yield Gap("machine", f"system: {system} then, {operating_system()} here")
    python = ".".join(map(str, sys.version_info[:3]))
    if process.get("python") and (process["python"], process.get("implementation")) != (
        python, sys.implementation.name,
    ):  # fmt: skip
        yield Gap("python", f"{process.get('implementation')} {process['python']} then, this is {python}")


def data_gaps(record: Record) -> Iterator[Gap]:
    """Yield a gap per data set, of which never more than a fingerprint is recorded."""
    for dataset in record.datasets:
        facts = [f"fingerprint {dataset.digest[:12]}" if dataset.digest else "no fingerprint"]
        facts += [f"version {dataset.version}"] if dataset.version else []
        facts += [f"from {dataset.source}"] if dataset.source else []
        yield Gap("data", f"{dataset.name} ({dataset.role}) is not kept, only its {', '.join(facts)}")


def past_gaps(record: Record) -> Iterator[Gap]:
    """Yield the gaps of a run that had several attempts, or is still running."""
    if record.attempt > 1:
        yield Gap("attempts", f"the run had {record.attempt} attempts; this is the last, which went on from the others")
    if record.status == "running":
        yield Gap("attempts", "the run is not over: more may still be recorded")
