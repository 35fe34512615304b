"""What a journal needs to know of the machine: this boot, who is alive, which file system a path is on."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

PREALLOCATING = frozenset({"ext4", "xfs", "tmpfs"})
SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p", "afs"})


@functools.cache
def boot_id() -> str:
    """An identifier that is the same for all processes since this machine started."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import platform

        import psutil

        return f"{platform.node()}-{psutil.boot_time():.0f}"


def process_namespace() -> str:
    """The namespace in which process ids of this process mean something; empty where there is only one."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_started(pid: int) -> float | None:
    """When process `pid` started, in units that only compare on this boot; None if there is no such process.

    A zombie counts as gone: it will write nothing any more.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else float(fields[19])
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def filesystem(path: Path) -> str:
    """The type of the file system that holds `path` ("ext4", "nfs4", …), empty where it cannot be told cheaply."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    target = os.path.realpath(path)
    best, kind = -1, ""
    for line in mounts:
        before, _, after = line.partition(" - ")
        mount = before.split()[4].replace("\\040", " ")
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= best:
            best, kind = len(mount), after.split()[0]
    return kind
