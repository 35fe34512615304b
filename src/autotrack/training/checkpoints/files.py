"""A checkpoint and its files, which are opened when they were written and copied later from the open descriptors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotrack.journal.blobs import Kept

MOST_OPEN = 128  # descriptors that are held at once; files beyond that are opened by path when they are copied
WAITING = "waiting to be copied"


@dataclass
class CheckpointFile:
    """One file of a checkpoint: its identity (`looks`) when it was written, and whether and where it is stored.

    `looks` are device, inode, modification time in ns, and size; `reason` is why the file is not stored.
    """

    name: str
    path: Path
    looks: tuple[int, ...]
    time: float
    descriptor: int = -1
    is_held: bool = False
    reason: str = WAITING
    kept: Kept | None = None

    @property
    def size(self) -> int:
        """The size in bytes when the file was written."""
        return self.looks[-1]

    def hold(self) -> None:
        """Open the file and set `looks` to its present identity."""
        self.open()
        self.is_held = True
        self.looks = _looks(os.fstat(self.descriptor))

    def open(self) -> None:
        """Open the file, unless it is open."""
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def is_unchanged(self) -> bool:
        """Whether the open file is the one that was written: False if it was overwritten since."""
        return _looks(os.fstat(self.descriptor)) == self.looks

    def close(self) -> bool:
        """Close the file if it is open; returns whether it was held since `hold`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        was_held, self.is_held, self.descriptor = self.is_held, False, -1
        return was_held


@dataclass
class Checkpoint:
    """One file or folder that the framework wrote, with its step, score and other facts from the framework."""

    number: int
    name: str
    facts: dict[str, Any]
    score: float | None
    mode: str | None
    files: list[CheckpointFile] = field(default_factory=list)
    complete: bool = True
    is_best: bool = False
    is_last: bool = False

    @property
    def size(self) -> int:
        """The size in bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def stored(self) -> bool:
        """Whether any of the files is stored."""
        return any(file.kept is not None for file in self.files)


class OpenFiles:
    """Opens files on the training's thread, up to `MOST_OPEN` at once, and closes them on the background thread."""

    def __init__(self) -> None:
        self._opened = 0  # counted on the training's thread
        self._closed = 0  # counted on the background thread

    @property
    def count(self) -> int:
        """The number of files that are held open."""
        return self._opened - self._closed

    def take(self, file: CheckpointFile) -> None:
        """Note the identity of a file, which stays open unless `MOST_OPEN` others are. `OSError` if it is missing."""
        if self.count < MOST_OPEN:
            file.hold()
            self._opened += 1
        else:
            file.looks = _looks(file.path.stat())

    def close(self, file: CheckpointFile) -> None:
        """Close a file if it is open."""
        self._closed += file.close()


def files_of(path: Path) -> list[tuple[str, Path]]:
    """The file `path`, or the files in the folder `path`, each with its name, which starts with that of `path`."""
    if not path.is_dir():
        return [(path.name, path)]
    return [(f"{path.name}/{inner.relative_to(path).as_posix()}", inner) for inner in _walk(path)]


def as_unicode(path: str) -> str:
    """A path as valid Unicode, with undecodable bytes escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def why_not_copied(error: OSError) -> str:
    """The reason to record for a file that could not be opened or copied."""
    if isinstance(error, FileNotFoundError):
        return "gone before it could be copied"
    return f"not copied: {error.strerror or error}"


def _walk(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(base, name)


def _looks(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
