"""The command `recover`: folds the journals of ended, killed and live processes, and reports what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.session import Json, NothingRecorded, is_empty
from autotrack.cli.tables import Cell, Column, Table

if TYPE_CHECKING:
    from autotrack.place import Place
    from autotrack.store.engine import Store


@dataclass
class _Journal:
    """The state of a journal before the fold, and its outcome."""

    journal: str
    state: str
    host: str
    pid: int
    created: float
    bytes: int
    runs: int = 0
    damaged: int = 0
    deleted: bool = False
    error: str = ""


def recover(json: Json = False) -> None:
    """Fold pending journals into the store, and report what was recovered.

    Every command that reads folds them, too, without a report.
    """
    from autotrack.query.reader import open_reader
    from autotrack.recording.collector import collector

    owner = collector()
    if is_empty(owner):
        raise NothingRecorded(owner.place, '{"journals": []}' if json else None)
    found = list(_journals(owner.place))
    with open_reader(owner.settings, owner.place, owner.append) as reader:
        with screen.working("recovering") as tick:
            report = reader.fold(tick)
        _complete(reader.store, owner.place, found)
    totals = {name: getattr(report, name) for name in ("events", "points", "damaged", "deleted", "kept")}
    totals["runs"] = len(report.runs)
    if json:
        screen.show_json({**totals, "journals": [asdict(journal) for journal in found]})
        return
    if not found:
        screen.show("no journals: everything is in the store")
        return
    _show_journals(found)
    what = (
        wording.counted(totals["runs"], "run"),
        wording.counted(totals["events"], "event"),
        wording.counted(totals["points"], "point"),
    )
    screen.show("", f"taken up: {', '.join(what)}")
    if totals["damaged"]:
        screen.show(f"skipped: {wording.counted(totals['damaged'], 'damaged place')}")


def _journals(place: Place) -> Iterator[_Journal]:
    from autotrack.journal.reader import journals

    for reader in journals(place.journals):
        header = reader.header
        yield _Journal(reader.id, reader.state().value, header.host, header.pid, header.created, reader.size())
    for name, error in unreadable_journals(place):
        yield _Journal(name, "unreadable", "", 0, 0.0, 0, error=error)


def unreadable_journals(place: Place) -> Iterator[tuple[str, str]]:
    """Yield the name and the error of each folder that is no journal, or whose header cannot be read."""
    from autotrack.exceptions import JournalError
    from autotrack.journal.reader import JournalReader

    try:
        folders = sorted(path for path in place.journals.iterdir() if not path.suffix)
    except OSError:
        return
    for folder in folders:
        try:
            JournalReader(folder)
        except JournalError:
            yield folder.name, "no journal, or one whose header cannot be read"


def _complete(store: Store, place: Place, found: Sequence[_Journal]) -> None:
    """Fill in the outcome of the fold for each journal: its runs, damaged places, and whether it was deleted."""
    from autotrack.query.upkeep import folded_journals

    folded = folded_journals(store, [journal.journal for journal in found])
    for journal in found:
        journal.deleted = journal.state != "unreadable" and not (place.journals / journal.journal).exists()
        journal.runs = folded[journal.journal].runs
        journal.damaged = folded[journal.journal].damaged


_OUTCOME = {
    "live": "still written",
    "silent": "kept: its writer may come back",
    "dead": "kept: a sink has not confirmed it",
}


def _show_journals(found: Sequence[_Journal]) -> None:
    columns = [
        Column("journal"),
        Column("writer", shortest=10),
        Column("size"),
        Column("runs"),
        Column("damaged"),
        Column("now"),
    ]
    table = Table(columns)
    for journal in found:
        outcome = journal.error or ("taken up and removed" if journal.deleted else _OUTCOME[journal.state])
        style = "red" if journal.error else "green" if journal.deleted else ""
        table.add(
            Cell(journal.journal[:8], "dim", exact=journal.journal),
            f"process {journal.pid} on {journal.host}" if journal.pid else "",
            Cell(wording.size(journal.bytes), exact=str(journal.bytes), number=True),
            Cell(str(journal.runs), number=True),
            Cell(str(journal.damaged), "red" if journal.damaged else "", number=True),
            Cell(outcome, style),
        )
    table.show()
