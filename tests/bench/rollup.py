"""One day of many devices at a reading a minute, rolled up through all levels by one worker.

    python tests/bench/rollup.py [--devices 100 1000] [--budget-s 200]

Raw readings are written by COPY, five devices to a site; every quarter-hour of the day is dirty, as after ingest. Measured are the passes
of the worker: wall seconds, its CPU and that of its database session. Then one reading comes late into the middle of the day, and the
newest quarter-hour of a site is done again, as after every upload. The last line is one JSON object.

A size that is not expected to fit into the budget is left out (null).
"""

import argparse
import asyncio
import io
import json
import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from cloud.accounts.tables import Organization, OrganizationMember
from cloud.auth.tables import User
from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.ids import new_id
from cloud.core.migrate import upgrade
from cloud.core.roles import ensure_login_role, url_of_login
from cloud.devices.tables import Device
from cloud.embedded import erase_postgres, launch_postgres
from cloud.sites.tables import Site
from cloud.telemetry.service.rollup import make_room, roll_up_site
from shared.enums import DeviceType, OrgMemberRole, ProtocolType

DAY = datetime(2026, 6, 1, 19, 0, tzinfo=UTC)
"""A midnight in Karachi."""
MINUTE = timedelta(minutes=1)
READINGS = 1440
REPEATS = 15
PER_SITE = 5
NOW = datetime(2026, 7, 1, tzinfo=UTC)
TABLES = (
    "telemetry_quarter_hour",
    "telemetry_hourly_summary",
    "telemetry_daily_summary",
    "telemetry_monthly_summary",
)

COLUMNS: dict[DeviceType, tuple[str, ...]] = {
    DeviceType.INVERTER: (
        "ac_power_kw", "dc_power_kw", "dc_voltage_v", "dc_current_a", "ac_voltage_v", "ac_current_a", "power_factor",
        "grid_frequency_hz", "inverter_temperature_c", "poll_latency_ms", "energy_total_kwh", "energy_today_kwh",
    ),
    DeviceType.METER: (
        "grid_power_kw", "ac_voltage_v_l1", "ac_voltage_v_l2", "ac_voltage_v_l3", "ac_current_a_l1", "ac_current_a_l2",
        "ac_current_a_l3", "grid_frequency_hz", "power_factor", "poll_latency_ms", "grid_import_energy_total_kwh",
        "grid_export_energy_total_kwh",
    ),
    DeviceType.BATTERY: (
        "battery_power_kw", "battery_voltage_v", "battery_current_a", "battery_soc_percent", "battery_soh_percent",
        "battery_temperature_c", "battery_cell_voltage_min_v", "battery_cell_voltage_max_v", "battery_cycles_total",
        "poll_latency_ms", "battery_charge_energy_total_kwh", "battery_discharge_energy_total_kwh",
    ),
}  # fmt: skip
"""Twelve values a reading."""
KINDS = (DeviceType.INVERTER, DeviceType.INVERTER, DeviceType.INVERTER, DeviceType.METER, DeviceType.BATTERY)


@dataclass(frozen=True)
class Figures:
    """What one number of devices cost; `whole_s` also counts the writing of the readings."""

    devices: int
    readings: int
    whole_s: float
    seconds: float
    worker_cpu_s: float
    database_cpu_s: float
    cpu_ms_per_device_hour: float
    late_reading_ms: float
    newest_quarter_ms: float
    rows: dict[str, int]


def sun(minute: int) -> float:
    """Part of the rated power at this minute of the day, with passing clouds."""
    course = math.sin(math.pi * (minute - 360) / 720) if 360 < minute < 1080 else 0.0
    return max(0.0, course * (0.9 + 0.1 * math.sin(minute * 1.7)))


