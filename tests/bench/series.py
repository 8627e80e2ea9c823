"""How fast questions about the past and the present are answered through the API: one API process, real servers, one client.

    python -m tests.bench.series [--raw-devices 116] [--rows-days 2] [--questions 100]

A park of 1,000 inverters, some of which have a month of raw readings a minute apart (116 of them: five million) and a year of hours; and
500 homes with 1,000 devices and a year of days and months. The newest days of raw readings are rows, those before are packed, as the
scheduler leaves them; `--rows-days 30` leaves all of them rows. The rows are made by SQL.

The last line is one JSON object. For each question through the API: milliseconds (p50, p95), and the milliseconds of CPU that the API
process and PostgreSQL spent on one, which say more than the others while something else is running. `nothing` asks for next to nothing:
what logging in, limits, transactions and HTTP cost. Those that end in `_alone` are asked of the service, in this process, in a
transaction of a tenant: what the answer itself costs, as the bytes that are sent.
"""

import argparse
import asyncio
import dataclasses
import json
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.accounts.tables import Organization
from cloud.auth.schemas import Scope
from cloud.core.db import SYSTEM, Database, TenantContext
from cloud.sites.schemas import SiteOut
from cloud.sites.tables import Site
from cloud.telemetry.render import to_json
from cloud.telemetry.rules.series import Resolution
from cloud.telemetry.service import portfolio, reading
from cloud.telemetry.service.reading import Question
from shared.periods import Window
from tests.bench.support.cpu import parent_of, process_cpu_s, server_cpu_s
from tests.bench.support.http_lane import Lane
from tests.bench.support.hub import Hub, running_api, running_hub
from tests.bench.support.park import RAW_DAYS, Plant, make_plant

WARM_UP = 15


@dataclass(frozen=True)
class Cost:
    """What one question costs.

    Attributes:
        taken_ms: of each answer.
        api_ms: CPU of the API process for one answer.
        database_ms: CPU of PostgreSQL for one answer.
        size: bytes of the answer.
    """

    taken_ms: list[float]
    api_ms: float
    database_ms: float
    size: int

    def figures(self, name: str) -> dict[str, float]:
        """For the last line."""
        return {
            f"{name}_p50_ms": round(statistics.median(self.taken_ms), 2),
            f"{name}_p95_ms": round(p95(self.taken_ms), 2),
            f"{name}_api_cpu_ms": round(self.api_ms, 2),
            f"{name}_database_cpu_ms": round(self.database_ms, 2),
        }


def questions(plant: Plant) -> dict[str, tuple[str, str]]:
    """Path and token of every question."""
    month = f"from={plant.start:%Y-%m-%dT%H:%M:%SZ}&to={plant.start + timedelta(days=RAW_DAYS):%Y-%m-%dT%H:%M:%SZ}"
    series = f"/api/v1/sites/{plant.park}/telemetry?device_id={plant.device}&resolution=1h&{month}"
    today = datetime.now(UTC).date()
    energy = f"/api/v1/portfolio/energy?to={today}&from="
    return {
        "nothing": ("/api/v1/sites?limit=1", plant.park_token),
        "newest_1000": (f"/api/v1/sites/{plant.park}/live", plant.park_token),
        "month_in_hours_from_raw": (f"{series}&metric=ac_voltage_v.l1", plant.park_token),
        "month_in_hours_from_raw_extra": (f"{series}&metric=dc_voltage_v.pv1", plant.park_token),
        "month_in_hours_from_quarter_hours": (f"{series}&metric=ac_power_kw", plant.park_token),
        "month_in_hours_from_hours": (f"{series}&metric=energy_generated_kwh", plant.park_token),
        "fleet_energy_day": (f"{energy}{today}", plant.homes_token),
        "fleet_energy_30_days": (f"{energy}{today - timedelta(days=29)}", plant.homes_token),
        "portfolio_page": ("/api/v1/portfolio", plant.homes_token),
        "portfolio_summary": ("/api/v1/portfolio/summary", plant.homes_token),
    }


