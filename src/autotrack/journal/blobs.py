"""Content-addressed files: bytes that a training process stores and that events name by digest.

A blob is the file `<blobs>/<first two hex digits>/<SHA-256>`. It is written under a temporary name and renamed, so
that a reader sees either no file or a complete one. Where the file system can, a file is copied by reference.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from autotrack.exceptions import NotFoundError

CHUNK = 1 << 20
_FICLONE = 0x40049409
_DIGEST = re.compile(r"[0-9a-f]{64}")


def blob_path(blobs: Path, digest: str) -> Path:
    """The path of the blob with this SHA-256."""
    return blobs / digest[:2] / digest


class BlobFolder:
    """Reads the blobs of a local folder by their SHA-256 in hex; `NotFoundError` for a missing one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading from its start; the caller closes the file."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:  # deleted since `path` looked
            raise self._missing(digest) from error

    def read(self, digest: str) -> bytes:
        """All bytes of a blob."""
        with self.open(digest) as file:
            return file.read()

    def path(self, digest: str) -> Path:
        """The path of a blob; the file must not be written to."""
        path = blob_path(self.folder, digest)
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            raise self._missing(digest)
        return path

    def _missing(self, digest: str) -> NotFoundError:
        return NotFoundError(f"the file {digest!r} is not in {self.folder}")


def put_bytes(blobs: Path, data: bytes | memoryview) -> str:
    """Store `data`; returns its SHA-256. `OSError` if it cannot be written."""
    digest = bytes_digest(data)
    target = blob_path(blobs, digest)
    if taken(target) is None:
        fresh = _fresh(blobs)
        try:
            fresh.write_bytes(data)
            _settle(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
    return digest


def put_file(blobs: Path, source: Path) -> tuple[str, int]:
    """Store a copy of the file `source`; returns SHA-256 and size of exactly the bytes that were stored.

    The digest is that of the copy, so that a file which another process rewrites meanwhile is still stored under the
    digest of the stored bytes. A file in `<blobs>/new`, the staging folder, is moved instead of copied.
    """
    fresh = _fresh(blobs)
    try:
        if source.is_relative_to(blobs / "new"):
            os.replace(source, fresh)
        else:
            copy_file(source, fresh)
        digest, size = file_digest(fresh)
        target = blob_path(blobs, digest)
        if taken(target) is None:
            _settle(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    return digest, size


def copy_file(source: Path, target: Path) -> None:
    """Copy by reference where the file system can, else byte by byte."""
    with open(source, "rb") as reading, open(target, "wb") as writing:
        if sys.platform == "linux" and _cloned(reading.fileno(), writing.fileno()):
            return
        shutil.copyfileobj(reading, writing, CHUNK)


def file_digest(path: Path) -> tuple[str, int]:
    """The SHA-256 and the size in bytes of a file."""
    digest = hashlib.sha256()
    size = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def bytes_digest(data: bytes | memoryview) -> str:
    """The SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def tree_digest(files: Iterable[tuple[str, str]]) -> str:
    """One SHA-256 over the names and digests of several files, whatever their order."""
    digest = hashlib.sha256()
    for name, of_file in sorted(files):
        digest.update(f"{name}\0{of_file}\n".encode())
    return digest.hexdigest()


def _fresh(blobs: Path) -> Path:
    folder = blobs / "new"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / secrets.token_hex(12)


def _settle(fresh: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    os.replace(fresh, target)


def _cloned(source: int, target: int) -> bool:
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Kept:
    """A stored blob: `is_new` if it was not stored before; `stamp` is its mark of use, the modification time in ns."""

    digest: str
    size: int
    is_new: bool
    stamp: int


def put_descriptor(blobs: Path, descriptor: int, held: Mapping[str, Kept]) -> Kept:
    """Store a copy of the open file `descriptor`, whatever its path names by now. `OSError` if it cannot be written.

    As with `put_file`, the digest is that of exactly the bytes that were stored. A blob in `held`, which the caller
    stored before and still needs, is not marked again.
    """
    fresh = _fresh(blobs)
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "rb", closefd=False) as reading, open(fresh, "wb") as writing:
            if sys.platform != "linux" or not _cloned(descriptor, writing.fileno()):
                shutil.copyfileobj(reading, writing, CHUNK)
        digest, size = file_digest(fresh)
        target = blob_path(blobs, digest)
        if digest in held and target.exists():
            return held[digest]
        stamp = taken(target)
        if stamp is not None:
            return Kept(digest, size, False, stamp)
        now = time.time_ns()  # finer than the time of a plain touch, so that no other mark equals it
        os.utime(fresh, ns=(now, now))
        stamp = fresh.stat().st_mtime_ns
        is_new = _settle_alone(fresh, target)
        return Kept(digest, size, is_new, stamp)
    finally:
        fresh.unlink(missing_ok=True)


def _settle_alone(fresh: Path, target: Path) -> bool:
    """Move a blob to its path; False if another process stored it first, or if that cannot be determined."""
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(fresh, target)
    except FileExistsError:
        taken(target)
        return False
    except OSError:  # a file system without links
        os.replace(fresh, target)
        return False
    return True


def taken(target: Path) -> int | None:
    """Mark the blob at `target` as used now; returns the mark (modification time in ns), None if it is missing."""
    try:
        with suppress(PermissionError):  # another user's file in a shared folder cannot be marked
            os.utime(target)
        return target.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def free(blobs: Path, digest: str, stamp: int) -> bool:
    """Delete a blob unless it was marked as used after the recent mark `stamp`; returns whether it was deleted."""
    if stamp % 1_000_000_000 == 0:
        return False  # a file system that keeps whole seconds cannot order two marks
    return delete_unused(blobs, digest, stamp)


def delete_unused(blobs: Path, digest: str, stamp: int) -> bool:
    """Delete a blob if `stamp` is still its mark of use; returns whether it was deleted.

    The blob is renamed first, so that a process that needs it from then on stores it again, and renamed back if
    another process marked it just before.
    """
    target = blob_path(blobs, digest)
    aside = _fresh(blobs)
    try:
        target.rename(aside)
    except OSError:
        return False
    if aside.stat().st_mtime_ns == stamp:
        aside.unlink(missing_ok=True)
        return True
    if target.exists():
        aside.unlink(missing_ok=True)
    else:
        _settle(aside, target)
    return False
