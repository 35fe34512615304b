"""Facts about the machine that journals need: its boot, which processes are alive, the file system of a path."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

PREALLOCATING = frozenset({"ext4", "xfs", "tmpfs"})
SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p", "afs"})


@functools.cache
def user_name() -> str:
    """The login name of the user; empty where there is none, as in a container without a passwd entry."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


@functools.cache
def host_name() -> str:
    """The name of this machine."""
    import socket

    return socket.gethostname()


@functools.cache
def boot_id() -> str:
    """An identifier of the current boot of this machine, the same for all of its processes."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import platform

        import psutil

        return f"{platform.node()}-{psutil.boot_time():.0f}"


def process_namespace() -> str:
    """The namespace that the process ids of this process belong to; empty where the system has only one."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_started(pid: int) -> float | None:
    """When process `pid` started, in units that only compare on this boot; None if there is no such process.

    A zombie counts as gone, since it writes nothing more.
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
    """The type of the file system that holds `path` ("ext4", "nfs4", …), empty where that is not known."""
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
