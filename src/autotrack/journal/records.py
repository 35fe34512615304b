"""Decodes the bytes of segments into events: checks records, skips damage, gathers metric rows into arrays."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from autotrack.events import AnyEvent, Frame, MetricRows, Section, SharedSections, decode, decode_frame
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
from autotrack.journal.row_checks import intact_rows

_SHORT = 16  # rows, from which on a stretch is worth an array

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
    """Collects the events of one batch: metric rows by frame, all others in their order.

    `sections` holds the sections of the journal that are known so far, by the digest of their content; it is filled on
    the way. `search` is called with digests that are not in it, to add those from records before the batch.
    """

    def __init__(self, sections: dict[str, Section], search: Callable[[set[str]], None]) -> None:
        self.damaged: list[Damage] = []
        self._found: list[AnyEvent | _Rows] = []
        self._sections = sections
        self._search = search

    def add(self, segment: LoadedSegment, start: int) -> int:
        """Read the records of `segment` from offset `start` on; returns the offset behind the last one."""
        if start <= HEAD_SIZE:
            self.damaged.extend(segment.damaged)
        rows = _RowReader(self, segment)
        end = max(start, HEAD_SIZE)
        while (found := self._next(segment, end)) is not None:
            kind, offset, end = found
            if kind == Kind.ROW:
                end = rows.read(offset, end)
            elif kind == Kind.EVENT:
                self._event(segment, offset)
        return max(end, segment.committed)

    def events(self) -> list[AnyEvent | MetricRows]:
        """The events of all segments that were added."""
        return [found.arrays() if isinstance(found, _Rows) else found for found in self._found]

    def _next(self, segment: LoadedSegment, offset: int) -> tuple[int, int, int] | None:
        """The kind of the next intact record from `offset` on, its offset and the one behind it."""
        data, end = segment.data, segment.end
        while offset + RECORD.size <= end:
            found = intact_record(data, offset, end)
            if found is not None:
                return found[0], offset, found[1]
            following = _next_record(data, offset + 8, end)
            following = max(offset, segment.committed) if following is None else following
            if following == offset:
                return None
            self.damaged.append(Damage(segment.number, offset, following - offset, "the checksum does not match"))
            offset = following
        return None

    def _event(self, segment: LoadedSegment, offset: int) -> None:
        payload = _payload(segment.data, offset)
        try:
            event = decode(payload)
        except msgspec.DecodeError as error:
            self.damaged.append(Damage(segment.number, offset, len(payload), f"an unknown event: {error}"))
            return
        if type(event) is SharedSections:
            self._found += self._sections_of(event)
            return
        if type(event) is Section and event.digest:
            self._sections[event.digest] = event
        self._found.append(event)  # type: ignore[arg-type]

    def _sections_of(self, event: SharedSections) -> Iterator[Section]:
        """The sections that the event names, as those of its run."""
        missing = {digest for digest in event.digests.values() if digest not in self._sections}
        if missing:
            self._search(missing)
        for name, digest in event.digests.items():
            content = self._sections.get(digest)
            if content is None:
                about = {"name": name, "unavailable": "its record in the journal is damaged", "attempt": event.attempt}
                yield Section(run=event.run, time=event.time, training=event.training, **about)  # type: ignore[arg-type]
                continue
            yield Section(
                run=event.run, time=event.time, training=event.training, name=name, data=content.data,
                masked=content.masked, unavailable=content.unavailable, attempt=event.attempt, digest=digest,
            )  # fmt: skip

    def declared(self, segment: LoadedSegment, frame_offset: int, offset: int) -> _Rows | None:
        """The rows, none yet, of the frame declared at `frame_offset`; None, and damage at `offset`, if it is lost."""
        try:
            checksum, head = RECORD.unpack_from(segment.data, frame_offset)
            following = frame_offset + padded(RECORD.size + (head & LENGTH_MASK))
            if head >> KIND_SHIFT != Kind.FRAME or _crc32(segment.data[frame_offset + 4 : following]) != checksum:
                raise ValueError("its checksum does not match")
            rows = _Rows(decode_frame(_payload(segment.data, frame_offset)), segment.data)
        except (ValueError, struct.error, msgspec.DecodeError) as error:
            self.damaged.append(Damage(segment.number, offset, 0, f"the heading of a metric row is lost: {error}"))
            return None
        self._found.append(rows)
        return rows


class _RowReader:
    """Reads the metric rows of one segment, where possible a stretch of them at once."""

    def __init__(self, gatherer: EventGatherer, segment: LoadedSegment) -> None:
        self._gatherer = gatherer
        self._segment = segment
        self._frames: dict[int, _Rows] = {}
        self._singly = 0  # the next so many rows are read one by one, since the last stretch was short

    def read(self, offset: int, following: int) -> int:
        """Read the intact row between `offset` and `following`, and those of its size behind it; returns their end."""
        data, end = self._segment.data, self._segment.end
        if self._singly:
            self._singly -= 1
        elif following + RECORD.size <= end and RECORD.unpack_from(data, following)[1] == _head(data, offset):
            offsets = intact_rows(data, offset, end)
            if len(offsets) >= _SHORT:
                self._take(offsets)
                return offset + len(offsets) * (following - offset)
            self._singly = 2 * _SHORT
        self._take_one(offset, ROW.unpack_from(data, offset + RECORD.size)[0])
        return following

    def _take(self, offsets: npt.NDArray[np.int64]) -> None:
        words = np.frombuffer(self._segment.data, dtype=np.int64, count=len(self._segment.data) // 8)
        frames = words[offsets // 8 + 1]
        if (frames == frames[0]).all():
            self._take_all(offsets, int(frames[0]))
            return
        found, first = np.unique(frames, return_index=True)
        for frame in found[np.argsort(first)].tolist():
            self._take_all(offsets[frames == frame], frame)

    def _take_all(self, offsets: npt.NDArray[np.int64], frame_offset: int) -> None:
        rows = self._frames.get(frame_offset)
        if rows is not None:
            rows.extend(offsets)
            return
        for place, offset in enumerate(offsets.tolist()):  # more than once only where the frame is damaged
            self._take_one(offset, frame_offset)
            if frame_offset in self._frames:
                self._frames[frame_offset].extend(offsets[place + 1 :])
                return

    def _take_one(self, offset: int, frame_offset: int) -> None:
        rows = self._frames.get(frame_offset)
        if rows is None:
            rows = self._gatherer.declared(self._segment, frame_offset, offset)
            if rows is None:
                return
            self._frames[frame_offset] = rows
        rows.offsets.append(offset)


def sections_in(segment: LoadedSegment) -> Iterator[Section]:
    """The sections with a digest in the intact records of a segment."""
    offset = HEAD_SIZE
    while offset + RECORD.size <= segment.end:
        found = intact_record(segment.data, offset, segment.end)
        if found is None:
            following = _next_record(segment.data, offset + 8, segment.end)
            if following is None:
                return
            offset = following
            continue
        kind, following = found
        if kind == Kind.EVENT:
            with suppress(msgspec.DecodeError):
                event = decode(_payload(segment.data, offset))
                if type(event) is Section and event.digest:
                    yield event
        offset = following


def intact_record(data: memoryview, offset: int, end: int) -> tuple[int, int] | None:
    """The kind of the record at `offset` and the offset behind it; None if it is not whole before `end` or damaged."""
    checksum, head = RECORD.unpack_from(data, offset)
    following = offset + padded(RECORD.size + (head & LENGTH_MASK))
    if head and following <= end and _crc32(data[offset + 4 : following]) == checksum:
        return head >> KIND_SHIFT, following
    return None


class _Rows:
    """The rows of one frame in one segment, by their offsets."""

    __slots__ = ("data", "frame", "offsets", "parts")

    def __init__(self, frame: Frame, data: memoryview) -> None:
        self.frame = frame
        self.data = data
        self.offsets: list[int] = []  # of the last rows
        self.parts: list[npt.NDArray[np.int64]] = []  # of those before

    def extend(self, offsets: npt.NDArray[np.int64]) -> None:
        if self.offsets:
            self.parts.append(np.asarray(self.offsets, dtype=np.int64))
            self.offsets = []
        self.parts.append(offsets)

    def arrays(self) -> MetricRows:
        width = RECORD.size + ROW.size + 8 * len(self.frame.keys)
        words = np.frombuffer(self.data, dtype=np.int64, count=len(self.data) // 8)
        first = np.concatenate([*self.parts, np.asarray(self.offsets, dtype=np.int64)]) // 8
        table = words[first[:, None] + np.arange(2, width // 8)]
        values = tuple(
            np.ascontiguousarray(table[:, 2 + index]).view(np.float64 if letter == "d" else np.int64)
            for index, letter in enumerate(self.frame.types)
        )
        times = np.ascontiguousarray(table[:, 1]).view(np.float64)
        return MetricRows(self.frame, np.ascontiguousarray(table[:, 0]), times, values)


def _head(data: memoryview, offset: int) -> int:
    """Kind and length of the record at `offset`."""
    return int(RECORD.unpack_from(data, offset)[1])


def _payload(data: memoryview, offset: int) -> memoryview:
    head = _head(data, offset)
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
        if intact_record(data, candidate, end) is not None:
            return int(candidate)
    return None
