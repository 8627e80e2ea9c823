"""Tariffs, dated records and factors as they are looked up for bills: each is read once, and known from then on."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.repository import energy, tariffs
from cloud.billing.rules.model import Adjustment
from cloud.billing.rules.records import adjustment_of
from cloud.billing.schemas.tariffs import TariffOut
from cloud.core.discos import DiscoProvider


class RateBook:
    """What is the same for every site, so any transaction may read it.

    One for a bill, or for the few seconds of a batch of bills, and then thrown away: it never looks twice. Rates that change meanwhile
    are newer than the batch's moment, and the monthly run makes those bills anew.
    """

    def __init__(self) -> None:
        self._categories: dict[str, str | None] = {}
        self._versions: dict[tuple[DiscoProvider, str, date, date], Sequence[TariffOut]] = {}
        self._adjustments: tuple[Adjustment, ...] | None = None
        self._factors: dict[str, Decimal] = {}

    async def category(self, conn: AsyncConnection, name: str) -> str | None:
        """The category that a name stands for; None for an unknown one."""
        if name not in self._categories:
            self._categories[name] = await tariffs.category_code(conn, name)
        return self._categories[name]

    async def versions(
        self, conn: AsyncConnection, disco: DiscoProvider, category: str, *, first: date, last: date
    ) -> Sequence[TariffOut]:
        """The standard versions in force on any day of a period, oldest first."""
        key = disco, category, first, last
        if key not in self._versions:
            found = await tariffs.plans_of(conn, disco, category, first=first, last=last)
            self._versions[key] = sorted(found, key=lambda version: version.effective_from)
        return self._versions[key]

    async def adjustments(self, conn: AsyncConnection) -> tuple[Adjustment, ...]:
        """Every dated record."""
        if self._adjustments is None:
            self._adjustments = tuple(adjustment_of(record) for record in await tariffs.adjustment_records(conn))
        return self._adjustments

    async def factor(self, conn: AsyncConnection, kind: str) -> Decimal:
        """The default emission factor of a kind."""
        if kind not in self._factors:
            self._factors[kind] = await energy.default_factor(conn, kind)
        return self._factors[kind]
