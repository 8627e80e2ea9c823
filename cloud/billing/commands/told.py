"""`solarhub tariffs list`, `show` and `diff`: what is on record, and what has changed."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cloud.billing.catalogue import Catalogue, read_catalogue
from cloud.billing.presenting import Difference, difference_between, differences, listing, sheet, today
from cloud.billing.rules.errors import BillingError
from cloud.core.console import explained
from cloud.core.discos import DiscoProvider
from cloud.core.lazy import part

_DAY = ["%Y-%m-%d"]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
FromDatabase = Annotated[
    bool, typer.Option("--database", help="Ask the database instead of the data that comes with the program.")
]
Company = Annotated[
    DiscoProvider,
    typer.Option("--company", help="Distribution company; the notified rates are the same at all of them."),
]


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
        day = today(datetime.now(UTC)) if on is None else on.date()
        found = sheet(_catalogue(database), category, company=company, on=day)
        typer.echo(_json(found.to_json()) if as_json else found.to_text())


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


def _json(value: Any) -> str:  # noqa: ANN401 -- whatever JSON can say
    return json.dumps(value, ensure_ascii=False, indent=2)


def _catalogue(database: bool) -> Catalogue:
    if not database:
        return read_catalogue()
    # Only now: SQLAlchemy and the rest take longer to import than the answer from the program's data takes.
    stored: Catalogue = part("cloud.billing.commands.stored:database_catalogue")()
    return stored