async def asked(lane: Lane, path: str, token: str, *, count: int, pids: tuple[int, int]) -> Cost:
    """Ask one question so many times; `pids` are the API process and PostgreSQL's postmaster."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    taken, size, api, database = [], 0, 0.0, 0.0
    for index in range(WARM_UP + count):
        if index == WARM_UP:
            api, database = process_cpu_s(pids[0]), server_cpu_s(pids[1])
        started = time.perf_counter()
        status, body = await lane.ask(request)
        taken.append((time.perf_counter() - started) * 1000)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:300]!r}")
        size = len(body)
    api, database = process_cpu_s(pids[0]) - api, server_cpu_s(pids[1]) - database
    return Cost(taken[WARM_UP:], api / count * 1000, database / count * 1000, size)


Alone = Callable[[AsyncConnection], Awaitable[bytes]]


def alone(plant: Plant, park: SiteOut, homes: UUID) -> dict[str, tuple[TenantContext, Alone]]:
    """Questions to the services: whose rows they see, and what is asked within the transaction."""
    window = Window(plant.start, plant.start + timedelta(days=RAW_DAYS))
    today, scope = datetime.now(UTC).date(), Scope(frozenset({homes}))

    def month_of(metric: str) -> tuple[TenantContext, Alone]:
        asked = Question((metric,), (plant.device,), window, Resolution.HOUR)

        async def answer(conn: AsyncConnection) -> bytes:
            return to_json(await reading.series(conn, park, asked))

        return TenantContext((park.organization_id,), (plant.park,)), answer

    def fleet_energy(days: int) -> tuple[TenantContext, Alone]:
        async def answer(conn: AsyncConnection) -> bytes:
            energy = await portfolio.energy(conn, scope, first=today - timedelta(days=days - 1), last=today)
            return energy.model_dump_json().encode()

        return TenantContext((homes,)), answer

    return {
        "month_in_hours_from_raw_alone": month_of("ac_voltage_v.l1"),
        "month_in_hours_from_hours_alone": month_of("energy_generated_kwh"),
        "fleet_energy_day_alone": fleet_energy(1),
        "fleet_energy_30_days_alone": fleet_energy(30),
    }


async def asked_alone(hub: Hub, plant: Plant, count: int) -> dict[str, float]:
    """Ask the services."""
    figures: dict[str, float] = {}
    db = await Database.connect(hub.app_url)
    async with db.transaction(SYSTEM) as conn:
        park = SiteOut.model_validate((await conn.execute(select(Site).where(Site.id == plant.park))).mappings().one())
        homes = await conn.scalar(select(Organization.id).where(Organization.slug == "homes"))
    for name, (context, answer) in alone(plant, park, homes).items():
        taken = []
        for _ in range(WARM_UP + count):
            started = time.perf_counter()
            async with db.transaction(context) as conn:
                body = await answer(conn)
            taken.append((time.perf_counter() - started) * 1000)
        figures |= {
            f"{name}_p50_ms": round(statistics.median(taken[WARM_UP:]), 2),
            f"{name}_p95_ms": round(p95(taken[WARM_UP:]), 2),
        }
        print(
            f"{name:34} p50 {statistics.median(taken):7.2f} ms   p95 {p95(taken[WARM_UP:]):7.2f} ms   {len(body):8,} bytes",
            flush=True,
        )
    await db.dispose()
    return figures


def p95(values: list[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


async def postmaster_of(hub: Hub) -> int:
    """PostgreSQL's first process."""
    conn = await asyncpg.connect(hub.admin_url)
    try:
        return parent_of(await conn.fetchval("SELECT pg_backend_pid()"))
    finally:
        await conn.close()


async def run(raw_devices: int, rows_days: int, count: int) -> dict[str, float]:
    """Make the plant, ask, and give the figures."""
    async with running_hub() as servers:
        limits = {"SOLARHUB_RATE_LIMIT_ACCOUNT_PER_MINUTE": "1000000"}
        hub = dataclasses.replace(servers, environment=servers.environment | limits)
        started = time.perf_counter()
        plant = await make_plant(hub, raw_devices, rows_days)
        filled_s = time.perf_counter() - started
        print(f"{plant.raw_rows:,} raw readings and a year of roll-ups made in {filled_s:.0f} s", flush=True)
        figures: dict[str, float] = {"raw_rows": plant.raw_rows, "rows_days": rows_days, "filled_s": round(filled_s, 1)}
        async with running_api(hub) as (child, port):
            lane = await Lane.open(port)
            pids = child.process.pid, await postmaster_of(hub)
            for name, (path, token) in questions(plant).items():
                cost = await asked(lane, path, token, count=count, pids=pids)
                figures |= cost.figures(name)
                print(
                    f"{name:34} p50 {statistics.median(cost.taken_ms):7.2f} ms   p95 {p95(cost.taken_ms):7.2f} ms   CPU: API"
                    f" {cost.api_ms:6.2f} ms, database {cost.database_ms:6.2f} ms   {cost.size:8,} bytes",
                    flush=True,
                )
            await lane.close()
        figures |= await asked_alone(hub, plant, count)
    return figures


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw-devices", type=int, default=116, help="inverters with a month of raw readings")
    parser.add_argument("--rows-days", type=int, default=2, help="newest days of raw readings that are not packed")
    parser.add_argument("--questions", type=int, default=100, help="times that each question is asked")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(run(arguments.raw_devices, arguments.rows_days, arguments.questions))))


if __name__ == "__main__":
    main()
