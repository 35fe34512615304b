"""The parts of a record besides its params: summaries of metrics, data sets, notes, …"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeVar, overload

import msgspec

from autotrack.exceptions import NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Row

NAN = float("nan")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def point_in_time(micros: int) -> datetime:
    """Microseconds since the epoch as a point in time, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def moment(micros: int | None) -> datetime | None:
    """The point in time in UTC; None for None."""
    return None if micros is None else point_in_time(micros)


class Summary(msgspec.Struct, frozen=True):
    """The summary of a metric. `float(summary)` is its last value; NaN is kept, and counted in `nans`.

    `min` and `max` skip NaN; they are NaN if there was nothing else. Steps are None where there is no such point.
    """

    first: float
    last: float
    min: float
    max: float
    count: int
    nans: int = 0
    first_step: int | None = None
    last_step: int | None = None
    min_step: int | None = None
    max_step: int | None = None
    first_time: datetime | None = None
    last_time: datetime | None = None

    @classmethod
    def of(cls, row: Row[Any]) -> Summary:
        """The summary that a row of `metrics` holds."""
        first, last, low, high = (NAN if value is None else value for value in (row.first, row.last, row.min, row.max))
        return cls(
            first, last, low, high, row._mapping["count"], row.nans,
            row.first_step, row.last_step, row.min_step, row.max_step, moment(row.first_time), moment(row.last_time),
        )  # fmt: skip

    def __float__(self) -> float:
        return self.last

    def __format__(self, spec: str) -> str:
        return format(self.last, spec)


class ReportLine(str):
    """A line of the capture report: text, with its parts as attributes."""

    what: str
    message: str
    level: str
    times: int

    def __new__(cls, what: str, message: str, level: str = "missing", times: int = 1) -> ReportLine:
        line = super().__new__(cls, f"{what}: {message}" + (f" ({times} times)" if times > 1 else ""))
        line.what, line.message, line.level, line.times = what, message, level, times
        return line

    @classmethod
    def of(cls, row: Row[Any]) -> ReportLine:
        """The line that a row of `reports` holds."""
        return cls(row.what, row.message, row.level, row._mapping["count"])


class Section(dict[str, Any]):
    """A section of the environment: a dict, with the names that were `masked` and the reason if it is `unavailable`."""

    def __init__(self, data: Mapping[str, Any], masked: Iterable[str] = (), unavailable: str | None = None) -> None:
        super().__init__(data)
        self.masked = tuple(masked)
        self.unavailable = unavailable

    @classmethod
    def of(cls, row: Row[Any]) -> Section:
        """The section that a row of `sections` holds."""
        return cls(json.loads(row.data), json.loads(row.masked), row.unavailable)


@dataclass(frozen=True)
class Note:
    """A remark on a run, with its author and time."""

    text: str
    user: str
    time: datetime

    @classmethod
    def of(cls, row: Row[Any]) -> Note:
        """The remark that a row of `notes` holds."""
        return cls(row.text, row.user, point_in_time(row.time))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run: where and when a process worked on it, and how that ended."""

    number: int
    status: str
    started: datetime | None
    ended: datetime | None
    user: str
    host: str
    pid: int
    journal: str

    @classmethod
    def of(cls, row: Row[Any], latest: int, run_status: str) -> Attempt:
        """The attempt that a row of `attempts` holds.

        The status of one without an end is crashed if it is not the `latest` of the run, else the run's status.
        """
        status = row.status
        if status == "running":
            status = "crashed" if row.attempt < latest else run_status
        started, ended = moment(row.started), moment(row.ended)
        return cls(row.attempt, status, started, ended, row.user, row.host, row.pid, row.journal)


@dataclass(frozen=True)
class TrainingInfo:
    """A training inside the run."""

    number: int
    name: str
    framework: str
    kind: str
    status: str
    started: datetime | None
    ended: datetime | None

    @classmethod
    def of(cls, row: Row[Any]) -> TrainingInfo:
        """The training that a row of `trainings` holds."""
        started, ended = moment(row.started), moment(row.ended)
        return cls(row.number, row.name, row.framework, row.kind, row.status, started, ended)


@dataclass(frozen=True)
class Dataset:
    """Data that went into the run: its fingerprint and shape, never the data."""

    name: str
    role: str
    version: str
    source: str
    digest: str
    meta: dict[str, Any]
    training: int = 0

    @classmethod
    def of(cls, row: Row[Any]) -> Dataset:
        """The data set that a row of `datasets` holds."""
        return cls(row.name, row.role, row.version, row.source, row.digest, json.loads(row.meta), row.training)


@dataclass(frozen=True)
class Evaluation:
    """A result that is a small table: column names to values, all of one length."""

    name: str
    time: datetime
    columns: dict[str, list[Any]]
    meta: dict[str, Any]
    training: int = 0

    @classmethod
    def of(cls, row: Row[Any]) -> Evaluation:
        """The evaluation that a row of `evaluations` holds."""
        return cls(row.name, point_in_time(row.time), json.loads(row.columns), json.loads(row.meta), row.training)


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


_Named = TypeVar("_Named", bound=_HasName)


class Named(list[_Named]):
    """A list that is also indexed by its items' names: of several items with one name, the last."""

    @overload
    def __getitem__(self, key: str) -> _Named: ...
    @overload
    def __getitem__(self, key: SupportsIndex) -> _Named: ...
    @overload
    def __getitem__(self, key: slice) -> list[_Named]: ...
    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for item in reversed(self):
            if item.name == key:
                return item
        raise missing(key, [item.name for item in self])


def missing(name: str, known: Iterable[str]) -> NotFoundError:
    """A `NotFoundError` that lists names similar to `name` or, without such, the first ten of `known`."""
    known = list(dict.fromkeys(known))
    close = get_close_matches(name, known, n=3) or known[:10]
    hint = f"; there is {', '.join(close)}" if close else "; there is none"
    return NotFoundError(f"there is no {name!r}{hint}")
