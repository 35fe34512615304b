"""The state of runs, derived from their events: name, status, attempts and the trainings inside them.

A consumer of journals sums up each batch with `changes_by_run` and applies that to a `RunStates`. The journals of a run
may be applied in any order, with the same outcome:

- The latest attempt decides the status of a run, by the events of the journal that this attempt began in. Of several
  journals that began the same attempt the one that began it last counts.
- The latest name counts.
- A run may contain trainings. As long as it has one, both are the same run; with the second one, each training becomes
  a run of its own below the first, with the id that `training_id` returns. Runs below such a training, such as the
  candidates of a search, go below its run.

Times are whole microseconds since the Unix epoch, durations seconds. States are plain data, which `msgspec` encodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import get_args

from autotrack import events
from autotrack.events import AnyEvent, Failure, MetricRows
from autotrack.ids import training_id

RUNNING = "running"
LATEST = 9e12  # seconds; as microseconds they still fit into 64 bits

Lifecycle = (
    events.RunStarted | events.RunResumed | events.RunFinished | events.TrainingStarted | events.TrainingFinished
)
_LIFECYCLE = frozenset(get_args(Lifecycle))
#: Events of a run itself: their `training` is none, or that of the parent
_OF_THE_RUN = frozenset({events.RunStarted, events.RunRenamed, events.Note, events.Console})


def micros(seconds: float) -> int:
    """Seconds as whole microseconds; 0 for a number that cannot be a time."""
    return round(seconds * 1e6) if abs(seconds) < LATEST else 0


class RunChanges:
    """The events of one batch that change the state of a run, with the time of the latest event of any kind."""

    __slots__ = ("last_event", "lifecycle", "name", "named", "trainings")

    def __init__(self) -> None:
        self.last_event = 0
        self.lifecycle: list[Lifecycle] = []
        self.name: str | None = None
        self.named = 0
        self.trainings: set[int] = set()  # numbers of the trainings that have facts

    def add_event(self, event: AnyEvent) -> None:
        """Add an event; only its time counts, unless it changes the state of the run or belongs to a training."""
        time, kind = micros(event.time), type(event)
        self.last_event = max(self.last_event, time)
        if kind in _LIFECYCLE:
            self.lifecycle.append(event)  # type: ignore[arg-type]
        elif isinstance(event, events.RunRenamed) and time >= self.named:
            self.name, self.named = event.name, time
        if event.training and kind not in _OF_THE_RUN:
            self.trainings.add(event.training)

    def add_rows(self, rows: MetricRows) -> None:
        """Add metric rows: their latest time, and the training that they belong to."""
        latest = float(rows.times.max())
        if not abs(latest) < LATEST:  # one invalid time, such as NaN, would hide the valid ones
            latest = max(seconds if abs(seconds) < LATEST else 0.0 for seconds in rows.times.tolist())
        self.last_event = max(self.last_event, micros(latest))
        if rows.frame.training:
            self.trainings.add(rows.frame.training)


def changes_by_run(found: Iterable[AnyEvent | MetricRows]) -> dict[str, RunChanges]:
    """The changes of each run in a batch with these events, by run id."""
    changes: dict[str, RunChanges] = {}
    for event in found:
        of_run = changes.get(event.run)
        if of_run is None:
            of_run = changes[event.run] = RunChanges()
        if isinstance(event, MetricRows):
            of_run.add_rows(event)
        else:
            of_run.add_event(event)
    return changes


@dataclass(slots=True)
class AttemptState:
    """One attempt of a run, counted from 1, and the journal that it began in."""

    number: int
    journal: str
    started: int | None = None
    ended: int | None = None
    status: str = RUNNING
    user: str = ""
    host: str = ""
    pid: int = 0
    last_event: int | None = None  # the time of the latest event of its journal


@dataclass(slots=True)
class TrainingState:
    """One training inside a run, counted from 1; `run` is the id of the run that it has become, if it has."""

    number: int
    name: str = ""
    framework: str = ""
    kind: str = "training"
    status: str = RUNNING
    started: int | None = None
    ended: int | None = None
    failure: Failure | None = None
    run: str | None = None

    def apply(self, event: events.TrainingStarted | events.TrainingFinished) -> None:
        """Apply the start or the end of the training."""
        if isinstance(event, events.TrainingStarted):
            self.name, self.framework, self.kind = event.name, event.framework, event.kind
            self.started = micros(event.time)
        else:
            self.status, self.ended = event.status, micros(event.time)
            self.failure = event.failure or self.failure


@dataclass(slots=True)
class RunState:
    """The state of one run. Until its start arrives it is named after its id, and `attempt` is 0."""

    id: str
    name: str
    named: int | None = None  # the time of the event that named it
    experiment: str = ""
    kind: str = "run"
    parent: str | None = None
    parent_training: int = 0  # the training of the parent that it belongs to, unless that is a run of its own
    status: str = RUNNING
    attempt: int = 0  # the latest
    owner: str | None = None  # the journal of the latest attempt
    user: str = ""
    host: str = ""
    pid: int = 0
    started: int | None = None
    ended: int | None = None
    duration: float | None = None  # of all attempts together; None while the run is running
    exit_code: int | None = None
    failure: Failure | None = None
    last_event: int = 0
    attempts: dict[int, AttemptState] = field(default_factory=dict)
    trainings: dict[int, TrainingState] = field(default_factory=dict)

    def apply(self, changes: RunChanges, journal: str) -> None:
        """Apply the changes of this run in a batch of `journal`."""
        for number in changes.trainings:
            self._training(number)
        self.last_event = max(self.last_event, changes.last_event)
        if self.owner is None:
            self.owner = journal  # a run whose start never arrives ends with this journal
        for event in changes.lifecycle:
            self._apply_event(event, journal)
        if changes.name is not None:
            self._rename(changes.name, changes.named)
        for attempt in self.attempts.values():
            if attempt.journal == journal:
                attempt.last_event = max(attempt.last_event or 0, changes.last_event)
        self._conclude()

    def _apply_event(self, event: Lifecycle, journal: str) -> None:
        if isinstance(event, events.RunStarted):
            self._start(event, journal)
        elif isinstance(event, events.RunResumed):
            self._begin_attempt(event.attempt, event, journal)
        elif isinstance(event, events.RunFinished):
            self._finish_attempt(event, journal)
        else:
            self._training(event.training).apply(event)

    def _rename(self, name: str, time: int) -> None:
        if self.named is None or time >= self.named:
            self.name, self.named = name, time

    def _start(self, event: events.RunStarted, journal: str) -> None:
        self.started = micros(event.time)
        self.experiment, self.kind = event.experiment, event.kind
        self.parent, self.parent_training = event.parent, event.training
        self._rename(event.name, self.started)
        self._begin_attempt(1, event, journal)

    def _begin_attempt(self, number: int, event: events.RunStarted | events.RunResumed, journal: str) -> None:
        time = micros(event.time)
        attempt = self.attempts.get(number)
        if attempt is None or (attempt.journal != journal and (attempt.started is None or attempt.started < time)):
            attempt = self.attempts[number] = AttemptState(number, journal)
            if number == self.attempt:
                self.attempt = 0  # events of other journals about this attempt do not count
        elif attempt.journal != journal:
            return
        attempt.started, attempt.user, attempt.host, attempt.pid = time, event.user, event.host, event.pid
        if number > self.attempt:
            self.exit_code = self.failure = None
        if number >= self.attempt:
            self.attempt, self.owner, self.status, self.ended = number, journal, attempt.status, attempt.ended
            self.user, self.host, self.pid = event.user, event.host, event.pid

    def _finish_attempt(self, event: events.RunFinished, journal: str) -> None:
        attempt = self.attempts.get(event.attempt)
        if attempt is None:
            attempt = self.attempts[event.attempt] = AttemptState(event.attempt, journal)
        elif attempt.journal != journal:
            return
        attempt.status, attempt.ended = event.status, micros(event.time)
        if event.attempt >= self.attempt:
            self.attempt, self.owner = event.attempt, journal
            self.status, self.ended = attempt.status, attempt.ended
            self.exit_code, self.failure = event.exit_code, event.failure

    def _training(self, number: int) -> TrainingState:
        return self.trainings.get(number) or self.trainings.setdefault(number, TrainingState(number))

    def _conclude(self) -> None:
        """If the run has ended: end its running trainings, and sum up the durations of its attempts."""
        if self.status == RUNNING:
            self.duration = None
            return
        for training in self.trainings.values():
            if training.status == RUNNING:
                training.status, training.ended = self.status, training.ended or self.ended
        if not self.attempts:
            return  # a run made from a training: `apply_training` sets its duration
        parts = [(attempt.started, attempt.ended or attempt.last_event) for attempt in self.attempts.values()]
        self.duration = sum(max(0, end - start) for start, end in parts if start and end) / 1e6

    def apply_training(self, training: TrainingState, run: RunState) -> None:
        """Update this run, which was made from `training` of `run`, from the states of both."""
        if self.named is None or (training.started or 0) > self.named:
            self.name, self.named = training.name or run.name, training.started
        self.kind, self.experiment = training.kind, run.experiment
        self.user, self.host, self.pid = run.user, run.host, run.pid
        self.status, self.started, self.ended = training.status, training.started, training.ended
        self.attempt = max(self.attempt, 1)
        self.last_event = max(self.last_event, training.ended or training.started or 0)
        if training.started and training.ended:
            self.duration = (training.ended - training.started) / 1e6
        self.failure = training.failure or self.failure


@dataclass
class AppliedBatch:
    """The result of a batch: changed states by run id, the ids of runs that ended, and trainings that became runs."""

    changed: dict[str, RunState] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    split: list[tuple[RunState, TrainingState]] = field(default_factory=list)


class RunStates:
    """The states of all runs that a consumer of journals knows, by run id."""

    def __init__(self, known: Iterable[RunState] = ()) -> None:
        """Continue from states that were kept, or from none."""
        self.runs = {state.id: state for state in known}
        self._below: dict[str, dict[str, RunState]] = defaultdict(dict)  # runs that wait for the key, a training's run
        for state in self.runs.values():
            self._put_below_training(state)

    def apply(self, changes: Mapping[str, RunChanges], journal: str) -> AppliedBatch:
        """Apply the changes of each run in a batch of `journal`; `changes_by_run` finds them."""
        applied = AppliedBatch()
        for run, of_run in changes.items():
            state = self.runs.get(run) or self.runs.setdefault(run, RunState(run, run))
            before = state.status
            state.apply(of_run, journal)
            applied.changed[run] = state
            if state.status != RUNNING and (before == RUNNING or of_run.lifecycle):
                applied.ended.add(run)
        for run, of_run in changes.items():
            self._split(self.runs[run], of_run, applied)
        for run in changes:
            self._put_below_training(self.runs[run])
        for _, training in applied.split:
            for below in self._below.pop(training.run or "", {}).values():
                self._put_below_training(below)
                applied.changed[below.id] = below
        return applied

    def _split(self, run: RunState, changes: RunChanges, applied: AppliedBatch) -> None:
        """If the run has several trainings: create a run for each, and update the runs of those that changed."""
        if len(run.trainings) < 2:
            return
        for training in run.trainings.values():
            if training.run is None:
                training.run = training_id(run.id, training.number)
                child = self.runs.setdefault(training.run, RunState(training.run, training.run, kind="training"))
                child.parent, child.owner = run.id, run.owner
                applied.split.append((run, training))
            elif not changes.lifecycle and training.number not in changes.trainings:
                continue
            child = applied.changed[training.run] = self.runs[training.run]
            child.apply_training(training, run)
            if training.number in changes.trainings:
                child.last_event = max(child.last_event, changes.last_event)
            if child.status != RUNNING:
                applied.ended.add(child.id)

    def _put_below_training(self, state: RunState) -> None:
        """Set the parent of a run that belongs to a training of its parent to that training's run, once it exists."""
        if state.parent is None or not state.parent_training:
            return
        target = training_id(state.parent, state.parent_training)
        if target in self.runs:
            state.parent, state.parent_training = target, 0
        else:
            self._below[target][state.id] = state
