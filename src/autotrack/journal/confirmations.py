"""How far the sinks have confirmed each journal, noted beside the journals.

A note is a file `<place>/delivery/<digest of the sink's name>/<journal>` that holds a position. With it a journal can
be deleted, once all its sinks have it, without asking them again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from autotrack.journal.reader import JournalReader, State


def notes_folder(place: Path, sink: str) -> Path:
    """The folder that holds the notes of the sink with this name."""
    return place / "delivery" / hashlib.sha256(sink.encode()).hexdigest()[:16]


def confirmed_position(place: Path, sink: str, journal: str) -> int:
    """The position up to which the sink has confirmed the journal with this id; 0 without a note."""
    try:
        return int((notes_folder(place, sink) / journal).read_text())
    except (OSError, ValueError):
        return 0


def confirm(place: Path, sink: str, journal: str, position: int) -> None:
    """Note that the sink has confirmed the journal up to `position`; `OSError` if it cannot be written."""
    note = notes_folder(place, sink) / journal
    fresh = note.with_suffix(".new")
    fresh.write_text(str(position))
    os.replace(fresh, note)


def is_confirmed(place: Path, sink: str, journal: JournalReader) -> bool:
    """Whether the sink has confirmed all of a journal whose writer is gone."""
    return not journal.read(confirmed_position(place, sink, journal.id), state=State.DEAD)
