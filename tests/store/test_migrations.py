"""Stores that older versions wrote are brought up to date when they are opened, and hold the same afterwards."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select

import autotrack
from autotrack.place import Place
from autotrack.query.shapes import as_json, whole_run_shape
from autotrack.store import schema
from autotrack.store.engine import open_store
from autotrack.store.revision import SCHEMA_REVISION, stored_revision, upgrade

OLD = Path(__file__).parents[1] / "fixtures" / "store_0001"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with a store that the first version wrote, without journals and files."""
    folder = tmp_path / ".autotrack"
    folder.mkdir()
    (folder / "store.db").write_bytes(gzip.decompress((OLD / "store.db.gz").read_bytes()))
    return Place(folder)


def recorded() -> dict[str, Any]:
    """What the first version read from its store: runs in their JSON shape with histories, and answers to filters."""
    return json.loads(gzip.decompress((OLD / "records.json.gz").read_bytes()))


def described(found: Any) -> list[str]:
    """What an inspector found, in no order, with types and conditions as text."""
    return sorted(json.dumps(each, default=str, sort_keys=True) for each in found)


def test_an_old_store_holds_the_same(place: Place) -> None:
    """Every run, its environment and its history read as before; filters on the environment find the same runs."""
    autotrack.configure(dir=str(place.path))
    before = recorded()
    runs = {run.id: run for run in autotrack.runs(all=True)}
    assert runs.keys() == before["runs"].keys()
    for name, shape in before["runs"].items():
        history = runs[name].history_arrow() if runs[name].metrics else None
        columns = [history[column].to_pylist() for column in ("metric", "step", "value")] if history else []
        points = [[metric, step, str(value)] for metric, step, value in zip(*columns, strict=True)] if history else []
        assert points == shape.pop("history"), name
        now = as_json(whole_run_shape(runs[name]))
        assert {key: now[key] for key in shape} == shape
    for text, found in before["filters"].items():
        assert sorted(run.id for run in autotrack.runs(text, all=True)) == found, text


def test_an_old_store_keeps_each_environment_once(place: Place) -> None:
    """The four sections that five runs of one process repeated are stored once; the resumed run's own are, too."""
    store = open_store(place)
    with store.engine.connect() as connection:
        names = sorted(connection.execute(select(schema.sections.c.name)).scalars())
        environments = connection.execute(select(schema.runs.c.environment).distinct()).scalars().all()
    assert names == ["git", "hardware", "notebook", "packages", "packages", "process", "seeds"]
    assert sorted(environments, key=str) == [1, 2, None]


def test_migrations_lead_to_the_schema_of_a_new_store(tmp_path: Path) -> None:
    """Tables, columns and indexes are the same whether the store is new or was upgraded from the beginning."""
    engine = create_engine(f"sqlite:///{tmp_path / 'upgraded.db'}")
    with engine.begin() as connection:
        upgrade(connection)
    assert stored_revision(engine) == SCHEMA_REVISION
    new = create_engine(f"sqlite:///{tmp_path / 'new.db'}")
    schema.metadata.create_all(new)
    for table in schema.metadata.tables:
        for ask in ("get_columns", "get_indexes", "get_foreign_keys", "get_pk_constraint", "get_unique_constraints"):
            upgraded, fresh = (getattr(inspect(each), ask)(table) for each in (engine, new))
            assert described(upgraded) == described(fresh), (table, ask)


def test_an_old_store_on_postgresql(database: str) -> None:
    """The migrations run on PostgreSQL, where new keys follow those of the moved rows."""
    engine = create_engine(database)
    with engine.begin() as connection:
        upgrade(connection, "0001")
        connection.exec_driver_sql(
            "INSERT INTO runs"
            ' (id, name, experiment, kind, parent_training, status, attempt, "user", host, pid, last_event)'
            " SELECT id, id, 'e', 'run', 0, 'finished', 1, 'u', 'h', 1, 1 FROM (VALUES ('a'), ('b')) AS ids (id)"
        )
        connection.exec_driver_sql(
            "INSERT INTO sections SELECT pk, 'git', 1, 0, '{\"commit\": \"1f2e\"}', '[]', NULL FROM runs"
        )
    store = open_store(url=database)
    with store.engine.begin() as connection:
        assert connection.execute(select(schema.runs.c.environment)).scalars().all() == [1, 1]
        assert connection.execute(select(schema.facts.c.key, schema.facts.c.text)).all() == [("git.commit", "1f2e")]
        added = connection.execute(schema.sections.insert().values(digest="d", name="x", data="{}", masked="[]"))
        assert added.inserted_primary_key == (2,)
        changes = compare_metadata(MigrationContext.configure(connection), schema.metadata)
        assert [change for change in changes if change[1].name != "ix_tags_key_value"] == []  # SQLite has that index