def day_of_device(kind: DeviceType) -> list[tuple[float, ...]]:
    """A day's readings, values in the order of COLUMNS."""
    rows, into_wh, out_of_wh = [], 0.0, 0.0
    for minute in range(READINGS):
        power = 5 * sun(minute) if kind is DeviceType.INVERTER else 3 * math.sin(minute / 90)
        into_wh += max(power, 0.0) * 1000 / 60
        out_of_wh += max(-power, 0.0) * 1000 / 60
        into, out_of = 4_000 + int(into_wh) / 1000, 900 + int(out_of_wh) / 1000
        wave = round(math.sin(minute), 3)
        if kind is DeviceType.INVERTER:
            row = (power, power * 1.03, 600 + wave, power * 1.7, 231 + wave, power * 4.3, 0.99, 50.02, 40 + wave, 31.0)
            rows.append((*row, into, into - 4_000))
        elif kind is DeviceType.METER:
            row = (power, 231 + wave, 232 - wave, 230 + wave, 3 + wave, 4 + wave, 5 + wave, 50.02, 0.97, 22.0)
            rows.append((*row, into, out_of))
        else:
            row = (power, 51 + wave, power * 19, 55 + 20 * wave, 98.0, 31 + wave, 3.31, 3.35, 211.0, 25.0)
            rows.append((*row, out_of, into))
    return rows


def csv_of_device(kind: DeviceType) -> bytes:
    """The day as CSV with places for the site's id and the device's number."""
    lines = [
        f"@site@,@number@,{(DAY + minute * MINUTE).isoformat()},{minute + 1},0,{','.join(map(repr, values))}\n"
        for minute, values in enumerate(day_of_device(kind))
    ]
    return "".join(lines).encode()


@dataclass(frozen=True)
class Fleet:
    """Sites with their devices in one database."""

    db: Database
    organization_id: UUID
    sites: dict[UUID, tuple[UUID, ...]]

    async def execute(self, statement: str, **parameters: Any) -> Any:
        async with self.db.transaction(SYSTEM) as conn:
            return await conn.execute(text(statement), parameters)


async def make_fleet(db: Database, sites: int) -> Fleet:
    """Sites of five devices."""
    user_id, organization_id = new_id(), new_id()
    fleet = {new_id(): tuple(new_id() for _ in KINDS) for _ in range(sites)}
    configuration = {"system_capacity_kw": 16.0, "inverter_capacity_kw": 15.0}
    owned = {"organization_id": organization_id}
    site_rows = [
        {"id": site_id, "name": "roof", "timezone": "Asia/Karachi", "configuration": configuration, **owned}
        for site_id in fleet
    ]
    device_rows = [
        {
            "id": device_id,
            "site_id": site_id,
            "name": kind.value,
            "device_type": kind,
            "protocol": ProtocolType.MODBUS_TCP,
            "rated_power_kw": 5.0,
            "poll_interval_s": 60.0,
            "commissioned_at": DAY - timedelta(days=100),
            **owned,
        }
        for site_id, device_ids in fleet.items()
        for device_id, kind in zip(device_ids, KINDS, strict=True)
    ]
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(
            insert(User).values(id=user_id, email="owner@example.com", first_name="Fleet", last_name="Owner")
        )
        await conn.execute(
            insert(Organization).values(id=organization_id, name="fleet", slug="fleet", owner_id=user_id)
        )
        await conn.execute(
            insert(OrganizationMember).values(
                id=new_id(), user_id=user_id, role=OrgMemberRole.OWNER, joined_at=DAY, **owned
            )
        )
        await conn.execute(insert(Site), site_rows)
        await conn.execute(insert(Device), device_rows)
    return Fleet(db, organization_id, fleet)


