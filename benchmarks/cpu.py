"""CPU time and memory of this process and everything that it started."""

from __future__ import annotations

import resource
import time
from pathlib import Path


def tree_cpu() -> float:
    """CPU seconds so far of this process, its living descendants, and those that have been waited for."""
    import psutil

    total = time.process_time()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total += ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        try:
            used = child.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def own_memory() -> int:
    """Bytes of memory that are this process's alone and backed by no file: mapped journal pages do not count."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import psutil

        return int(psutil.Process().memory_full_info().uss)
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def helpers_memory() -> int:
    """Bytes of resident memory of the processes that this one started."""
    import psutil

    total = 0
    for child in psutil.Process().children(recursive=True):
        try:
            total += child.memory_info().rss
        except psutil.Error:
            continue
    return total
