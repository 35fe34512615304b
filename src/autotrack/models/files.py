"""The arguments and results of the flavors' writers and readers, and the files of a model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotrack.exceptions import IntegrityError, UntrustedModelError
from autotrack.journal.blobs import bytes_digest, copy_file, file_digest

Content = bytes | Path


@dataclass(frozen=True)
class Asked:
    """A model to be written, and how: the arguments of a flavor's writer.

    Large files go into `folder`, which is empty. `init` are the constructor's arguments of the model's class, where the
    user has given them; past `limit` (bytes) the writer raises `TooLarge`.
    """

    model: Any
    folder: Path
    allow_pickle: bool = False
    init: Mapping[str, Any] | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Written:
    """A written model: its files by name. `file` is the one to open, `details` are further facts for its reader.

    `signature` are inputs and outputs as the model itself describes them, None if it does not.
    """

    files: Mapping[str, Content]
    file: str
    format: str
    runs_code: bool
    untrusted: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    signature: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Saved:
    """A saved model to be read; the digests of its files have been checked.

    `shown` is its name in messages; `trust` allows its code to run; `into` is an object to load the state into.
    """

    files: Mapping[str, Content]
    meta: Mapping[str, Any]
    shown: str
    trust: bool = False
    into: Any = None

    @property
    def details(self) -> Mapping[str, Any]:
        """The `Written.details` that it was saved with."""
        found: Mapping[str, Any] = self.meta.get("details") or {}
        return found

    def data(self) -> bytes:
        """The bytes of the file to open."""
        return read(self.files[self.meta["file"]])

    @contextmanager
    def on_disk(self, *, by_link: bool = True) -> Iterator[Path]:
        """A temporary folder with all files under their names, as links or copies; removed after the block."""
        with tempfile.TemporaryDirectory(prefix="autotrack-") as name:
            folder = Path(name)
            place(self.files, folder, self.shown, by_link=by_link)
            yield folder

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """The path of the file to open, under its own name in a temporary folder; removed after the block."""
        with self.on_disk() as folder:
            yield folder / self.meta["file"]

    def refuse_untrusted(self, why: str) -> None:
        """Raise `UntrustedModelError`, with the reason `why`, unless the model is trusted."""
        if not self.trust:
            raise UntrustedModelError(f"{self.shown} {why}; if you know where it comes from, pass trust=True")


def read(content: Content) -> bytes:
    """The bytes of a file of a model."""
    return content.read_bytes() if isinstance(content, Path) else content


def size_of(content: Content) -> int:
    """The size of a file of a model in bytes."""
    return content.stat().st_size if isinstance(content, Path) else len(content)


def digest_of(content: Content) -> str:
    """The SHA-256 of a file of a model, in hexadecimal."""
    return file_digest(content)[0] if isinstance(content, Path) else bytes_digest(content)


def below(folder: Path) -> dict[str, Content]:
    """All files in a folder and its subfolders, by their relative paths."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def place(files: Mapping[str, Content], folder: Path, shown: str, *, by_link: bool) -> None:
    """Write files into a folder under their names, as links or copies; `IntegrityError` if a name leads out of it."""
    for name, content in files.items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(f"{shown} has a file outside its folder: {name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, Path):
            target.write_bytes(content)
        elif not by_link or not _linked(content, target):
            copy_file(content, target)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.symlink(source.absolute(), target)
    except OSError:  # a system where links need a privilege
        return False
    return True
