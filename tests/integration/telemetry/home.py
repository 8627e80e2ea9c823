"""A home with five devices in a database, its readings, and the way in that real readings take."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text, update

from cloud.core.db import SYSTEM, Database, asyncpg_of
from cloud.core.ids import new_id
from cloud.devices.tables import Device
from cloud.ingest.deliveries import Delivery
from cloud.ingest.memory import Memory
from cloud.ingest.schemas import Block, Flush, batch_of
from cloud.ingest.service import take_batch
from cloud.sites.tables import Site
from cloud.telemetry.service.rollup import make_room, roll_up_site
from edge_agent.drivers.simulated import SimulatedSite
from shared.enums import DeviceType, ProtocolType, Quality, TimeQuality
from shared.readings import Value
from tests.plants import Plant

COMMISSIONED = datetime(2026, 1, 1, tzinfo=UTC)
ARRIVAL = datetime(2027, 6, 1, tzinfo=UTC)
"""When the tests' batches reach the cloud: everything in them is past."""


@dataclass(frozen=True)
class Sent:
    """One reading on its way."""

    device_id: UUID
    at: datetime
    values: Mapping[str, Value]
    quality: int = 0


@dataclass
class Home:
    """The five devices of the demo home, at one site."""

    db: Database
    plant: Plant
    string_id: UUID
    hybrid_id: UUID
    battery_id: UUID
    meter_id: UUID
    sensor_id: UUID
    next_seq: int = 1
    arrival: datetime = ARRIVAL
    """When its batches reach the cloud."""

    @property
    def site_id(self) -> UUID:
        return self.plant.site_id

    async def send(self, readings: Iterable[Sent]) -> None:
        """One batch through ingest, in the order given."""
        flushes = []
        for reading in readings:
            block = Block(
                device_id=reading.device_id,
                offsets_ms=[0],
                quality=[reading.quality],
                values={key: [value] for key, value in reading.values.items()},
            )
            flushes.append(
                Flush(seq=self.next_seq, started_at=reading.at, time_quality=TimeQuality.SYNCED, blocks=[block])
            )
            self.next_seq += 1
        async with self.db.transaction(self.plant.edge.context) as conn:
            delivery = Delivery(self.plant.edge, batch_of(UUID(int=7), flushes), self.arrival)
            await take_batch(await asyncpg_of(conn), delivery, Memory())

    async def roll_up(self, *, limit: int = 96, passes: int | None = None) -> int:
        """Passes until the queue is empty, or so many; returns the marks settled."""
        settled, done = 0, 0
        while passes is None or done < passes:
            async with self.db.transaction(SYSTEM) as conn:
                await make_room(conn, self.site_id, limit=limit)
            async with self.db.transaction(SYSTEM) as conn:
                marks = await roll_up_site(conn, self.site_id, now=ARRIVAL, limit=limit)
            settled, done = settled + marks, done + 1
            if marks == 0:
                return settled
        return settled

    async def rows(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self.db.transaction(SYSTEM) as conn:
            return [dict(row._mapping) for row in await conn.execute(text(statement), parameters)]

    async def day(self, day: date) -> dict[str, Any]:
        (row,) = await self.rows(
            "SELECT * FROM telemetry_daily_summary WHERE device_id IS NULL AND summary_date = :day", day=day
        )
        return row

    async def month(self, year: int, month: int) -> dict[str, Any]:
        (row,) = await self.rows(
            "SELECT * FROM telemetry_monthly_summary WHERE device_id IS NULL AND year = :year AND month = :month",
            year=year,
            month=month,
        )
        return row

    async def fingerprint(self) -> dict[str, str]:
        """A hash over every number of every rollup row, by table."""
        keys = {
            "telemetry_quarter_hour": "bucket",
            "telemetry_hourly_summary": "timestamp_hour",
            "telemetry_daily_summary": "summary_date",
            "telemetry_monthly_summary": "year, month",
        }
        bookkeeping = "ARRAY['id', 'computed_at', 'created_at', 'updated_at', 'version']"
        found = {}
        for table, key in keys.items():
            rows = await self.rows(
                f"SELECT (to_jsonb(t) - {bookkeeping})::text AS row FROM {table} t ORDER BY site_id, device_id NULLS FIRST, {key}"  # noqa: S608
            )
            found[table] = hashlib.sha256("\n".join(row["row"] for row in rows).encode()).hexdigest()
            assert rows, f"{table} is empty"
        return found

    async def forget(self) -> None:
        """Back to a home that has not been heard of."""
        tables = ("telemetry_readings", "rollup_dirty", "ingest_batches", "device_telemetry_snapshot")
        rollups = (
            "telemetry_quarter_hour",
            "telemetry_hourly_summary",
            "telemetry_daily_summary",
            "telemetry_monthly_summary",
        )
        async with self.db.transaction(SYSTEM) as conn:
            for table in (*tables, *rollups):
                await conn.execute(text(f"DELETE FROM {table}"))  # noqa: S608 -- the words stand two lines above
            await conn.execute(text("UPDATE edge_gateways SET epoch = NULL, acked_seq = 0"))
        self.next_seq = 1


async def make_home(db: Database, plant: Plant, *, timezone: str = "Asia/Karachi", poll_s: float = 60) -> Home:
    """Turn the plant's site into the home; its own two devices are kept out of the way as gateways."""
    ids = {name: new_id() for name in ("string", "hybrid", "battery", "meter", "sensor")}
    kinds = {
        "string": (DeviceType.INVERTER, 5.0),
        "hybrid": (DeviceType.INVERTER, 5.0),
        "battery": (DeviceType.BATTERY, 5.0),
        "meter": (DeviceType.METER, None),
        "sensor": (DeviceType.SENSOR, None),
    }
    configuration = {"system_capacity_kw": 10.5, "inverter_capacity_kw": 10.0, "grid_connected": True}
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(
            update(Site).where(Site.id == plant.site_id).values(timezone=timezone, configuration=configuration)
        )
        await conn.execute(
            update(Device)
            .where(Device.site_id == plant.site_id)
            .values(device_type=DeviceType.GATEWAY, poll_interval_s=60)
        )
        await conn.execute(text("DELETE FROM devices WHERE site_id = :site"), {"site": plant.site_id})
        for name, (kind, rated) in kinds.items():
            await conn.execute(
                insert(Device).values(
                    id=ids[name],
                    site_id=plant.site_id,
                    organization_id=plant.organization_id,
                    name=name,
                    device_type=kind,
                    protocol=ProtocolType.MODBUS_TCP,
                    rated_power_kw=rated,
                    poll_interval_s=poll_s,
                    commissioned_at=COMMISSIONED,
                )
            )
    return Home(db, plant, *(ids[name] for name in ("string", "hybrid", "battery", "meter", "sensor")))


def observe(home: Home, site: SimulatedSite, at: datetime) -> list[Sent]:
    """What the five devices say at a moment."""
    state = site.at(at)
    shown, powers = state.counters, state.powers
    asleep = powers.string_ac == 0
    return [
        Sent(
            home.string_id,
            at,
            {
                "ac_power_kw": None if asleep else powers.string_ac / 1000,
                "dc_power_kw": None if asleep else (powers.string_dc1 + powers.string_dc2) / 1000,
                "energy_total_kwh": shown.string_wh / 1000,
                "ac_voltage_v.l1": state.voltage_v[0],
                "operating_state": state.string_state.value,
            },
        ),
        Sent(
            home.hybrid_id,
            at,
            {
                "ac_power_kw": powers.hybrid_ac / 1000,
                "dc_power_kw": (powers.pv1 + powers.pv2) / 1000,
                "energy_total_kwh": shown.hybrid_pv_wh / 1000,
                "energy_today_kwh": state.today.hybrid_pv_wh / 1000,
            },
        ),
        Sent(
            home.battery_id,
            at,
            {
                "battery_power_kw": powers.battery / 1000,
                "battery_soc_percent": round(state.charge_stored_percent),
                "battery_charge_energy_total_kwh": shown.hybrid_charge_wh / 1000,
                "battery_discharge_energy_total_kwh": shown.hybrid_discharge_wh / 1000,
            },
        ),
        Sent(
            home.meter_id,
            at,
            {
                "grid_power_kw": powers.grid / 1000,
                "grid_import_energy_total_kwh": shown.meter_import_wh / 1000,
                "grid_export_energy_total_kwh": shown.meter_export_wh / 1000,
                "grid_frequency_hz": state.frequency_hz,
            },
        ),
        Sent(home.sensor_id, at, {"irradiance_wm2.poa": state.poa_wm2, "module_temperature_c": state.module_c}),
    ]


def moments(start: datetime, end: datetime, *, step: timedelta) -> list[datetime]:
    """From start to end, both included."""
    return [start + i * step for i in range(int((end - start) / step) + 1)]


def flow_wh(row: Mapping[str, Any]) -> dict[str, int | None]:
    """Energies of a summary row in Wh."""
    names = ("generated", "consumed", "imported", "exported", "charged", "discharged")
    return {name: None if (kwh := row[f"energy_{name}_kwh"]) is None else round(kwh * 1000) for name in names}


def in_batches(readings: Sequence[Sent], sizes: Iterable[int]) -> list[list[Sent]]:
    """Cut readings into batches of these sizes; the last one takes the rest."""
    batches, start = [], 0
    for size in sizes:
        batches.append(list(readings[start : start + size]))
        start += size
    batches.append(list(readings[start:]))
    return [batch for batch in batches if batch]


LINK_DOWN = int(Quality.LINK_DOWN)
