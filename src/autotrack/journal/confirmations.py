"""How far the sinks have confirmed each journal, noted beside the journals.

A note is a file `<place>/delivery/<digest of the sink's name>/<journal>` that holds a position. With it a journal can
be deleted, once all its sinks have it, without asking them again.
"""

from __future__ import annotations

from autotrack.journal.reader import JournalReader, State
from autotrack.place import Place, SharedNote


def confirmed_position(place: Place, sink: str, journal: str) -> int:
    """The position up to which the sink has confirmed the journal with this id; 0 without a note."""
    text = SharedNote(place.delivery(sink) / journal).read()
    return int(text) if text.isdecimal() else 0


def confirm(place: Place, sink: str, journal: str, position: int) -> None:
    """Note that the sink has confirmed the journal up to `position`; `OSError` if it cannot be written."""
    SharedNote(place.delivery(sink) / journal).write(str(position))


def is_confirmed(place: Place, sink: str, journal: JournalReader) -> bool:
    """Whether the sink has confirmed all of a journal whose writer is gone."""
    return not journal.read(confirmed_position(place, sink, journal.id), state=State.DEAD)
