"""Ranks of distributed training: which one records, and how the others find its run.

Rank 0 opens the run. The other ranks open none: they read the id of rank 0's run from a small file in the folder of
the data (the meeting point), named after a hash of the environment variables that all ranks of a job share. Ranks that
do not share a file system with rank 0 find no file and record nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

# Variables that hold rank and world size. Those of schedulers and MPI count only if MASTER_ADDR is set, which shows
# that the processes train together: `srun` and `mpirun` also start independent processes side by side.
_TORCH = ("RANK", "WORLD_SIZE")
_OTHERS = (
    ("SLURM_PROCID", "SLURM_NTASKS"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
)  # fmt: skip
_SHARED = (
    "TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID", "SLURM_STEP_ID", "LSB_JOBID", "PBS_JOBID",
    "AUTOTRACK_JOB",
)  # fmt: skip
FOLDER = "ranks"
OLDEST = 3600.0  # seconds before the start of this process; an older file at the meeting point is stale

_born = time.time()


def rank() -> int | None:
    """This process's rank in its distributed training; None if it trains alone.

    From `torch.distributed` once that is initialised; before, from the environment variables of the launcher.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank()) if distributed.get_world_size() > 1 else None
    environment = os.environ
    pairs = (_TORCH, *_OTHERS) if "MASTER_ADDR" in environment else (_TORCH,)
    for name, size in pairs:
        if name in environment and size in environment:
            return _number(environment, name) if _number(environment, size) > 1 else None
    if "MASTER_ADDR" in environment and _number(environment, "WORLD_SIZE") > 1 and "LOCAL_RANK" in environment:
        return _number(environment, "LOCAL_RANK") or _number(environment, "NODE_RANK")  # rank 0 is the first of both
    return None


def is_follower() -> bool:
    """Whether this is a rank other than 0, which records only metrics of its machine, in the run of rank 0."""
    return bool(rank())


def lead(place: Path, run_id: str) -> None:
    """On rank 0: write `run_id` to the meeting point, where the other ranks read it; does nothing elsewhere."""
    if rank() != 0:
        return
    point = _meeting_point(place)
    point.parent.mkdir(parents=True, exist_ok=True)
    fresh = point.with_name(f"{point.name}.{os.getpid()}")
    fresh.write_text(run_id)
    fresh.replace(point)


def followed(place: Path) -> str | None:
    """The id of rank 0's latest run, from the meeting point; None if there is no file or it is stale."""
    point = _meeting_point(place)
    try:
        if point.stat().st_mtime < _born - OLDEST:
            return None
        return point.read_text() or None
    except OSError:
        return None


def _meeting_point(place: Path) -> Path:
    common = "|".join(f"{name}={os.environ.get(name, '')}" for name in _SHARED)
    return place / FOLDER / hashlib.sha256(common.encode()).hexdigest()[:24]


def _number(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment.get(name, "0"))
    except ValueError:
        return 0
