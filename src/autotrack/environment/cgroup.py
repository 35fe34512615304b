"""The control group of this process: the limits that a container or a batch system sets, and the current use.

Both versions of the kernel's interface are read (`Documentation/admin-guide/cgroup-v2.rst`, `cgroup-v1/`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Cgroup:
    """The limits that bind this process: `cpus` in cores, `memory` in bytes; None where there is none.

    `memory_folder` and `cpu_folder` are the groups that the limits belong to, whose use counts against them.
    """

    version: int
    cpus: float | None = None
    memory: int | None = None
    cpu_folder: Path | None = None
    memory_folder: Path | None = None

    def memory_used(self) -> int | None:
        """Bytes that count against the memory limit, less the inactive page cache; None without a limit."""
        if self.memory_folder is None:
            return None
        current, cache = (
            ("memory.current", "inactive_file") if self.version == 2 else
            ("memory.usage_in_bytes", "total_inactive_file")
        )  # fmt: skip
        used = _number(self.memory_folder / current)
        if used is None:
            return None
        return max(0, used - _statistic(self.memory_folder / "memory.stat", cache))

    def cpu_seconds(self) -> float | None:
        """The processor time, in seconds, that the group has used so far; None without a processor limit."""
        if self.cpu_folder is None:
            return None
        if self.version == 2:
            return _statistic(self.cpu_folder / "cpu.stat", "usage_usec") / 1e6
        used = _number(self.cpu_folder / "cpuacct.usage")
        return None if used is None else used / 1e9


def find_cgroup(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Cgroup | None:
    """The control group that binds this process; None where there are no control groups."""
    groups = _groups(membership)
    if (root / "cgroup.controllers").exists():
        folders = _upwards(root, groups.get("", "/"))
        cpus, cpu_folder = _tightest(folders, _cpus_v2)
        memory, memory_folder = _tightest(folders, lambda folder: _number(folder / "memory.max"))
        return Cgroup(2, cpus, _whole(memory), cpu_folder, memory_folder)
    if not (root / "memory").is_dir() and not (root / "cpu").is_dir():
        return None
    cpus, cpu_folder = _tightest(_upwards(root / "cpu", groups.get("cpu", "/")), _cpus_v1)
    memory, memory_folder = _tightest(
        _upwards(root / "memory", groups.get("memory", "/")), lambda folder: _number(folder / "memory.limit_in_bytes")
    )
    return Cgroup(1, cpus, _whole(memory), cpu_folder, memory_folder)


def _tightest(folders: list[Path], read: Callable[[Path], float | None]) -> tuple[float | None, Path | None]:
    limits = [(limit, folder) for folder in folders if (limit := read(folder)) is not None and limit < _NO_LIMIT]
    return min(limits, default=(None, None), key=lambda pair: pair[0] or 0.0)


def _groups(membership: Path) -> dict[str, str]:
    """Map each controller to the path of this process's group; the group of version 2 has the empty name."""
    groups: dict[str, str] = {}
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _upwards(root: Path, group: str) -> list[Path]:
    """The group's folder and those above it; in a container the path may be the host's, and only the root exists."""
    folder = root / group.lstrip("/")
    if ".." in folder.parts or not folder.is_dir():
        return [root]
    return [folder, *(parent for parent in folder.parents if parent == root or root in parent.parents)]


def _cpus_v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.strip().isdigit() else None


def _cpus_v1(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota is not None and period and quota > 0 else None


def _whole(limit: float | None) -> int | None:
    return None if limit is None else int(limit)


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _statistic(path: Path, name: str) -> int:
    for line in _read(path).splitlines():
        found, _, value = line.partition(" ")
        if found == name:
            return int(value)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
