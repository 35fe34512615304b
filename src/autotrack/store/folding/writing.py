"""One batch of a journal written to the store, in the transaction that claims its range of the journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, literal_column, select
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError

from autotrack.events import Report
from autotrack.journal.layout import Header
from autotrack.journal.reader import Batch
from autotrack.store import schema
from autotrack.store.bulk import Keys, Writer, dialect_module
from autotrack.store.folding.compact import compact
from autotrack.store.folding.environments import move_sections, write_sections
from autotrack.store.folding.hidden_values import hide_key, restore_hidden, write_latest
from autotrack.store.folding.points import PointWriter
from autotrack.store.folding.rows import GatheredRows
from autotrack.store.folding.run_rows import TouchedRuns, write_runs
from autotrack.store.folding.split_trainings import move_training

REFUSALS = (DataError, IntegrityError, InterfaceError, ProgrammingError, OverflowError, ValueError)
_appended = {
    name: Writer(schema.metadata.tables[name], without=("pk",))
    for name in ("notes", "artifacts", "media", "datasets", "models", "evaluations", "reports", "console")
}


def claim(connection: Connection, batch: Batch, header: Header) -> bool:
    """Move the journal's cursor over the batch; False if another process has folded its range already.

    This is the first statement of the transaction that writes the batch.
    """
    journals, created = schema.journals, round(header.created * 1e6)
    insert = dialect_module(connection.dialect.name).insert(journals).values(
        id=batch.journal, position=batch.end, damaged=len(batch.damaged),
        state="live", last_seen=created, host=header.host, pid=header.pid, created=created,
    )  # fmt: skip
    changes = {"position": insert.excluded.position, "damaged": journals.c.damaged + insert.excluded.damaged}
    statement = insert.on_conflict_do_update(
        index_elements=["id"], set_=changes, where=journals.c.position == batch.start
    )
    claimed = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return bool(claimed.rowcount == 1)


def write_batch(connection: Connection, gathered: GatheredRows) -> TouchedRuns:
    """Write all facts of a batch whose range was claimed in this transaction."""
    keys = Keys(connection)
    touched = write_runs(connection, gathered, keys)
    _move_split_trainings(connection, keys, touched)
    _report_damage(connection, gathered.batch, touched)
    shared = touched.shared
    params = [(slot.pk, *row, slot.training) for slot, rows in gathered.params.items() for row in rows.values()]
    write_latest(connection, schema.params, params, shared)
    _write_tags(connection, gathered, shared)
    write_sections(connection, keys, gathered, touched)
    for name, rows in gathered.rows.items():
        writer = _appended[name]
        if "training" in writer.columns:
            writer.write(connection, [(slot.pk, *row, slot.training) for slot, row in rows])
        else:
            writer.write(connection, [(slot.pk, *row) for slot, row in rows])
    _replace_artifacts(connection, gathered)
    live = PointWriter(connection, keys).write(gathered, touched) if gathered.points else set()
    compact(connection, keys, live - touched.ended, touched.ended)
    return touched


def write_singly(connection: Connection, batch: Batch, missing: Collection[str]) -> TouchedRuns:
    """Write a claimed batch event by event; a refused event becomes a line of the capture report."""
    touched = TouchedRuns()
    for event in batch.events:
        one = replace(batch, events=[event], damaged=[])
        try:
            with connection.begin_nested():
                found = write_batch(connection, GatheredRows(one, missing))
        except REFUSALS as error:
            what = type(event).__name__
            message = f"{what} could not be stored: {getattr(error, 'orig', None) or error}"
            refused = Report(run=event.run, time=schema.now() / 1e6, what=what, message=message)
            found = write_batch(connection, GatheredRows(replace(one, events=[refused])))
        touched.runs |= found.runs
        touched.pks |= found.pks
    _report_damage(connection, batch, touched)
    return touched


def _replace_artifacts(connection: Connection, gathered: GatheredRows) -> None:
    """Update artifacts of earlier batches that events of this one replace; their order among the versions stays."""
    table = schema.artifacts
    columns = [column.name for column in table.columns if column.name not in {"pk", "run_pk", "training"}]
    for (slot, name, moment), row in gathered.replaced.items():
        same = (table.c.run_pk == slot.pk) & (table.c.name == name) & (table.c.time == moment)
        values = dict(zip(columns, row, strict=True))
        if not connection.execute(table.update().where(same).values(values)).rowcount:
            connection.execute(table.insert().values(run_pk=slot.pk, training=slot.training, **values))


def _move_split_trainings(connection: Connection, keys: Keys, touched: TouchedRuns) -> None:
    """Move the stored facts of trainings that the batch has made runs to their own runs."""
    children: dict[int, dict[int, int]] = defaultdict(dict)
    for run_pk, number, child_pk in touched.moved:
        move_training(connection, run_pk, number, child_pk)
        move_sections(connection, keys, run_pk, number, child_pk)
        children[run_pk][number] = child_pk
        touched.known.add(child_pk)  # the moved facts are stored before those of the batch
    for run_pk, found in children.items():
        restore_hidden(connection, run_pk, found)


def _write_tags(connection: Connection, gathered: GatheredRows, shared: Collection[int]) -> None:
    items = [(slot, key, *found) for slot, tags in gathered.tags.items() for key, found in tags.items()]
    set_now = [(slot.pk, key, value, time, slot.training) for slot, key, value, time in items if value is not None]
    write_latest(connection, schema.tags, set_now, shared)
    tags = schema.tags.c
    for slot, key, value, time in items:
        if value is None:
            if slot.pk in shared:
                hide_key(connection, schema.tags, slot.pk, key, slot.training)
            gone = (tags.run_pk == slot.pk) & (tags.key == key) & (tags.time <= time)
            connection.execute(schema.tags.delete().where(gone))


def _report_damage(connection: Connection, batch: Batch, touched: TouchedRuns) -> None:
    """Report damage to the runs that may have lost facts: those of the batch, and the running ones of the journal."""
    damaged = batch.damaged
    if not damaged:
        return
    size = sum(place.length for place in damaged)
    reasons = ", ".join(sorted({place.reason for place in damaged}))
    message = f"{len(damaged)} places ({size:,} bytes) of the journal could not be read: {reasons}"
    runs = schema.runs.c
    unfinished = select(runs.pk).where((runs.owner == batch.journal) & (runs.status == literal_column("'running'")))
    pks = {touched.pks[run] for run in touched.runs} | set(connection.execute(unfinished).scalars())
    line = (schema.now(), "journal", message, "missing", len(damaged), 0)
    _appended["reports"].write(connection, [(pk, *line) for pk in sorted(pks)])
