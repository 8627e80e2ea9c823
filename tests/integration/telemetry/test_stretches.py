"""The short way to the readings around a change gives what the long way finds, of rows and of packed days."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from cloud.core.db import SYSTEM, asyncpg_of
from cloud.core.ids import new_id
from cloud.ingest.days.repository import DeviceDay, lock_day, pack_day
from cloud.telemetry.repository import raw
from cloud.telemetry.repository.stretches import stretches
from cloud.telemetry.rules.context import Asked, Timeline
from edge_agent.drivers.simulated import SimulatedSite
from shared.counters import moment_of, unix_us
from shared.periods import QUARTER_HOUR, Window
from tests.integration.telemetry.home import ARRIVAL, Home, Sent, moments, observe

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STRADDLE = timedelta(minutes=15)


async def send_days(home: Home, roof: SimulatedSite) -> None:
    """A day and a half with a silence, out of order."""
    at = moments(START, START + 36 * HOUR, step=timedelta(minutes=5))
    heard = [one for one in at if not 20 * HOUR <= one - START < 26 * HOUR]
    readings = [sent for one in heard for sent in observe(home, roof, one)]
    odd = Sent(home.string_id, START + timedelta(seconds=1), {"irradiance_wm2.poa": 5.5, "ac_voltage_v.l1": 229.1})
    await home.send([*readings[len(readings) // 2 :], odd, *readings[: len(readings) // 2]])


async def pack(home: Home, day: date) -> None:
    """Pack a day of all devices."""
    async with home.db.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        await lock_day(pg, home.site_id, day)
        for (number,) in await pg.fetch("SELECT number FROM devices WHERE site_id = $1", home.site_id):
            which = DeviceDay(home.site_id, home.plant.organization_id, number, day)
            await pack_day(pg, which, now=ARRIVAL)


async def both_ways(home: Home, device_id: UUID, dirty: Window, *, around: timedelta) -> bool:
    """Compare the two ways for one change; returns whether the short one was enough."""
    async with home.db.transaction(SYSTEM) as conn:
        asked = Asked(device_id, dirty.start - around, dirty.end + around)
        (near,) = await stretches(conn, home.site_id, [asked])
        assert near is not None
        reach = await raw.affected_by(conn, home.site_id, device_id, dirty, straddle=STRADDLE, has_counters=True)
        seen = near.affected(unix_us(dirty.start), unix_us(dirty.end), straddle_us=900_000_000, has_counters=True)
        if seen is None:
            return False
        assert Window(*map(moment_of, seen)) == reach
        context = await raw.context_of(conn, home.site_id, device_id, reach, straddle=STRADDLE, has_counters=True)
        start, end = unix_us(reach.start), unix_us(reach.end)
        is_held = near.holds(start, end, straddle_us=900_000_000, has_counters=True)
        assert not is_held or _part(near.timeline, context.moments[0], context.moments[-1]) == _part(
            context, context.moments[0], context.moments[-1]
        )
        return is_held


def _part(timeline: Timeline, first: int, last: int) -> list[dict[str, object]]:
    return [
        {"at": at, "quality": bits}
        | {key: found for key, column in timeline.columns.items() if (found := column[index]) is not None}
        for index, (at, bits) in enumerate(zip(timeline.moments, timeline.quality, strict=True))
        if first <= at <= last
    ]


@pytest.mark.parametrize("packed", [0, 1, 2])
async def test_the_short_way_is_the_long_way(home: Home, roof: SimulatedSite, packed: int) -> None:
    await send_days(home, roof)
    for number in range(packed):
        await pack(home, START.date() + timedelta(days=number))
    enough = [
        await both_ways(home, device_id, Window(at, at + QUARTER_HOUR), around=5 * HOUR)
        for device_id in (home.string_id, home.meter_id)
        for at in (START + hours * HOUR for hours in (0, 1, 8, 12, 19.75, 22, 26, 29, 35.75, 37))
    ]
    # At the ends of packed days it is not certain that there is nothing beyond.
    assert (8 if packed == 2 else 12) <= sum(enough) < len(enough)


async def test_devices_and_stretches_keep_their_places(home: Home, roof: SimulatedSite) -> None:
    await send_days(home, roof)
    noon = START + 12 * HOUR
    asked = [
        Asked(home.meter_id, noon, noon + HOUR),
        Asked(new_id(), noon, noon),
        Asked(home.string_id, START, START + HOUR),
    ]
    async with home.db.transaction(SYSTEM) as conn:
        meter, unknown, string = await stretches(conn, home.site_id, asked)
        (quiet,) = await stretches(conn, home.site_id, [Asked(home.string_id, START + 22 * HOUR, START + 23 * HOUR)])
    assert unknown is None
    assert quiet is not None
    assert list(quiet.timeline.moments) == []
    assert meter is not None
    assert string is not None
    assert len(meter.timeline.moments) == 13
    assert "grid_power_kw" in meter.timeline.columns
    assert "ac_power_kw" not in meter.timeline.columns
    assert string.timeline.columns["irradiance_wm2.poa"][1] == 5.5
    assert string.timeline.columns["ac_voltage_v_l1"][1] == 229.1


async def test_what_is_in_the_archive_is_not_taken_for_nothing(home: Home, roof: SimulatedSite) -> None:
    await send_days(home, roof)
    async with home.db.transaction(SYSTEM) as conn:
        await (await asyncpg_of(conn)).execute(
            """
            INSERT INTO telemetry_archives (site_id, kind, first_day, last_day, organization_id, path, sha256, size_bytes, rows, layout,
                is_away, exported_at)
            VALUES ($1, 'raw', '2026-05-20', '2026-05-20', $2, 'x', '', 1, 1, 1, true, now())
            """,
            home.site_id,
            home.plant.organization_id,
        )
        near = await stretches(conn, home.site_id, [Asked(home.string_id, START, START + HOUR)])
        far = await stretches(
            conn, home.site_id, [Asked(home.string_id, START + timedelta(days=60), START + timedelta(days=61))]
        )
    assert near == [None]
    assert far != [None]
