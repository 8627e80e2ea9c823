"""`solarhub bills`: the stored bills of sites."""

import asyncio
import json
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from cloud.billing.rules.month import Month
from cloud.billing.schemas.runs import RunOut
from cloud.billing.service.catching_up import make_months
from cloud.core.console import explained
from cloud.core.settings import Settings
from cloud.core.start import command_settings
from cloud.web.services import open_database, utc_now

_MONTH = ["%Y-%m"]

bills = typer.Typer(help="The bills of sites.", no_args_is_help=True)


@bills.callback()
def _bills() -> None:
    """The bills of sites."""


@bills.command("make")
def bills_make(
    site: Annotated[UUID, typer.Option(help="Id of the site.")],
    first: Annotated[datetime, typer.Option("--from", formats=_MONTH, help="First month.")],
    last: Annotated[datetime, typer.Option("--to", formats=_MONTH, help="Last month, included.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of each month as JSON.")] = False,
) -> None:
    """Make the monthly bills that nobody has made: of months before the site was here, or in which no scheduler ran.

    A month that has its bill keeps it. Status 1 if one of the months has none.
    """
    with explained():
        made = asyncio.run(_make(command_settings(), site, Month.of(first.date()), Month.of(last.date())))
        if as_json:
            typer.echo(json.dumps([run.model_dump(mode="json") for run in made], indent=2))
        else:
            for run in made:
                typer.echo(f"{run.bill_month:%Y-%m}  {run.state:8}{run.message or run.bill_id or ''}")
    if any(run.state != "billed" for run in made):
        raise typer.Exit(1)


async def _make(settings: Settings, site: UUID, first: Month, last: Month) -> list[RunOut]:
    db = await open_database(settings)
    try:
        return await make_months(db, site, first=first, last=last, now=utc_now())
    finally:
        await db.dispose()
