"""Planning the reproduction of a run from its record alone; nothing of the project is executed or fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack.exceptions import NotFoundError
from autotrack.outputs.reproduction.building import Built, build
from autotrack.outputs.reproduction.code import code_of
from autotrack.outputs.reproduction.command import command_of
from autotrack.outputs.reproduction.gaps import Gap
from autotrack.outputs.reproduction.machine import data_gaps, machine_gaps, past_gaps
from autotrack.outputs.reproduction.plan import Plan
from autotrack.outputs.reproduction.repositories import find_source
from autotrack.outputs.reproduction.requirements import requirements_of

if TYPE_CHECKING:
    from autotrack.query.records import Record


class Reproduction(Plan):
    """A plan for the reproduction of a run, which can build its checkout."""

    def build(self, into: str | os.PathLike[str], *, repository: str | os.PathLike[str] | None = None) -> Built:
        """Build the checkout in the folder `into`: the commit, the patch, the untracked files that were kept.

        `repository` (a path or URL) is where the commit comes from, by default a repository here that has it, else
        the recorded remote. Nothing of the project is executed. Raises `ReproductionError` if `into` is not empty or
        the code cannot be obtained.
        """
        return build(self, Path(into), repository=None if repository is None else os.fspath(repository))


def plan(record: Record, get_record: Callable[[str], Record] | None = None) -> Reproduction:
    """Return the plan to reproduce the run of `record`; `get_record` looks up the run that it is a part of, by id."""
    around = _with_surroundings(record, get_record)
    code, gaps = code_of(around)
    requirements, more = requirements_of(around, code.root)
    command, still_more = command_of(around, code.root)
    source = find_source(code.commit, code.root)
    if code.commit is not None and source is None:
        missing = f"no repository here has the commit {code.commit[:10]}"
        where = f"; it may be at {code.remote}, which was not asked" if code.remote else ", and no remote is known"
        gaps.append(Gap("code", missing + where))
    if around is not record:
        gaps.append(Gap("run", f"it is a part of run {around.name} ({around.id}): the command is that one's"))
    gaps += [*more, *still_more, *machine_gaps(around), *data_gaps(record), *past_gaps(around)]
    process: Any = around.environment.get("process") or {}
    python = " ".join(str(process[key]) for key in ("implementation", "python") if process.get(key))
    return Reproduction(
        record.id, record.name, around.id, code, requirements, python, command, source, tuple(gaps)
    )  # fmt: skip


def _with_surroundings(record: Record, get_record: Callable[[str], Record] | None) -> Record:
    """The record, or its nearest ancestor that has the environment, which is recorded once for a tree of runs."""
    found = record
    while get_record is not None and found.parent is not None and "process" not in found.environment:
        try:
            found = get_record(found.parent)
        except NotFoundError:
            return record
    return found if found.environment else record
