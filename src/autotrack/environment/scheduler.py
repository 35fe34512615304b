"""What batch systems, launchers and clouds say of the job that this process is a part of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotrack.environment.facts import Facts
from autotrack.schedulers import SCHEDULERS, Scheduler

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NUMBERS = frozenset({"rank", "world_size", "local_rank", "restarts", "nodes", "array_index"})


def gather(environment: Mapping[str, str] | None = None, namespace: Path = NAMESPACE) -> Facts:
    """Return the facts of each scheduler under its name, and those of all: `kind`, `job`, `rank`, `world_size` …

    The job is the outermost scheduler's; ranks and restarts are the innermost one's. Empty if there is none.
    """
    environment = os.environ if environment is None else environment
    found = {
        scheduler.name: _facts(scheduler, environment) for scheduler in SCHEDULERS if scheduler.started(environment)
    }
    if "torchrun" in found:
        found.pop("distributed", None)
    if "kubernetes" in found and "namespace" not in found["kubernetes"]:
        found["kubernetes"].update(_namespace(namespace))
    if not found:
        return Facts({})
    data: dict[str, Any] = {"kind": next(iter(found)), "kinds": list(found)}
    for facts in found.values():
        data.setdefault("job", facts.get("job"))
        data.update({name: facts[name] for name in ("rank", "world_size", "local_rank", "restarts") if name in facts})
    return Facts({name: value for name, value in data.items() if value is not None} | found)


def _facts(scheduler: Scheduler, environment: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in scheduler.facts:
        value = scheduler.first(name, environment)
        if value is not None:
            facts[name] = int(value) if name in _NUMBERS and value.isdigit() else value
    return facts


def _namespace(path: Path) -> dict[str, str]:
    try:
        return {"namespace": path.read_text(encoding="utf-8", errors="replace").strip()}
    except OSError:
        return {}
