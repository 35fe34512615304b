"""Which run wrote a checkpoint: noted under the checkpoint's path, for the run that goes on from it.

The notes lie in the place of the data; nothing of ours goes beside the checkpoint. This process knows of its own at
once, others when the note has been kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

FOLDER = "origins"


_written: dict[Path, str] = {}


def remember(place: Path, checkpoint: str | os.PathLike[str], run_id: str) -> Callable[[], None]:
    """Know that the file or folder `checkpoint` was written by the run `run_id`.

    Returns what keeps it for other processes: it takes a file's time, and raises `OSError` if it cannot be kept.
    """
    note = _note(place, checkpoint)
    _written[note] = run_id

    def keep() -> None:
        note.parent.mkdir(exist_ok=True)
        note.write_text(run_id)
        if _written.get(note) == run_id:  # from now on the note tells, which another process may write anew
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
