"""Run ids: how they are generated, and how they are shortened for display."""

from __future__ import annotations

import re
import secrets

_GENERATED = re.compile(r"([0-9a-f]{8})[0-9a-f]{8}((?:~\d+)*)")


def new_run_id() -> str:
    """A fresh run id: 64 random bits in hex."""
    return secrets.token_hex(8)


def training_id(run: str, number: int) -> str:
    """The id of the separate run of training `number`, used once `run` has several; users cannot choose such ids."""
    return f"{run}~{number}"


def short_id(run: str) -> str:
    """The short form of a run id: the first eight digits of a generated id, a user-chosen id unchanged."""
    found = _GENERATED.fullmatch(run)
    return "".join(found.groups()) if found else run
