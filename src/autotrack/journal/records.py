"""Decodes the bytes of segments into events: checks records, skips damage, gathers metric rows into arrays."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from autotrack.events import AnyEvent, Frame, MetricRows, decode, decode_frame
from autotrack.journal.layout import (
    HEAD,
    HEAD_SIZE,
    KIND_SHIFT,
    LENGTH_MASK,
    MAGIC,
    RECORD,
    ROW,
    Kind,
    Mode,
    padded,
)

_crc32 = zlib.crc32
_kinds = frozenset(int(kind) for kind in Kind)


@dataclass(frozen=True)
class Damage:
    """A place in a journal that could not be read: `length` bytes (0 if unknown) at `offset` of a segment."""

    segment: int
    offset: int
    length: int
    reason: str


@dataclass(frozen=True)
class LoadedSegment:
    """The bytes of a segment. Records up to the offset `committed` must be intact, those from there to `end` may be."""

    number: int
    data: memoryview
    committed: int
    end: int
    damaged: tuple[Damage, ...] = ()


def load_segment(path: Path, journal_id: str, number: int, *, final: bool, sealed: bool) -> LoadedSegment | None:
    """Read a segment; None if it does not exist.

    `final` is set for a dead writer: intact records behind the committed offset count, too. `sealed` is set if a later
    segment exists, so that nothing more is added to this one.
    """
    try:
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    size = len(data)
    if size < HEAD_SIZE:
        return LoadedSegment(number, data, 0, 0, (Damage(number, 0, size, "the segment is cut off"),))
    magic, owner, found, mode, committed = HEAD.unpack_from(data)
    if magic != MAGIC or owner.hex() != journal_id or found != number or mode not in (Mode.MAPPED, Mode.APPENDED):
        damage = Damage(number, 0, HEAD_SIZE, "the head of the segment is damaged")
        return LoadedSegment(number, data, 0, size, (damage,))
    if mode == Mode.APPENDED:
        return LoadedSegment(number, data, size if sealed else 0, size if final or sealed else _whole(data))
    if committed > size and final:
        damage = Damage(number, size, committed - size, "the segment is cut off")
        return LoadedSegment(number, data, size, size, (damage,))
    committed = min(committed, size)
    return LoadedSegment(number, data, committed, size if final else committed)


def _whole(data: memoryview) -> int:
    """The offset behind the last complete record; a live writer may be writing the next one."""
    offset = HEAD_SIZE
    while offset + RECORD.size <= len(data):
        head = RECORD.unpack_from(data, offset)[1]
        following = offset + padded(RECORD.size + (head & LENGTH_MASK))
        if following > len(data):
            break
        offset = following
    return offset


class EventGatherer:
    """Collects the events of one batch: metric rows by frame, all others in their order."""

    def __init__(self) -> None:
        self.damaged: list[Damage] = []
        self._found: list[AnyEvent | _Rows] = []

    def add(self, segment: LoadedSegment, start: int) -> int:
        """Read the records of `segment` from offset `start` on; returns the offset behind the last one."""
        if start <= HEAD_SIZE:
            self.damaged.extend(segment.damaged)
        frames: dict[int, _Rows] = {}
        end = max(start, HEAD_SIZE)
        for kind, offset, following in self._records(segment, end):
            end = following
            if kind == Kind.ROW:
                frame_offset = ROW.unpack_from(segment.data, offset + RECORD.size)[0]
                rows = frames.get(frame_offset)
                if rows is None:
                    rows = self._frame(segment, frame_offset, offset)
                    if rows is None:
                        continue
                    frames[frame_offset] = rows
                rows.offsets.append(offset)
            elif kind == Kind.EVENT:
                self._event(segment, offset)
        return max(end, segment.committed)

    def events(self) -> list[AnyEvent | MetricRows]:
        """The events of all segments that were added."""
        return [found.arrays() if isinstance(found, _Rows) else found for found in self._found]

    def _records(self, segment: LoadedSegment, offset: int) -> Iterator[tuple[int, int, int]]:
        data, end, unpack, head_size = segment.data, segment.end, RECORD.unpack_from, RECORD.size
        while offset + head_size <= end:
            checksum, head = unpack(data, offset)
            following = offset + padded(head_size + (head & LENGTH_MASK))
            if head and following <= end and _crc32(data[offset + 4 : following]) == checksum:
                yield head >> KIND_SHIFT, offset, following
                offset = following
                continue
            intact = _next_record(data, offset + 8, end)
            following = max(offset, segment.committed) if intact is None else intact
            if following == offset:
                return
            self.damaged.append(Damage(segment.number, offset, following - offset, "the checksum does not match"))
            offset = following

    def _event(self, segment: LoadedSegment, offset: int) -> None:
        payload = _payload(segment.data, offset)
        try:
            self._found.append(decode(payload))
        except msgspec.DecodeError as error:
            self.damaged.append(Damage(segment.number, offset, len(payload), f"an unknown event: {error}"))

    def _frame(self, segment: LoadedSegment, frame_offset: int, offset: int) -> _Rows | None:
        try:
            checksum, head = RECORD.unpack_from(segment.data, frame_offset)
            following = frame_offset + padded(RECORD.size + (head & LENGTH_MASK))
            if head >> KIND_SHIFT != Kind.FRAME or _crc32(segment.data[frame_offset + 4 : following]) != checksum:
                raise ValueError("its checksum does not match")
            rows = _Rows(decode_frame(_payload(segment.data, frame_offset)), segment.data)
        except (ValueError, msgspec.DecodeError) as error:
            self.damaged.append(Damage(segment.number, offset, 0, f"the heading of a metric row is lost: {error}"))
            return None
        self._found.append(rows)
        return rows


class _Rows:
    """The rows of one frame in one segment, by their offsets."""

    __slots__ = ("data", "frame", "offsets")

    def __init__(self, frame: Frame, data: memoryview) -> None:
        self.frame = frame
        self.data = data
        self.offsets: list[int] = []

    def arrays(self) -> MetricRows:
        width = RECORD.size + ROW.size + 8 * len(self.frame.keys)
        words = np.frombuffer(self.data, dtype=np.int64, count=len(self.data) // 8)
        first = np.asarray(self.offsets, dtype=np.int64) // 8
        table = words[first[:, None] + np.arange(2, width // 8)]
        values = tuple(
            np.ascontiguousarray(table[:, 2 + index]).view(np.float64 if letter == "d" else np.int64)
            for index, letter in enumerate(self.frame.types)
        )
        times = np.ascontiguousarray(table[:, 1]).view(np.float64)
        return MetricRows(self.frame, np.ascontiguousarray(table[:, 0]), times, values)


def _payload(data: memoryview, offset: int) -> memoryview:
    head = RECORD.unpack_from(data, offset)[1]
    return data[offset + RECORD.size : offset + RECORD.size + (head & LENGTH_MASK)]


def _next_record(data: memoryview, offset: int, end: int) -> int | None:
    """The offset of the next whole record at or behind `offset`; None if there is none before `end`."""
    if end - offset < RECORD.size:
        return None
    words = np.frombuffer(data, dtype=np.uint32, offset=offset, count=(end - offset) // 8 * 2)
    heads = words[1::2]
    offsets = offset + 8 * np.arange(len(heads))
    lengths = heads & LENGTH_MASK
    plausible = np.isin(heads >> KIND_SHIFT, list(_kinds)) & (lengths > 0) & (offsets + RECORD.size + lengths <= end)
    for candidate in offsets[plausible].tolist():
        checksum, head = RECORD.unpack_from(data, candidate)
        following = candidate + padded(RECORD.size + (head & LENGTH_MASK))
        if following <= end and _crc32(data[candidate + 4 : following]) == checksum:
            return int(candidate)
    return None
