"""The sections of runs' environments are stored once each: runs refer to sets of them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

from autotrack.events import Section
from autotrack.store.folding.rows import leaves

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_AT_ONCE = 1_000  # keys of runs


def upgrade() -> None:
    op.execute("CREATE TEMPORARY TABLE old_sections AS SELECT * FROM sections")
    op.execute("CREATE INDEX old_sections_of_runs ON old_sections (run_pk)")
    op.drop_table("facts")
    op.drop_table("sections")
    _create_tables()
    op.add_column("runs", sa.Column("environment", _pk(), nullable=True))
    moving = _Moving(op.get_bind())
    first, last = moving.connection.execute(sa.text("SELECT min(run_pk), max(run_pk) FROM old_sections")).one()
    for start in range(first, last + 1, _AT_ONCE) if last is not None else ():
        moving.move(start, start + _AT_ONCE)
    op.execute("DROP TABLE old_sections")
    if moving.connection.dialect.name == "postgresql":
        for name in ("sections", "environments"):
            op.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'pk'), coalesce(max(pk), 0) + 1, false) FROM {name}"
            )


def _pk() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of(what: str, table: str, column: str) -> list[Any]:
    return [
        sa.Column(column, _pk(), nullable=False),
        sa.ForeignKeyConstraint([column], [f"{table}.pk"], name=op.f(f"fk_{what}_{column}"), ondelete="CASCADE"),
    ]


def _create_tables() -> None:
    op.create_table(
        "sections",
        sa.Column("pk", _pk(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("unavailable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_sections")),
        sa.UniqueConstraint("digest", name=op.f("uq_sections_digest")),
    )
    op.create_table(
        "facts",
        *_of("facts", "sections", "section_pk"),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("section_pk", "key", name=op.f("pk_facts")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_facts_key_text"), "facts", ["key", "text"], unique=False)
    op.create_table(
        "environments",
        sa.Column("pk", _pk(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_environments")),
        sa.UniqueConstraint("digest", name=op.f("uq_environments_digest")),
    )
    op.create_table(
        "environment_sections",
        *_of("environment_sections", "environments", "environment_pk"),
        *_of("environment_sections", "sections", "section_pk"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("training", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "environment_pk", "section_pk", "attempt", "training", name=op.f("pk_environment_sections")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_environment_sections_section_pk"), "environment_sections", ["section_pk"], unique=False)


class _Moving:
    """Moves old sections, some runs at a time; contents that were seen before cost no more than their text's digest."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self._sections: dict[bytes, tuple[int, str]] = {}  # key and digest, by the digest of the text
        self._by_digest: dict[str, int] = {}
        self._environments: dict[str, int] = {}

    def move(self, start: int, stop: int) -> None:
        """Move the sections of the runs whose keys are in this range."""
        query = sa.text("SELECT * FROM old_sections WHERE run_pk >= :start AND run_pk < :stop")
        runs: defaultdict[int, list[tuple[int, str, str, int, int]]] = defaultdict(list)
        for row in self.connection.execute(query, {"start": start, "stop": stop}).all():
            runs[row.run_pk].append((*self._section(row), row.name, row.attempt, row.training))
        if runs:
            self.connection.execute(
                sa.text("UPDATE runs SET environment = :environment WHERE pk = :pk"),
                [{"pk": pk, "environment": self._environment(members)} for pk, members in runs.items()],
            )

    def _section(self, row: Any) -> tuple[int, str]:
        texts = [
            row.name,
            row.data,
            row.masked,
            row.unavailable or "",
            "" if row.unavailable is None else "unavailable",
        ]
        of_text = hashlib.sha256("\0".join(texts).encode()).digest()
        known = self._sections.get(of_text)
        if known is None:
            known = self._sections[of_text] = self._stored(row)
        return known

    def _stored(self, row: Any) -> tuple[int, str]:
        data, masked = json.loads(row.data), json.loads(row.masked)
        section = Section(run="", time=0.0, name=row.name, data=data, masked=masked, unavailable=row.unavailable)
        digest = section.content_digest()
        pk = self._by_digest.get(digest)
        if pk is None:
            pk = self._by_digest[digest] = len(self._by_digest) + 1
            content = {"pk": pk, "digest": digest, "name": row.name, "data": row.data, "masked": row.masked}
            self._insert("sections", [{**content, "unavailable": row.unavailable}])
            found = [(key, number, text) for key, number, text in leaves(data, row.name)]
            self._insert(
                "facts",
                [{"section_pk": pk, "key": key, "number": number, "text": text} for key, number, text in found],
            )
        return pk, digest

    def _environment(self, members: list[tuple[int, str, str, int, int]]) -> int:
        parts = sorted(f"{digest} {attempt} {training}" for _, digest, _, attempt, training in members)
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
        pk = self._environments.get(digest)
        if pk is None:
            pk = self._environments[digest] = len(self._environments) + 1
            self._insert("environments", [{"pk": pk, "digest": digest}])
            latest = {name: max(m[3:] for m in members if m[2] == name) for _, _, name, _, _ in members}
            self._insert(
                "environment_sections",
                [
                    {
                        "environment_pk": pk, "section_pk": section, "attempt": attempt, "training": training,
                        "latest": latest[name] == (attempt, training),
                    }
                    for section, _, name, attempt, training in members
                ],
            )  # fmt: skip
        return pk

    def _insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        found = list(rows)
        if found:
            columns = ", ".join(found[0])
            values = ", ".join(f":{name}" for name in found[0])
            self.connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), found)
