"""Content-addressed files: how a training process puts bytes where events can name them by digest.

A blob lies at `<blobs>/<first two hex digits>/<SHA-256>`. It is written under a temporary name and renamed, so that
a name is only ever seen with all its bytes. Where the file system can, a file is copied by reference.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

CHUNK = 1 << 20
_FICLONE = 0x40049409


def blob_path(blobs: Path, digest: str) -> Path:
    """Where the blob with this SHA-256 lies."""
    return blobs / digest[:2] / digest


def put_bytes(blobs: Path, data: bytes | memoryview) -> str:
    """Store `data`; returns its SHA-256. `OSError` if it cannot be written."""
    digest = bytes_digest(data)
    target = blob_path(blobs, digest)
    if not target.exists():
        fresh = _fresh(blobs)
        try:
            fresh.write_bytes(data)
            _settle(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
    return digest


def put_file(blobs: Path, source: Path) -> tuple[str, int]:
    """Store a copy of the file `source`; returns SHA-256 and size of exactly the bytes that were stored.

    The digest is taken of the copy, so that a file which somebody rewrites meanwhile is still stored under the
    digest of what was kept.
    """
    fresh = _fresh(blobs)
    try:
        copy_file(source, fresh)
        digest, size = file_digest(fresh)
        target = blob_path(blobs, digest)
        if not target.exists():
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
