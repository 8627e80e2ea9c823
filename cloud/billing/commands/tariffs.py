"""`solarhub tariffs`: the tariff data."""

import asyncio

import typer

from cloud.billing.loading import load_tariffs
from cloud.core.console import command_settings, explained
from cloud.core.db import NOBODY
from cloud.core.settings import Settings
from cloud.web.services import open_database

tariffs = typer.Typer(help="Tariffs of the distribution companies.", no_args_is_help=True)


@tariffs.callback()
def _tariffs() -> None:
    """A group of its own, though it has one command so far."""


@tariffs.command("load")
def tariffs_load() -> None:
    """Bring the tariff data of this version of the program into the database; doing it again changes nothing."""
    with explained():
        counts = asyncio.run(_load_tariffs(command_settings()))
        typer.echo(", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items()))


async def _load_tariffs(settings: Settings) -> dict[str, int]:
    db = await open_database(settings)
    try:
        async with db.transaction(NOBODY) as conn:
            return (await load_tariffs(conn)).model_dump()
    finally:
        await db.dispose()
