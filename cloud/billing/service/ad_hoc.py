"""A bill from a case that somebody writes down, by the tariffs of the database; nothing is stored."""

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.case_file.pricing import Understood, price, understand
from cloud.billing.case_file.problems import CaseError
from cloud.billing.case_file.shape import CaseFile
from cloud.billing.case_file.tariffs import OnFile, Version, in_order, version_of_row
from cloud.billing.problems import BillNotPossibleError, problem_of
from cloud.billing.repository import tariffs
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.records import adjustment_of
from cloud.core.errors import FieldProblem, ValidationFailedError


def _problem(error: BillingError) -> ValidationFailedError:
    field = error.field if isinstance(error, CaseError) else "tariff"
    problem: FieldProblem = {"field": field, "message": str(error)}
    kind = BillNotPossibleError if isinstance(error, CaseError) else type(problem_of(error))
    return kind(str(error), errors=[problem])


async def _on_file(conn: AsyncConnection, known: Understood) -> OnFile:
    """Tariffs of the case's company; nothing but the dated records where it names none."""
    records = [adjustment_of(record) for record in await tariffs.adjustment_records(conn)]
    disco, period = known.consumer.disco, known.period
    if disco is None:
        return OnFile((), (), tuple(records), ())

    async def versions(category: str) -> tuple[Version, ...]:
        code = await tariffs.category_code(conn, category) or category
        rows = await tariffs.plans_of(conn, disco, code, first=period.first, last=period.last)
        return in_order(version_of_row(row) for row in rows)

    consumer = known.consumer
    return OnFile(
        versions=await versions(consumer.category),
        without_solar=await versions(consumer.category_without_solar),
        adjustments=tuple(records),
        categories=tuple(await tariffs.categories_with_plans(conn, disco)),
    )


async def price_ad_hoc(conn: AsyncConnection, case: CaseFile) -> dict[str, Any]:
    """Price a case.

    Args:
        conn: any tenant context; tariffs belong to nobody.
        case: as read; `interval_csv` holds the text of a file, not its name.

    Raises:
        ValidationFailedError: names the field, its value and the way out.
    """
    try:
        # Up to 36,000 intervals: long enough to hold up everybody else's requests.
        known = await asyncio.to_thread(understand, case)
        return price(known, await _on_file(conn, known))
    except BillingError as error:
        raise _problem(error) from error
