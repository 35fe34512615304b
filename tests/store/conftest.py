"""Stores of both kinds, journals to fold into them, and what is in them afterwards."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Select, select

from autotrack import events
from autotrack.journal import JournalWriter
from autotrack.place import Place, prepare
from autotrack.store import schema
from autotrack.store.chunks import decode_axis, decode_values
from autotrack.store.engine import Store, open_store
from autotrack.store.folding.fold import fold

START = 1_763_900_000.0
_numbers = itertools.count()


class Recording:
    """A journal being written, with a method for each common event."""

    def __init__(self, place: Place, **options: Any) -> None:
        prepare(place)
        self.writer = JournalWriter(place.journals, **{"sinks": ["store"], "host": "box", **options})
        self.id = self.writer.id
        self.moment = START
        self._packers: dict[Any, Any] = {}

    def _at(self, at: float | None) -> float:
        self.moment = self.moment + 1.0 if at is None else START + at
        return self.moment

    def emit(self, event: type[events.Event], run: str, /, at: float | None = None, **fields: Any) -> None:
        """One event of `run`, `at` seconds after the beginning or one second after the one before."""
        self.writer.append(event(run=run, time=self._at(at), **fields))

    def start(self, run: str, at: float | None = None, **fields: Any) -> None:
        """The run begins."""
        fields = {"name": f"name of {run}", "experiment": "digits", "user": "ann", "host": "box", "pid": 7, **fields}
        self.emit(events.RunStarted, run, at, **fields)

    def finish(self, run: str, status: str = "finished", at: float | None = None, **fields: Any) -> None:
        """The run ends."""
        self.emit(events.RunFinished, run, at, status=status, **fields)

    def params(self, run: str, values: Mapping[str, Any], at: float | None = None, **fields: Any) -> None:
        """Params, as plain values."""
        self.emit(events.Params, run, at, values={key: json.dumps(value) for key, value in values.items()}, **fields)

    def log(
        self, run: str, values: Mapping[str, float], step: int = 0, at: float | None = None, training: int = 0
    ) -> None:
        """One row of metrics."""
        types = "".join("q" if isinstance(value, int) else "d" for value in values.values())
        frame = events.Frame(run=run, keys=tuple(values), types=types, training=training)
        packer = self._packers.get(frame) or self._packers.setdefault(frame, self.writer.packer(frame))
        self.writer.append_row(packer, step, self._at(at), tuple(values.values()))

    def close(self) -> None:
        """The process is gone."""
        self.writer.close()


@pytest.fixture
def here(tmp_path: Path) -> Place:
    """The place of the test's store."""
    return Place(tmp_path / "here", "a test")


@pytest.fixture
def recording(here: Place) -> Iterator[Callable[..., Recording]]:
    """Begins a journal in the test's place."""
    made: list[Recording] = []

    def begin(**options: Any) -> Recording:
        made.append(Recording(here, **options))
        return made[-1]

    yield begin
    for recording in made:
        recording.writer.abandon()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, here: Place) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{here.database}"
        return
    yield request.getfixturevalue("database")


@pytest.fixture
def store(url: str, here: Place) -> Iterator[Store]:
    """An empty store, of either kind."""
    with open_store(here, url) as opened:
        yield opened


class Contents:
    """What a store holds, as plain values."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def fold(self) -> Contents:
        """Fold the journals of the place first."""
        fold(self.store)
        return self

    def rows(self, table: str, run: str | None = None) -> list[dict[str, Any]]:
        """The rows of a table, of one run if it is named, without their keys."""
        found = schema.metadata.tables[table]
        statement = select(found).order_by(*found.primary_key.columns)
        if run is not None and table in ("sections", "facts"):
            statement = self._of_environment(table, self.run(run)["environment"])
        elif run is not None:
            statement = statement.where(found.c.run_pk == self.run(run)["pk"])
        with self.store.engine.connect() as connection:
            rows = [dict(row._mapping) for row in connection.execute(statement)]
        return [{key: row[key] for key in row if key not in ("run_pk", *(("pk",) if run else ()))} for row in rows]

    def _of_environment(self, table: str, environment: int | None) -> Select[Any]:
        """The sections of an environment with attempt and training, or the searchable leaves of the latest ones."""
        members, sections, facts = schema.environment_sections.c, schema.sections.c, schema.facts.c
        mine = members.environment_pk == environment
        if table == "facts":
            latest = mine & members.latest & (facts.section_pk == members.section_pk)
            return select(facts.key, facts.number, facts.text).where(latest).order_by(facts.key)
        columns = (sections.name, members.attempt, members.training, sections.data, sections.masked)
        whole = select(*columns, sections.unavailable).where(mine & (sections.pk == members.section_pk))
        return whole.order_by(sections.name, members.attempt, members.training)

    def run(self, run: str) -> dict[str, Any]:
        """The row of a run."""
        with self.store.engine.connect() as connection:
            return dict(connection.execute(select(schema.runs).where(schema.runs.c.id == run)).one()._mapping)

    def runs(self) -> list[str]:
        """The ids of all runs."""
        with self.store.engine.connect() as connection:
            return sorted(connection.execute(select(schema.runs.c.id)).scalars())

    def mapping(self, table: str, run: str, column: str = "value") -> dict[str, Any]:
        """Key to one column of a table of a run."""
        return {row["key"]: row[column] for row in self.rows(table, run)}

    def summary(self, run: str, key: str) -> dict[str, Any]:
        """The row of a metric, without times."""
        row = next(row for row in self.rows("metrics", run) if row["key"] == key)
        return {name: value for name, value in row.items() if not name.endswith("_time") and name != "key"}

    def history(self, run: str, key: str) -> list[tuple[int, float, float]]:
        """Step, seconds since the beginning and value of all points of a metric, in order of time."""
        pk = self.run(run)["pk"]
        axes, values = schema.metric_axes.c, schema.metric_values.c
        chunks = (
            select(axes.data.label("axis"), values.data)
            .where((values.run_pk == pk) & (values.key == key) & (axes.pk == values.axis_pk))
            .order_by(axes.first_time, axes.pk)
        )
        points: list[tuple[int, int, Any]] = []
        with self.store.engine.connect() as connection:
            for axis, data in connection.execute(chunks):
                steps, times = decode_axis(axis)
                points += zip(steps.tolist(), times.tolist(), decode_values(data).tolist(), strict=True)
        if not points:
            row = next(row for row in self.rows("metrics", run) if row["key"] == key)
            assert row["count"] == 1
            points = [(row["first_step"], row["first_time"], np.nan if row["first"] is None else row["first"])]
        points.sort(key=lambda point: point[1])
        return [(step, round(moment / 1e6 - START, 6), value) for step, moment, value in points]


@pytest.fixture
def contents(store: Store) -> Contents:
    """What the test's store holds."""
    return Contents(store)
