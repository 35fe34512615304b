"""The files of a store, by their SHA-256: a local folder, or S3, Google Cloud and Azure through obstore.

A file is stored at `<first two letters>/<digest>` and never changes. The training process itself writes the files of
the default store; other stores receive them when its journal is folded.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.exceptions import NotFoundError as Absent
from obstore.store import LocalStore, from_url

from autotrack.exceptions import ConfigurationError, IntegrityError, NotFoundError, StoreError
from autotrack.journal import blobs

_DIGEST = re.compile(r"[0-9a-f]{64}")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Blob:
    """A file in the store: `modified` in seconds since the Unix epoch."""

    digest: str
    size: int
    modified: float


class Blobs:
    """A content-addressed store of files in a local folder or at a URL (s3://, gs://, az://, file://, memory://).

    Safe to use from any thread and any number of processes: a file is seen complete or not at all. Errors of the
    network or the disk are raised as `StoreError`.
    """

    def __init__(self, where: Path | str) -> None:
        """Set the folder or URL; it is opened on first use."""
        self.where = str(where)
        local = self.where.removeprefix("file://")
        self.folder = None if "://" in local else Path(local).absolute()

    @cached_property
    def _store(self) -> Any:
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                return LocalStore(self.folder)
            return from_url(self.where)
        except (BaseError, ValueError, OSError) as error:
            raise ConfigurationError(f"files cannot be kept at {self.where}: {error}") from error

    @cached_property
    def _fetched(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="autotrack-")

    def put(self, data: bytes | Path) -> str:
        """Store bytes, or a copy of a file, unless they are stored already; returns their SHA-256."""
        if self.folder is not None:
            return self._put_here(self.folder, data)
        digest = _digest(_blocks(data))
        if not self.exists(digest):
            self._upload(data, digest)
        return digest

    def bring(self, folder: Path, digest: str) -> bool:
        """Copy the file `digest` from the local `folder` unless stored; False if it is missing or changed there."""
        source = folder / _place(digest)
        if self._taken(digest):
            return True
        if not source.is_file() or _digest(_blocks(source)) != digest:
            return False
        if self.folder is not None:
            self._put_here(self.folder, source)
        else:
            self._upload(source, digest)
        return True

    def read(self, digest: str) -> bytes:
        """The bytes of a file; `NotFoundError` if it is not stored, `IntegrityError` if its SHA-256 does not match."""
        data = bytes(self._get(digest).bytes())
        if hashlib.sha256(data).hexdigest() != digest:
            raise _changed(digest, self.where)
        return data

    def get(self, digest: str, target: Path) -> Path:
        """Copy a file to `target`; raises the errors of `read`, and then leaves no partial file."""
        fresh = target.with_name(f"{target.name}.part")
        try:
            with fresh.open("wb") as file:
                if _digest(_written(file, self._get(digest).stream(min_chunk_size=_BLOCK))) != digest:
                    raise _changed(digest, self.where)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
        return target

    def path(self, digest: str) -> Path:
        """A local file with these bytes, not to be changed: the store's own, or a download deleted with `self`."""
        if self.folder is not None:
            found = self.folder / _place(digest)
            if not found.is_file():
                raise _missing(digest, self.where)
            return found
        target = Path(self._fetched.name) / digest
        return target if target.exists() else self.get(digest, target)

    def exists(self, digest: str) -> bool:
        """Whether the file is stored."""
        if self.folder is not None:
            return (self.folder / _place(digest)).is_file()
        try:
            obstore.head(self._store, _place(digest))
        except (FileNotFoundError, Absent):
            return False
        except BaseError as error:
            raise self._failed(error) from error
        return True

    def delete(self, digests: Iterable[str], *, older_than: float = float("inf")) -> None:
        """Remove files, except missing ones and, in a local folder, those stored after `older_than` (Unix time)."""
        for digest in digests:
            try:
                if self.folder is None:
                    obstore.delete(self._store, _place(digest))
                    continue
                path = self.folder / _place(digest)
                stamp = path.stat().st_mtime_ns
                if _since(path) <= older_than:
                    blobs.delete_unused(self.folder, digest, stamp)
            except (FileNotFoundError, Absent):
                continue
            except BaseError as error:
                raise self._failed(error) from error

    def list(self) -> Iterator[Blob]:
        """Yield all files, in no particular order."""
        if self.folder is not None:
            for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
                if _DIGEST.fullmatch(path.name):
                    yield Blob(path.name, path.stat().st_size, _since(path))
            return
        try:
            for page in obstore.list(self._store):
                for found in page:
                    folder, _, digest = found["path"].rpartition("/")
                    if _DIGEST.fullmatch(digest) and folder == digest[:2]:
                        yield Blob(digest, found["size"], found["last_modified"].timestamp())
        except BaseError as error:
            raise self._failed(error) from error

    def remove_leftovers(self, older_than: float) -> None:
        """Remove partial files older than `older_than` (Unix time), which killed processes left in a local folder."""
        for path in self.folder.glob("**/*") if self.folder is not None else ():
            if not _DIGEST.fullmatch(path.name) and path.is_file() and _since(path) < older_than:
                path.unlink(missing_ok=True)

    def _put_here(self, folder: Path, data: bytes | Path) -> str:
        try:
            return blobs.put_bytes(folder, data) if isinstance(data, bytes) else blobs.put_file(folder, data)[0]
        except OSError as error:
            raise self._failed(error) from error

    def _upload(self, data: bytes | Path, digest: str) -> None:
        try:
            obstore.put(self._store, _place(digest), data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return  # another process stored the same bytes first
        except BaseError as error:
            raise self._failed(error) from error

    def _taken(self, digest: str) -> bool:
        """Whether the file is stored; a local one is marked as used, lest it be freed before a record names it."""
        if self.folder is None:
            return self.exists(digest)
        return blobs.taken(self.folder / _place(digest)) is not None

    def _get(self, digest: str) -> Any:
        try:
            return obstore.get(self._store, _place(digest))
        except (FileNotFoundError, Absent) as error:
            raise _missing(digest, self.where) from error
        except BaseError as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseError | OSError) -> StoreError:
        return StoreError(f"the files at {self.where} cannot be reached: {error}")


def _place(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise NotFoundError(f"{digest!r} is not the SHA-256 of a file")
    return f"{digest[:2]}/{digest}"


def _since(path: Path) -> float:
    """When the file was stored (Unix time): a copy may keep the mtime of its original, but not the ctime."""
    found = path.stat()
    return max(found.st_mtime, found.st_ctime)


def _blocks(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _written(file: Any, blocks: Iterable[Any]) -> Iterator[Any]:
    for block in blocks:
        file.write(block)
        yield block


def _digest(blocks: Iterable[Any]) -> str:
    found = hashlib.sha256()
    for block in blocks:
        found.update(block)
    return found.hexdigest()


def _missing(digest: str, where: str) -> NotFoundError:
    return NotFoundError(f"the file {digest} is not at {where}")


def _changed(digest: str, where: str) -> IntegrityError:
    return IntegrityError(f"the file {digest} at {where} has changed: its SHA-256 is not its name any more")
