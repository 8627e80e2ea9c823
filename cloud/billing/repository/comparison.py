"""The tariffs that a site's own is compared with, in the database."""

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.schemas.tariffs import TariffOut
from cloud.billing.tables import TariffPlan
from cloud.core.discos import DiscoProvider

_PLAN = tuple(getattr(TariffPlan, name) for name in TariffOut.model_fields)


async def versions_between(
    conn: AsyncConnection, disco_provider: DiscoProvider, categories: Iterable[str], *, first: date, last: date
) -> Sequence[TariffOut]:
    """Standard versions of some categories in force on any day from `first` to `last`, by category, the oldest first."""
    statement = (
        select(*_PLAN)
        .where(
            TariffPlan.disco_provider == disco_provider,
            TariffPlan.category.in_(list(categories)),
            TariffPlan.variant == "standard",
            TariffPlan.effective_from <= last,
            or_(TariffPlan.effective_to.is_(None), TariffPlan.effective_to >= first),
        )
        .order_by(TariffPlan.category, TariffPlan.effective_from)
    )
    return [TariffOut.model_validate(row) for row in await conn.execute(statement)]
