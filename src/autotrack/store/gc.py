"""Garbage collection: frees deleted runs, and files that no record names."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, select, text, union

from autotrack.store import schema
from autotrack.store.engine import Store
from autotrack.store.folding.fold import fold

GRACE = 3_600.0  # seconds for which a file may wait for the record that names it
_WORTH_IT = 1 << 20  # free bytes within the database from which on it is rewritten


@dataclass(frozen=True)
class GcReport:
    """What was freed, or a dry run would free: bytes and number of files, ids of runs, bytes of the database."""

    freed_bytes: int
    blobs: int
    runs: tuple[str, ...]
    database_bytes: int = 0


def collect_garbage(
    store: Store, *, actor: str, dry_run: bool = False, grace: float = GRACE, journals_dir: Path | None = None
) -> GcReport:
    """Remove deleted runs for good, and the files that no record names any more.

    Journals are folded first, since they may name files. Files stored less than `grace` seconds ago are kept, because
    a training stores a file before it writes the event that names it. `actor` is the user's name for the audit log.
    `StoreError` if this process may not write.
    """
    if journals_dir is not None or store.place is not None:
        fold(store, journals_dir)
    before = time.time()
    with store.write() as connection:
        runs: dict[int, str] = {row.pk: row.id for row in connection.execute(_purgeable())}
        named = set(connection.execute(_named()).scalars())
        if not dry_run:
            connection.execute(schema.runs.delete().where(schema.runs.c.pk.in_(select(_purgeable().subquery().c.pk))))
            _remove_environments(connection)
    unnamed = [blob for blob in store.blobs.list() if blob.digest not in named and blob.modified < before - grace]
    size = sum(blob.size for blob in unnamed)
    if dry_run:
        return GcReport(size, len(unnamed), tuple(sorted(runs.values())))
    store.blobs.delete((blob.digest for blob in unnamed), older_than=before - grace)
    store.blobs.remove_leftovers(before - grace)
    _remove_stale(store)
    report = GcReport(size, len(unnamed), tuple(sorted(runs.values())), _shrink(store))
    if report.blobs or report.runs:
        with store.write() as connection:
            _write_down(connection, report, actor)
    return report


def _remove_environments(connection: Connection) -> None:
    """Delete the environments that no run has any more, and the sections that no environment holds."""
    if connection.dialect.name == "postgresql":  # every fold has written to `journals` first: wait for them
        connection.execute(text("LOCK TABLE journals IN SHARE MODE"))
    environments, members, sections = schema.environments, schema.environment_sections, schema.sections
    used = select(schema.runs.c.environment).where(schema.runs.c.environment.is_not(None))
    connection.execute(environments.delete().where(environments.c.pk.not_in(used)))
    connection.execute(sections.delete().where(sections.c.pk.not_in(select(members.c.section_pk))))


def _remove_stale(store: Store) -> None:
    """Delete what processes left for one another in the store's place and none can use any more."""
    if store.place is None:
        return
    runs = schema.runs.c
    with store.engine.connect() as connection:
        found = connection.execute(select(runs.id, runs.status)).all()
    store.place.remove_stale(
        runs={row.id for row in found}, running={row.id for row in found if row.status == "running"}
    )


def _purgeable() -> Select[tuple[int, str]]:
    """The deleted runs, except running ones whose process may still be alive."""
    runs, journals = schema.runs.c, schema.journals.c
    alive = select(journals.id).where((journals.id == runs.owner) & (journals.state != "dead"))
    return select(runs.pk, runs.id).where(runs.deleted.is_not(None) & ((runs.status != "running") | ~alive.exists()))


def _named() -> Any:
    """The digests of the files that the remaining runs name."""
    going = select(_purgeable().subquery().c.pk)
    artifacts, media = schema.artifacts.c, schema.media.c
    return union(
        select(artifacts.digest).where(artifacts.run_pk.not_in(going) & artifacts.stored),
        select(media.digest).where(media.run_pk.not_in(going)),
    )


def _shrink(store: Store) -> int:
    """Return free pages of an embedded database to the file system; returns the number of bytes."""
    if store.engine.dialect.name != "sqlite":
        return 0
    connection = store.engine.raw_connection()
    try:
        size, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "freelist_count"))
        if size * free < _WORTH_IT:
            return 0
        connection.execute("VACUUM")
    except sqlite3.OperationalError:
        return 0  # no room for the copy, or another process is reading; the free pages are reused anyway
    finally:
        connection.close()
    return int(size * free)


def _write_down(connection: Connection, report: GcReport, actor: str) -> None:
    detail = json.dumps({"runs": report.runs, "blobs": report.blobs, "freed_bytes": report.freed_bytes})
    row = {"time": schema.now(), "user": actor, "action": "gc", "subject": "store", "detail": detail}
    connection.execute(schema.audit.insert().values(row))
