"""`solarhub migrate` and `solarhub db`: the database's form and size."""

import asyncio
from typing import Annotated

import typer

from cloud.billing.loading import load_tariffs
from cloud.billing.schemas.tariffs import LoadedTariffs
from cloud.core.console import explained
from cloud.core.db import NOBODY, Database
from cloud.core.migrate import upgrade
from cloud.core.settings import Settings, load_settings
from cloud.storage.scaling import Mode, scale
from shared.errors import SolarHubError

database = typer.Typer(help="The database itself.", no_args_is_help=True)


def migrate(
    revision: Annotated[str, typer.Option(help="Alembic revision to go up to.")] = "head",
) -> None:
    """Bring the database to this version of the program, with its tariff data (SOLARHUB_ADMIN_DATABASE_URL)."""
    with explained():
        settings = load_settings()
        upgrade(settings.admin_url, revision)
        typer.echo(f"the database is at {revision}")
        # Tariffs change with releases as tables do: a bill must not be made from the rates of the release before. At an older
        # revision the tables may lack what the data needs.
        if revision == "head":
            typer.echo(asyncio.run(_load_tariffs(settings)).to_text())


async def _load_tariffs(settings: Settings) -> LoadedTariffs:
    db = await Database.connect(settings.admin_url, pool_size=1, max_overflow=0, allow_privileged=True)
    try:
        async with db.transaction(NOBODY) as conn:
            return await load_tariffs(conn)
    finally:
        await db.dispose()


@database.callback()
def _database() -> None:
    """A group of its own, though it has one command so far."""


@database.command("scale")
def database_scale(
    *,
    timescale: Annotated[bool, typer.Option("--timescale", help="Readings and rollups become hypertables.")] = False,
    citus: Annotated[bool, typer.Option("--citus", help="Telemetry is spread over workers by site.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the statements, change nothing.")] = False,
) -> None:
    """Grow past one machine (SOLARHUB_ADMIN_DATABASE_URL): once, after a backup, while API and workers stand still."""
    with explained():
        if timescale == citus:
            raise SolarHubError("choose one of --timescale and --citus")
        mode = Mode.TIMESCALE if timescale else Mode.CITUS
        statements = asyncio.run(scale(load_settings().admin_url, mode, dry_run=dry_run))
        if dry_run:
            typer.echo(";\n".join([*(statement.strip() for statement in statements), ""]))
        else:
            typer.echo(f"{len(statements)} statements run" if statements else f"everything is on {mode.value} already")
