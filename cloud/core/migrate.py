"""Brings a database to a revision of the schema, from the command line, the demo and the tests."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import SolarHubError

_PLACES = (Path(__file__).parents[2] / "migrations", Path(__file__).parents[1] / "migrations")
"""In a checkout beside the packages; in an installed wheel inside `cloud`."""


class MigrationError(SolarHubError):
    """The schema cannot be brought to the revision that was asked for."""


def migrations_folder() -> Path:
    """Where the migrations are.

    Raises:
        MigrationError: if this installation has none.
    """
    for place in _PLACES:
        if (place / "env.py").is_file():
            return place
    raise MigrationError(
        f"no migrations found in {' or '.join(map(str, _PLACES))}; run from a checkout, or install the solar-hub wheel again"
    )


def alembic_config(url: str | None = None) -> Config:
    """Alembic's settings for calls from Python; `url` goes before the environment's."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    if url is not None:
        config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` up to `revision`.

    It starts an event loop of its own: from async code, call it with `asyncio.to_thread`.

    Args:
        url: `postgresql://...` of a superuser or a role with BYPASSRLS.
        revision: an Alembic revision.

    Raises:
        MigrationError: if the revision is unknown or the role is not allowed to migrate.
        DatabaseUrlError: if `url` is not an address of PostgreSQL.
    """
    try:
        command.upgrade(alembic_config(url), revision)
    except CommandError as error:
        raise MigrationError(f"cannot migrate up to {revision!r}: {error}") from error


def downgrade(url: str, revision: str) -> None:
    """Migrate the database at `url` down to `revision` (`base` removes everything); arguments and errors as in `upgrade`."""
    try:
        command.downgrade(alembic_config(url), revision)
    except CommandError as error:
        raise MigrationError(f"cannot migrate down to {revision!r}: {error}") from error


def head_revision() -> str | None:
    """Newest revision that this installation knows."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


async def current_revision(conn: AsyncConnection) -> str | None:
    """Revision that a database is at; None before the first migration."""
    if await conn.scalar(text("SELECT to_regclass('public.alembic_version')")) is None:
        return None
    revision: str | None = await conn.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
