"""The plan of how to do a run again, made from its record alone; nothing is executed or fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack.exceptions import NotFoundError
from autotrack.reproducing.building import Built, build
from autotrack.reproducing.code import Code, code_of
from autotrack.reproducing.command import Command, command_of
from autotrack.reproducing.gaps import Gap
from autotrack.reproducing.machine import data_gaps, machine_gaps, past_gaps
from autotrack.reproducing.repositories import find_source
from autotrack.reproducing.requirements import Requirements, requirements_of

if TYPE_CHECKING:
    from autotrack.store.records import Record


@dataclass(frozen=True)
class Reproduction:
    """How to do a run again: `code`, `requirements`, `python` ("cpython 3.11.9") and `command`.

    `source` is a repository here that has the commit, None if there is none: then it must come from `code.remote`.
    `gaps` says what cannot be reproduced, or not on this machine. `surroundings` is the id of the run whose
    surroundings these are: that of the run itself, or of the run that it is a part of.
    """

    run_id: str
    run_name: str
    surroundings: str
    code: Code
    requirements: Requirements
    python: str
    command: Command
    source: Path | None
    gaps: tuple[Gap, ...]

    def build(self, into: str | os.PathLike[str], *, repository: str | os.PathLike[str] | None = None) -> Built:
        """Build the checkout in the folder `into`: the commit, the patch, the untracked files that were kept.

        `repository` (a path or URL) is where the commit comes from, by default a repository here that has it, else
        the recorded remote. Nothing of the project is executed. Raises `ReproductionError` if `into` is not empty or
        the code cannot be had.
        """
        return build(self, Path(into), repository=None if repository is None else os.fspath(repository))


def plan(record: Record, get_record: Callable[[str], Record] | None = None) -> Reproduction:
    """How to do the run of `record` again. `get_record` finds the run that it is a part of, by id."""
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
    """The record itself, or the one above it that has the surroundings: those are recorded once for a tree."""
    found = record
    while get_record is not None and found.parent is not None and "process" not in found.environment:
        try:
            found = get_record(found.parent)
        except NotFoundError:
            return record
    return found if found.environment else record
