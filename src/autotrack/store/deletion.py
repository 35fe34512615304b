"""Deleting runs: a mark hides them, and can be removed until `gc` has freed them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, select, update

from autotrack.store.bulk import one_of
from autotrack.store.engine import Store
from autotrack.store.schema import audit, now, runs


def delete_runs(store: Store, ids: Sequence[str], *, actor: str) -> list[str]:
    """Hide the runs `ids` and all runs below them; returns the ids of those that were not hidden before.

    `actor` is the user's name for the audit log. `StoreError` if this process may not write.
    """
    with store.write() as connection:
        moment = now()
        found = _visible(connection, _with_all_below(connection, ids))
        connection.execute(update(runs).where(_among(connection, found)).values(deleted=moment))
        _note(connection, "delete", found, moment, actor)
    return found


def restore_runs(store: Store, ids: Sequence[str], *, actor: str) -> list[str]:
    """Restore the runs `ids` and the runs below that were deleted with them; returns the ids of all restored runs.

    A run below that was deleted at another time stays deleted. `actor` is the user's name for the audit log.
    `StoreError` if this process may not write.
    """
    with store.write() as connection:
        wanted = select(runs.c.deleted).where(_among(connection, ids), runs.c.deleted.is_not(None)).distinct()
        moments = set(connection.execute(wanted).scalars())
        family = _with_all_below(connection, ids)
        hidden = select(runs.c.id, runs.c.deleted).where(_among(connection, family)).order_by(runs.c.pk)
        found = [run for run, deleted in connection.execute(hidden) if deleted in moments]
        connection.execute(update(runs).where(_among(connection, found)).values(deleted=None))
        _note(connection, "restore", found, now(), actor)
    return found


def _with_all_below(connection: Connection, ids: Sequence[str]) -> list[str]:
    tree = select(runs.c.id).where(_among(connection, ids)).cte("tree", recursive=True)
    tree = tree.union(select(runs.c.id).where(runs.c.parent == tree.c.id))
    return list(connection.execute(select(tree.c.id)).scalars())


def _visible(connection: Connection, ids: Sequence[str]) -> list[str]:
    statement = select(runs.c.id).where(_among(connection, ids), runs.c.deleted.is_(None)).order_by(runs.c.pk)
    return list(connection.execute(statement).scalars())


def _among(connection: Connection, ids: Sequence[str]) -> ColumnElement[bool]:
    return one_of(runs.c.id, ids, connection.dialect.name)


def _note(connection: Connection, action: str, ids: Sequence[str], moment: int, actor: str) -> None:
    """Add a row per run to the audit log."""
    rows = [{"time": moment, "user": actor, "action": action, "subject": run, "detail": "{}"} for run in ids]
    if rows:
        connection.execute(audit.insert(), rows)
