"""Writes a journal, the durable queue between a training process and the store and sinks."""

from __future__ import annotations

import errno
import os
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from autotrack._locks import FileLock
from autotrack.events import Event, Frame, encode
from autotrack.exceptions import JournalError
from autotrack.journal.host import PREALLOCATING, boot_id, filesystem, process_namespace, process_started
from autotrack.journal.layout import (
    FIRST_SEGMENT,
    HEAD_SIZE,
    HEADER_NAME,
    KIND_SHIFT,
    LARGEST_SEGMENT,
    LENGTH_MASK,
    LOCK_NAME,
    RECORD_HEAD,
    Header,
    Kind,
    padded,
)
from autotrack.journal.segment import AppendedSegment, MappedSegment, Segment

TAIL_LIMIT = 16 << 20
RETRY_EVERY = 2.0

_now = time.time
_row_kind = Kind.ROW << KIND_SHIFT


_UNDECLARED = object()


class RowPacker:
    """Packs the rows of one frame. Made by `JournalWriter.packer`, used with that journal only."""

    __slots__ = ("declaration", "frame", "head", "last_step", "offset", "pack", "segment", "size")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.declaration = encode(frame)
        row = struct.Struct(f"=IQqd{frame.types}")
        self.pack = row.pack
        self.head = _row_kind | (row.size - RECORD_HEAD.size)
        self.size = row.size + RECORD_HEAD.size
        self.segment: object = _UNDECLARED
        self.offset = 0
        self.last_step = -1


_Deferred = tuple[str, int, Any]


