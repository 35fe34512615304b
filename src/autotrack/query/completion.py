"""The latest runs for shell completion. To be fast, it folds nothing and does not import SQLAlchemy."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from autotrack.place import Place

_COLUMNS = "SELECT id, name, experiment FROM runs WHERE deleted IS NULL ORDER BY started DESC"
_PATIENCE = 1  # seconds for a connection


class Completion(NamedTuple):
    """A run that a shell offers as a completion."""

    id: str
    name: str
    experiment: str


def latest_runs(place: Place, url: str | None, limit: int) -> list[Completion]:
    """At most `limit` runs of the store at `url`, by default that of `place`, the latest first.

    Empty if there is no store yet or it cannot be read now.
    """
    if url is not None and not url.startswith("sqlite:"):
        return _of_server(url, limit)
    return _of_file(place.database if url is None else Path(url.removeprefix("sqlite:///")), limit)


def _of_file(database: Path, limit: int) -> list[Completion]:
    import sqlite3

    address = f"{database.absolute().as_uri()}?mode=ro"  # read-only, so that no file is created
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as connection:
            return _candidates(connection.execute(f"{_COLUMNS} LIMIT ?", (limit,)))
    except sqlite3.Error:
        return []


def _of_server(url: str, limit: int) -> list[Completion]:
    try:
        import psycopg
    except ImportError:
        return []
    try:
        with psycopg.connect(f"postgresql://{url.partition('://')[2]}", connect_timeout=_PATIENCE) as connection:
            return _candidates(connection.execute(f"{_COLUMNS} NULLS LAST LIMIT %s", (limit,)))
    except psycopg.Error:
        return []


def _candidates(rows: Any) -> list[Completion]:
    return [Completion(*row) for row in rows]
