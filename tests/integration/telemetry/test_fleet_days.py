"""Days of a fleet, kept and not: whatever is written, by whomever and whenever, an answer is the sum of the sites' days of that moment."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.auth.schemas import Scope
from cloud.core.db import SYSTEM, Database, TenantContext
from cloud.core.files import Files
from cloud.core.ids import new_id
from cloud.core.jobs import JobContext
from cloud.core.settings import Settings
from cloud.scheduler import SWEEPS, sweep_once
from cloud.sites.tables import Site
from cloud.telemetry.repository import fleet_days
from cloud.telemetry.service.fleet_days import keep_fleet_days
from tests.fakes import FakeJobs
from tests.plants import Plant, make_plant

COLUMNS = (*fleet_days.SUMMED, "sites_with_data")
Numbers = Mapping[str, float | None]


def numbers(generated: float | None, *, imported: float | None = None) -> dict[str, float | None]:
    """A site's day; quarters of a kWh, so that sums of floats are exact whichever comes first."""
    return dict.fromkeys(fleet_days.SUMMED) | {
        "energy_generated_kwh": generated,
        "energy_imported_kwh": imported,
        "self_consumed_kwh": None if generated is None else generated / 2,
    }


@dataclass
class Fleet:
    """Sites of one organisation and what their days are, as the test knows them."""

    db: Database
    organization_id: UUID
    sites: list[UUID]
    today: date
    gone: set[UUID] = field(default_factory=set)
    days: dict[tuple[UUID, date], Numbers] = field(default_factory=dict)

    def ago(self, days: int) -> date:
        return self.today - timedelta(days=days)

    async def write(self, site_id: UUID, day: date, values: Numbers, conn: AsyncConnection | None = None) -> None:
        """As the roll-up writes a site's day: inserted, or replaced."""
        self.days[site_id, day] = values
        names = ", ".join(values)
        statement = text(
            f"INSERT INTO telemetry_daily_summary (site_id, organization_id, summary_date, algorithm_version, {names})"  # noqa: S608
            f" VALUES (:site, :org, :day, 1, {', '.join(f':{name}' for name in values)})"
            " ON CONFLICT (site_id, summary_date) WHERE device_id IS NULL"
            f" DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in values)}"
        )
        parameters = {"site": site_id, "org": self.organization_id, "day": day, **values}
        if conn is not None:
            await conn.execute(statement, parameters)
            return
        async with self.db.transaction(TenantContext((self.organization_id,), (site_id,))) as own:
            await own.execute(statement, parameters)

    async def remove(self, site_id: UUID, day: date) -> None:
        self.days.pop((site_id, day), None)
        await self.execute(
            "DELETE FROM telemetry_daily_summary WHERE site_id = :site AND summary_date = :day", site=site_id, day=day
        )

    async def decommission(self, site_id: UUID, *, back: bool = False) -> None:
        (self.gone.discard if back else self.gone.add)(site_id)
        status = "active" if back else "decommissioned"
        await self.execute(
            "UPDATE sites SET status = CAST(:status AS site_status) WHERE id = :site", status=status, site=site_id
        )

    async def execute(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.db.transaction(SYSTEM) as conn:
            result = await conn.execute(text(statement), parameters)
            return list(result) if result.returns_rows else []

    async def kept(self) -> list[date]:
        rows = await self.execute(
            "SELECT summary_date FROM telemetry_fleet_days WHERE organization_id = :org ORDER BY 1",
            org=self.organization_id,
        )
        return [row[0] for row in rows]

    async def queued(self) -> set[date | None]:
        rows = await self.execute(
            "SELECT summary_date FROM fleet_days_dirty WHERE organization_id = :org", org=self.organization_id
        )
        return {row[0] for row in rows}

    async def answer(self, *, back: int = 40) -> dict[date, dict[str, Any]]:
        async with self.db.transaction(TenantContext((self.organization_id,))) as conn:
            scope = Scope(frozenset({self.organization_id}))
            sites, days = await fleet_days.days_in_scope(conn, scope, first=self.ago(back), last=self.today)
        assert sites == len(self.sites) - len(self.gone)
        return {day: {name: row[name] for name in COLUMNS} for day, row in days.items()}

    def expected(self, *, back: int = 40) -> dict[date, dict[str, Any]]:
        days = {}
        for ago in range(back, -1, -1):
            rows = [row for (site, day), row in self.days.items() if day == self.ago(ago) and site not in self.gone]
            told = {name: [row[name] for row in rows if row[name] is not None] for name in fleet_days.SUMMED}
            summed: dict[str, Any] = {name: sum(values) if values else None for name, values in told.items()}
            days[self.ago(ago)] = summed | {"sites_with_data": len(told["energy_generated_kwh"])}
        return days


async def make_fleet(db: Database, plant: Plant, *, sites: int = 3) -> Fleet:
    async with db.transaction(SYSTEM) as conn:
        today = (await conn.execute(text("SELECT (now() AT TIME ZONE 'UTC')::date"))).scalar_one()
        others = [new_id() for _ in range(sites - 1)]
        for number, site_id in enumerate(others):
            await conn.execute(
                insert(Site).values(id=site_id, organization_id=plant.organization_id, name=f"Roof {number}")
            )
    return Fleet(db, plant.organization_id, [plant.site_id, *others], today)


@pytest.fixture
async def fleet(db: Database, plant: Plant) -> Fleet:
    made = await make_fleet(db, plant)
    for ago in range(10):
        for number, site_id in enumerate(made.sites):
            await made.write(site_id, made.ago(ago), numbers(ago + number / 4, imported=1.0 if number else None))
    return made


async def test_days_that_are_over_are_kept_and_the_answer_stays(fleet: Fleet, db: Database) -> None:
    before = await fleet.answer()
    assert await fleet.kept() == []
    assert await keep_fleet_days(db) == 7
    assert await fleet.kept() == [fleet.ago(ago) for ago in range(9, 2, -1)]
    assert before == await fleet.answer() == fleet.expected()
    assert await fleet.queued() == {fleet.ago(2), fleet.ago(1), fleet.ago(0)}
    assert await keep_fleet_days(db) == 0


async def test_the_scheduler_keeps_them(fleet: Fleet, db: Database) -> None:
    context = JobContext(settings=cast(Settings, None), db=db, jobs=FakeJobs(), files=cast(Files, None))
    (sweep,) = [sweep for sweep in SWEEPS if sweep.name == "telemetry.fleet_days"]
    assert await sweep_once(sweep, context, datetime.now(UTC)) == 7
    assert len(await fleet.kept()) == 7


async def test_an_answer_takes_what_is_kept(fleet: Fleet, db: Database) -> None:
    await keep_fleet_days(db)
    await fleet.execute(
        "UPDATE telemetry_fleet_days SET energy_generated_kwh = 4711 WHERE summary_date = :day", day=fleet.ago(5)
    )
    assert (await fleet.answer())[fleet.ago(5)]["energy_generated_kwh"] == 4711


async def test_a_late_change_is_seen_at_once_and_kept_again(fleet: Fleet, db: Database) -> None:
    await keep_fleet_days(db)
    await fleet.write(fleet.sites[0], fleet.ago(5), numbers(100.5))
    await fleet.remove(fleet.sites[1], fleet.ago(6))
    await fleet.write(fleet.sites[2], fleet.ago(30), numbers(None, imported=3.25))
    for site_id in fleet.sites:
        await fleet.remove(site_id, fleet.ago(9))
    assert await fleet.answer() == fleet.expected()
    assert await keep_fleet_days(db) == 4
    assert await fleet.answer() == fleet.expected()
    assert await fleet.kept() == [fleet.ago(ago) for ago in (30, 8, 7, 6, 5, 4, 3)]


async def test_what_is_not_summed_queues_nothing(fleet: Fleet, db: Database) -> None:
    await keep_fleet_days(db)
    await fleet.execute("UPDATE telemetry_daily_summary SET estimated_savings_pkr = 12, computed_at = now()")
    for ago in (0, 1):
        await fleet.write(fleet.sites[0], fleet.ago(ago), numbers(50.0))
    await fleet.execute(
        "INSERT INTO telemetry_daily_summary (site_id, device_id, organization_id, summary_date, algorithm_version)"
        " SELECT site_id, id, organization_id, CAST(:day AS date), 1 FROM devices",
        day=fleet.ago(5),
    )
    assert await fleet.queued() == {fleet.ago(2), fleet.ago(1), fleet.ago(0)}
    assert await fleet.answer() == fleet.expected()


async def test_a_decommissioned_site_leaves_all_days_and_comes_back(fleet: Fleet, db: Database) -> None:
    await keep_fleet_days(db)
    for back in (False, True):
        await fleet.decommission(fleet.sites[1], back=back)
        assert None in await fleet.queued()
        assert await fleet.answer() == fleet.expected()
        assert await keep_fleet_days(db) == 7
        assert await fleet.answer() == fleet.expected()
    await fleet.execute(
        "UPDATE sites SET name = name || '!', status = 'maintenance' WHERE id = :site", site=fleet.sites[1]
    )
    assert await fleet.queued() == {fleet.ago(2), fleet.ago(1), fleet.ago(0)}


async def test_a_change_that_is_not_committed_while_its_day_is_summed_counts_once_it_is(
    fleet: Fleet, db: Database
) -> None:
    async with db.transaction(TenantContext((fleet.organization_id,))) as writer:
        await fleet.write(fleet.sites[0], fleet.ago(5), numbers(100.5), writer)
        assert await keep_fleet_days(db) == 7
        assert (await fleet.answer())[fleet.ago(5)]["energy_generated_kwh"] == 5 + 5.25 + 5.5
    assert await fleet.answer() == fleet.expected()
    assert await keep_fleet_days(db) == 1
    assert await fleet.answer() == fleet.expected()


async def test_one_at_a_time_keeps_days_of_an_organization(fleet: Fleet, db: Database) -> None:
    async with db.transaction(SYSTEM) as conn:
        assert await fleet_days.try_lock(conn, fleet.organization_id)
        assert await keep_fleet_days(db) == 0
    assert await keep_fleet_days(db) == 7


async def test_sites_written_in_any_order_wait_for_each_other_nowhere(fleet: Fleet, db: Database) -> None:
    """Days of two sites in opposite orders: with a row to change for each day, these two would wait for each other for ever."""
    await keep_fleet_days(db)
    wrote, turn = asyncio.Event(), asyncio.Event()
    context = TenantContext((fleet.organization_id,))

    async def one() -> None:
        async with db.transaction(context) as conn:
            await fleet.write(fleet.sites[0], fleet.ago(5), numbers(1.0), conn)
            wrote.set()
            await turn.wait()
            await fleet.write(fleet.sites[0], fleet.ago(6), numbers(1.0), conn)

    async def other() -> None:
        await wrote.wait()
        async with db.transaction(context) as conn:
            await fleet.write(fleet.sites[1], fleet.ago(6), numbers(2.0), conn)
            turn.set()
            await fleet.write(fleet.sites[1], fleet.ago(5), numbers(2.0), conn)

    await asyncio.gather(one(), other())
    assert await fleet.answer() == fleet.expected()


async def test_what_was_kept_while_the_clock_was_ahead_is_summed_again_when_it_is_over(
    fleet: Fleet, db: Database
) -> None:
    await keep_fleet_days(db)
    await fleet.execute(
        "INSERT INTO telemetry_fleet_days (organization_id, summary_date, energy_generated_kwh, sites_with_data)"
        " VALUES (:org, :day, 4711, 1)",
        org=fleet.organization_id,
        day=fleet.today + timedelta(days=1),
    )
    assert await keep_fleet_days(db) == 0
    assert fleet.today + timedelta(days=1) in await fleet.queued()
    assert fleet.today + timedelta(days=1) not in await fleet.kept()


async def test_more_days_than_a_pass_takes(db: Database, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.telemetry.service.fleet_days.DAYS_PER_PASS", 10)
    fleet = await make_fleet(db, plant, sites=1)
    for ago in range(38):
        await fleet.write(fleet.sites[0], fleet.ago(ago), numbers(ago / 4))
    assert await keep_fleet_days(db) == 35
    assert len(await fleet.kept()) == 35
    assert await fleet.answer() == fleet.expected()


async def test_organizations_together_and_nobody_elses(fleet: Fleet, db: Database) -> None:
    other = await make_fleet(db, await make_plant(db, name="other"), sites=1)
    await other.write(other.sites[0], other.ago(5), numbers(1000.0))
    await other.write(other.sites[0], other.ago(20), numbers(2000.0))
    for _ in ("from the sites' days", "kept"):
        asked = Scope(frozenset({fleet.organization_id, other.organization_id})), Scope(everything=True)
        for scope in asked:
            async with db.transaction(SYSTEM) as conn:
                sites, days = await fleet_days.days_in_scope(conn, scope, first=fleet.ago(20), last=fleet.today)
            told = {day: row["energy_generated_kwh"] for day, row in days.items()}
            assert (sites, told[fleet.ago(5)], told[fleet.ago(20)]) == (4, 1000 + 5 + 5.25 + 5.5, 2000)
        assert await fleet.answer() == fleet.expected()
        assert await other.answer() == other.expected()
        await keep_fleet_days(db)
    async with db.transaction(TenantContext((fleet.organization_id,))) as conn:
        seen = await conn.execute(
            text("SELECT count(*) FROM telemetry_fleet_days WHERE organization_id = :org"),
            {"org": other.organization_id},
        )
        assert seen.scalar_one() == 0


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_an_answer_is_the_sum(db: Database, plant: Plant, seed: int) -> None:
    random, fleet = Random(seed), await make_fleet(db, plant, sites=4)  # noqa: S311 -- the same each time
    for _ in range(120):
        site_id, day = random.choice(fleet.sites), fleet.ago(random.randrange(12))
        match random.randrange(10):
            case 0:
                await fleet.decommission(site_id, back=site_id in fleet.gone)
            case 1:
                await fleet.remove(site_id, day)
            case 2 | 3:
                await keep_fleet_days(db)
            case _:
                generated = random.choice([None, random.randrange(400) / 4])
                await fleet.write(site_id, day, numbers(generated, imported=random.choice([None, 0.25])))
        assert await fleet.answer(back=14) == fleet.expected(back=14)
    await keep_fleet_days(db)
    assert await fleet.answer(back=14) == fleet.expected(back=14)
