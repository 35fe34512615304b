"""Destinations of an export: a folder, which appears whole or not at all, or object storage."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import obstore
import obstore.store
from obstore.exceptions import BaseError

from autotrack.exceptions import ConfigurationError

MANIFEST = "_export.json"


class Destination(ABC):
    """A destination for the files of one export."""

    @abstractmethod
    def check(self, overwrite: bool) -> None:
        """Raise `ConfigurationError` if an export cannot be written to this place."""

    @abstractmethod
    def workshop(self) -> Path | None:
        """A local folder in which to make the files, None for any temporary one."""

    @abstractmethod
    def publish(self, folder: Path, files: Sequence[str]) -> None:
        """Move or upload the files, and the manifest last, to the destination; replaces an earlier export."""


class Folder(Destination):
    """A local folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def check(self, overwrite: bool) -> None:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            raise ConfigurationError(f"{self.path} is not a folder: export to another place")
        if not self.path.is_dir() or not any(self.path.iterdir()):
            return
        if not (self.path / MANIFEST).is_file():
            raise ConfigurationError(f"{self.path} holds something that is no export: choose another folder")
        if not overwrite:
            raise ConfigurationError(f"{self.path} holds an export already: overwrite=True replaces it")

    def workshop(self) -> Path | None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be made: {error}") from error
        return self.path.parent

    def publish(self, folder: Path, files: Sequence[str]) -> None:
        if not self.path.exists():
            os.rename(folder, self.path)
            return
        earlier = folder.parent / "earlier"
        os.rename(self.path, earlier)
        try:
            os.rename(folder, self.path)
        except OSError:
            os.rename(earlier, self.path)
            raise
        shutil.rmtree(earlier)


class Bucket(Destination):
    """A prefix in object storage. The manifest is written first as incomplete, and as `complete` at the end."""

    def __init__(self, store: Any, name: str) -> None:
        self.store = store
        self.name = name

    def __str__(self) -> str:
        return self.name

    def check(self, overwrite: bool) -> None:
        try:
            there = self._names()
        except (BaseError, OSError) as error:
            raise ConfigurationError(f"{self.name} cannot be read: {_first_line(error)}") from error
        if there and MANIFEST not in there:
            raise ConfigurationError(f"{self.name} holds something that is no export: choose another prefix")
        if there and not overwrite:
            raise ConfigurationError(f"{self.name} holds an export already: overwrite=True replaces it")

    def workshop(self) -> Path | None:
        return None

    def publish(self, folder: Path, files: Sequence[str]) -> None:
        try:
            self._put_manifest(folder, complete=False)
            earlier = [name for name in self._names() if name != MANIFEST]
            if earlier:
                obstore.delete(self.store, earlier)
            for name in files:
                obstore.put(self.store, name, folder / name)
            self._put_manifest(folder, complete=True)
        except (BaseError, OSError) as error:
            raise ConfigurationError(f"{self.name} cannot be written: {_first_line(error)}") from error

    def _put_manifest(self, folder: Path, *, complete: bool) -> None:
        about = {**json.loads((folder / MANIFEST).read_text(encoding="utf-8")), "complete": complete}
        obstore.put(self.store, MANIFEST, json.dumps(about, indent=1).encode())

    def _names(self) -> list[str]:
        return [str(item["path"]) for batch in obstore.list(self.store) for item in batch]


def place_for(destination: Any) -> Destination:
    """Return the place for a path, a URL or an opened obstore store; `ConfigurationError` if a URL cannot be opened."""
    if isinstance(destination, str | os.PathLike):
        text = os.fspath(destination)
        local = text.removeprefix("file://")
        if "://" not in local:
            return Folder(Path(local).expanduser().absolute())
        try:
            return Bucket(obstore.store.from_url(text), text.split("?", 1)[0])
        except (BaseError, ValueError) as error:
            raise ConfigurationError(f"{text.split('?', 1)[0]} cannot be opened: {_first_line(error)}") from error
    return Bucket(destination, type(destination).__name__)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
