"""Which run wrote a checkpoint: noted under the checkpoint's path, for the run that goes on from it.

The notes lie in the place of the data; nothing of ours goes beside the checkpoint.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

FOLDER = "origins"


def remember(place: Path, checkpoint: str | os.PathLike[str], run_id: str) -> None:
    """Note that the file or folder `checkpoint` was written by the run `run_id`; `OSError` if it cannot be noted."""
    note = _note(place, checkpoint)
    note.parent.mkdir(exist_ok=True)
    note.write_text(run_id)


def origin_of(place: Path, checkpoint: str | os.PathLike[str]) -> str | None:
    """The id of the run that wrote the file or folder `checkpoint` last; None if that is not known."""
    try:
        return _note(place, checkpoint).read_text() or None
    except OSError:
        return None


def _note(place: Path, checkpoint: str | os.PathLike[str]) -> Path:
    path = os.path.abspath(os.fspath(checkpoint))
    return place / FOLDER / hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
