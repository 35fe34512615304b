"""The tables of the store, the same for SQLite and PostgreSQL.

Times are integers: microseconds since the Unix epoch (UTC). NaN is stored as NULL, since SQLite has no NaN. Facts of a
run refer to `runs.pk`, a small integer; `runs.id` is the public id. Tables hold what was recorded; values computed on
reading, such as the status of a crashed run, are in `query.statements`.

A row that may be revised carries the time of its latest revision, so that journals of one run can be folded in any
order with the same outcome.
"""

from __future__ import annotations

import time

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.sql.ddl import ExecutableDDLElement

SCHEMA_REVISION = "0002"
LONGEST_TEXT = 500  # characters of a param's value that can be searched; PostgreSQL limits what it can index

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_UNFINISHED = "status = 'running'"
# SQLite makes only INTEGER PRIMARY KEY the rowid; PostgreSQL needs the wider type
_Pk = BigInteger().with_variant(Integer, "sqlite")


def now() -> int:
    """The current time in microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def _run_pk(*, primary: bool = False) -> Column[int]:
    return Column("run_pk", _Pk, ForeignKey("runs.pk", ondelete="CASCADE"), primary_key=primary, nullable=False)


def _part_of(what: str, table: str) -> Column[int]:
    return Column(f"{what}_pk", _Pk, ForeignKey(f"{table}.pk", ondelete="CASCADE"), primary_key=True, nullable=False)


journals = Table(
    "journals",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),  # of the writer, as last seen: live, silent, dead
    Column("last_seen", BigInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("damaged", Integer, nullable=False, default=0),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, index=True),
    Column("named", BigInteger),  # when it got this name; NULL until its start is folded
    Column("experiment", Text, nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("parent", Text, index=True),  # a run id, whose run may not be folded yet
    # the training of the parent that the run belongs to; 0 for none, and once the training's own run is the parent
    Column("parent_training", Integer, nullable=False, default=0),
    Column("status", String(16), nullable=False),  # running, finished, failed, killed, preempted
    Column("attempt", Integer, nullable=False),  # the latest; 0 until the start is folded
    Column("owner", String(32)),  # the journal of the latest attempt
    Column("user", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", BigInteger, index=True),  # NULL until the start is folded
    Column("ended", BigInteger),
    Column("duration", Double),  # seconds, all attempts together; NULL while running
    Column("exit_code", BigInteger),
    Column("failure_type", Text),
    Column("failure_message", Text),
    Column("traceback", Text),
    Column("last_event", BigInteger, nullable=False),  # the time of the latest fact
    Column("deleted", BigInteger),  # when the run was deleted, else NULL
    Column("environment", _Pk),  # the key of its row in `environments`; no foreign key: it would need an index
    Index("ix_runs_unfinished", "owner", sqlite_where=text(_UNFINISHED)).ddl_if(dialect="sqlite"),
)

# The same index on PostgreSQL, as text: `postgresql_where` above would import that dialect in every process.
_index: ExecutableDDLElement = DDL(f"CREATE INDEX ix_runs_unfinished ON runs (owner) WHERE {_UNFINISHED}")  # type: ignore[no-untyped-call]
event.listen(runs, "after_create", _index.execute_if(dialect="postgresql"))

attempts = Table(
    "attempts",
    metadata,
    _run_pk(primary=True),
    Column("attempt", Integer, primary_key=True),
    Column("journal", String(32), nullable=False),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    Column("status", String(16), nullable=False),
    Column("user", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("last_event", BigInteger),  # the time of the latest fact from its journal
    sqlite_with_rowid=False,
)

# The trainings inside a run. While there is one, its facts are the run's own rows (`child` is NULL); when a second
# one starts, both get a child run and the facts of the first move there.
trainings = Table(
    "trainings",
    metadata,
    _run_pk(primary=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    Column("failure", Text),  # JSON: type, message, traceback
    Column("child", _Pk, ForeignKey("runs.pk", ondelete="SET NULL"), index=True),
    sqlite_with_rowid=False,
)

params = Table(
    "params",
    metadata,
    _run_pk(primary=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),  # JSON, exact
    Column("number", Double),  # of an int, float or bool
    Column("text", Text),  # of a string, else the JSON; its first LONGEST_TEXT characters
    Column("origin", String(8), nullable=False),  # set, default, config
    Column("time", BigInteger, nullable=False, default=now),
    Column("training", Integer, nullable=False, default=0),
    Index(None, "key", "number"),
    Index(None, "key", "text"),
    sqlite_with_rowid=False,
)

tags = Table(
    "tags",
    metadata,
    _run_pk(primary=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("time", BigInteger, nullable=False, default=now),
    Column("training", Integer, nullable=False, default=0),
    Index("ix_tags_key_value", "key", "value").ddl_if(dialect="sqlite"),
    Index("ix_tags_key", "key").ddl_if(dialect="postgresql"),  # PostgreSQL cannot index long values
    sqlite_with_rowid=False,
)

# Params and tags of a run and of its only training that hide one another: see `folding.hidden_values`.
covered = Table(
    "covered",
    metadata,
    _run_pk(primary=True),
    Column("of", String(8), primary_key=True),  # params, tags
    Column("key", Text, primary_key=True),
    Column("training", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("row", Text, nullable=False),  # JSON: the row of that table
    sqlite_with_rowid=False,
)

notes = Table(
    "notes",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("time", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("user", Text, nullable=False),
    Index(None, "run_pk"),
)

# One row per metric of a run, with the values that lists and searches need, so that they never read history.
metrics = Table(
    "metrics",
    metadata,
    _run_pk(primary=True),
    Column("key", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("nans", BigInteger, nullable=False),
    *(
        column
        for point in ("first", "last", "min", "max")  # NULL values are NaN; min and max skip NaN
        for column in (Column(point, Double), Column(f"{point}_step", BigInteger), Column(f"{point}_time", BigInteger))
    ),
    Column("training", Integer, nullable=False, default=0),
    Index(None, "key", "last"),
    sqlite_with_rowid=False,
)

# History in columns: an axis (steps and times) is shared by the metrics that were logged together, each of which
# has its values in a row of its own. `chunks` encodes and decodes the bytes. A metric whose one and only point
# survives as a double has no chunk at all: its row in `metrics` (count 1) is its history. Chunks of one metric may
# overlap in time: a reader of several orders the points by time, keeping the order where times are equal.
metric_axes = Table(
    "metric_axes",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("count", Integer, nullable=False),
    Column("first_time", BigInteger, nullable=False),
    Column("training", Integer, nullable=False, default=0),
    Column("data", LargeBinary, nullable=False),
    Index(None, "run_pk"),
)

metric_values = Table(
    "metric_values",
    metadata,
    _run_pk(primary=True),
    Column("key", Text, primary_key=True),
    Column("axis_pk", _Pk, primary_key=True),  # no foreign key: it would need an index as large as the table
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Context, each content once: a section is the whole as JSON, `facts` are its leaves as searchable rows ("git.commit",
# "env.python", "packages.torch"). A run refers to an environment, which is a set of sections; the runs of one process
# have the same. Neither ever changes: a run that gets another section refers to another environment from then on.
sections = Table(
    "sections",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    Column("digest", String(32), nullable=False, unique=True),  # of all that follows
    Column("name", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("masked", Text, nullable=False),  # JSON list of dotted paths
    Column("unavailable", Text),
)

facts = Table(
    "facts",
    metadata,
    _part_of("section", "sections"),
    Column("key", Text, primary_key=True),
    Column("number", Double),
    Column("text", Text),
    Index(None, "key", "text"),
    sqlite_with_rowid=False,
)

environments = Table(
    "environments",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    Column("digest", String(32), nullable=False, unique=True),  # of the digests, attempts and trainings in it
)

environment_sections = Table(
    "environment_sections",
    metadata,
    _part_of("environment", "environments"),
    _part_of("section", "sections"),
    Column("attempt", Integer, primary_key=True),
    Column("training", Integer, primary_key=True),
    Column("latest", Boolean, nullable=False),  # of the sections of one name: its leaves are the searchable ones
    Index(None, "section_pk"),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("step", BigInteger),
    Column("time", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("stored", Boolean, nullable=False),
    Column("meta", Text, nullable=False),  # JSON
    Column("training", Integer, nullable=False, default=0),
    Index(None, "run_pk", "name"),
    Index(None, "name"),
)

media = Table(
    "media",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("key", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("step", BigInteger),
    Column("time", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("meta", Text, nullable=False),  # JSON
    Column("training", Integer, nullable=False, default=0),
    Index(None, "run_pk", "key"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("version", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("meta", Text, nullable=False),  # JSON
    Column("training", Integer, nullable=False, default=0),
    Index(None, "run_pk"),
    Index(None, "name"),
)

models = Table(
    "models",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("name", Text, nullable=False),
    Column("flavor", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored", Boolean, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("meta", Text, nullable=False),  # JSON
    Column("training", Integer, nullable=False, default=0),
    Index(None, "run_pk", "name"),
    Index(None, "flavor"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("name", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("columns", Text, nullable=False),  # JSON: column name to values
    Column("meta", Text, nullable=False),  # JSON
    Column("training", Integer, nullable=False, default=0),
    Index(None, "run_pk"),
)

reports = Table(
    "reports",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("time", BigInteger, nullable=False),
    Column("what", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("level", String(8), nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("training", Integer, nullable=False, default=0),
    Index(None, "run_pk"),
)

console = Table(
    "console",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    _run_pk(),
    Column("time", BigInteger, nullable=False),
    Column("stream", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "run_pk"),
)

# The audit log: which user deleted, restored or freed records, and when.
audit = Table(
    "audit",
    metadata,
    Column("pk", _Pk, primary_key=True, autoincrement=True),
    Column("time", BigInteger, nullable=False),
    Column("user", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
)
