"""Recorded runs, as queries return them: a `Record` is one run, `Runs` are many."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from autotrack import _upcalls, events
from autotrack.exceptions import NotFoundError, StoreError
from autotrack.ids import short_id
from autotrack.journal.host import user_name
from autotrack.query.facets import (
    Attempt,
    Dataset,
    Evaluation,
    Named,
    Note,
    ReportLine,
    Section,
    Summary,
    TrainingInfo,
    missing,
    moment,
    point_in_time,
)
from autotrack.query.files import Artifact, Media, Model, artifacts_of
from autotrack.query.metric_aliases import ByMetric
from autotrack.query.pages import Page, children_of
from autotrack.query.params import Params
from autotrack.query.selection import Selection
from autotrack.store import schema
from autotrack.values import checked_key, plain

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from sqlalchemy import Row, Table

    from autotrack.query.groups import Groups
    from autotrack.store.blobs import Blobs
    from autotrack.store.engine import Store

_PAGE = 1000  # runs whose facts are read at once

Emit = Callable[[events.Event], None]


@dataclass(eq=False, repr=False)
class Record:
    """A recorded run, finished or live, as of the time when it was read.

    Times are in UTC; `ended` and `duration` (seconds) are None before they are known, `started` until the start is
    folded. `status` is running, finished, failed, killed, crashed or preempted. `parent` is a run's id, `child_count`
    counts the runs directly below this one. Everything else is read from the store on first access.
    """

    id: str
    name: str
    experiment: str
    kind: str
    status: str
    started: datetime | None
    ended: datetime | None
    duration: float | None
    parent: str | None
    user: str
    host: str
    pid: int
    attempt: int
    exit_code: int | None
    failure_type: str | None
    failure_message: str | None
    traceback: str | None
    last_event: datetime
    deleted: datetime | None
    child_count: int
    _page: Page
    _pk: int
    _emit: Emit | None = field(default=None)

    @classmethod
    def of(cls, row: Row[Any], page: Page, emit: Emit | None = None) -> Record:
        """The record of a row from `Page.runs`."""
        return cls(
            row.id, row.name, row.experiment, row.kind, row.status, moment(row.started), moment(row.ended),
            row.duration, row.parent, row.user, row.host, row.pid, row.attempt, row.exit_code,
            row.failure_type, row.failure_message, row.traceback, point_in_time(row.last_event), moment(row.deleted),
            row.children, page, row.pk, emit,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Record {self.name} ({short_id(self.id)}) {self.status}>"

    def _repr_html_(self) -> str:
        return _upcalls.record_html(self)

    @cached_property
    def params(self) -> Params:
        """Parameters by flat dotted key, typed; those that the user set come first."""
        return Params.of(self._rows(schema.params))

    @cached_property
    def metrics(self) -> Mapping[str, Summary]:
        """The summary of each metric, `system/…` last; `history` returns all points.

        Also found by native names: `metrics["val_loss"]` is `val/loss`, unless there is a metric of exactly that name.
        """
        rows = sorted(self._rows(schema.metrics), key=lambda row: (row.key.startswith("system/"), row.key))
        return ByMetric({row.key: Summary.of(row) for row in rows})

    @cached_property
    def tags(self) -> dict[str, str]:
        """Tags by key."""
        return {row.key: row.value for row in self._rows(schema.tags)}

    @cached_property
    def notes(self) -> list[Note]:
        """Remarks, oldest first."""
        return [Note.of(row) for row in self._rows(schema.notes)]

    @cached_property
    def environment(self) -> dict[str, Section]:
        """The sections of the environment by name (git, packages, hardware, process, …), from the latest attempt."""
        environment = self._page.runs()[self._pk].environment
        return {row.name: Section.of(row) for row in self._page.sections(environment)}

    @property
    def git(self) -> Section:
        """Commit, branch, remote and state of the code; empty where there was none."""
        return self.environment.get("git") or Section({})

    @property
    def packages(self) -> dict[str, str]:
        """The installed packages and their versions."""
        return dict(self.environment.get("packages") or {})

    @cached_property
    def _all_artifacts(self) -> list[Artifact]:
        return artifacts_of(self._rows(schema.artifacts), self._blobs)

    @cached_property
    def artifacts(self) -> Named[Artifact]:
        """The files of the run by name, of each the latest version: `record.artifacts["report.html"].read()`."""
        latest = {artifact.name: artifact for artifact in self._all_artifacts}
        return Named(latest[name] for name in sorted(latest))

    def artifact_versions(self, name: str) -> list[Artifact]:
        """All files of that name, oldest first; `NotFoundError` if there is none."""
        found = [artifact for artifact in self._all_artifacts if artifact.name == name]
        if not found:
            raise missing(name, (artifact.name for artifact in self.artifacts))
        return found

    @cached_property
    def media(self) -> list[Media]:
        """Logged media (images, sounds, …), ordered by key and step."""
        return [Media.of(row, self._blobs) for row in self._rows(schema.media)]

    @cached_property
    def models(self) -> Named[Model]:
        """Saved models, oldest first."""
        return Named(Model.of(row, self.artifacts) for row in self._rows(schema.models))

    @cached_property
    def datasets(self) -> Named[Dataset]:
        """The data sets that the run used: fingerprints, not the data."""
        return Named(Dataset.of(row) for row in self._rows(schema.datasets))

    @cached_property
    def evaluations(self) -> Named[Evaluation]:
        """Results that are small tables: confusion matrices, curves, scores per class."""
        return Named(Evaluation.of(row) for row in self._rows(schema.evaluations))

    @cached_property
    def capture_report(self) -> list[ReportLine]:
        """The lines of the capture report: facts that were not captured, and notes on how others were."""
        return [ReportLine.of(row) for row in self._rows(schema.reports)]

    @cached_property
    def attempts(self) -> list[Attempt]:
        """The attempts, first to last: one, unless the run was resumed."""
        return [Attempt.of(row, self.attempt, self.status) for row in self._rows(schema.attempts)]

    @cached_property
    def trainings(self) -> list[TrainingInfo]:
        """The trainings inside the run."""
        return [TrainingInfo.of(row) for row in self._rows(schema.trainings)]

    @cached_property
    def console(self) -> str:
        """The console output of the program; empty if it was not captured."""
        return "".join(row.text for row in self._rows(schema.console))

    def children(self) -> Runs:
        """The runs directly below this one, oldest first."""
        return Runs(self._page.store, children_of(self._page.store, self.id), emit=self._emit)

    def history(self, metrics: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Every point of the metrics (all by default); columns as in `Runs.history`."""
        return self.selection.history(metrics)

    def history_arrow(self, metrics: str | Iterable[str] | None = None) -> pa.Table:
        """The points of `history` as an Arrow table."""
        return self.selection.history_arrow(metrics)

    def plot(self, *args: Any, **options: Any) -> Any:
        """Draw the run's curves with matplotlib."""
        return _upcalls.plot_record(self, *args, **options)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, as text; None removes one."""
        values = {checked_key(key): None if value is None else str(plain(value)) for key, value in tags.items()}
        self._append(events.Tags(run=self.id, time=time.time(), values=values))
        for key, value in values.items():
            if value is None:
                self.tags.pop(key, None)
            else:
                self.tags[key] = value

    def note(self, text: str) -> None:
        """Add a remark, in Markdown."""
        note = events.Note(run=self.id, time=time.time(), text=str(text), user=user_name())
        self._append(note)
        self.notes.append(Note(note.text, note.user, point_in_time(round(note.time * 1e6))))

    def rename(self, name: str) -> None:
        """Give the run another name; its id stays."""
        self._append(events.RunRenamed(run=self.id, time=time.time(), name=checked_key(name)))
        self.name = name

    def _append(self, event: events.Event) -> None:
        if self._emit is None:
            raise StoreError(f"{self!r} was opened for reading only: get it from autotrack.get_run or autotrack.runs")
        self._emit(event)

    def _rows(self, table: Table) -> list[Row[Any]]:
        return self._page.rows(table).get(self._pk, [])

    def _blobs(self) -> Blobs:
        return self._page.store.blobs

    @property
    def selection(self) -> Runs:
        """`Runs` that contain only this run."""
        return Runs(self._page.store, [self._pk], emit=self._emit)


class Runs(Selection, Sequence[Record]):
    """Runs in the order of the query that found them.

    Holds the keys of the runs; their facts are read on first access, for up to a thousand neighbouring runs at once.
    The list of runs does not change, nor do facts that were read.
    """

    def __init__(self, store: Store, pks: Sequence[int], *, emit: Emit | None = None) -> None:
        super().__init__(store, pks)
        self._emit = emit
        self._pages: dict[int, Page] = {}
        self._records: dict[int, Record] = {}

    @classmethod
    def of(cls, store: Store, records: Iterable[Record]) -> Runs:
        """These runs of one store."""
        return cls(store, [record._pk for record in records])

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Record | Runs:
        if isinstance(index, slice):
            return Runs(self.store, self.pks[index], emit=self._emit)
        return self._record(range(len(self.pks))[index])

    def __iter__(self) -> Iterator[Record]:
        return (self._record(index) for index in range(len(self.pks)))

    def __repr__(self) -> str:
        names = ", ".join(record.name for record in self[:5])
        more = ", …" if len(self) > 5 else ""
        return f"<{len(self)} runs: {names}{more}>" if self.pks else "<0 runs>"

    def _repr_html_(self) -> str:
        return _upcalls.runs_html(self)

    @property
    def ids(self) -> list[str]:
        """The ids of the runs."""
        from autotrack.query.frames import ids_of

        return ids_of(self)

    def take(self, indices: Iterable[int]) -> Runs:
        """The runs at these indices."""
        return Runs(self.store, [self.pks[index] for index in indices], emit=self._emit)

    def to_arrow(self, aggregates: Sequence[str] = ("last",)) -> pa.Table:
        """One row per run: `run.id`, `run.name`, …, `params.lr`, `metrics.val/loss`, `tags.team`.

        Metrics are their last value; with several `aggregates` (last, first, min, max, count) each has a column, as
        in `metrics.val/loss.min`. A column whose values differ in type is text.
        """
        from autotrack.query.arrow import runs_table
        from autotrack.query.frames import columns_of

        return runs_table(columns_of(self, aggregates))

    def to_pandas(self, aggregates: Sequence[str] = ("last",)) -> pd.DataFrame:
        """The table of `to_arrow` as a pandas DataFrame; columns of mixed types hold the values as they were logged."""
        from autotrack.query.arrow import runs_frame
        from autotrack.query.frames import columns_of

        return runs_frame(columns_of(self, aggregates))

    def to_polars(self, aggregates: Sequence[str] = ("last",)) -> pl.DataFrame:
        """The table of `to_arrow` as a polars DataFrame."""
        from autotrack.query.arrow import as_polars

        return as_polars(self.to_arrow(aggregates), "to_polars")

    def history(self, metrics: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Every point of the metrics (all by default) as a pandas DataFrame.

        Columns: `run_id` and `metric` (categories), `step` (int64), `time` (UTC), `value` (int64 if all are ints,
        else float64, NaN included). Runs are in their order, metrics in the requested one, points as logged.
        `NotFoundError` for a metric that none of the runs has.
        """
        from autotrack.query.arrow import history_frame
        from autotrack.query.history import read_history

        return history_frame(read_history(self, metrics))

    def history_arrow(self, metrics: str | Iterable[str] | None = None) -> pa.Table:
        """The points of `history` as an Arrow table with `run_id` and `metric` as dictionaries."""
        from autotrack.query.arrow import history_table
        from autotrack.query.history import read_history

        return history_table(read_history(self, metrics))

    def pareto(self, objectives: Mapping[str, str]) -> Runs:
        """The Pareto front of objectives such as `{"metrics.accuracy": "max", "run.duration": "min"}`."""
        from autotrack.query import analysis

        return self.take(analysis.places_on_front(self, objectives))

    def group_by(self, keys: str | Sequence[str], metrics: str | Sequence[str] | None = None) -> Groups:
        """Group runs with equal `keys`, with mean, std, min, max and count of the metrics."""
        from autotrack.query import analysis

        return analysis.group_by(self, keys, metrics)

    def plot(self, metric: str, group_by: str | None = None, **options: Any) -> Any:
        """Draw a metric's curves with matplotlib, or mean ± std of each group."""
        return _upcalls.plot_runs(self, metric, group_by=group_by, **options)

    def _record(self, index: int) -> Record:
        record = self._records.get(index)
        if record is None:
            number = index // _PAGE
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = Page(self.store, self.pks[number * _PAGE : (number + 1) * _PAGE])
            row = page.runs().get(self.pks[index])
            if row is None:
                raise NotFoundError("the run has been removed from the store since it was found")
            record = self._records[index] = Record.of(row, page, self._emit)
        return record
