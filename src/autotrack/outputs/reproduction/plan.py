"""What a plan of how to do a run again holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autotrack.outputs.reproduction.code import Code
from autotrack.outputs.reproduction.command import Command
from autotrack.outputs.reproduction.gaps import Gap
from autotrack.outputs.reproduction.requirements import Requirements


@dataclass(frozen=True)
class Plan:
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
