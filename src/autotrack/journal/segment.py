"""Writes one segment file: through a memory map where preallocation is reliable, else by appending."""

from __future__ import annotations

import errno
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Protocol

from autotrack.journal.layout import COMMITTED_OFFSET, HEAD, HEAD_SIZE, MAGIC, Mode, segment_path

_checksum = struct.Struct("=I").pack
_crc32 = zlib.crc32


class Segment(Protocol):
    """A segment that is open for writing."""

    number: int

    def put(self, body: bytes) -> int:
        """Write and commit one record, given without its checksum; returns its offset.

        -1 when the segment is full, `OSError` when the disk is.
        """
        ...

    def close(self) -> None:
        """Close the file and its memory map; committed records stay."""
        ...


class MappedSegment:
    """A preallocated file, written by storing into memory: no system call that could block."""

    __slots__ = ("_capacity", "_committed", "_map", "number")

    def __init__(self, folder: Path, journal_id: str, number: int, capacity: int) -> None:
        """Create the file with all its blocks; `OSError` if there is no room for them."""
        self.number = number
        path = segment_path(folder, number)
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            try:
                os.posix_fallocate(descriptor, 0, capacity)
                os.pwrite(descriptor, _head(journal_id, number, Mode.MAPPED), 0)
                os.rename(fresh, path)
            except OSError:
                os.unlink(fresh)
                raise
            self._map = mmap.mmap(descriptor, capacity)
        finally:
            os.close(descriptor)
        self._capacity = capacity
        self._committed = memoryview(self._map)[COMMITTED_OFFSET : COMMITTED_OFFSET + 8].cast("Q")

    def put(self, body: bytes) -> int:
        start = self._committed[0]
        end = start + 4 + len(body)
        if end > self._capacity:
            return -1
        self._map[start:end] = _checksum(_crc32(body)) + body
        self._committed[0] = end  # one aligned store: a reader sees all of the record or none of it
        return start

    def close(self) -> None:
        self._committed.release()
        self._map.close()


class AppendedSegment:
    """A file to which records are appended; `put` returns once the kernel has the bytes."""

    __slots__ = ("_capacity", "_descriptor", "_path", "_size", "number")

    def __init__(self, folder: Path, journal_id: str, number: int, capacity: int) -> None:
        """Create the file; `OSError` if that fails."""
        self.number = number
        self._path = segment_path(folder, number)
        fresh = self._path.with_suffix(".new")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(fresh, flags, 0o666)
        try:
            if os.write(self._descriptor, _head(journal_id, number, Mode.APPENDED)) < HEAD_SIZE:
                raise OSError(errno.ENOSPC, "there is no room for a segment", str(fresh))
            os.rename(fresh, self._path)
        except OSError:
            os.close(self._descriptor)
            os.unlink(fresh)
            raise
        self._capacity = capacity
        self._size = HEAD_SIZE

    def put(self, body: bytes) -> int:
        start = self._size
        record = _checksum(_crc32(body)) + body
        if start + len(record) > self._capacity:
            return -1
        try:
            if os.write(self._descriptor, record) < len(record):
                raise OSError(errno.ENOSPC, "only a part of the record could be written", str(self._path))
            self._size = start + len(record)
        except BaseException:  # Ctrl-C as well: the size must agree with what the file holds
            self._keep_if_whole(start, start + len(record))
            raise
        return start

    def _keep_if_whole(self, start: int, end: int) -> None:
        """Set the size to the end of the record if all of it was written; else truncate the file at its start."""
        self._size = end if os.lseek(self._descriptor, 0, os.SEEK_CUR) == end else start
        os.ftruncate(self._descriptor, self._size)
        os.lseek(self._descriptor, self._size, os.SEEK_SET)

    def close(self) -> None:
        os.close(self._descriptor)


def _head(journal_id: str, number: int, mode: Mode) -> bytes:
    committed = HEAD_SIZE if mode is Mode.MAPPED else 0
    return HEAD.pack(MAGIC, bytes.fromhex(journal_id), number, mode, committed).ljust(HEAD_SIZE, b"\0")
