"""Commands that change records of the past: `tag`, `note`, `rename`, `delete`, `restore`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from autotrack import wording
from autotrack.cli import screen
from autotrack.cli.session import Json, RunArgument, RunsArgument, UsageError, reading
from autotrack.exceptions import StoreError
from autotrack.ids import short_id
from autotrack.journal.host import user_name

if TYPE_CHECKING:
    from autotrack.query.reader import Reader
    from autotrack.query.records import Record


def tag(
    run: RunArgument,
    tags: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="Tags to set; KEY= removes one.")],
    json: Json = False,
) -> None:
    """Set tags of a run, or remove them."""
    values = dict(_tag(text) for text in tags)
    with reading(wanted=[run]) as reader:
        from autotrack.query.shapes import run_shape

        record = _changed(reader, run, lambda found: found.set_tags(values))
        if json:
            screen.show_json(run_shape(record))
        else:
            said = "  ".join(f"{key}={value}" for key, value in record.tags.items()) or "no tags"
            screen.show(screen.visible(f"{_called(record)}: {said}"))


def note(
    run: RunArgument,
    text: Annotated[list[str], typer.Argument(metavar="TEXT…", help="The remark, in Markdown; - reads it from stdin.")],
    json: Json = False,
) -> None:
    """Add a remark to a run."""
    remark = sys.stdin.read().rstrip("\n") if text == ["-"] else " ".join(text)
    if not remark.strip():
        raise UsageError("an empty note says nothing")
    with reading(wanted=[run]) as reader:
        from autotrack.query.shapes import whole_run_shape

        record = _changed(reader, run, lambda found: found.note(remark))
        if json:
            screen.show_json(whole_run_shape(record).notes)
        else:
            screen.show(screen.visible(f"{_called(record)}: {wording.counted(len(record.notes), 'note')}"))


def rename(
    run: RunArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    json: Json = False,
) -> None:
    """Give a run another name; its id stays."""
    with reading(wanted=[run]) as reader:
        from autotrack.query.shapes import run_shape

        before = reader.get(run)
        record = _changed(reader, before.id, lambda found: found.rename(name))
        if json:
            screen.show_json(run_shape(record))
        else:
            screen.show(screen.visible(f"{before.name} is now {_called(record)}"))


def delete(
    runs: RunsArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete runs and their children; restore brings them back.

    They are hidden at once, and freed by gc.
    """
    with reading(wanted=runs) as reader:
        from autotrack.cli.run_table import table_of_runs
        from autotrack.query.records import Runs
        from autotrack.store.deletion import delete_runs

        records = {record.id: record for record in map(reader.get, runs)}
        if not yes:
            table_of_runs(Runs.of(reader.store, records.values())).show()
            _confirm(f"Delete {wording.counted(len(records), 'run')}?")
        gone = delete_runs(reader.store, list(records), actor=user_name())
        if json:
            screen.show_json({"deleted": list(gone)})
        else:
            back = " ".join(short_id(record.id) for record in records.values())
            screen.show(f"deleted {wording.counted(len(gone), 'run')}; back with: autotrack restore {back}")


def restore(runs: RunsArgument, json: Json = False) -> None:
    """Bring deleted runs back.

    RUN is an id, the beginning of one or a name, as autotrack runs --deleted lists them.
    """
    with reading(wanted=runs) as reader:
        from autotrack.query.queries import get_record
        from autotrack.store.deletion import restore_runs

        ids = list(dict.fromkeys(get_record(reader.store, run, deleted=True).id for run in runs))
        back = restore_runs(reader.store, ids, actor=user_name())
        if json:
            screen.show_json({"restored": list(back)})
        else:
            screen.show(f"restored {wording.counted(len(back), 'run')}")


def _tag(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{text!r}: write KEY=VALUE, or KEY= to remove a tag")
    return key, value or None


def _changed(reader: Reader, run: str, change: Callable[[Record], None]) -> Record:
    """Apply `change` to the run, through a journal into the store, and return the changed record."""
    if not _may_record(reader):
        raise StoreError(f"{reader.place.path} cannot be written by this process")
    record = reader.get(run)
    change(record)
    return reader.get(record.id)


def _may_record(reader: Reader) -> bool:
    folder = reader.place.journals
    return os.access(folder if folder.exists() else folder.parent, os.W_OK) or not reader.place.path.exists()


def _called(record: Record) -> str:
    return f"{record.name} ({short_id(record.id)})"


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nothing was deleted, as there is nobody to ask: give --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)
