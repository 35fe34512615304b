"""The files of a record: artifacts, media, the files of models."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack.exceptions import NotFoundError
from autotrack.query.facets import point_in_time

if TYPE_CHECKING:
    from sqlalchemy import Row

    from autotrack.store.blobs import Blobs


@dataclass(frozen=True)
class File:
    """A file that was stored with the run, identified by its SHA-256."""

    digest: str
    size: int
    media_type: str
    step: int | None
    time: datetime
    meta: dict[str, Any]
    training: int = field(default=0, kw_only=True)
    _blobs: Callable[[], Blobs] | None = field(default=None, kw_only=True, repr=False, compare=False)

    def read(self) -> bytes:
        """The bytes; `NotFoundError` if they are not stored, `IntegrityError` if their SHA-256 does not match."""
        return self._open().read(self.digest)

    def text(self) -> str:
        """The bytes as UTF-8 text."""
        return self.read().decode()

    def path(self) -> Path:
        """A local file with the bytes, not to be changed; `NotFoundError` if they are not stored."""
        return self._open().path(self.digest)

    def download(self, to: str | Path) -> Path:
        """Copy the bytes to a file, or into a folder under the file's name; returns the path. Raises as `read`."""
        target = Path(to)
        if target.is_dir() or str(to).endswith("/"):
            target = target / self._file_name()
        blobs = self._open()
        target.parent.mkdir(parents=True, exist_ok=True)
        return blobs.get(self.digest, target)

    def _file_name(self) -> str:
        return self.digest

    def _open(self) -> Blobs:
        assert self._blobs is not None
        return self._blobs()


@dataclass(frozen=True)
class Artifact(File):
    """A file of the run. `version` counts the files of this name, 1 is the oldest."""

    name: str
    kind: str
    source: str
    stored: bool
    version: int = 1

    @classmethod
    def of(cls, row: Row[Any], version: int, blobs: Callable[[], Blobs]) -> Artifact:
        """The artifact that a row of `artifacts` holds."""
        return cls(
            row.digest, row.size, row.media_type, row.step, point_in_time(row.time), json.loads(row.meta), row.name,
            row.kind, row.source, row.stored, version, training=row.training, _blobs=blobs,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"artifact {self.name!r}"

    def _file_name(self) -> str:
        return self.name

    def _open(self) -> Blobs:
        if not self.stored:
            why = f" ({self.meta['reason']})" if self.meta.get("reason") else ""
            raise NotFoundError(
                f"{self} was recorded by size and digest only{why}; it was at {self.source or 'no known place'}"
            )
        return super()._open()


@dataclass(frozen=True)
class Media(File):
    """An image, sound, … that was logged under `key` at a step."""

    key: str
    kind: str

    @classmethod
    def of(cls, row: Row[Any], blobs: Callable[[], Blobs]) -> Media:
        """The media file that a row of `media` holds."""
        return cls(
            row.digest, row.size, row.media_type, row.step, point_in_time(row.time), json.loads(row.meta), row.key,
            row.kind, training=row.training, _blobs=blobs,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.key!r}"

    def _file_name(self) -> str:
        step = "" if self.step is None else f"-{self.step}"
        ending = {"image/png": ".png", "image/jpeg": ".jpg", "text/html": ".html", "text/plain": ".txt"}
        return f"{self.key}{step}{ending.get(self.media_type, '')}"


@dataclass(frozen=True)
class Model:
    """A saved model. Its `files` are artifacts under its name."""

    name: str
    flavor: str
    digest: str
    size: int
    stored: bool
    time: datetime
    meta: dict[str, Any]
    files: tuple[Artifact, ...] = ()
    training: int = 0

    @classmethod
    def of(cls, row: Row[Any], artifacts: Iterable[Artifact]) -> Model:
        """The model that a row of `models` holds, with its files among the run's artifacts."""
        files = tuple(file for file in artifacts if file.kind == "model" and file.name.startswith(f"{row.name}/"))
        return cls(
            row.name, row.flavor, row.digest, row.size, row.stored, point_in_time(row.time), json.loads(row.meta),
            files, row.training,
        )  # fmt: skip


def artifacts_of(rows: Iterable[Row[Any]], blobs: Callable[[], Blobs]) -> list[Artifact]:
    """The artifacts in rows of `artifacts`, ordered from the oldest; numbers the versions of each name."""
    versions: Counter[str] = Counter()
    found = []
    for row in rows:
        versions[row.name] += 1
        found.append(Artifact.of(row, versions[row.name], blobs))
    return found