async def copy_day(fleet: Fleet, admin: Database) -> None:
    """Raw readings of the day for every device, and their quarter-hours in the queue."""
    await fleet.execute(
        "SELECT solarhub_ensure_partitions('telemetry_readings', :first, :last)",
        first=DAY.date(),
        last=DAY.date() + timedelta(days=1),
    )
    days = {kind: csv_of_device(kind) for kind in COLUMNS}
    numbers = dict((await fleet.execute("SELECT id, number FROM devices")).all())
    # COPY FROM is refused on tables with row-level security, so the owner of the tables writes.
    async with admin.transaction(SYSTEM) as conn:
        pg = await asyncpg_of(conn)
        for site_id, device_ids in fleet.sites.items():
            for device_id, kind in zip(device_ids, KINDS, strict=True):
                named = days[kind].replace(b"@site@", str(site_id).encode())
                await pg.copy_to_table(
                    "telemetry_readings",
                    source=io.BytesIO(named.replace(b"@number@", str(numbers[device_id]).encode())),
                    columns=["site_id", "device_number", "at", "seq", "quality", *COLUMNS[kind]],
                    format="csv",
                )
        await pg.execute(
            """
            INSERT INTO rollup_dirty (site_id, organization_id, device_id, bucket, priority)
            SELECT site_id, organization_id, id, bucket, 1
            FROM devices, generate_series($1::timestamptz, $2::timestamptz, interval '15 minutes') AS bucket
            """,
            DAY,
            DAY + timedelta(hours=23, minutes=45),
        )
    for table in ("telemetry_readings", "rollup_dirty"):
        async with admin.plain_transaction() as conn:
            await conn.execute(text(f"ANALYZE {table}"))


async def roll_up(fleet: Fleet, sites: Sequence[UUID]) -> None:
    """Passes, as the worker makes them, until nothing is left."""
    for site_id in sites:
        done = 1
        while done:
            async with fleet.db.transaction(SYSTEM) as conn:
                await make_room(conn, site_id)
            async with fleet.db.transaction(SYSTEM) as conn:
                done = await roll_up_site(conn, site_id, now=NOW)


async def backend_cpu_s(db: Database) -> float:
    """CPU seconds of the one database session so far."""
    async with db.transaction(SYSTEM) as conn:
        pid = await conn.scalar(text("SELECT pg_backend_pid()"))
    return cpu_s_of(pid)


