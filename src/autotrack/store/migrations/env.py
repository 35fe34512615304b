"""Alembic's script for upgrading a store, on the connection and inside the transaction that `revision` passes."""

from __future__ import annotations

from alembic import context

from autotrack.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
