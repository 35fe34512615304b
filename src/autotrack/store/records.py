"""One run as it was recorded: what readers hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from autotrack import events
from autotrack.exceptions import StoreError
from autotrack.naming import short_id
from autotrack.store import schema
from autotrack.store.facets import (
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
from autotrack.store.files import Artifact, Media, Model, artifacts_of, media_of
from autotrack.store.pages import Page
from autotrack.store.params import Params
from autotrack.store.spellings import ByMetric
from autotrack.values import checked_key, plain

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from sqlalchemy import Row, Table

    from autotrack.store.blobs import Blobs
    from autotrack.store.runs import Runs

Emit = Callable[[events.Event], None]


@dataclass(eq=False, repr=False)
class Record:
    """A run, finished or live, as it was when somebody asked.

    Times are in UTC; `ended` and `duration` (seconds) are None before they are known, `started` until the start was
    seen. `status` is running, finished, failed, killed, crashed or preempted. `parent` is a run's id, `child_count`
    counts the runs below this one. Everything else is read from the store when it is first looked at.
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
        """The record of a row that `Page.runs` gave."""
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
        from autotrack.store.display import record_html

        return record_html(self)

    @cached_property
    def params(self) -> Params:
        """Parameters by flat dotted key, typed; those that the user set come first."""
        return Params.of(self._rows(schema.params))

    @cached_property
    def metrics(self) -> Mapping[str, Summary]:
        """Each metric in short, those of the system last; the whole of it is in `history`.

        Found by native names, too: `metrics["val_loss"]` is `val/loss`, unless there is a metric of just that name.
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
        return [Note(row.text, row.user, point_in_time(row.time)) for row in self._rows(schema.notes)]

    @cached_property
    def environment(self) -> dict[str, Section]:
        """The sections of the context by name (git, packages, hardware, process, …), as the latest attempt saw them."""
        return {
            row.name: Section(json.loads(row.data), json.loads(row.masked), row.unavailable)
            for row in self._rows(schema.sections)
        }

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
        """What was logged to be looked at, by key and step."""
        return [media_of(row, self._blobs) for row in self._rows(schema.media)]

    @cached_property
    def models(self) -> Named[Model]:
        """Saved models, oldest first."""
        return Named(
            Model(
                row.name, row.flavor, row.digest, row.size, row.stored, point_in_time(row.time), json.loads(row.meta),
                tuple(a for a in self.artifacts if a.kind == "model" and a.name.startswith(f"{row.name}/")),
                row.training,
            )
            for row in self._rows(schema.models)
        )  # fmt: skip

    @cached_property
    def datasets(self) -> Named[Dataset]:
        """The data that went in."""
        return Named(
            Dataset(row.name, row.role, row.version, row.source, row.digest, json.loads(row.meta), row.training)
            for row in self._rows(schema.datasets)
        )

    @cached_property
    def evaluations(self) -> Named[Evaluation]:
        """Results that are small tables: confusion matrices, curves, scores per class."""
        return Named(
            Evaluation(row.name, point_in_time(row.time), json.loads(row.columns), json.loads(row.meta), row.training)
            for row in self._rows(schema.evaluations)
        )

    @cached_property
    def capture_report(self) -> list[ReportLine]:
        """What was not captured, and notable facts about how the rest was, line by line."""
        return [
            ReportLine(row.what, row.message, row.level, row._mapping["count"]) for row in self._rows(schema.reports)
        ]

    @cached_property
    def attempts(self) -> list[Attempt]:
        """The attempts, first to last: one, unless the run was resumed."""
        return [
            Attempt(
                row.attempt, self._attempt_status(row), moment(row.started), moment(row.ended), row.user, row.host,
                row.pid, row.journal,
            )
            for row in self._rows(schema.attempts)
        ]  # fmt: skip

    def _attempt_status(self, row: Row[Any]) -> str:
        """An attempt that never ended is over when a later one began; the latest has the run's status."""
        if row.status != "running":
            return str(row.status)
        return "crashed" if row.attempt < self.attempt else self.status

    @cached_property
    def trainings(self) -> list[TrainingInfo]:
        """The trainings inside the run."""
        return [
            TrainingInfo(
                row.number, row.name, row.framework, row.kind, row.status, moment(row.started), moment(row.ended)
            )
            for row in self._rows(schema.trainings)
        ]

    @cached_property
    def console(self) -> str:
        """What the program wrote, where that was captured."""
        return "".join(row.text for row in self._rows(schema.console))

    def children(self) -> Runs:
        """The runs directly below this one, oldest first."""
        from autotrack.store.queries import children_of

        return children_of(self._page.store, self.id, emit=self._emit)

    def history(self, metrics: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Every point of the metrics (all by default); columns as in `Runs.history`."""
        return self._alone().history(metrics)

    def history_arrow(self, metrics: str | Iterable[str] | None = None) -> pa.Table:
        """As `history`, as an Arrow table."""
        return self._alone().history_arrow(metrics)

    def plot(self, *args: Any, **options: Any) -> Any:
        """Draw the run's curves with matplotlib."""
        from autotrack.store.plot import plot_record

        return plot_record(self, *args, **options)

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
        note = events.Note(run=self.id, time=time.time(), text=str(text), user=_user_name())
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

    def _alone(self) -> Runs:
        from autotrack.store.runs import Runs

        return Runs(self._page.store, [self._pk], emit=self._emit)


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
