"""`solarhub tariffs`: the tariff data."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.catalogue import Catalogue, product_documents, read_catalogue
from cloud.billing.checking import Finding, check_documents, read_document
from cloud.billing.loading import load_tariffs, stored_catalogue, stored_document
from cloud.billing.presenting import Difference, difference_between, differences, listing, sheet, today
from cloud.billing.rules.errors import BillingError
from cloud.core.console import command_settings, explained
from cloud.core.db import NOBODY
from cloud.core.discos import DiscoProvider
from cloud.core.settings import Settings
from cloud.web.services import open_database, utc_now

tariffs = typer.Typer(help="Tariffs of the distribution companies.", no_args_is_help=True)

_DAY = ["%Y-%m-%d"]
_AnswerT = TypeVar("_AnswerT")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
FromDatabase = Annotated[
    bool, typer.Option("--database", help="Ask the database instead of the data that comes with the program.")
]
Company = Annotated[
    DiscoProvider,
    typer.Option("--company", help="Distribution company; the notified rates are the same at all of them."),
]


@tariffs.command("load")
def tariffs_load() -> None:
    """Bring the tariff data of this version of the program into the database; doing it again changes nothing."""
    with explained():
        loaded = asyncio.run(_with_database(command_settings(), load_tariffs))
        typer.echo(loaded.to_text())
    if loaded.in_the_way:
        raise typer.Exit(1)


@tariffs.command("list")
def tariffs_list(
    *,
    company: Annotated[DiscoProvider | None, typer.Option(help="Of this company only.")] = None,
    category: Annotated[
        str | None, typer.Option(help="Of this category only: its code, or A-2(c) and the like.")
    ] = None,
    on: Annotated[datetime | None, typer.Option(formats=_DAY, help="In force on this day only.")] = None,
    database: FromDatabase = False,
    as_json: AsJson = False,
) -> None:
    """Which tariffs are on record, since when and from where; and for which categories there are none."""
    with explained():
        found = listing(_catalogue(database), company=company, category=category, on=None if on is None else on.date())
        typer.echo(_json(found.to_json()) if as_json else found.to_text())


@tariffs.command("show")
def tariffs_show(
    category: Annotated[str, typer.Argument(help="Code of the category, or A-2(c) and the like.")],
    *,
    company: Company = DiscoProvider.LESCO,
    on: Annotated[datetime | None, typer.Option(formats=_DAY, help="A day; today if left out.")] = None,
    database: FromDatabase = False,
    as_json: AsJson = False,
) -> None:
    """One version of a tariff: its rates, its source, what goes with it on the day, and what is not on record."""
    with explained():
        day = today(utc_now()) if on is None else on.date()
        found = sheet(_catalogue(database), category, company=company, on=day)
        typer.echo(_json(found.to_json()) if as_json else found.to_text())


@tariffs.command("diff")
def tariffs_diff(
    category: Annotated[str | None, typer.Argument(help="Code of the category, or A-2(c) and the like.")] = None,
    old: Annotated[datetime | None, typer.Argument(formats=_DAY, help="A day.")] = None,
    new: Annotated[datetime | None, typer.Argument(formats=_DAY, help="A later day.")] = None,
    *,
    company: Company = DiscoProvider.LESCO,
    database: FromDatabase = False,
    as_json: AsJson = False,
) -> None:
    """What changed in a tariff between two days; with --database alone: the database against the data of the program."""
    with explained():
        if category is not None and old is not None and new is not None:
            days = (old.date(), new.date())
            found: tuple[Difference, ...] = (difference_between(_catalogue(database), category, days, company=company),)
        elif database and category is None:
            found = differences(read_catalogue(), _catalogue(database))
        else:
            raise BillingError(
                "give a category and two days, or --database alone to compare the database with the program"
            )
        words = "\n".join(difference.to_text() for difference in found) or "no difference"
        typer.echo(_json([difference.to_json() for difference in found]) if as_json else words)


@tariffs.command("validate")
def tariffs_validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Tariff files; without any the program's own are checked."),
    ] = None,
    *,
    database: Annotated[bool, typer.Option("--database", help="Check what is in the database.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find everything that is wrong with tariff data: form, sources, slabs, overlaps, gaps. Status 1 if anything is."""
    with explained():
        findings = _findings(files or [], database=database)
    if as_json:
        typer.echo(_json([finding.to_json() for finding in findings]))
    else:
        typer.echo("\n".join(str(finding) for finding in findings) or "nothing is wrong")
    if findings:
        raise typer.Exit(1)


def _json(value: Any) -> str:  # noqa: ANN401 -- whatever JSON can say
    return json.dumps(value, ensure_ascii=False, indent=2)


def _findings(files: list[Path], *, database: bool) -> tuple[Finding, ...]:
    if files and database:
        raise BillingError("give files, or --database, not both")
    product = read_catalogue()
    categories = {category.code: category.alias_of for category in product.categories}
    if database:
        stored = asyncio.run(_with_database(command_settings(), stored_document))
        return check_documents({"database": stored}, known_categories=categories)
    if not files:
        return check_documents(product_documents(), known_categories={})
    documents: dict[str, dict[str, Any]] = {}
    unread: list[Finding] = []
    for path in files:
        try:
            documents[str(path)] = read_document(path)
        except BillingError as error:
            unread.append(Finding(str(path), "", "", None, str(error)))
    return (*unread, *check_documents(documents, known_categories=categories))


def _catalogue(database: bool) -> Catalogue:
    return asyncio.run(_with_database(command_settings(), stored_catalogue)) if database else read_catalogue()


async def _with_database(settings: Settings, work: Callable[[AsyncConnection], Awaitable[_AnswerT]]) -> _AnswerT:
    db = await open_database(settings)
    try:
        async with db.transaction(NOBODY) as conn:
            return await work(conn)
    finally:
        await db.dispose()
