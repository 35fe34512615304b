"""Mapping from checkpoint paths to the run that wrote each, so that a run that continues from one can be linked.

Each entry is a small file in the folder of the data; nothing is written beside the checkpoint. Entries are visible in
this process at once, and in other processes once the file has been written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

FOLDER = "origins"


_written: dict[Path, str] = {}


def remember(place: Path, checkpoint: str | os.PathLike[str], run_id: str) -> Callable[[], None]:
    """Remember in this process that the run `run_id` wrote the file or folder `checkpoint`.

    Returns a function that writes the entry to a file for other processes; `OSError` if it cannot be written.
    """
    note = _note(place, checkpoint)
    _written[note] = run_id

    def keep() -> None:
        note.parent.mkdir(exist_ok=True)
        note.write_text(run_id)
        if _written.get(note) == run_id:  # the file is authoritative now, as another process may overwrite it
            del _written[note]

    return keep


def origin_of(place: Path, checkpoint: str | os.PathLike[str]) -> str | None:
    """The id of the run that wrote the file or folder `checkpoint` last; None if that is not known."""
    note = _note(place, checkpoint)
    known = _written.get(note)
    if known is not None:
        return known
    try:
        return note.read_text() or None
    except OSError:
        return None


def _note(place: Path, checkpoint: str | os.PathLike[str]) -> Path:
    path = os.path.abspath(os.fspath(checkpoint))
    return place / FOLDER / hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
