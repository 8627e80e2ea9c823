"""What is written at each level follows the readings, also where readings are taken away."""

from datetime import date, datetime, timedelta

from sqlalchemy import text

from cloud.core.db import SYSTEM
from cloud.telemetry.service.rollup import request_recompute
from edge_agent.drivers.simulated import SimulatedSite
from shared.periods import Window, day_window, zone_of
from tests.integration.telemetry.home import ARRIVAL, Home, moments, observe

JUNE_1 = day_window(date(2026, 6, 1), zone_of("Asia/Karachi"))
STEP = timedelta(minutes=15)


async def take_away(home: Home, start: datetime, end: datetime) -> None:
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(
            text("DELETE FROM telemetry_readings WHERE at >= :start AND at < :end"), {"start": start, "end": end}
        )
        await request_recompute(conn, home.site_id, Window(start, end), now=ARRIVAL)


async def test_rows_go_with_their_readings_on_every_level(home: Home, roof: SimulatedSite) -> None:
    """A stray day and month vanish for the site and its devices; what stays is as if they had never been."""
    june = [sent for at in moments(JUNE_1.start, JUNE_1.end, step=STEP) for sent in observe(home, roof, at)]
    await home.send(june)
    await home.roll_up()
    expected = await home.fingerprint()
    stray = JUNE_1.start + timedelta(days=70)
    alone = [sent for at in moments(stray, stray + 3 * STEP, step=STEP) for sent in observe(home, roof, at)]
    await home.send(alone)
    await home.roll_up()
    assert await home.fingerprint() != expected
    assert (await home.month(2026, 8))["days_with_data"] == 1
    await take_away(home, stray - STEP, stray + 4 * STEP)
    await home.roll_up()
    assert await home.fingerprint() == expected


async def test_a_device_that_was_not_touched_keeps_its_part_of_the_site(home: Home, roof: SimulatedSite) -> None:
    """The site's rows are made of devices just computed and of those stored; in whatever order they came."""
    readings = [sent for at in moments(JUNE_1.start, JUNE_1.end, step=STEP) for sent in observe(home, roof, at)]
    await home.send(readings)
    await home.roll_up()
    together = await home.fingerprint()
    await home.forget()
    for device_id in (home.sensor_id, home.meter_id, home.battery_id, home.hybrid_id, home.string_id):
        await home.send([sent for sent in readings if sent.device_id == device_id])
        await home.roll_up(limit=7)
    assert await home.fingerprint() == together


async def test_more_marks_than_a_pass_takes_are_settled_together(home: Home, roof: SimulatedSite) -> None:
    """What a pass computes beside its own marks is not computed again."""
    readings = [sent for at in moments(JUNE_1.start, JUNE_1.end, step=STEP) for sent in observe(home, roof, at)]
    await home.send(readings)
    marked = (await home.rows("SELECT count(*) AS n FROM rollup_dirty"))[0]["n"]
    settled = await home.roll_up(limit=1, passes=1)
    left = (await home.rows("SELECT count(*) AS n FROM rollup_dirty"))[0]["n"]
    assert settled > 4
    assert left == marked - settled
