"""Which run wrote a checkpoint: noted under the checkpoint's path, for the run that goes on from it.

The notes lie in the place of the data; nothing of ours goes beside the checkpoint. This process knows of its own at
once, others when the note has been kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from autotrack.place import Note, Place

_written: dict[Note, str] = {}


def remember(place: Place, checkpoint: str | os.PathLike[str], run_id: str) -> Callable[[], None]:
    """Know that the file or folder `checkpoint` was written by the run `run_id`.

    Returns what keeps it for other processes: it takes a file's time, and raises `OSError` if it cannot be kept.
    """
    note = _note(place, checkpoint)
    _written[note] = run_id

    def keep() -> None:
        note.write(run_id)
        if _written.get(note) == run_id:  # from now on the note tells, which another process may write anew
            del _written[note]

    return keep


def origin_of(place: Place, checkpoint: str | os.PathLike[str]) -> str | None:
    """The id of the run that wrote the file or folder `checkpoint` last; None if that is not known."""
    note = _note(place, checkpoint)
    known = _written.get(note)
    if known is not None:
        return known
    return note.read() or None


def _note(place: Place, checkpoint: str | os.PathLike[str]) -> Note:
    return place.note("origins", os.path.abspath(os.fspath(checkpoint)))