class JournalWriter:
    """The journal of this process, append-only.

    Every call returns when the record would survive the death of the process (not that of the machine). Safe to
    call from any thread, and from a signal handler that interrupts a call on the same thread: its record
    follows the interrupted one. A forked child must call `abandon` first.

    When no room is left on the disk, records wait in memory up to `tail_limit` bytes and are written, in
    order, once there is room; beyond that (twice that for events) they are dropped and counted in `dropped`, per
    run. `on_full` is called with the first error of each such period. `size` is how many bytes of disk were requested.
    """

    def __init__(
        self,
        directory: Path,
        *,
        sinks: Sequence[str] = (),
        user: str = "",
        host: str = "",
        mapped: bool | None = None,
        tail_limit: int = TAIL_LIMIT,
        on_full: Callable[[OSError], None] = lambda error: None,
    ) -> None:
        """Create a new journal below `directory`; `JournalError` if that cannot be done.

        `mapped` forces or forbids the memory map; by default the file system decides.
        """
        self.id = secrets.token_hex(16)
        self.folder = directory / self.id
        self.size = 0
        self.dropped: dict[str, int] = {}
        self._on_full = on_full
        self._tail_limit = tail_limit
        self._tail: deque[_Deferred] = deque()
        self._tail_size = 0
        self._retry_at = 0.0
        self._pending: deque[_Deferred] = deque()
        self._busy = False
        self._lock = threading.RLock()
        self._segment: Segment = _FullSegment()
        self._next_number = 0
        header = Header(
            id=self.id,
            created=_now(),
            host=host,
            boot=boot_id(),
            pid=os.getpid(),
            pid_started=process_started(os.getpid()),
            pid_namespace=process_namespace(),
            user=user,
            sinks=list(sinks),
        )
        try:
            self._writer_lock = self._create(directory, header)
            mapped = filesystem(self.folder) in PREALLOCATING if mapped is None else mapped
        except OSError as error:
            raise JournalError(f"cannot create a journal in {directory}: {error}") from error
        self.mapped = mapped
        self._open_segment: Callable[[Path, str, int, int], Segment] = MappedSegment if mapped else AppendedSegment

    def _create(self, directory: Path, header: Header) -> FileLock:
        fresh = directory / f"{header.id}.new"
        fresh.mkdir(parents=True)
        (fresh / HEADER_NAME).write_bytes(msgspec.json.encode(header))
        lock = FileLock(fresh / LOCK_NAME)
        if not lock.acquire():
            raise OSError(errno.EAGAIN, "somebody locked a journal that is being made", str(fresh))
        fresh.rename(self.folder)
        return lock

    def append(self, event: Event) -> None:
        """Add one event; `TypeError` or `OverflowError` if it holds something that cannot be encoded."""
        self._write(event.run, Kind.EVENT, encode(event))

    def packer(self, frame: Frame) -> RowPacker:
        """A packer for the rows of `frame` in this journal."""
        return RowPacker(frame)

    def append_row(self, packer: RowPacker, step: int, moment: float, values: Sequence[float]) -> None:
        """Add one metric row at time `moment`; `struct.error` if a value does not fit its frame's type."""
        with self._lock:
            if self._busy or self._tail:
                # encoded now, so that a value that does not fit is refused here and not when it is written
                packer.pack(packer.head, 0, step, moment, *values)
                self._defer((packer.frame.run, packer.size, (packer, step, moment, tuple(values))))
                return
            self._busy = True
            try:
                body = packer.pack(packer.head, packer.offset, step, moment, *values)
                if packer.segment is not self._segment or self._segment.put(body) < 0:
                    self._put_row(packer, step, moment, values)
            except OSError as error:
                self._full(error)
                self._keep((packer.frame.run, packer.size, (packer, step, moment, tuple(values))))
            finally:
                self._busy = False
            if self._pending:
                self._drain()

    def heartbeat(self) -> None:
        """Show that the writer is alive, and write records that waited for room on the disk."""
        with suppress(OSError):
            os.utime(self.folder / LOCK_NAME)
        with self._lock:
            if self._tail and not self._busy:
                self._recover()

    @property
    def waiting(self) -> int:
        """How many records wait in memory for room on the disk."""
        return len(self._tail)

    def take_dropped(self) -> dict[str, int]:
        """Return and reset how many facts of each run were dropped; empty while records still wait for room."""
        with self._lock:
            if self._tail:
                return {}
            dropped, self.dropped = self.dropped, {}
            return dropped

    def close(self) -> None:
        """Release the writer's lock after a last attempt to write waiting records; later calls raise `JournalError`."""
        with self._lock:
            self._retry_at = 0.0
            if self._tail:
                self._recover()
            self.abandon()

    def abandon(self) -> None:
        """Release files and lock without writing: a forked child's first call on its parent's journal."""
        self._lock = threading.RLock()
        self._busy = False
        self._writer_lock.release()
        self._segment.close()
        self._segment = _ClosedSegment()

    def _write(self, run: str, kind: Kind, payload: bytes) -> None:
        if len(payload) > LENGTH_MASK:
            raise OverflowError(f"an event of {len(payload):,} bytes does not fit into a journal")
        with self._lock:
            if self._busy or self._tail:
                self._defer((run, len(payload), payload))
                return
            self._busy = True
            try:
                self._put(kind, payload)
            except OSError as error:
                self._full(error)
                self._keep((run, len(payload), payload))
            finally:
                self._busy = False
            if self._pending:
                self._drain()

    def _put(self, kind: Kind, payload: bytes) -> int:
        size = padded(len(payload) + 8)
        body = RECORD_HEAD.pack(kind << KIND_SHIFT | len(payload)) + payload.ljust(size - 8, b"\0")
        offset = self._segment.put(body)
        if offset < 0:
            self._roll(size)
            offset = self._segment.put(body)
        return offset

    def _put_row(self, packer: RowPacker, step: int, moment: float, values: Sequence[float]) -> None:
        """Write a row, after the declaration of its frame if this segment has none; in a new segment if it is full."""
        if packer.segment is not self._segment:
            self._declare(packer)
        if self._segment.put(packer.pack(packer.head, packer.offset, step, moment, *values)) < 0:
            self._roll(packer.size + padded(len(packer.declaration)) + 8)
            self._declare(packer)
            self._segment.put(packer.pack(packer.head, packer.offset, step, moment, *values))

    def _declare(self, packer: RowPacker) -> None:
        packer.offset = self._put(Kind.FRAME, packer.declaration)
        packer.segment = self._segment

    def _roll(self, room: int) -> None:
        number = self._next_number
        capacity = min(FIRST_SEGMENT << (2 * min(number, 8)), LARGEST_SEGMENT)
        if HEAD_SIZE + room > capacity:
            capacity = (HEAD_SIZE + room + 4095) & ~4095
        segment = self._open_segment(self.folder, self.id, number, capacity)
        self.size += capacity
        old, self._segment, self._next_number = self._segment, segment, number + 1
        old.close()

    def _defer(self, entry: _Deferred) -> None:
        if self._busy:
            self._pending.append(entry)
            return
        if _now() >= self._retry_at:
            self._recover()
        if self._tail:
            self._keep(entry)
        else:
            self._replay(entry)

    def _drain(self) -> None:
        while self._pending:
            entry = self._pending.popleft()
            try:
                self._replay(entry)
            except BaseException:  # Ctrl-C: the entry was accepted before
                self._pending.appendleft(entry)
                raise

    def _replay(self, entry: _Deferred) -> None:
        run, _, what = entry
        if isinstance(what, bytes):
            self._write(run, Kind.EVENT, what)
        else:
            self.append_row(*what)

    def _full(self, error: OSError) -> None:
        if not self._tail:
            self._on_full(error)
        self._retry_at = _now() + RETRY_EVERY

    def _keep(self, entry: _Deferred) -> None:
        run, size, what = entry
        limit = self._tail_limit * (2 if isinstance(what, bytes) else 1)  # events may take twice the memory of rows
        if self._tail_size + size > limit:
            self.dropped[run] = self.dropped.get(run, 0) + 1
            return
        self._tail.append(entry)
        self._tail_size += size

    def _recover(self) -> None:
        """Write waiting records, in order, until the disk refuses; a record leaves memory once it is written."""
        self._busy = True
        try:
            while self._tail:
                _, size, what = self._tail[0]
                if isinstance(what, bytes):
                    self._put(Kind.EVENT, what)
                else:
                    self._put_row(*what)
                self._tail.popleft()
                self._tail_size -= size
        except OSError as error:
            self._full(error)
        finally:
            self._busy = False
        if self._pending:
            self._drain()


class _FullSegment:
    """Stands in for a segment before the first: it is full, so that the first record creates one."""

    number = -1

    def put(self, body: bytes) -> int:
        return -1

    def close(self) -> None:
        return


class _ClosedSegment:
    """Stands in for the segment after `close`: it refuses every record."""

    number = -1

    def put(self, body: bytes) -> int:
        raise JournalError("this journal is closed; nothing can be added to it")

    def close(self) -> None:
        return
