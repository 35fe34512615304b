"""Advisory file locks between processes, by `flock` on POSIX and portalocker on Windows.

The `filelock` package has no probe that leaves a lock alone (`is_locked`), which is how a reader learns whether a
journal's writer lives.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":  # pragma: no cover - the same contract through a library
    import portalocker

    def _lock(descriptor: int, *, shared: bool) -> bool:
        kind = portalocker.LockFlags.SHARED if shared else portalocker.LockFlags.EXCLUSIVE
        try:
            portalocker.lock(descriptor, kind | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException:
            return False
        return True
else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class FileLock:
    """An exclusive lock on a file, held until `release` or the end of the process.

    The descriptor is closed on `exec`. A forked child calls `release` on its copy, which leaves the parent's
    lock in place: the lock belongs to the open file, and is released when its last descriptor is closed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False) -> bool:
        """Acquire the lock without waiting; False if it is held elsewhere, `OSError` if locking fails."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                taken = _lock(descriptor, shared=shared)
                deleted = taken and not self._names(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            if taken and not deleted:
                self._descriptor = descriptor
                return True
            os.close(descriptor)
            if not taken:
                return False

    def _names(self, descriptor: int) -> bool:
        """Whether the path still names the opened file; False once a holder has deleted it."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether the lock on `path` is held exclusively; probing never disturbs the holder or other probes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        return not _lock(descriptor, shared=True)
    except OSError:
        return True
    finally:
        os.close(descriptor)
