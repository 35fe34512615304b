"""Mapping from checkpoint paths to the run that wrote each, so that a run that continues from one can be linked.

Each entry is a small file in the folder of the data; nothing is written beside the checkpoint. Entries are visible in
this process at once, and in other processes once the file has been written.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from autotrack.place import Place, SharedNote

_written: dict[SharedNote, str] = {}


def remember(place: Place, checkpoint: str | os.PathLike[str], run_id: str) -> Callable[[], None]:
    """Remember in this process that the run `run_id` wrote the file or folder `checkpoint`.

    Returns a function that writes the entry to a file for other processes; `OSError` if it cannot be written.
    """
    note = _note(place, checkpoint)
    _written[note] = run_id

    def keep() -> None:
        note.write(run_id)
        if _written.get(note) == run_id:  # the note is authoritative now, as another process may overwrite it
            del _written[note]

    return keep


def origin_of(place: Place, checkpoint: str | os.PathLike[str]) -> str | None:
    """The id of the run that wrote the file or folder `checkpoint` last; None if that is not known."""
    note = _note(place, checkpoint)
    known = _written.get(note)
    if known is not None:
        return known
    return note.read() or None


def _note(place: Place, checkpoint: str | os.PathLike[str]) -> SharedNote:
    return place.note("origins", os.path.abspath(os.fspath(checkpoint)))
