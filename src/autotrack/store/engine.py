"""Opening the store: the embedded database or PostgreSQL, its blobs, and whether this process may write to it.

A process that may not write to the embedded database can still query it: `Store.engine` is then a private copy, in
memory or spilled to a temporary file, into which journals are folded for this process alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from autotrack.exceptions import ConfigurationError, MissingDependencyError, StoreError
from autotrack.journal.host import SHARED, filesystem
from autotrack.place import Place
from autotrack.store.lease import Lease
from autotrack.store.revision import ensure_schema

if TYPE_CHECKING:
    from autotrack.store.blobs import Blobs

PATIENCE = 120.0  # seconds to wait for another process that writes
CACHE = 64 << 10  # KiB of pages that a connection may hold


class Store:
    """An open store. Any thread may use it; a forked child opens its own.

    `engine` answers queries. Changes to the store are made with `write`, which waits for other writers. `unwritable`
    is None, or the reason why this process may not write: `engine` is then a private copy, whose changes stay in this
    process. `shared` is True if several hosts share the file system of the database; one of them folds at a time.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        place: Place | None,
        blobs: str | None = None,
        shared: bool = False,
        read_only: bool = False,
    ) -> None:
        self.engine = engine
        self.place = place
        self.shared = shared
        self.unwritable: str | None = None
        self._read_only = read_only
        self._blobs_url = blobs
        self._blobs: Blobs | None = None
        self._original = engine
        self._copied: object = None

    @property
    def writable(self) -> bool:
        """Whether changes are made to the store itself, not to a private copy."""
        return self.unwritable is None

    @property
    def embedded(self) -> Path | None:
        """The file of an embedded database; None for a server's."""
        return Path(str(self._original.url.database)) if self._original.dialect.name == "sqlite" else None

    @property
    def blobs(self) -> Blobs:
        """The files of the store, by their SHA-256."""
        if self._blobs is None:
            from autotrack.store.blobs import Blobs

            where = self._blobs_url or (self.place.blobs if self.place else None)
            if where is None:
                raise ConfigurationError("this store has no place for files: open it with blobs=<folder or URL>")
            self._blobs = Blobs(where)
        return self._blobs

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction with the write lock held from its beginning; committed unless the block raises.

        `StoreError` if the store is a private copy of one that may not be written, or is locked for too long.
        """
        if self.unwritable is not None:
            raise StoreError(f"the store {self._original.url.database} cannot be changed: {self.unwritable}")
        with self.transaction() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Like `write`, but also allowed on a private copy; folding uses it."""
        with writing(self.engine) as connection:
            yield connection

    def hindrance(self) -> str | None:
        """The reason why this process cannot change the store now; None if it can."""
        path = self.embedded
        if path is None:
            return None
        if self._read_only:
            return "it was opened for reading only"
        if not _may_write(path):
            return f"the folder {path.parent} may not be written by this process"
        lease = Lease(path.with_suffix(".lease"))
        if self.shared and not lease.take():
            return f"it is the turn of another host ({lease.holder_now()})"
        return None

    def use_copy(self, why: str) -> None:
        """Switch to a private copy of an embedded store, for the reason `why`; an outdated copy is replaced."""
        path = self.embedded
        assert path is not None
        state = _fingerprint(path)
        if self.unwritable is None or state != self._copied:
            fresh = _private_copy(path)
            self.engine.dispose()
            self.engine, self._copied = fresh, state
        self.unwritable = why

    def use_original(self) -> None:
        """Switch back from a private copy to the store itself."""
        if self.unwritable is not None:
            ensure_schema(self._original)
            self.engine.dispose()
            self.engine, self.unwritable = self._original, None

    @property
    def outdated(self) -> bool:
        """Whether the store has changed since the private copy was taken."""
        return self.embedded is not None and not self.writable and _fingerprint(self.embedded) != self._copied

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._original.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(
    place: Place | Path | str | None = None,
    url: str | None = None,
    *,
    blobs: str | None = None,
    writable: bool | None = None,
    shared: bool | None = None,
) -> Store:
    """The store in `place` (a folder, created if missing), or the one at `url` (`postgresql://…`, `sqlite:///…`).

    Its schema is created, or upgraded if it is an older one. `blobs` is the folder or URL of its files, by default the
    place's own. `writable=False` selects a private copy; by default only a process that may not write gets one.
    `shared` is whether several hosts share the file system; by default it is determined. Raises `StoreError` if
    it cannot be opened, `StoreVersionError` if a newer autotrack wrote it, `MissingDependencyError` without a driver.
    """
    if isinstance(place, str) and "://" in place:
        place, url = None, place
    if isinstance(place, str | Path):
        place = Place(Path(place).absolute(), "given to open_store")
    url = url or (f"sqlite:///{place.database}" if place else None)
    if url is None:
        raise ConfigurationError("a store needs a place or a URL")
    if not url.startswith("sqlite:"):
        return _open_server(url, place, blobs)
    path = Path(url.removeprefix("sqlite:///"))
    place = place or Place(path.parent, "the folder of the store")
    if shared is None:
        shared = filesystem(path.parent if path.parent.exists() else Path.cwd()) in SHARED
    store = Store(_embedded(path, shared=shared), place=place, blobs=blobs, shared=shared, read_only=writable is False)
    try:
        why = store.hindrance()
        if why is None:
            ensure_schema(store.engine)
        else:
            store.use_copy(why)
    except (OperationalError, sqlite3.Error, OSError) as error:
        raise StoreError(f"the store {path} cannot be opened: {error}") from error
    return store


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction of `engine` with the write lock held from its beginning."""
    with engine.connect() as plain:
        connection = plain.execution_options(autotrack_write=True)
        with connection.begin():
            yield connection


def _open_server(url: str, place: Place | None, blobs: str | None) -> Store:
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ConfigurationError(f"a store cannot be at {scheme}://…: give a folder, sqlite:///… or postgresql://…")
    try:
        engine = create_engine(f"postgresql+psycopg://{rest}", pool_pre_ping=True)
    except ImportError as error:
        raise MissingDependencyError("psycopg", "postgres", "a store in PostgreSQL") from error
    event.listen(engine, "begin", _begin_postgresql)
    try:
        ensure_schema(engine)
    except OperationalError as error:
        raise StoreError(f"the store at {engine.url.host} cannot be opened: {error.orig}") from error
    return Store(engine, place=place, blobs=blobs)


def _may_write(path: Path) -> bool:
    if path.exists():
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _embedded(path: Path, *, shared: bool) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": PATIENCE})
    journal_mode = "TRUNCATE" if shared else "WAL"  # WAL needs memory that all processes share

    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # `_begin_sqlite` begins transactions, not the driver
        connection.execute("PRAGMA synchronous = NORMAL" if not shared else "PRAGMA synchronous = FULL")
        if connection.execute("PRAGMA journal_mode").fetchone()[0].upper() != journal_mode:
            connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        _prepare_connection(connection)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _private_copy(path: Path) -> Engine:
    """An engine on a copy of the database for this process only; a large copy spills to a temporary file."""

    def connect() -> sqlite3.Connection:
        copy = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        if path.exists():
            source = _open_for_reading(path)
            try:
                source.backup(copy)
            finally:
                source.close()
        _prepare_connection(copy)
        return copy

    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    event.listen(engine, "begin", _begin_sqlite)
    ensure_schema(engine)
    return engine


def _fingerprint(path: Path) -> object:
    """Inode, time and size of the database's files, which change with the database."""
    found: list[object] = []
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            state = file.stat()
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def _open_for_reading(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    try:
        source = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=PATIENCE)
        source.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # in a folder that may not be written, SQLite cannot create the shared memory of the WAL
        return sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True)
    return source


def _prepare_connection(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE}")
    connection.execute("PRAGMA temp_store = MEMORY")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("autotrack_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("autotrack_write"):
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7310579)")  # one writer at a time