def cpu_s_of(pid: int) -> float:
    """CPU seconds of a process, by itself and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def timed_ms(fleet: Fleet, site_id: UUID, statement: str, runs: Sequence[dict[str, Any]]) -> float:
    """Median of milliseconds from new marks of a site, made by the statement, to all its levels."""
    spans = []
    for parameters in runs:
        await fleet.execute(statement, site_id=site_id, **parameters)
        started = time.perf_counter()
        await roll_up(fleet, [site_id])
        spans.append((time.perf_counter() - started) * 1000)
    return statistics.median(spans)


LATE = """
WITH reading AS (
    INSERT INTO telemetry_readings (site_id, device_number, at, seq, ac_power_kw, energy_total_kwh)
    SELECT site_id, device_number, :late, 9000, ac_power_kw, energy_total_kwh FROM telemetry_readings
    WHERE device_number = (SELECT number FROM devices WHERE site_id = :site_id AND id = :device_id) AND at = :at
    RETURNING site_id
)
INSERT INTO rollup_dirty (site_id, organization_id, device_id, bucket, priority)
SELECT site_id, :organization_id, :device_id, :at, 1 FROM reading
"""
NEWEST = """
INSERT INTO rollup_dirty (site_id, organization_id, device_id, bucket)
SELECT site_id, organization_id, id, CAST(:at AS timestamptz) FROM devices WHERE site_id = :site_id
"""


async def measure(db: Database, admin: Database, devices: int) -> Figures:
    """One size of fleet, from empty tables."""
    begun = time.perf_counter()
    fleet = await make_fleet(db, devices // PER_SITE)
    await copy_day(fleet, admin)
    sites = list(fleet.sites)
    cpu, database_cpu, started = time.process_time(), await backend_cpu_s(db), time.perf_counter()
    await roll_up(fleet, sites)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    database_cpu = await backend_cpu_s(db) - database_cpu
    counts = {name: (await fleet.execute(f"SELECT count(*) FROM {name}")).scalar_one() for name in TABLES}  # noqa: S608 -- ours
    left = (await fleet.execute("SELECT count(*) FROM rollup_dirty")).scalar_one()
    if left or counts["telemetry_quarter_hour"] < devices * 96 or counts["telemetry_monthly_summary"] < devices:
        raise SystemExit(f"the roll-up is not complete: {left} quarter-hours are dirty, rows are {counts}")
    noon, last = DAY + timedelta(hours=12), DAY + timedelta(hours=23, minutes=45)
    named = {"device_id": fleet.sites[sites[0]][0], "organization_id": fleet.organization_id, "at": noon}
    late_runs = [named | {"late": noon + timedelta(seconds=10 + repeat)} for repeat in range(REPEATS)]
    late = await timed_ms(fleet, sites[0], LATE, late_runs)
    newest = await timed_ms(fleet, sites[-1], NEWEST, [{"at": last}] * REPEATS)
    return Figures(
        devices=devices,
        readings=devices * READINGS,
        whole_s=round(time.perf_counter() - begun, 2),
        seconds=round(seconds, 2),
        worker_cpu_s=round(cpu, 2),
        database_cpu_s=round(database_cpu, 2),
        cpu_ms_per_device_hour=round(1000 * (cpu + database_cpu) / (devices * 24), 3),
        late_reading_ms=round(late, 1),
        newest_quarter_ms=round(newest, 1),
        rows=counts,
    )


async def run(folder: Path, sizes: Sequence[int], budget_s: float) -> dict[str, Any]:
    """Every size that fits, in a database of its own each."""
    server = await asyncio.to_thread(launch_postgres, folder)
    started, found = time.perf_counter(), dict[int, Figures | None]()
    try:
        for size in sizes:
            done = [figures for figures in found.values() if figures]
            took = time.perf_counter() - started
            if done and took + done[-1].whole_s * size / done[-1].devices > budget_s:
                found[size] = None
                continue
            found[size] = await in_own_database(server.admin_url, f"fleet_{size}", size)
    finally:
        await asyncio.to_thread(server.close)
    return result_of(found)


async def in_own_database(server_url: str, name: str, size: int) -> Figures:
    """Migrate a new database and measure in it."""
    root = await Database.connect(server_url, pool_size=1, allow_privileged=True)
    async with root.plain_transaction() as conn:
        pg = await asyncpg_of(conn)
        await pg.execute("COMMIT")
        await pg.execute(f"CREATE DATABASE {name}")
        await pg.execute("BEGIN")
    await root.dispose()
    admin_url = server_url.rpartition("/")[0] + "/" + name
    await asyncio.to_thread(upgrade, admin_url, "head")
    await ensure_login_role(admin_url, "bench", password="bench")
    admin = await Database.connect(admin_url, pool_size=1, allow_privileged=True)
    db = await Database.connect(url_of_login(admin_url, "bench", password="bench"), pool_size=1, max_overflow=0)
    try:
        return await measure(db, admin, size)
    finally:
        await db.dispose()
        await admin.dispose()


def result_of(found: dict[int, Figures | None]) -> dict[str, Any]:
    """Figures per size, and how the cost of a device grows from the smallest to the largest (1.0 = not at all)."""
    measured = [figures for figures in found.values() if figures]
    small, large = measured[0], measured[-1]
    # CPU, not wall time: what else the machine does meanwhile must not look like growth.
    growth = large.cpu_ms_per_device_hour / small.cpu_ms_per_device_hour if large is not small else None
    return {
        "bench": "rollup",
        "sizes": {str(size): asdict(figures) if figures else None for size, figures in found.items()},
        "seconds_per_1000_device_days": round(1000 * large.seconds / large.devices, 1),
        "cpu_ms_per_device_hour": large.cpu_ms_per_device_hour,
        "late_reading_ms": large.late_reading_ms,
        "newest_quarter_ms": large.newest_quarter_ms,
        "growth_ratio": round(growth, 3) if growth else None,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--budget-s", type=float, default=200.0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="solarhub-bench-"))
    folder.chmod(0o711)
    try:
        result = asyncio.run(run(folder / "postgres", arguments.devices, arguments.budget_s))
    finally:
        erase_postgres(folder / "postgres")
        shutil.rmtree(folder)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
