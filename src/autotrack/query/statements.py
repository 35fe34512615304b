"""SQL expressions that several queries share, for values that are computed on reading."""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    case,
    func,
    not_,
    or_,
    select,
)

from autotrack.store.schema import journals, runs

MICROSECOND = 1e-6


def _owner_died() -> ColumnElement[bool]:
    dead = select(journals.c.id).where(journals.c.id == runs.c.owner, journals.c.state == "dead")
    return dead.correlate(runs).exists()


@functools.cache
def status() -> ColumnElement[str]:
    """The status of a run: crashed if it is running and the writer of its journal is dead, else as recorded."""
    return case((and_(runs.c.status == "running", _owner_died()), "crashed"), else_=runs.c.status)


def duration(now: int) -> ColumnElement[float]:
    """The duration of a run in seconds: as recorded, else from the start to `now`, or to a crashed run's last event."""
    end = case((_owner_died(), runs.c.last_event), else_=bindparam(None, now, BigInteger))
    return func.coalesce(runs.c.duration, (end - runs.c.started) * MICROSECOND)


@functools.cache
def top_level() -> ColumnElement[bool]:
    """The condition for runs in lists: runs without a parent, except that a job with one child is shown as the child.

    Not if the job ended badly and its child did not, which would hide how it ended. A child whose parent was never
    folded is shown, too.
    """
    parent = runs.alias("parent")
    steps_aside = and_(_is_only_its_child(parent), parent.c.parent.is_(None), parent.c.deleted.is_(None))
    households = select(parent.c.id).where(
        parent.c.id.in_(select(runs.c.parent).where(runs.c.parent.is_not(None)).distinct()), not_(steps_aside)
    )
    return or_(
        and_(runs.c.parent.is_(None), or_(runs.c.kind != "job", not_(_is_only_its_child(runs)))),
        and_(runs.c.parent.is_not(None), runs.c.parent.not_in(households)),
    )


def _is_only_its_child(job: FromClause) -> ColumnElement[bool]:
    """Whether a row of `runs` is a job of which all that matters is its one child."""
    child, alike = runs.alias(), runs.alias()
    children = select(func.count()).where(child.c.parent == job.c.id, child.c.deleted.is_(None))
    same_end = select(alike.c.id).where(alike.c.parent == job.c.id, alike.c.status == job.c.status)
    return and_(
        job.c.kind == "job",
        children.correlate(job).scalar_subquery() == 1,
        or_(job.c.status.in_(("finished", "running")), same_end.correlate(job).exists()),
    )


def newest_first() -> list[ColumnElement[Any]]:
    """The ORDER BY terms of lists, latest start first; other orders end with them for ties."""
    return [runs.c.started.desc().nulls_last(), runs.c.pk.desc()]
