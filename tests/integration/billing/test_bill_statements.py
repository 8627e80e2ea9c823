"""How much a monthly bill asks the database: what is the same for every site is asked once a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.service import monthly
from cloud.core.db import SYSTEM, asyncpg_of
from tests.integration.billing.conftest import Home, add_quarters, configure

FIRST, LAST = date(2026, 9, 1), date(2026, 9, 30)
MOST_STATEMENTS = 13
"""Of a bill that is not the batch's first: with net metering, its fuel month from readings; what opens the transaction beside it."""
OF_EVERYBODY = ("tariff_categories", "tariff_plans", "tariff_adjustments", "emission_factors")


@dataclass
class Asked:
    """Statements of each bill, in their order."""

    bills: list[list[str]] = field(default_factory=list)

    @contextmanager
    def listening(self, conn: AsyncConnection, pg: asyncpg.Connection) -> Iterator[None]:
        """Note what goes through SQLAlchemy, and what goes to the driver beside it."""
        asked: list[str] = []
        self.bills.append(asked)

        def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            asked.append(statement)

        event.listen(conn.sync_connection, "before_cursor_execute", note)
        with pg.query_logger(lambda record: asked.append(record.query)):
            yield
        event.remove(conn.sync_connection, "before_cursor_execute", note)


async def _other_home(home: Home) -> dict[str, str]:
    """A second site of the same owner, set up the same."""
    async with home.api.services.db.transaction(SYSTEM) as conn:
        row = await conn.execute(
            text(
                "INSERT INTO sites (id, organization_id, name, status, timezone, address, configuration)"
                " SELECT gen_random_uuid(), organization_id, 'Other', status, timezone, address, configuration FROM sites"
                " WHERE id = :id RETURNING id, organization_id"
            ),
            {"id": UUID(home.site["id"])},
        )
        site_id, organization_id = row.one()
        return {"id": str(site_id), "organization_id": str(organization_id)}


@pytest.fixture
async def asked(home: Home, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Two homes with net metering are billed, one after the other; a bill's statements are noted."""
    home.site = await configure(home.world, net_metering_enabled=True)
    sites = (home.site, await _other_home(home))
    async with home.api.services.db.transaction(SYSTEM) as conn:
        for site in sites:
            for first in (date(2026, 7, 1), FIRST):
                await add_quarters(
                    conn, site, first, first + timedelta(days=30), imported_wh=300_000, exported_wh=100_000
                )
        await conn.execute(
            text("UPDATE sites SET status = 'decommissioned' WHERE name NOT IN (:ours, 'Other')"),
            {"ours": home.site["name"]},
        )
    noted, usual = Asked(), monthly.bill_month

    async def listened(conn: AsyncConnection, *args: Any, **named: Any) -> None:
        with noted.listening(conn, await asyncpg_of(conn)):
            await usual(conn, *args, **named)

    monkeypatch.setattr(monthly, "bill_month", listened)
    monkeypatch.setattr(monthly, "LANES", 1)
    db, now = home.api.services.db, home.api.clock()
    await monthly.plan_bills(db, now)
    assert await monthly.bill_due(db, now) == len(sites)
    return noted


async def test_the_second_bill_of_a_batch_asks_little(asked: Asked) -> None:
    first, second = asked.bills
    assert any("billing_simulations" in statement for statement in second)
    assert len(second) <= MOST_STATEMENTS
    assert len(first) - len(second) >= len(OF_EVERYBODY)


@pytest.mark.parametrize("table", OF_EVERYBODY)
async def test_what_is_everybodys_is_asked_once(asked: Asked, table: str) -> None:
    first, second = asked.bills
    assert any(table in statement for statement in first)
    assert not any(f"FROM {table}" in " ".join(statement.split()) for statement in second)


async def test_both_bills_are_made(home: Home, asked: Asked) -> None:
    assert len(asked.bills) == 2
    async with home.api.services.db.transaction(SYSTEM) as conn:
        rows = await conn.execute(text("SELECT state, count(*) FROM billing_runs GROUP BY state"))
        assert [tuple(row) for row in rows] == [("billed", 2)]
