"""The promise: the same readings in any order, doubled or late, give the same rollups, and they are the counters' own numbers."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.db import SYSTEM, Database
from cloud.core.ids import new_id
from cloud.telemetry.repository import queue
from cloud.telemetry.repository.queue import Mark
from cloud.telemetry.service.rollup import request_recompute, roll_up_dirty, roll_up_site
from cloud.telemetry.tables import MeterEvent
from edge_agent.drivers.simulated import SimulatedSite
from shared.periods import Window, day_window, zone_of
from tests.integration.telemetry.home import (
    ARRIVAL,
    COMMISSIONED,
    LINK_DOWN,
    Home,
    Sent,
    flow_wh,
    in_batches,
    make_home,
    moments,
    observe,
)
from tests.plants import Plant

KARACHI = zone_of("Asia/Karachi")
JUNE_1 = day_window(date(2026, 6, 1), KARACHI)
MINUTE = timedelta(minutes=1)


def whole_day(home: Home, roof: SimulatedSite, *, step: timedelta = 5 * MINUTE) -> list[Sent]:
    return [sent for at in moments(JUNE_1.start, JUNE_1.end, step=step) for sent in observe(home, roof, at)]


async def test_a_day_is_what_the_counters_show(db: Database, plant: Plant, roof: SimulatedSite) -> None:
    home = await make_home(db, plant, poll_s=60)
    readings = whole_day(home, roof, step=MINUTE)
    for batch in in_batches(readings, [1000] * 8):
        await home.send(batch)
    await home.roll_up()
    truth = roof.counter_energy_wh(JUNE_1.start, JUNE_1.end)
    expected = {
        name: getattr(truth, name)
        for name in ("generated", "consumed", "imported", "exported", "charged", "discharged")
    }
    day = await home.day(date(2026, 6, 1))
    assert flow_wh(day) == expected
    assert flow_wh(await home.month(2026, 6)) == expected
    sums = ", ".join(f"sum({name}_wh)::bigint AS {name}" for name in expected)
    assert await home.rows(f"SELECT {sums}, count(*) AS n FROM telemetry_quarter_hour WHERE device_id IS NULL") == [  # noqa: S608
        expected | {"n": 97}
    ]
    hours = await home.rows("SELECT * FROM telemetry_hourly_summary WHERE device_id IS NULL ORDER BY timestamp_hour")
    assert len(hours) == 25
    assert (
        sum(round(row["energy_generated_kwh"] * 1000) for row in hours if row["energy_generated_kwh"])
        == truth.generated
    )
    assert day["sample_count"] == 5 * 1440
    assert day["data_completeness_percent"] == 100
    assert day["co2_avoided_kg"] == pytest.approx(truth.generated / 1000 * 0.515)
    assert 0.6 < day["performance_ratio"] < 1.05
    assert day["performance_ratio_reason"] is None
    assert 8 < day["sunshine_hours"] < 14
    assert day["sunshine_basis"] == "irradiance"
    assert day["net_energy_kwh"] == pytest.approx(day["energy_generated_kwh"] - day["energy_consumed_kwh"])
    assert 0 < day["peak_power_kw"] <= 10.5
    assert day["specific_yield_kwh_kwp"] == pytest.approx(truth.generated / 1000 / 10.5)


def difficult_days(home: Home, roof: SimulatedSite) -> list[Sent]:
    """Two and a half days with a gap, a glitch, a swapped meter, a link that was down and readings that were thinned."""
    dice = random.Random(1)  # noqa: S311 -- the same days in every run
    end = JUNE_1.end + timedelta(hours=36)
    found: list[Sent] = []
    for at in moments(JUNE_1.start, end, step=10 * MINUTE):
        hour = (at - JUNE_1.start) / timedelta(hours=1)
        if 30 <= hour < 37.5:
            continue
        for sent in observe(home, roof, at):
            values = dict(sent.values)
            if dice.random() < 0.03:
                values = {key: 0.0 if key.endswith("_total_kwh") else value for key, value in values.items()}
            if sent.device_id == home.meter_id and hour > 20.4:
                values["grid_import_energy_total_kwh"] = float(values["grid_import_energy_total_kwh"]) - 4_000  # type: ignore[arg-type]
            if sent.device_id == home.string_id and 10 < hour < 12:
                values.pop("energy_total_kwh")
            if sent.device_id == home.hybrid_id and 3 < hour < 4:
                found.append(Sent(sent.device_id, at, {}, LINK_DOWN))
            elif sent.device_id == home.battery_id and 50 < hour < 53:
                continue
            else:
                found.append(Sent(sent.device_id, at, values, sent.quality))
    return found


async def in_order(home: Home, readings: list[Sent]) -> dict[str, str]:
    await home.forget()
    await home.send(readings)
    await home.roll_up(limit=10_000)
    return await home.fingerprint()


@pytest.mark.parametrize("seed", [1, 2])
async def test_order_repetition_and_splitting_change_nothing(
    db: Database, plant: Plant, roof: SimulatedSite, seed: int
) -> None:
    home = await make_home(db, plant, poll_s=300)
    readings = difficult_days(home, roof)
    expected = await in_order(home, readings)
    await home.forget()
    dice = random.Random(seed)  # noqa: S311 -- reproducible
    again = [*readings, *dice.sample(readings, len(readings) // 2)]
    dice.shuffle(again)
    for batch in in_batches(again, [dice.randint(1, 400) for _ in range(12)]):
        await home.send(batch)
        await home.roll_up(limit=dice.choice([1, 7, 40]), passes=dice.randint(0, 3))
    await home.roll_up()
    assert await home.fingerprint() == expected


async def test_a_flood_that_comes_backwards(db: Database, plant: Plant, roof: SimulatedSite) -> None:
    home = await make_home(db, plant, poll_s=300)
    readings = difficult_days(home, roof)
    expected = await in_order(home, readings)
    await home.forget()
    for batch in in_batches(readings[::-1], [300] * 20):
        await home.send(batch)
        await home.roll_up()
    assert await home.fingerprint() == expected


async def test_computing_again_writes_nothing(home: Home, roof: SimulatedSite) -> None:
    await home.send(whole_day(home, roof))
    await home.roll_up()
    before, written = (
        await home.fingerprint(),
        "SELECT xmin::text AS x FROM telemetry_quarter_hour ORDER BY device_id, bucket",
    )
    stamps = await home.rows(written)
    async with home.db.transaction(SYSTEM) as conn:
        assert await request_recompute(conn, home.site_id, JUNE_1, now=ARRIVAL) == 5
    assert await home.roll_up() >= 5 * 96
    assert await home.fingerprint() == before
    assert await home.rows(written) == stamps


async def test_a_late_reading_corrects_day_and_month(home: Home, roof: SimulatedSite) -> None:
    readings = whole_day(home, roof)
    noon = JUNE_1.start + timedelta(hours=12)
    hidden = [sent for sent in readings if sent.at > noon]
    await home.send([sent for sent in readings if sent.at <= noon])
    await home.roll_up()
    morning = roof.counter_energy_wh(JUNE_1.start, noon)
    assert flow_wh(await home.day(date(2026, 6, 1)))["generated"] == morning.generated
    await home.send(hidden[-5:])
    await home.roll_up()
    truth = roof.counter_energy_wh(JUNE_1.start, JUNE_1.end)
    day, month = await home.day(date(2026, 6, 1)), await home.month(2026, 6)
    assert flow_wh(day)["generated"] == flow_wh(month)["generated"] == truth.generated
    assert day["energy_bridged_kwh"] == pytest.approx((truth.generated - morning.generated) / 1000)
    await home.send(hidden)
    await home.roll_up()
    day = await home.day(date(2026, 6, 1))
    assert (flow_wh(day)["generated"], day["energy_bridged_kwh"]) == (truth.generated, 0)


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [
        ("Europe/London", date(2026, 3, 29), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Kathmandu", date(2026, 6, 1), 24),
    ],
)
async def test_days_with_a_changed_clock(db: Database, plant: Plant, timezone: str, day: date, hours: float) -> None:
    home = await make_home(db, plant, timezone=timezone, poll_s=300)
    window = day_window(day, zone_of(timezone))
    around = moments(window.start - timedelta(hours=2), window.end + timedelta(hours=2), step=5 * MINUTE)
    # 1,200 W without a pause: 100 Wh in every five minutes.
    await home.send([Sent(home.string_id, at, {"energy_total_kwh": 500 + 0.1 * i}) for i, at in enumerate(around)])
    await home.roll_up()
    summary = await home.day(day)
    assert summary["energy_generated_kwh"] == pytest.approx(1.2 * hours)
    assert summary["timezone"] == timezone
    days = await home.rows("SELECT energy_generated_kwh FROM telemetry_daily_summary WHERE device_id IS NULL")
    assert sum(row["energy_generated_kwh"] for row in days) == pytest.approx(0.1 * (len(around) - 1))
    quarters = await home.rows(
        "SELECT count(*) AS n FROM telemetry_quarter_hour WHERE device_id IS NULL AND bucket >= :start AND bucket < :end",
        start=window.start,
        end=window.end,
    )
    assert quarters == [{"n": hours * 4}]
    in_hours = await home.rows(
        """SELECT count(*) AS n, sum(energy_generated_kwh) AS kwh FROM telemetry_hourly_summary
        WHERE device_id IS NULL AND timestamp_hour >= :start AND timestamp_hour < :end""",
        start=window.start,
        end=window.end,
    )
    assert (in_hours[0]["n"], in_hours[0]["kwh"]) == (-(-hours // 1), pytest.approx(1.2 * hours))


async def test_a_mark_made_meanwhile_is_not_lost_and_does_not_wait(
    home: Home, roof: SimulatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await home.send(observe(home, roof, JUNE_1.start))
    remove = queue.remove

    async def remove_after_ingest(conn: AsyncConnection, site_id: UUID, done: Sequence[Mark]) -> None:
        # Everything is computed, nothing committed: ingest goes on in a connection of its own, with a row known to both.
        await home.send(observe(home, roof, JUNE_1.start + MINUTE)[:1])
        await remove(conn, site_id, done)

    with monkeypatch.context() as patch:
        patch.setattr(queue, "remove", remove_after_ingest)
        async with home.db.transaction(SYSTEM) as conn:
            assert await roll_up_site(conn, home.site_id, now=ARRIVAL) == 5
    async with home.db.transaction(SYSTEM) as conn:
        assert [mark.device_id for mark in await queue.marks(conn, home.site_id, limit=9)] == [home.string_id]
    await home.roll_up()
    rows = await home.rows("SELECT n_valid FROM telemetry_quarter_hour WHERE device_id = :id", id=home.string_id)
    assert rows == [{"n_valid": 2}]


async def test_two_workers_do_not_roll_up_one_site_at_once(home: Home, roof: SimulatedSite) -> None:
    await home.send(observe(home, roof, JUNE_1.start))
    async with home.db.transaction(SYSTEM) as first, home.db.transaction(SYSTEM) as second:
        assert await roll_up_site(first, home.site_id, now=ARRIVAL) == 5
        assert await roll_up_site(second, home.site_id, now=ARRIVAL) == 0


async def test_a_killed_roll_up_leaves_everything_to_do(home: Home, roof: SimulatedSite) -> None:
    await home.send(observe(home, roof, JUNE_1.start))

    async def killed() -> None:
        async with home.db.transaction(SYSTEM) as conn:
            await roll_up_site(conn, home.site_id, now=ARRIVAL)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await killed()
    assert await home.rows("SELECT 1 FROM telemetry_quarter_hour") == []
    assert await roll_up_dirty(home.db, 10, now=ARRIVAL) == 5
    assert await roll_up_dirty(home.db, 10, now=ARRIVAL) == 0


async def test_a_recorded_swap_overrides_the_rule(home: Home) -> None:
    noon = datetime(2026, 6, 1, 7, tzinfo=UTC)
    # The new meter starts higher than the old one ended: without a record this looks like a day's energy.
    values = [100.0, 101.0, 103.5, 104.5]
    readings = [
        Sent(home.string_id, noon + i * 30 * MINUTE, {"energy_total_kwh": value}) for i, value in enumerate(values)
    ]
    await home.send(readings)
    await home.roll_up()
    assert (await home.day(date(2026, 6, 1)))["energy_generated_kwh"] == 4.5
    async with home.db.transaction(SYSTEM) as conn:
        await conn.execute(
            insert(MeterEvent).values(
                id=new_id(),
                site_id=home.site_id,
                device_id=home.string_id,
                organization_id=home.plant.organization_id,
                at=noon + 45 * MINUTE,
                metric="energy_total_kwh",
                kind="swap",
                last_wh=101_300,
                first_wh=103_200,
            )
        )
        await request_recompute(conn, home.site_id, Window(noon, noon + timedelta(hours=2)), now=ARRIVAL)
    await home.roll_up()
    assert (await home.day(date(2026, 6, 1)))["energy_generated_kwh"] == pytest.approx(1 + 0.3 + 0.3 + 1)


async def test_readings_that_cannot_be_true_stay_out(home: Home) -> None:
    noon = COMMISSIONED + timedelta(hours=7)
    good = [
        Sent(home.string_id, noon + i * MINUTE, {"ac_power_kw": 3.0, "energy_total_kwh": 100 + i / 20})
        for i in range(15)
    ]
    spike = Sent(home.string_id, noon + timedelta(seconds=90), {"ac_power_kw": 900.0, "energy_total_kwh": 2e9})
    before = Sent(home.string_id, COMMISSIONED - timedelta(hours=1), {"energy_total_kwh": 5.0})
    await home.send([*good, spike, before])
    await home.roll_up()
    rows = await home.rows(
        "SELECT generated_wh, power_max_kw, power_mean_kw, n_valid FROM telemetry_quarter_hour WHERE device_id = :id",
        id=home.string_id,
    )
    assert rows == [{"generated_wh": 700, "power_max_kw": 3.0, "power_mean_kw": pytest.approx(3.0), "n_valid": 16}]


async def test_marks_of_what_is_gone_are_cleared(home: Home) -> None:
    statement = text(
        "INSERT INTO rollup_dirty (site_id, device_id, organization_id, bucket)"
        " VALUES (:site, gen_random_uuid(), :organization, '2026-06-01 00:00Z')"
    )
    async with home.db.transaction(SYSTEM) as conn:
        for site_id in (home.site_id, new_id()):
            await conn.execute(statement, {"site": site_id, "organization": home.plant.organization_id})
    assert await roll_up_dirty(home.db, 10, now=ARRIVAL) == 2
    assert await home.rows("SELECT 1 FROM rollup_dirty") == []
