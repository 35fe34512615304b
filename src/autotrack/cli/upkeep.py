"""Commands about the place where runs are recorded: `where`, `sync`, `gc`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.session import Json, NothingRecorded, is_empty, reading
from autotrack.cli.tables import Cell, Column, Table, listed
from autotrack.journal.host import user_name

if TYPE_CHECKING:
    from autotrack.place import Place
    from autotrack.sinks.delivery import Delivered


def where(json: Json = False) -> None:
    """Show where runs are recorded, why there, and how large it is."""
    from autotrack.recording.collector import collector

    owner = collector()
    place, store = owner.place, owner.settings.store
    parts = sizes(place)
    if json:
        screen.show_json(
            {
                "path": str(place.path),
                "reason": place.reason,
                "store": _without_password(store),
                "exists": place.path.is_dir(),
                "bytes": parts,
            }
        )
        return
    screen.show(str(place.path))
    screen.remark(f"because it is {place.reason}" if not place.reason.startswith("chosen") else place.reason)
    if store is not None:
        screen.show(f"read from {_without_password(store)}")
    if not place.path.is_dir():
        screen.show("nothing is recorded there yet")
        return
    screen.show("")
    rows = [(name, Cell(wording.size(count), number=True)) for name, count in parts.items()]
    table = listed(rows)
    table.show()


def sync(
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Stop after so long; what is left comes next time.")
    ] = 0,
    json: Json = False,
) -> None:
    """Deliver what is recorded to the configured sinks.

    AUTOTRACK_SINKS, or sinks in pyproject's [tool.autotrack], names them. Exits with 1 if something is left.
    """
    import time

    from autotrack.recording.collector import collector

    owner = collector()
    if not owner.settings.sinks:
        if json:
            screen.show_json([])
        screen.say("no sinks are configured: set AUTOTRACK_SINKS, or sinks in pyproject's [tool.autotrack]")
        return
    if is_empty(owner):
        raise NothingRecorded(owner.place, "[]" if json else None)
    deadline = time.monotonic() + (timeout or float("inf"))
    with screen.working("delivering"):
        done = [_delivered(owner.place, url, deadline) for url in owner.settings.sinks]
    if json:
        screen.show_json([_shape(found) for found in done])
    else:
        _show_delivered(done)
    if any(found.error is not None or found.behind for found in done):
        raise typer.Exit(1)


def _delivered(place: Place, url: str, deadline: float) -> Delivered:
    import time

    from autotrack.exceptions import ConfigurationError
    from autotrack.sinks.delivery import Delivered, deliver
    from autotrack.sinks.opening import open_sink, sink_name

    try:
        sink = open_sink(url)
    except ConfigurationError as error:
        return Delivered(sink_name(url), error=error)
    try:
        return deliver(place, sink, stop=lambda: time.monotonic() > deadline)
    finally:
        sink.close()


def _shape(done: Delivered) -> dict[str, Any]:
    error = None if done.error is None else f"{type(done.error).__name__}: {done.error}"
    return {"sink": done.sink, "events": done.events, "behind": done.behind, "busy": done.busy, "error": error}


def _show_delivered(done: Sequence[Delivered]) -> None:
    table = Table([Column("sink", shortest=16), Column("events"), Column("now", shortest=16)])
    for found in done:
        if found.error is not None:
            now = Cell(f"{type(found.error).__name__}: {found.error}", "red")
        elif found.busy:
            now = Cell("another process is delivering", "yellow")
        elif found.behind:
            now = Cell(f"{wording.counted(len(found.behind), 'journal')} left", "yellow")
        else:
            now = Cell("up to date", "green")
        table.add(found.sink, Cell(f"{found.events:,}", exact=str(found.events), number=True), now)
    table.show()


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be freed.")] = False,
    json: Json = False,
) -> None:
    """Free deleted runs, and files that no run needs any more.

    What was freed cannot be restored. Files that came within the last hour stay.
    """
    with reading("null" if json else None) as reader:
        from autotrack.store.gc import collect_garbage

        with screen.working("looking for files that no run needs"):
            done = collect_garbage(reader.store, actor=user_name(), dry_run=dry_run)
        freed = done.freed_bytes + done.database_bytes
        if json:
            screen.show_json({"dry_run": dry_run, **asdict(done)})
            return
        what = f"{wording.counted(done.blobs, 'file')} and {wording.counted(len(done.runs), 'deleted run')}"
        screen.show(f"{'would free' if dry_run else 'freed'} {what}, {wording.size(freed)}")


def sizes(place: Place) -> dict[str, int]:
    """Bytes on disk by part of the place."""
    database = sum(_size(place.path / f"{place.database.name}{ending}") for ending in ("", "-wal", "-shm", "-journal"))
    parts = {"records": database, "files": _folder_size(place.blobs), "journals": _folder_size(place.journals)}
    parts["other"] = max(_folder_size(place.path) - sum(parts.values()), 0)
    parts["total"] = sum(parts.values())
    return parts


def _folder_size(folder: Path) -> int:
    return sum(_size(Path(root) / name) for root, _, names in os.walk(folder) for name in names)


def _size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError:
        return 0
    return getattr(status, "st_blocks", -(-status.st_size // 512)) * 512


def _without_password(url: str | None) -> str | None:
    from autotrack.sinks.opening import sink_name

    return None if url is None else sink_name(url) if "://" in url else url
