"""The ranks of one distributed training: which of them records, and how the others find its run.

Rank 0 opens the run. The others open none: they learn which run is rank 0's at a meeting point, a small file in the
place of the data that is named after what all ranks of a job have in common. On a file system that they do not
share they find nothing, and record nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from autotrack.place import Note, Place
from autotrack.schedulers import SCHEDULERS

# What makes ranks of processes: torch's own names; the others only where a coordinator's address shows that the
# processes belong together, for `srun` and `mpirun` also start independent ones side by side.
_TORCH = ("RANK", "WORLD_SIZE")
_OTHERS = [
    scheduler for scheduler in SCHEDULERS
    if {"rank", "world_size"} <= scheduler.facts.keys() and scheduler.facts["rank"] != _TORCH[:1]
]  # fmt: skip
_SHARED = sorted(
    {"MASTER_ADDR", "MASTER_PORT", "SLURM_STEP_ID", "AUTOTRACK_JOB"}.union(*(known.identity for known in SCHEDULERS))
)
OLDEST = 3600.0  # seconds: what lies at a meeting point for longer than this process lives, and that much, is stale

_born = time.time()


def rank() -> int | None:
    """This process's rank among those that train together; None if it trains alone.

    What torch has set up counts most; before that, what the launcher says in the environment.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank()) if distributed.get_world_size() > 1 else None
    environment = os.environ
    if all(name in environment for name in _TORCH):
        return _number(environment, "RANK") if _number(environment, "WORLD_SIZE") > 1 else None
    for scheduler in _OTHERS if "MASTER_ADDR" in environment else ():
        found, size = scheduler.first("rank", environment), scheduler.first("world_size", environment)
        if found is not None and size is not None:
            return _as_number(found) if _as_number(size) > 1 else None
    if "MASTER_ADDR" in environment and _number(environment, "WORLD_SIZE") > 1 and "LOCAL_RANK" in environment:
        return _number(environment, "LOCAL_RANK") or _number(environment, "NODE_RANK")  # rank 0 is the first of both
    return None


def is_follower() -> bool:
    """Whether another rank records, and this one only says how its machine is doing."""
    return bool(rank())


def lead(place: Place, run_id: str) -> None:
    """On rank 0 of several: write down for the others that `run_id` is the run; `OSError` if that fails."""
    if rank() == 0:
        _meeting_point(place).write(run_id)


def followed(place: Place) -> str | None:
    """The id of rank 0's latest run; None while there is none to be found."""
    point = _meeting_point(place)
    try:
        if point.path.stat().st_mtime < _born - OLDEST:
            return None
    except OSError:
        return None
    return point.read() or None


def _meeting_point(place: Place) -> Note:
    return place.note("ranks", "|".join(f"{name}={os.environ.get(name, '')}" for name in _SHARED))


def _number(environment: Mapping[str, str], name: str) -> int:
    return _as_number(environment.get(name, "0"))


def _as_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
