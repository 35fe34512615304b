"""Turns the events of a batch into rows of the store, before any of them is written.

This needs no database, so it is done before the transaction begins. A fact belongs to a `Slot`, which is a run or a
training inside it; the row of `runs` that a slot stands for is known only once the batch is written.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator
from math import isnan
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from autotrack import events
from autotrack.events import AnyEvent, MetricRows
from autotrack.journal.reader import Batch
from autotrack.journal.run_state import LATEST, changes_by_run, micros
from autotrack.store.schema import LONGEST_TEXT

_LONGEST_FACT = 1_000
_LONGEST_LIST = 16

Ints = npt.NDArray[np.int64]
Row = tuple[Any, ...]


class Slot:
    """A run (number 0) or a training inside it, to which facts belong; `pk` is its row of `runs`, once known."""

    __slots__ = ("number", "pk", "run", "training")

    def __init__(self, run: str, number: int) -> None:
        self.run = run
        self.number = number
        self.pk = 0
        self.training = number  # the value of the column: 0 once the training has a run of its own


class MetricPoints(NamedTuple):
    """Rows of one frame: steps, times in microseconds, and one array of values per key."""

    steps: Ints
    times: Ints
    values: tuple[npt.NDArray[Any], ...]


class GatheredRows:
    """All facts of one batch by table. The values of `rows` lack the key of the run, their first column."""

    def __init__(self, batch: Batch, missing: Collection[str] = ()) -> None:
        """Sort the events of `batch`; `missing` are the digests of the files that it names but that do not exist."""
        self.batch = batch
        self.missing = missing
        self.journal = batch.journal
        self.runs = changes_by_run(batch.events)
        self.slots: dict[tuple[str, int], Slot] = {}
        self.params: dict[Slot, dict[str, Row]] = {}
        self.tags: dict[Slot, dict[str, tuple[str | None, int]]] = {}
        self.rows: dict[str, list[tuple[Slot, Row]]] = {}
        self.replaced: dict[tuple[Slot, str, int], Row] = {}
        self._artifacts: dict[tuple[Slot, str, int], int] = {}
        self.sections: dict[tuple[Slot, str, int], events.Section] = {}
        self.points: dict[tuple[Slot, tuple[str, ...], str], list[MetricPoints]] = {}
        for event in batch.events:
            if type(event) is MetricRows:
                self._points(event)
            else:
                self._event(event)  # type: ignore[arg-type]

    def _event(self, event: AnyEvent) -> None:
        _takers[type(event)](self, event, micros(event.time))

    def slot(self, run: str, number: int) -> Slot:
        """The slot of training `number` of `run`; 0 for the run itself."""
        slot = self.slots.get((run, number))
        if slot is None:
            slot = self.slots[run, number] = Slot(run, number)
        return slot

    def _points(self, rows: MetricRows) -> None:
        frame = rows.frame
        key = (self.slot(frame.run, frame.training), frame.keys, frame.types)
        self.points.setdefault(key, []).append(MetricPoints(rows.steps, moments(rows.times), rows.values))

    def add(self, table: str, slot: Slot, *values: Any) -> None:
        """Add a row to a table whose rows are never updated."""
        self.rows.setdefault(table, []).append((slot, values))

    def _of_the_run(self, event: AnyEvent, time: int) -> None:
        """Add no row for an event that changes the state of its run: `runs` holds these changes."""

    def _params(self, event: events.Params, time: int) -> None:
        slot = self.slot(event.run, event.training)
        params = self.params.get(slot)
        if params is None:
            params = self.params[slot] = {}
        for key, value in event.values.items():
            number, text = searchable(value)
            params[key] = (key, value, number, text, event.origin, time)

    def _tags(self, event: events.Tags, time: int) -> None:
        tags = self.tags.setdefault(self.slot(event.run, event.training), {})
        for key, value in event.values.items():
            tags[key] = (value, time)

    def _note(self, event: events.Note, time: int) -> None:
        self.add("notes", self.slot(event.run, 0), time, event.text, event.user)

    def _section(self, event: events.Section, time: int) -> None:
        self.sections[self.slot(event.run, event.training), event.name, event.attempt] = event

    def _artifact(self, event: events.Artifact, time: int) -> None:
        slot, moment = self.slot(event.run, event.training), time if event.replaces is None else micros(event.replaces)
        stored, meta = event.stored and self._is_there(event, event.name, time), event.meta
        if event.stored and not stored:
            meta = {**meta, "reason": "the bytes are not there any more"}
        row = (
            event.name, event.kind, event.digest, event.size, event.media_type, event.step, moment, event.source,
            stored, as_json(meta),
        )  # fmt: skip
        key = (slot, event.name, moment)
        known = self._artifacts.get(key)
        if known is not None and event.replaces is not None:
            self.rows["artifacts"][known] = (slot, row)
        elif event.replaces is not None:
            self.replaced[key] = row
        else:
            self.add("artifacts", slot, *row)
            self._artifacts[key] = len(self.rows["artifacts"]) - 1

    def _is_there(self, event: events.Artifact | events.Media, name: str, time: int) -> bool:
        if event.digest not in self.missing:
            return True
        if isinstance(event, events.Artifact) and event.kind == "checkpoint":
            return False  # a training deletes superseded checkpoints, and records that in a later event
        message = f"the bytes of {name!r} ({event.size:,} bytes, SHA-256 {event.digest}) were not found"
        self.add("reports", self.slot(event.run, event.training), time, "artifact", message, "missing", 1)
        return False

    def _media(self, event: events.Media, time: int) -> None:
        self._is_there(event, event.key, time)
        self.add(
            "media", self.slot(event.run, event.training), event.key, event.kind, event.step, time, event.digest,
            event.size, event.media_type, as_json(event.meta),
        )  # fmt: skip

    def _dataset(self, event: events.Dataset, time: int) -> None:
        self.add(
            "datasets", self.slot(event.run, event.training), event.name, event.role, event.version, event.source,
            event.digest, as_json(event.meta),
        )  # fmt: skip

    def _model(self, event: events.Model, time: int) -> None:
        self.add(
            "models", self.slot(event.run, event.training), event.name, event.flavor, event.digest, event.size,
            event.stored, time, as_json(event.meta),
        )  # fmt: skip

    def _evaluation(self, event: events.Evaluation, time: int) -> None:
        slot = self.slot(event.run, event.training)
        self.add("evaluations", slot, event.name, time, as_json(event.columns), as_json(event.meta))

    def _report(self, event: events.Report, time: int) -> None:
        slot = self.slot(event.run, event.training)
        self.add("reports", slot, time, event.what, event.message, event.level, event.count)

    def _console(self, event: events.Console, time: int) -> None:
        self.add("console", self.slot(event.run, 0), time, event.stream, event.text)


_takers: dict[type, Callable[..., None]] = {
    events.RunStarted: GatheredRows._of_the_run,
    events.RunResumed: GatheredRows._of_the_run,
    events.RunFinished: GatheredRows._of_the_run,
    events.TrainingStarted: GatheredRows._of_the_run,
    events.TrainingFinished: GatheredRows._of_the_run,
    events.RunRenamed: GatheredRows._of_the_run,
    events.Params: GatheredRows._params,
    events.Tags: GatheredRows._tags,
    events.Note: GatheredRows._note,
    events.Section: GatheredRows._section,
    events.Artifact: GatheredRows._artifact,
    events.Media: GatheredRows._media,
    events.Dataset: GatheredRows._dataset,
    events.Model: GatheredRows._model,
    events.Evaluation: GatheredRows._evaluation,
    events.Report: GatheredRows._report,
    events.Console: GatheredRows._console,
}


def moments(seconds: npt.NDArray[np.float64]) -> Ints:
    """An array of seconds as whole microseconds; 0 where a number cannot be a time."""
    return np.rint(np.where(np.abs(seconds) < LATEST, seconds, 0.0) * 1e6).astype(np.int64)


def as_json(value: Any) -> str:
    """JSON text, with NaN and Infinity spelled as Python spells them."""
    return json.dumps(value, ensure_ascii=False, default=_as_plain) if value else "[]" if value == [] else "{}"


def number_or_none(value: float) -> float | None:
    """`value`; None for NaN, which the database stores as NULL."""
    return None if isnan(value) else value


@functools.lru_cache(maxsize=10_000)
def searchable(value: str) -> tuple[float | None, str]:
    """The number and the text by which filters find a param with the JSON `value`; a string's text has no quotes."""
    first = value[:1]
    if first == '"':
        return None, _string(value)[:LONGEST_TEXT]
    if value in ("true", "false"):
        return float(value == "true"), value
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    return number_or_none(number), value[:LONGEST_TEXT]


def _string(value: str) -> str:
    try:
        return str(msgspec.json.decode(value))
    except msgspec.DecodeError:  # half of a surrogate pair, which JSON can hold but no database
        return str(json.loads(value)).encode(errors="replace").decode()


def leaves(data: Any, path: str) -> Iterator[tuple[str, float | None, str]]:
    """Yield the scalar leaves of a section as dotted path, number and text; without long strings and ends of lists."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(data, list):
        for index, value in enumerate(data[:_LONGEST_LIST]):
            yield from leaves(value, f"{path}.{index}")
    elif isinstance(data, str):
        if len(data) <= _LONGEST_FACT and len(data.encode()) <= 2 * _LONGEST_FACT:
            yield path, None, data
    elif isinstance(data, bool | int | float):
        yield path, *searchable(json.dumps(data))


def _as_plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)
