"""The plan for the reproduction of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autotrack.outputs.reproduction.code import Code
from autotrack.outputs.reproduction.command import ReproducedCommand
from autotrack.outputs.reproduction.gaps import Gap
from autotrack.outputs.reproduction.requirements import Requirements


@dataclass(frozen=True)
class Plan:
    """How to reproduce a run: `code`, `requirements`, `python` ("cpython 3.11.9") and `command`.

    `source` is a local repository that has the commit; if it is None, the commit must come from `code.remote`.
    `gaps` lists what cannot be reproduced, or not on this machine. `surroundings` is the id of the run whose recorded
    environment the plan uses: the run itself, or a run that it is a part of.
    """

    run_id: str
    run_name: str
    surroundings: str
    code: Code
    requirements: Requirements
    python: str
    command: ReproducedCommand
    source: Path | None
    gaps: tuple[Gap, ...]
