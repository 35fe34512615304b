"""The state of a store: its number of runs, its schema, and the journals that were folded into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from autotrack.query.facets import point_in_time
from autotrack.store.bulk import one_of
from autotrack.store.revision import stored_revision
from autotrack.store.schema import attempts, journals, runs

if TYPE_CHECKING:
    from autotrack.place import Place
    from autotrack.query.records import Record
    from autotrack.store.engine import Store


@dataclass(frozen=True)
class StoreState:
    """The revision of a store's schema, how many runs it holds, and whether this process may change it."""

    revision: str | None
    runs: int
    writable: bool


@dataclass(frozen=True)
class FoldedJournal:
    """A journal in the store: the number of run attempts recorded in it, and of damaged places skipped."""

    runs: int
    damaged: int


def store_state(place: Place, url: str | None) -> StoreState:
    """The state of the store at `url`, by default that of `place`; `AutotrackError` if it cannot be opened."""
    from autotrack.store.engine import open_store

    with open_store(place, url) as store, store.engine.connect() as connection:
        count = connection.execute(select(func.count()).select_from(runs)).scalar() or 0
        return StoreState(stored_revision(store.engine), count, store.writable)


def has_runs(store: Store) -> bool:
    """Whether the store holds any run, deleted ones included."""
    with store.engine.connect() as connection:
        return connection.execute(select(runs.c.pk).limit(1)).first() is not None


def folded_journals(store: Store, ids: Iterable[str]) -> dict[str, FoldedJournal]:
    """The stored counts of each of these journals, by id; 0 for a journal that was never folded."""
    with store.engine.connect() as connection:
        found = {}
        for journal in ids:
            damaged = select(journals.c.damaged).where(journals.c.id == journal)
            count = select(func.count()).select_from(attempts).where(attempts.c.journal == journal)
            found[journal] = FoldedJournal(
                connection.execute(count).scalar() or 0, connection.execute(damaged).scalar() or 0
            )
        return found


def silent_since(store: Store, records: Sequence[Record]) -> dict[str, datetime]:
    """By run id, the last heartbeat (UTC) of running runs whose writer, on another host or boot, fell silent."""
    running = [record.id for record in records if record.status == "running"]
    if not running:
        return {}
    query = select(runs.c.id, journals.c.last_seen).join(journals, journals.c.id == runs.c.owner)
    query = query.where(one_of(runs.c.id, running, store.engine.dialect.name), journals.c.state == "silent")
    with store.engine.connect() as connection:
        return {run: point_in_time(seen) for run, seen in connection.execute(query)}
