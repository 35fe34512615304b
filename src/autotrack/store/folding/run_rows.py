"""Runs, their attempts and the trainings inside them: what becomes of a run's own row.

Journals of one run may be folded in any order, and the outcome is the same: the latest attempt decides the status,
in the word of the journal that owns it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam

from autotrack import events
from autotrack.ids import training_id
from autotrack.store import schema
from autotrack.store.bulk import Keys, Updater, Writer, rows_in
from autotrack.store.folding.rows import Gathered, RunFacts, micros

RUNNING = "running"


@dataclass(slots=True)
class Attempt:
    """One attempt of a run: a row of `attempts`."""

    run_pk: int
    attempt: int
    journal: str
    started: int | None = None
    ended: int | None = None
    status: str = RUNNING
    user: str = ""
    host: str = ""
    pid: int = 0
    last_event: int | None = None


@dataclass(slots=True)
class Training:
    """One training inside a run: a row of `trainings`. `child` is the run it became, if it did."""

    run_pk: int
    number: int
    name: str = ""
    framework: str = ""
    kind: str = "training"
    status: str = RUNNING
    started: int | None = None
    ended: int | None = None
    failure: str | None = None
    child: int | None = None


@dataclass(slots=True)
class RunRow:
    """A row of `runs`, with the rows of its attempts and trainings."""

    pk: int
    id: str
    name: str
    named: int | None = None
    experiment: str = ""
    kind: str = "run"
    parent: str | None = None
    parent_training: int = 0
    status: str = RUNNING
    attempt: int = 0
    owner: str | None = None
    user: str = ""
    host: str = ""
    pid: int = 0
    started: int | None = None
    ended: int | None = None
    duration: float | None = None
    exit_code: int | None = None
    failure_type: str | None = None
    failure_message: str | None = None
    traceback: str | None = None
    last_event: int = 0
    attempts: dict[int, Attempt] = field(default_factory=dict)
    trainings: dict[int, Training] = field(default_factory=dict)

    def take(self, facts: RunFacts, journal: str) -> None:
        """Take what a batch of `journal` says."""
        self.last_event = max(self.last_event, facts.last_event)
        if self.owner is None:
            self.owner = journal  # until its start is seen: somebody must answer for it
        for event in facts.lifecycle:
            if isinstance(event, events.RunStarted):
                self._start(event, journal)
            elif isinstance(event, events.RunResumed):
                self._begin(event.attempt, event, journal)
            elif isinstance(event, events.RunFinished):
                self._finish(event, journal)
            else:
                self._training(event)
        if facts.name is not None:
            self.rename(facts.name, facts.named)
        for attempt in self.attempts.values():
            if attempt.journal == journal:
                attempt.last_event = max(attempt.last_event or 0, facts.last_event)
        self._sum_up()

    def rename(self, name: str, time: int) -> None:
        """Take the name unless there is a later one."""
        if self.named is None or time >= self.named:
            self.name, self.named = name, time

    def _start(self, event: events.RunStarted, journal: str) -> None:
        self.started = micros(event.time)
        self.experiment, self.kind = event.experiment, event.kind
        self.parent, self.parent_training = event.parent, event.training
        self.rename(event.name, self.started)
        self._begin(1, event, journal)

    def _begin(self, number: int, event: events.RunStarted | events.RunResumed, journal: str) -> None:
        time = micros(event.time)
        attempt = self.attempts.get(number)
        if attempt is None or (attempt.journal != journal and (attempt.started is None or attempt.started < time)):
            attempt = self.attempts[number] = Attempt(self.pk, number, journal)
            if number == self.attempt:
                self.attempt = 0  # the word of another journal on this attempt does not count
        elif attempt.journal != journal:
            return
        attempt.started, attempt.user, attempt.host, attempt.pid = time, event.user, event.host, event.pid
        if number > self.attempt:
            self._forget_outcome()
        if number >= self.attempt:
            self.attempt, self.owner, self.status, self.ended = number, journal, attempt.status, attempt.ended
            self.user, self.host, self.pid = event.user, event.host, event.pid

    def _finish(self, event: events.RunFinished, journal: str) -> None:
        attempt = self.attempts.get(event.attempt)
        if attempt is None:
            attempt = self.attempts[event.attempt] = Attempt(self.pk, event.attempt, journal)
        elif attempt.journal != journal:
            return
        attempt.status, attempt.ended = event.status, micros(event.time)
        if event.attempt < self.attempt:
            return
        self._forget_outcome()
        self.attempt, self.owner = event.attempt, journal
        self.status, self.ended, self.exit_code = attempt.status, attempt.ended, event.exit_code
        if event.failure is not None:
            self.fail(event.failure)

    def fail(self, failure: events.Failure) -> None:
        """Take the exception that ended it."""
        self.failure_type, self.failure_message = failure.type, failure.message
        self.traceback = failure.traceback or None

    def _forget_outcome(self) -> None:
        self.exit_code = self.failure_type = self.failure_message = self.traceback = None

    def _sum_up(self) -> None:
        self.duration = None
        if self.status != RUNNING:
            for training in self.trainings.values():
                if training.status == RUNNING:
                    training.status, training.ended = self.status, training.ended or self.ended
            parts = [(a.started, a.ended or a.last_event) for a in self.attempts.values()]
            self.duration = sum(max(0, end - start) for start, end in parts if start and end) / 1e6

    def training(self, number: int) -> Training:
        """The row of training `number`, made if there is none."""
        found = self.trainings.get(number)
        if found is None:
            found = self.trainings[number] = Training(self.pk, number)
        return found

    def _training(self, event: events.TrainingStarted | events.TrainingFinished) -> None:
        training = self.training(event.training)
        if isinstance(event, events.TrainingStarted):
            training.name, training.framework, training.kind = event.name, event.framework, event.kind
            training.started = micros(event.time)
        else:
            training.status, training.ended = event.status, micros(event.time)
            if event.failure is not None:
                failure = event.failure
                training.failure = json.dumps([failure.type, failure.message, failure.traceback], ensure_ascii=False)

    def child_of(self, training: Training, pk: int) -> RunRow:
        """The run that stands for `training` from now on."""
        name = training_id(self.id, training.number)
        child = RunRow(pk, name, name, kind="training")
        training.child = pk
        child.parent, child.owner = self.id, self.owner
        self.describe(training, child)
        return child

    def describe(self, training: Training, child: RunRow) -> None:
        """Bring the run of a training up to what is known of training and run."""
        if child.named is None or (training.started or 0) > child.named:
            child.name, child.named = training.name or self.name, training.started
        child.kind, child.experiment = training.kind, self.experiment
        child.user, child.host, child.pid = self.user, self.host, self.pid
        child.status, child.started, child.ended = training.status, training.started, training.ended
        child.attempt = max(child.attempt, 1)
        child.last_event = max(child.last_event, training.ended or training.started or 0)
        if training.started and training.ended:
            child.duration = (training.ended - training.started) / 1e6
        if training.failure:
            kind, message, trace = json.loads(training.failure)
            child.fail(events.Failure(type=kind, message=message, traceback=trace))


_new_runs = Writer(schema.runs, without=("deleted",))
_known_runs = Updater(schema.runs, key="pk", without=("id", "deleted"))
_attempts = Writer(schema.attempts, key=("run_pk", "attempt"))
_trainings = Writer(schema.trainings, key=("run_pk", "number"))
_new_row, _known_row, _attempt_row, _training_row = (
    attrgetter(*writer.columns) for writer in (_new_runs, _known_runs, _attempts, _trainings)
)


@dataclass
class Touched:
    """The runs that a batch touches. `known` are the keys of those that the store had before."""

    rows: dict[str, RunRow] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    moved: list[tuple[int, int, int]] = field(default_factory=list)  # run, number of the training, its new run


def settle(connection: Connection, gathered: Gathered, keys: Keys) -> Touched:
    """Write runs, attempts and trainings, and tell every slot which run it is."""
    touched = _load(connection, gathered)
    new = [run for run in gathered.runs if run not in touched.rows]
    for pk, run in zip(keys.take(schema.runs, len(new)), new, strict=True):
        touched.rows[run] = RunRow(pk, run, run)
    for run, facts in gathered.runs.items():
        row = touched.rows[run]
        before = row.status
        for number in facts.numbers:
            row.training(number)
        row.take(facts, gathered.journal)
        if row.status != RUNNING and (before == RUNNING or facts.lifecycle):
            touched.ended.add(row.pk)
    rows = list(touched.rows.values())
    children = _split(connection, gathered, touched, keys)
    _belong_to_trainings(connection, rows, children)
    everyone = rows + children
    _new_runs.write(connection, [_new_row(row) for row in everyone if row.pk not in touched.known])
    _known_runs.write(connection, [_known_row(row) for row in everyone if row.pk in touched.known])
    _attempts.write(connection, [_attempt_row(attempt) for row in rows for attempt in row.attempts.values()])
    _trainings.write(connection, [_training_row(item) for row in rows for item in row.trainings.values()])
    for slot in gathered.slots.values():
        row = touched.rows[slot.run]
        child = row.trainings[slot.number].child if slot.number else None
        slot.pk, slot.training = (row.pk, slot.number) if child is None else (child, 0)
    return touched


def _load(connection: Connection, gathered: Gathered) -> Touched:
    touched = Touched()
    found = rows_in(connection, schema.runs, "id", gathered.runs)
    for row in found:
        touched.rows[row.id] = _from_row(RunRow, row)
    by_pk = {row.pk: row for row in touched.rows.values()}
    touched.known = set(by_pk)
    for row in rows_in(connection, schema.attempts, "run_pk", by_pk):
        by_pk[row.run_pk].attempts[row.attempt] = _from_row(Attempt, row)
    for row in rows_in(connection, schema.trainings, "run_pk", by_pk):
        by_pk[row.run_pk].trainings[row.number] = _from_row(Training, row)
    return touched


def _split(connection: Connection, gathered: Gathered, touched: Touched, keys: Keys) -> list[RunRow]:
    """Give every training a run of its own where there is more than one; returns those runs."""
    several = [row for row in touched.rows.values() if len(row.trainings) > 1]
    if not several:
        return []
    existing = [item.child for row in several for item in row.trainings.values() if item.child]
    children: dict[int, RunRow] = {
        row.pk: _from_row(RunRow, row) for row in rows_in(connection, schema.runs, "pk", existing)
    }
    touched.known |= set(children)
    fresh = [(row, item) for row in several for item in row.trainings.values() if item.child is None]
    for (row, item), pk in zip(fresh, keys.take(schema.runs, len(fresh)), strict=True):
        children[pk] = row.child_of(item, pk)
        if row.pk in touched.known:
            touched.moved.append((row.pk, item.number, pk))
    for row in several:
        facts = gathered.runs[row.id]
        for item in row.trainings.values():
            child = children.get(item.child or 0)
            if child is not None and (facts.lifecycle or item.number in facts.numbers):
                row.describe(item, child)
                child.last_event = max(child.last_event, facts.last_event if item.number in facts.numbers else 0)
                if child.status != RUNNING:
                    touched.ended.add(child.pk)
    return list(children.values())


def _belong_to_trainings(connection: Connection, rows: list[RunRow], children: list[RunRow]) -> None:
    """Hang runs that belong to a training of their parent below that training's run, where it has one."""
    runs = schema.runs
    split = {row.id for row in children}
    below = (runs.c.parent == bindparam("of")) & (runs.c.parent_training == bindparam("number"))
    moving = runs.update().where(below).values(parent=bindparam("child"), parent_training=0)
    for row in children:
        run, _, number = row.id.rpartition("~")
        connection.execute(moving, {"of": run, "number": int(number), "child": row.id})
    wanted = {training_id(row.parent, row.parent_training) for row in rows if row.parent and row.parent_training}
    split |= {row.id for row in rows_in(connection, runs, "id", wanted - split, only=("id",))}
    for row in rows:
        if row.parent and row.parent_training:
            child = training_id(row.parent, row.parent_training)
            if child in split:
                row.parent, row.parent_training = child, 0


def _from_row(kind: type[Any], row: Any) -> Any:
    names = [name for name in row._fields if name in kind.__slots__]
    return kind(**{name: getattr(row, name) for name in names})
