"""The states of runs as rows of `runs`, `attempts` and `trainings`: loaded, changed by a batch, and written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam

from autotrack.events import Failure
from autotrack.ids import training_id
from autotrack.journal.run_state import AppliedBatch, AttemptState, RunState, RunStates, TrainingState
from autotrack.store import schema
from autotrack.store.bulk import Keys, Updater, Writer, rows_in
from autotrack.store.folding.rows import GatheredRows

_new_runs = Writer(schema.runs, without=("deleted", "environment"))
_known_runs = Updater(schema.runs, key="pk", without=("id", "deleted", "environment"))
_attempts = Writer(schema.attempts, key=("run_pk", "attempt"))
_trainings = Writer(schema.trainings, key=("run_pk", "number"))

_S = TypeVar("_S")


@dataclass
class TouchedRuns:
    """The runs that a batch changes. Ids are run ids; keys are values of `runs.pk`."""

    runs: dict[str, RunState] = field(default_factory=dict)  # the runs that the batch names
    pks: dict[str, int] = field(default_factory=dict)  # keys by id, of `runs` and of the runs of their trainings
    known: set[int] = field(default_factory=set)  # keys of runs that the store had before the batch
    ended: set[int] = field(default_factory=set)
    moved: list[tuple[int, int, int]] = field(default_factory=list)  # run's key, training's number, new key

    @property
    def shared(self) -> set[int]:
        """The keys of runs that share their row with their only training."""
        return {
            self.pks[run.id]
            for run in self.runs.values()
            if any(training.run is None for training in run.trainings.values())
        }


def write_runs(connection: Connection, gathered: GatheredRows, keys: Keys) -> TouchedRuns:
    """Write runs, attempts and trainings as they are after a batch, and set the row of each slot."""
    touched = TouchedRuns()
    states = RunStates(_load(connection, gathered, touched))
    applied = states.apply(gathered.runs, gathered.journal)
    touched.runs = {run: states.runs[run] for run in gathered.runs}
    _number(applied, touched, keys)
    _put_below_trainings(connection, applied)
    _write(connection, applied, touched)
    for slot in gathered.slots.values():
        training_run = touched.runs[slot.run].trainings[slot.number].run if slot.number else None
        slot.pk = touched.pks[training_run or slot.run]
        slot.training = 0 if training_run else slot.number
    return touched


def _load(connection: Connection, gathered: GatheredRows, touched: TouchedRuns) -> list[RunState]:
    """Load the states of the runs that the batch names, and of the runs of trainings that it may change."""
    runs: dict[int, RunState] = {}
    for row in rows_in(connection, schema.runs, "id", gathered.runs):
        runs[row.pk] = _run_of(row)
    for row in rows_in(connection, schema.attempts, "run_pk", runs):
        runs[row.run_pk].attempts[row.attempt] = _state(AttemptState, row, number=row.attempt)
    children: set[int] = set()
    for row in rows_in(connection, schema.trainings, "run_pk", runs):
        run = runs[row.run_pk]
        run.trainings[row.number] = _training_of(row, run.id)
        changes = gathered.runs[run.id]
        if row.child:
            touched.pks[training_id(run.id, row.number)] = row.child
            if changes.lifecycle or row.number in changes.trainings:
                children.add(row.child)
    for row in rows_in(connection, schema.runs, "pk", children - set(runs)):
        runs[row.pk] = _run_of(row)
    touched.known = set(runs)
    touched.pks |= {run.id: pk for pk, run in runs.items()}
    return list(runs.values())


def _number(applied: AppliedBatch, touched: TouchedRuns, keys: Keys) -> None:
    """Assign keys to new runs, and list the trainings whose facts move to a new run."""
    new = [run for run in applied.changed if run not in touched.pks]
    touched.pks.update(zip(new, keys.take(schema.runs, len(new)), strict=True))
    touched.ended = {touched.pks[run] for run in applied.ended}
    for run, training in applied.split:
        pk = touched.pks[run.id]
        if pk in touched.known and training.run is not None:
            touched.moved.append((pk, training.number, touched.pks[training.run]))


def _put_below_trainings(connection: Connection, applied: AppliedBatch) -> None:
    """Set the parent of stored runs to changed runs of trainings, and of changed runs to stored runs of trainings."""
    runs = schema.runs
    below = (runs.c.parent == bindparam("of")) & (runs.c.parent_training == bindparam("number"))
    moving = runs.update().where(below).values(parent=bindparam("child"), parent_training=0)
    for run in applied.changed:
        parent, _, number = run.rpartition("~")
        if parent in applied.changed and number.isdecimal():
            connection.execute(moving, {"of": parent, "number": int(number), "child": run})
    above = {
        run.id: training_id(run.parent, run.parent_training)
        for run in applied.changed.values()
        if run.parent and run.parent_training
    }
    stored = {row.id for row in rows_in(connection, runs, "id", set(above.values()), only=("id",))}
    for run_id, training_run in above.items():
        if training_run in stored:
            applied.changed[run_id].parent, applied.changed[run_id].parent_training = training_run, 0


def _write(connection: Connection, applied: AppliedBatch, touched: TouchedRuns) -> None:
    pks, known = touched.pks, touched.known
    rows = [(pks[run.id], run) for run in applied.changed.values()]
    _new_runs.write(connection, [_run_row(_new_runs.columns, pk, run) for pk, run in rows if pk not in known])
    _known_runs.write(connection, [_run_row(_known_runs.columns, pk, run) for pk, run in rows if pk in known])
    named = [(pks[run.id], run) for run in touched.runs.values()]
    _attempts.write(connection, [_attempt_row(pk, each) for pk, run in named for each in run.attempts.values()])
    _trainings.write(connection, [_training_row(pk, each, pks) for pk, run in named for each in run.trainings.values()])


def _run_row(columns: Sequence[str], pk: int, run: RunState) -> tuple[Any, ...]:
    failure = run.failure
    outcome = (failure.type, failure.message, failure.traceback or None) if failure else (None, None, None)
    return _row(columns, run, pk=pk, failure_type=outcome[0], failure_message=outcome[1], traceback=outcome[2])


def _run_of(row: Any) -> RunState:
    failure = None
    if row.failure_type is not None:
        failure = Failure(type=row.failure_type, message=row.failure_message, traceback=row.traceback or "")
    return _state(RunState, row, failure=failure)


def _attempt_row(run_pk: int, attempt: AttemptState) -> tuple[Any, ...]:
    return _row(_attempts.columns, attempt, run_pk=run_pk, attempt=attempt.number)


def _training_row(run_pk: int, training: TrainingState, pks: Mapping[str, int]) -> tuple[Any, ...]:
    failure = training.failure
    text = json.dumps([failure.type, failure.message, failure.traceback], ensure_ascii=False) if failure else None
    child = pks[training.run] if training.run else None
    return _row(_trainings.columns, training, run_pk=run_pk, failure=text, child=child)


def _training_of(row: Any, run: str) -> TrainingState:
    failure = None
    if row.failure:
        kind, message, traceback = json.loads(row.failure)
        failure = Failure(type=kind, message=message, traceback=traceback)
    return _state(TrainingState, row, failure=failure, run=training_id(run, row.number) if row.child else None)


def _row(columns: Iterable[str], state: object, **stored: Any) -> tuple[Any, ...]:
    """The values of `columns`: from `stored` where given, else the attributes of `state` of the same names."""
    return tuple([stored[name] if name in stored else getattr(state, name) for name in columns])


def _state(kind: type[_S], row: Any, **fields: Any) -> _S:
    """Create a state of class `kind` from a row; `fields` are the values that have no column of the same name."""
    plain = {name: getattr(row, name) for name in kind.__slots__ if name in row._fields}  # type: ignore[attr-defined]
    return kind(**{**plain, **fields})
