"""Reads journals: live ones up to their committed offset, dead ones to the end; damaged records are skipped."""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from autotrack._locks import FileLock, is_locked
from autotrack.events import AnyEvent, MetricRows, Section
from autotrack.exceptions import JournalError
from autotrack.journal.host import boot_id, process_namespace, process_started
from autotrack.journal.layout import (
    HEAD,
    LOCK_NAME,
    MAGIC,
    SEGMENT_SUFFIX,
    Header,
    Mode,
    position,
    read_header,
    segment_path,
    split_position,
)
from autotrack.journal.records import Damage, EventGatherer, load_segment, sections_in

BATCH_SIZE = 8 << 20
SILENT_AFTER = 60.0


class State(Enum):
    """The state of a journal's writer, as far as this process can find out.

    LIVE: it holds its lock. SILENT: it ran on another host or boot, and its last heartbeat is over a minute old.
    DEAD: it is gone; nothing will be appended.
    """

    LIVE = "live"
    SILENT = "silent"
    DEAD = "dead"


@dataclass(frozen=True)
class Batch:
    """The events between two positions of a journal, `start` and `end`.

    `events` are in order, except that the metric rows of one frame are gathered where its first row stood. Sections
    that a run shares with earlier ones are repeated for it.
    `damaged` lists the places that could not be read and were skipped.
    """

    journal: str
    start: int
    end: int
    events: list[AnyEvent | MetricRows] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.end > self.start


class JournalReader:
    """Reads one journal, of this or another process. Cheap to create; keeps no file open between calls."""

    def __init__(self, folder: Path) -> None:
        """Read the header of the journal in `folder`; `JournalError` if that fails."""
        self.folder = folder
        self.header: Header = read_header(folder)
        self.id = self.header.id
        self._sections: dict[str, Section] = {}  # by the digest of their content

    def last_seen(self) -> float:
        """The time of the writer's latest heartbeat."""
        try:
            return (self.folder / LOCK_NAME).stat().st_mtime
        except OSError:
            return self.header.created

    def state(self) -> State:
        """The state of the writer right now."""
        if self.header.boot != boot_id():
            return State.SILENT if time.time() - self.last_seen() > SILENT_AFTER else State.LIVE
        if self.header.pid_namespace == process_namespace() and (
            process_started(self.header.pid) != self.header.pid_started
        ):
            return State.DEAD
        return State.LIVE if is_locked(self.folder / LOCK_NAME) else State.DEAD

    def read(self, start: int = 0, *, state: State | None = None, size: int = BATCH_SIZE) -> Batch:
        """The events from position `start` on: whole segments, until at least `size` bytes; an empty batch at the end.

        `state` is the state of the writer, if the caller knows it; it must have been determined before this call.
        """
        final = (state or self.state()) is State.DEAD
        number, offset = split_position(start)
        gatherer = EventGatherer(self._sections, self._find_sections)
        end, taken = start, 0
        last = self._last_segment()  # before reading: nothing is appended to a segment once a later one exists
        while number <= last and taken < size:
            path = segment_path(self.folder, number)
            loaded = load_segment(path, self.id, number, final=final, sealed=number < last)
            if loaded is None:
                gatherer.damaged.append(Damage(number, 0, 0, "the segment is missing"))
                stop = 0
            else:
                stop = gatherer.add(loaded, offset)
                taken += stop - offset
            if number == last:
                end = position(number, stop)
                break
            number, offset = number + 1, 0
            end = position(number, 0)
        return Batch(self.id, start, end, gatherer.events(), gatherer.damaged)

    def _find_sections(self, wanted: set[str]) -> None:
        """Add the sections with the digests `wanted` to the known ones, from the beginning of the journal on."""
        for number in range(self._last_segment() + 1):
            loaded = load_segment(segment_path(self.folder, number), self.id, number, final=False, sealed=True)
            for section in sections_in(loaded) if loaded is not None else ():
                self._sections[section.digest] = section
            if wanted <= self._sections.keys():
                return

    def _last_segment(self) -> int:
        return max((int(path.stem) for path in self.folder.glob(f"*{SEGMENT_SUFFIX}")), default=-1)

    def committed(self) -> int | None:
        """The position up to which the journal is written now; None if the head of its last segment is damaged."""
        last = max(self.folder.glob(f"*{SEGMENT_SUFFIX}"), default=None)
        if last is None:
            return 0
        try:
            with last.open("rb") as file:
                head = file.read(HEAD.size)
                size = os.fstat(file.fileno()).st_size
            magic, owner, number, mode, committed = HEAD.unpack(head)
        except (OSError, struct.error):
            return None
        if magic != MAGIC or owner.hex() != self.id:
            return None
        return position(number, size if mode == Mode.APPENDED else committed)

    def size(self) -> int:
        """Bytes that the journal takes on disk."""
        return sum(path.stat().st_blocks * 512 for path in self.folder.glob(f"*{SEGMENT_SUFFIX}"))

    def delete(self) -> bool:
        """Remove the journal if its writer is gone; False if the writer lives or another process holds the lock."""
        if self.header.boot != boot_id() and self.state() is not State.SILENT:
            return False
        lock = FileLock(self.folder / LOCK_NAME)
        try:
            if not lock.acquire():
                return False
        except OSError:
            return False
        with lock:
            shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()


def journals(directory: Path) -> Iterator[JournalReader]:
    """All readable journals below `directory`, oldest first."""
    found = []
    try:
        folders = [path for path in directory.iterdir() if not path.suffix]
    except OSError:
        return
    for folder in folders:
        try:
            found.append(JournalReader(folder))
        except JournalError:
            continue  # being deleted, or not a journal: `autotrack doctor` lists these
    yield from sorted(found, key=lambda journal: (journal.header.created, journal.id))
