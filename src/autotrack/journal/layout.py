"""The format of a journal on disk: a folder with a header, a writer's lock and numbered segments of records.

    <journals>/<id>/journal.json     its writer, and the sinks that must confirm it
    <journals>/<id>/lock             held by the writer while it lives; its modification time is the heartbeat
    <journals>/<id>/00000000.seg     segments, each of fixed size once it exists
    <journals>/<id>/00000001.seg     …

A segment is a 64-byte head and then records, each starting at a multiple of 8 bytes:

    head     magic 8s · journal id 16s · number u32 · mode u32 · committed u64 · zeros
    record   crc32 u32 · kind and length u32 · payload · zeros up to a multiple of 8
    row      the payload of a record of kind ROW: offset of its frame u64 · step i64 · time f64 · values 8 bytes each

The checksum covers the record behind it. `committed`, written last and as one aligned word, is the offset up to
which records count. In append mode it stays 0 and the size of the file counts instead. The byte order is that of the
writing machine; the magic differs between the two.

A record's *position* is `segment << 40 | offset`: positions of a journal grow, and journal id and position
identify an event for good.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from pathlib import Path

import msgspec

from autotrack.events import SCHEMA_VERSION
from autotrack.exceptions import JournalError

MAGIC = b"ATJRN1" + struct.pack("=H", 0xFEFF)

HEAD = struct.Struct("=8s16sIIQ")
HEAD_SIZE = 64
COMMITTED_OFFSET = 32
RECORD = struct.Struct("=II")
RECORD_HEAD = struct.Struct("=I")
ROW = struct.Struct("=Qqd")

KIND_SHIFT = 29
LENGTH_MASK = (1 << KIND_SHIFT) - 1
POSITION_SHIFT = 40
OFFSET_MASK = (1 << POSITION_SHIFT) - 1

HEADER_NAME = "journal.json"
LOCK_NAME = "lock"
SEGMENT_SUFFIX = ".seg"

FIRST_SEGMENT = 1 << 16
LARGEST_SEGMENT = 1 << 24


class Kind(IntEnum):
    """The kind of a record: an event, a frame of metric keys, or a row of numbers for one."""

    EVENT = 1
    FRAME = 2
    ROW = 3


class Mode(IntEnum):
    """How a segment is written: through a memory map, or by appending to the file."""

    MAPPED = 0
    APPENDED = 1


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The writer of a journal, and the names (without credentials) of the sinks that must confirm it."""

    id: str
    created: float
    host: str
    boot: str
    pid: int
    pid_started: float | None = None
    pid_namespace: str = ""
    user: str = ""
    sinks: list[str] = []
    schema: int = SCHEMA_VERSION


def segment_path(folder: Path, number: int) -> Path:
    """The path of segment `number` of the journal in `folder`."""
    return folder / f"{number:08d}{SEGMENT_SUFFIX}"


def read_header(folder: Path) -> Header:
    """The header of the journal in `folder`; `JournalError` if there is none that this version can read."""
    try:
        header = msgspec.json.decode((folder / HEADER_NAME).read_bytes(), type=Header)
    except (OSError, msgspec.DecodeError) as error:
        raise JournalError(f"{folder} is not a readable journal: {error}") from error
    if header.schema > SCHEMA_VERSION:
        raise JournalError(f"{folder} was written by a newer version of autotrack: upgrade autotrack-ml to read it")
    return header


def padded(length: int) -> int:
    """`length` rounded up to a multiple of 8."""
    return (length + 7) & ~7


def position(segment: int, offset: int) -> int:
    """The position of `offset` in segment number `segment`."""
    return segment << POSITION_SHIFT | offset


def split_position(value: int) -> tuple[int, int]:
    """The segment number and the offset of a position; 0 is the very beginning."""
    return value >> POSITION_SHIFT, value & OFFSET_MASK
