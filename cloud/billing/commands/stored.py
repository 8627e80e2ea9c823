"""`solarhub tariffs load`, and what `--database` asks the database for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.catalogue import Catalogue
from cloud.billing.loading import load_tariffs, stored_catalogue, stored_document
from cloud.core.console import explained
from cloud.core.db import NOBODY
from cloud.core.settings import Settings
from cloud.core.start import command_settings
from cloud.web.services import open_database

_AnswerT = TypeVar("_AnswerT")


def tariffs_load() -> None:
    """Bring the tariff data of this version of the program into the database; doing it again changes nothing."""
    with explained():
        loaded = asyncio.run(_with_database(command_settings(), load_tariffs))
        typer.echo(loaded.to_text())
    if loaded.in_the_way:
        raise typer.Exit(1)


def database_catalogue() -> Catalogue:
    """What is in the database of the settings.

    Raises:
        SolarHubError: if the settings are wrong, the database does not answer, or a stored record is wrong.
    """
    return asyncio.run(_with_database(command_settings(), stored_catalogue))


def database_document() -> dict[str, Any]:
    """The same as a tariff file would say it, with whatever is wrong in it.

    Raises:
        SolarHubError: if the settings are wrong or the database does not answer.
    """
    return asyncio.run(_with_database(command_settings(), stored_document))


async def _with_database(settings: Settings, work: Callable[[AsyncConnection], Awaitable[_AnswerT]]) -> _AnswerT:
    db = await open_database(settings)
    try:
        async with db.transaction(NOBODY) as conn:
            return await work(conn)
    finally:
        await db.dispose()
