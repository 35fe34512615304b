"""The ranks of one distributed training: which of them records, and how the others find its run.

Rank 0 opens the run. The others open none: they learn which run is rank 0's at a meeting point, a small file in the
place of the data that is named after what all ranks of a job have in common. On a file system that they do not
share they find nothing, and record nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

# What makes ranks of processes: torch's own names; the others only where a coordinator's address shows that the
# processes belong together, for `srun` and `mpirun` also start independent ones side by side.
_TORCH = ("RANK", "WORLD_SIZE")
_OTHERS = (
    ("SLURM_PROCID", "SLURM_NTASKS"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"),
)  # fmt: skip
_SHARED = (
    "TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID", "SLURM_STEP_ID", "LSB_JOBID", "PBS_JOBID",
    "AUTOTRACK_JOB",
)  # fmt: skip
FOLDER = "ranks"
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
    pairs = (_TORCH, *_OTHERS) if "MASTER_ADDR" in environment else (_TORCH,)
    for name, size in pairs:
        if name in environment and size in environment:
            return _number(environment, name) if _number(environment, size) > 1 else None
    if "MASTER_ADDR" in environment and _number(environment, "WORLD_SIZE") > 1 and "LOCAL_RANK" in environment:
        return _number(environment, "LOCAL_RANK") or _number(environment, "NODE_RANK")  # rank 0 is the first of both
    return None


def is_follower() -> bool:
    """Whether another rank records, and this one only says how its machine is doing."""
    return bool(rank())


def lead(place: Path, run_id: str) -> None:
    """Tell the other ranks, if there are any, that `run_id` is the run."""
    if rank() != 0:
        return
    point = _meeting_point(place)
    point.parent.mkdir(parents=True, exist_ok=True)
    fresh = point.with_name(f"{point.name}.{os.getpid()}")
    fresh.write_text(run_id)
    fresh.replace(point)


def followed(place: Path) -> str | None:
    """The id of rank 0's latest run; None while there is none to be found."""
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
