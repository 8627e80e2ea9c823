"""`solarhub db scale`: the same schema on TimescaleDB, or spread over machines by Citus. Once, by hand, while nobody writes."""

from enum import StrEnum

from cloud.core.db import Database, asyncpg_of
from cloud.storage.repository import scale as repository
from cloud.storage.repository.scale import Server
from shared.errors import SolarHubError

OLDEST_VERSION = 160000
"""PostgreSQL that both extensions are built for today."""


class Mode(StrEnum):
    """An extension to grow with; the value is its name in PostgreSQL."""

    TIMESCALE = "timescaledb"
    CITUS = "citus"


_HOW_TO_GET = {
    Mode.TIMESCALE: "install its package (timescaledb-2-postgresql-<version>, from the packagecloud repository of TimescaleDB)",
    Mode.CITUS: "install its package (postgresql-<version>-citus, from the repository of Citus) on the coordinator and every worker",
}


class ScaleRefusedError(SolarHubError):
    """This database cannot be scaled that way as it stands; nothing was changed."""


async def scale(url: str, mode: Mode, *, dry_run: bool) -> list[str]:
    """Turn the telemetry tables into hypertables or distributed tables.

    Args:
        url: the database, as the owner of the tables.
        mode: which extension.
        dry_run: only say which statements would run; the extension need not be there.

    Returns:
        The statements, in order; empty if everything is that way already.

    Raises:
        ScaleRefusedError: naming what is missing and how to get it.
    """
    db = await Database.connect(url, pool_size=1, max_overflow=0, allow_privileged=True)
    try:
        async with db.plain_transaction() as conn:
            pg = await asyncpg_of(conn)
            server = await repository.server_of(pg, mode.value)
            if not dry_run:
                check(server, mode)
            tables = [table for table in _tables(mode) if table not in server.changed]
            shapes = [await repository.shape_of(pg, table) for table in tables]
        if not shapes:
            return []
        if mode is Mode.TIMESCALE:
            statements = repository.timescale_statements(shapes)
        else:
            statements = repository.citus_statements(shapes, database=server.database)
        create = f"CREATE EXTENSION IF NOT EXISTS {mode.value}"
        if not dry_run:
            await _run(db, [create])
            await _run(db, statements)
        return [create, *statements]
    finally:
        await db.dispose()


def check(server: Server, mode: Mode) -> None:
    """Refuse a server that cannot do it.

    Raises:
        ScaleRefusedError: naming what is missing and how to get it.
    """
    if server.version < OLDEST_VERSION:
        raise ScaleRefusedError(
            f"the server is PostgreSQL {server.version // 10_000}, and {mode.value} is supported from"
            f" {OLDEST_VERSION // 10_000} on; upgrade PostgreSQL first (pg_upgrade). Nothing was changed"
        )
    if server.available is None:
        raise ScaleRefusedError(
            f"the server does not have the extension {mode.value}: {_HOW_TO_GET[mode]}, add it to shared_preload_libraries in"
            " postgresql.conf, restart PostgreSQL, and run this again. Nothing was changed; partitions of plain PostgreSQL stay in use"
        )
    if not server.is_preloaded:
        raise ScaleRefusedError(
            f"the extension {mode.value} {server.available} is installed but not loaded: add {mode.value} to shared_preload_libraries"
            " in postgresql.conf, restart PostgreSQL, and run this again. Nothing was changed"
        )


def _tables(mode: Mode) -> tuple[str, ...]:
    return tuple(repository.HYPERTABLES) if mode is Mode.TIMESCALE else repository.DISTRIBUTED


async def _run(db: Database, statements: list[str]) -> None:
    async with db.plain_transaction() as conn:
        pg = await asyncpg_of(conn)
        for statement in statements:
            await pg.execute(statement)
