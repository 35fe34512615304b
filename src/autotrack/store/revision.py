"""The version of a store's schema: created, checked or upgraded when the store is opened.

Alembic is imported only for an upgrade; a new store is created from the metadata directly and stamped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from autotrack.exceptions import StoreError, StoreVersionError
from autotrack.store.schema import SCHEMA_REVISION, metadata

_READ = text("SELECT version_num FROM alembic_version")


def ensure_schema(engine: Engine) -> None:
    """Create or upgrade the schema; `StoreVersionError` for a newer one, `StoreError` for tables not autotrack's."""
    found = stored_revision(engine)
    if found == SCHEMA_REVISION:
        return
    with engine.connect() as plain:
        connection = plain.execution_options(autotrack_write=True)
        with connection.begin():
            _bring_up_to_date(connection)


def stored_revision(engine: Engine) -> str | None:
    """The revision that the store is stamped with; None if it is not stamped."""
    with engine.connect() as connection:
        try:
            return connection.execute(_READ).scalar()
        except (OperationalError, ProgrammingError) as error:
            if _is_missing_table(error):
                return None
            raise


def upgrade(connection: Connection, target: str = "head", extra_versions: Sequence[Path] = ()) -> None:
    """Run the migrations up to `target` on an open connection, inside its transaction."""
    from alembic import command
    from alembic.config import Config

    folder = Path(__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    versions = [folder / "versions", *extra_versions]
    config.set_main_option("version_locations", "\n".join(str(path).replace("%", "%%") for path in versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _bring_up_to_date(connection: Connection) -> None:
    tables = set(connection.dialect.get_table_names(connection))
    if "alembic_version" in tables:
        found = connection.execute(_READ).scalar() or ""
        if found > SCHEMA_REVISION:
            raise StoreVersionError(
                f"the store {connection.engine.url} has schema {found}, which is newer than this autotrack's"
                f" {SCHEMA_REVISION}: upgrade autotrack-ml"
            )
        if found < SCHEMA_REVISION:
            upgrade(connection)
    elif tables & set(metadata.tables):
        raise StoreError(f"{connection.engine.url} holds tables that autotrack did not make")
    else:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:found)"), {"found": SCHEMA_REVISION})


def _is_missing_table(error: DBAPIError) -> bool:
    return "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "42P01"
