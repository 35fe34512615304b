"""Identifiers of runs: how they are made, and how people type them."""

from __future__ import annotations

import re
import secrets

_GENERATED = re.compile(r"([0-9a-f]{8})[0-9a-f]{8}((?:~\d+)*)")


def new_run_id() -> str:
    """A fresh run id: 64 random bits in hex."""
    return secrets.token_hex(8)


def training_id(run: str, number: int) -> str:
    """The id of the run that training `number` of `run` becomes when it is not the only one; nobody may choose it."""
    return f"{run}~{number}"


def short_id(run: str) -> str:
    """What to type for a run: the first eight digits of an id of ours, the whole of one that somebody chose."""
    found = _GENERATED.fullmatch(run)
    return "".join(found.groups()) if found else run
