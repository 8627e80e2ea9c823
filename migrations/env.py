"""Runs migrations on asyncpg; reads the address from the caller's Config, or from the environment."""

import asyncio
import os
from collections.abc import Mapping

import alembic_postgresql_enum
import sqlalchemy as sa
from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import cloud.accounts.tables
import cloud.alerts.tables
import cloud.auth.tables
import cloud.billing.tables
import cloud.devices.tables
import cloud.fleet.tables
import cloud.ingest.days.tables
import cloud.ingest.tables
import cloud.reports.tables
import cloud.sites.tables
import cloud.telemetry.tables
import cloud.web.tables  # noqa: F401  importing a domain's tables registers them with Base
from cloud.core.db import Base
from cloud.core.engine import async_url
from cloud.core.migrate import MigrationError

LOCK_TIMEOUT = "10s"
"""A migration that waits for a lock makes everybody queue behind it: rather give up and be run again at a quieter moment."""

_PARTITIONS = sa.text("SELECT relname FROM pg_class WHERE relispartition AND relnamespace = 'public'::regnamespace")
_ROLE = sa.text("SELECT rolname, rolsuper OR rolbypassrls AS sees_all FROM pg_roles WHERE rolname = current_user")

# Reports keep their words in VARCHAR with a CHECK, so no column uses these types; they are part of the schema all the same.
alembic_postgresql_enum.set_configuration(alembic_postgresql_enum.Config(drop_unused_enums=False))


def database_url() -> str:
    """Where to migrate: the caller's word, then the administrator's address, then the application's."""
    url = (
        context.config.attributes.get("url")
        or os.environ.get("SOLARHUB_ADMIN_DATABASE_URL")
        or os.environ.get("SOLARHUB_DATABASE_URL")
    )
    if not url:
        raise MigrationError(
            "no database to migrate: set SOLARHUB_ADMIN_DATABASE_URL=postgresql://owner:password@host:5432/database"
        )
    return async_url(url)


def run_offline() -> None:
    """Print the SQL of a migration (`alembic upgrade head --sql`)."""
    context.configure(
        url=database_url(), target_metadata=Base.metadata, literal_binds=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_on(connection: Connection) -> None:
    """Run the migrations that were asked for on an open connection."""
    role = connection.execute(_ROLE).one()
    if not role.sees_all:
        raise MigrationError(
            f"the database user {role.rolname!r} is held back by row-level security: a migration of data would silently change"
            " nothing; migrate as a superuser or as a role with BYPASSRLS"
        )
    connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    partitions = set(connection.scalars(_PARTITIONS))
    connection.commit()

    def is_ours(name: str | None, kind: str, _parents: Mapping[str, str | None]) -> bool:
        """Partitions come and go at run time; only their parents are part of the model."""
        return kind != "table" or name not in partitions

    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        include_name=is_ours,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    """Connect and migrate."""
    engine = create_async_engine(
        database_url(),
        poolclass=NullPool,
        connect_args={"server_settings": {"application_name": "solarhub-migrate", "timezone": "UTC"}},
    )
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate_on)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    run_offline()
else:
    asyncio.run(run_online())
