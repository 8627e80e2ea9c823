"""What PostgreSQL adds up is what the rules add up from the same quarter-hours."""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import astuple
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.repository.energy import site_quarter_hours, window_sums
from cloud.billing.rules.metering.energy import (
    EnergySums,
    QuarterHour,
    buckets_of,
    peak_stretches,
    period_window,
    sums_of,
)
from cloud.billing.service.site_energy import measured_energy
from cloud.core.db import SYSTEM
from cloud.core.discos import DiscoProvider
from cloud.sites.repository import enter_site
from cloud.telemetry.tables import TelemetryQuarterHour
from tests.integration.billing.conftest import KARACHI, Home

WINDOW = period_window(date(2026, 8, 28), date(2026, 9, 3), KARACHI)
"""Two partitions, and the change of the peak hours from 19-23 to 18-22."""
NOTHING = (None,) * 9


@pytest.fixture
async def conn(home: Home) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees the home, with its partitions."""
    await home.quarters(date(2026, 8, 20), date(2026, 8, 20), imported_wh=1)
    await home.quarters(date(2026, 9, 20), date(2026, 9, 20), imported_wh=1)
    async with home.api.services.db.transaction(SYSTEM) as conn:
        await enter_site(conn, UUID(home.site["id"]))
        yield conn


async def _write(conn: AsyncConnection, home: Home, rows: Sequence[QuarterHour]) -> None:
    keys = {
        "site_id": UUID(home.site["id"]),
        "organization_id": UUID(home.site["organization_id"]),
        "algorithm_version": 1,
    }
    await conn.execute(insert(TelemetryQuarterHour), [{**keys, **row._asdict()} for row in rows])


def _drawn(seed: int, *, missing: float) -> list[QuarterHour]:
    """Quarter-hours of which each flow is missing here and there, and some whole ones; some are bridged."""
    chance = random.Random(seed)  # noqa: S311 -- test data

    def flow() -> int | None:
        return None if chance.random() < missing else chance.randrange(3_000)

    def row(bucket: datetime) -> QuarterHour:
        covered, bridged = chance.randrange(901), chance.choice((0, 0, 0, 40))
        return QuarterHour(bucket, flow(), flow(), flow(), flow(), covered, bridged)

    return [row(bucket) for bucket in buckets_of(WINDOW) if chance.random() >= missing]


def _sums(rows: Sequence[QuarterHour], disco: DiscoProvider) -> EnergySums:
    return sums_of(rows, window=WINDOW, zone=KARACHI, disco_provider=disco.value)


@pytest.mark.parametrize("disco", [DiscoProvider.LESCO, DiscoProvider.KELECTRIC])
@pytest.mark.parametrize(("seed", "missing"), [(1, 0.0), (2, 0.1), (3, 0.97)])
async def test_the_database_adds_up_the_same(
    conn: AsyncConnection, home: Home, *, seed: int, missing: float, disco: DiscoProvider
) -> None:
    rows = _drawn(seed, missing=missing)
    await _write(conn, home, rows)
    site_id = UUID(home.site["id"])
    assert list(await site_quarter_hours(conn, site_id, WINDOW)) == rows
    found = await window_sums(conn, site_id, WINDOW, peak_stretches(WINDOW, KARACHI, disco.value))
    assert found.energy == _sums(rows, disco)
    assert found.imported == sum(row.imported_wh is not None for row in rows)
    assert found.bridged == sum(row.imported_bridged_wh != 0 for row in rows)
    assert found.known_seconds == sum(900 if row.imported_bridged_wh else row.covered_seconds for row in rows)


async def test_an_empty_window_has_no_sums(conn: AsyncConnection, home: Home) -> None:
    site_id = UUID(home.site["id"])
    found = await window_sums(conn, site_id, WINDOW)
    assert (*astuple(found.energy), found.imported, found.bridged, found.known_seconds) == (*NOTHING, 0, 0, 0, 0)
    assert list(await site_quarter_hours(conn, site_id, WINDOW)) == []


async def test_without_peak_hours_nothing_lies_in_them(conn: AsyncConnection, home: Home) -> None:
    await _write(conn, home, _drawn(4, missing=0.0))
    energy = (await window_sums(conn, UUID(home.site["id"]), WINDOW)).energy
    assert (energy.imported_peak_wh, energy.exported_peak_wh, energy.consumed_peak_wh) == (0, 0, 0)


async def test_a_whole_window_and_one_with_a_gap_are_looked_at_each_in_its_way(
    conn: AsyncConnection, home: Home
) -> None:
    rows = [row._replace(imported_bridged_wh=0, covered_seconds=900) for row in _drawn(5, missing=0.0)]
    await _write(conn, home, rows[1:])
    site = await enter_site(conn, UUID(home.site["id"]))
    assert site is not None
    disco, now = DiscoProvider.KELECTRIC, datetime(2026, 9, 10, tzinfo=KARACHI)
    holed = await measured_energy(conn, site, WINDOW, disco=disco, now=now)
    assert [gap.window.start for gap in holed.gaps] == [WINDOW.start]
    await _write(conn, home, rows[:1])
    whole = await measured_energy(conn, site, WINDOW, disco=disco, now=now)
    assert (whole.gaps, whole.estimated_kwh, whole.known_percent, whole.is_complete) == ((), Decimal(0), 100.0, True)
    assert whole.energy.imported_kwh == Decimal(sum(row.imported_wh or 0 for row in rows)) / 1000
