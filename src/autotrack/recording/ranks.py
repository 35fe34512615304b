"""Ranks of distributed training: which one records, and how the others find its run.

Rank 0 opens the run. The other ranks open none: they read the id of rank 0's run from a small file in the folder of
the data (the meeting point), named after a hash of the environment variables that all ranks of a job share. Ranks that
do not share a file system with rank 0 find no file and record nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from autotrack.place import Place, SharedNote
from autotrack.schedulers import SCHEDULERS

# Variables that hold rank and world size. Those of schedulers and MPI count only if MASTER_ADDR is set, which shows
# that the processes train together: `srun` and `mpirun` also start independent processes side by side.
_TORCH = ("RANK", "WORLD_SIZE")
_OTHERS = [
    scheduler for scheduler in SCHEDULERS
    if {"rank", "world_size"} <= scheduler.facts.keys() and scheduler.facts["rank"] != _TORCH[:1]
]  # fmt: skip
_SHARED = sorted(
    {"MASTER_ADDR", "MASTER_PORT", "SLURM_STEP_ID", "AUTOTRACK_JOB"}.union(*(known.identity for known in SCHEDULERS))
)
OLDEST = 3600.0  # seconds before the start of this process; an older note at the meeting point is stale

_born = time.time()


def rank() -> int | None:
    """This process's rank in its distributed training; None if it trains alone.

    From `torch.distributed` once that is initialised; before, from the environment variables of the launcher.
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
    """Whether this is a rank other than 0, which records only metrics of its machine, in the run of rank 0."""
    return bool(rank())


def lead(place: Place, run_id: str) -> None:
    """On rank 0: write `run_id` to the meeting point, where the other ranks read it; does nothing elsewhere."""
    if rank() == 0:
        _meeting_point(place).write(run_id)


def followed(place: Place) -> str | None:
    """The id of rank 0's latest run, from the meeting point; None if there is no note or it is stale."""
    point = _meeting_point(place)
    try:
        if point.path.stat().st_mtime < _born - OLDEST:
            return None
    except OSError:
        return None
    return point.read() or None


def _meeting_point(place: Place) -> SharedNote:
    return place.note("ranks", "|".join(f"{name}={os.environ.get(name, '')}" for name in _SHARED))


def _number(environment: Mapping[str, str], name: str) -> int:
    return _as_number(environment.get(name, "0"))


def _as_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
