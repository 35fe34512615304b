"""References to a run: its id, a prefix of the id, a name, `last`, `last~2`."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from autotrack.exceptions import NotFoundError
from autotrack.query.facets import moment
from autotrack.query.literals import UNUSABLE
from autotrack.query.statements import newest_first, status, top_level
from autotrack.store.schema import runs

_LAST = re.compile(r"last(?:~(\d{1,9}))?")
_CANDIDATES = 10
_NAMES = 1000


def resolve(connection: Connection, reference: str, *, exact: bool = False, deleted: bool = False) -> int:
    """The `pk` of the run that `reference` names; `NotFoundError` if it names no run or several.

    An id takes precedence over a name, a name over a prefix of an id. A deleted run is found by its id only, unless
    `deleted` is set: then names, prefixes and `last` find deleted runs instead of others.
    """
    if UNUSABLE.search(reference):
        raise NotFoundError(f"there is no run {reference!r}: no name has such characters")
    found = connection.execute(select(runs.c.pk).where(runs.c.id == reference)).scalar()
    if found is not None:
        return int(found)
    if exact:
        raise NotFoundError(f"there is no run with the id {reference!r}")
    visible = runs.c.deleted.is_not(None) if deleted else runs.c.deleted.is_(None)
    match = _LAST.fullmatch(reference)
    if match is not None:
        return _last(connection, int(match[1] or 0), visible)
    for clause in (runs.c.name == reference, _begins_with(reference)):
        pk = _only(connection, reference, clause, visible) if reference else None
        if pk is not None:
            return pk
    raise NotFoundError(_nothing(connection, reference))


def _begins_with(reference: str) -> ColumnElement[bool]:
    """The condition that an id begins with `reference`; the run of a training needs its number, as in `3fa9~2`."""
    beginning, _, number = reference.partition("~")
    begins = runs.c.id.startswith(beginning, autoescape=True)
    return begins & (runs.c.id.endswith(f"~{number}", autoescape=True) if number else runs.c.id.not_like("%~%"))


def _last(connection: Connection, back: int, visible: ColumnElement[bool]) -> int:
    statement = select(runs.c.pk).where(visible, top_level()).order_by(*newest_first()).limit(back + 1)
    pks = connection.execute(statement).scalars().all()
    if len(pks) <= back:
        raise NotFoundError("there are no runs yet" if not pks else f"there are only {len(pks)} runs")
    return int(pks[back])


def _only(
    connection: Connection, reference: str, clause: ColumnElement[bool], visible: ColumnElement[bool]
) -> int | None:
    columns = (runs.c.pk, runs.c.id, runs.c.name, runs.c.experiment, runs.c.started, status().label("status"))
    statement = select(*columns).where(clause, visible).order_by(*newest_first()).limit(_CANDIDATES + 1)
    rows = connection.execute(statement).all()
    if len(rows) <= 1:
        return int(rows[0].pk) if rows else None
    listed = [_candidate(row) for row in rows[:_CANDIDATES]] + ["…"] * (len(rows) > _CANDIDATES)
    raise NotFoundError("\n  ".join([f"{reference!r} is not one run but several; take an id:", *listed]))


def _candidate(row: Row[Any]) -> str:
    started = moment(row.started)
    when = started.astimezone().strftime("%Y-%m-%d %H:%M") if started else "not started"
    return f"{row.id}  {row.name}  {row.experiment}  {row.status}  {when}"


def _nothing(connection: Connection, reference: str) -> str:
    statement = select(runs.c.name).where(runs.c.deleted.is_(None)).order_by(*newest_first()).limit(_NAMES)
    names = list(dict.fromkeys(connection.execute(statement).scalars()))
    close = get_close_matches(reference, names, n=3)
    hint = f": did you mean {' or '.join(close)}?" if close else ""
    return f"there is no run {reference!r}, by id, beginning of an id or name{hint}"
