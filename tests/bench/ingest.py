"""How fast readings are taken in over HTTP, next to COPY of the same rows in the same run.

One API process, real servers, twenty boxes at once with batches as agents send them: gzip, a flush per moment, joined to a stretch per
device. A value is one metric of one reading. Run it with `.venv/bin/python tests/bench/ingest.py`; the last line is one JSON object.
"""

import argparse
import asyncio
import gzip
import json
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import UUID

import asyncpg

from cloud.core.db import SYSTEM, Database, ensure_partitions
from cloud.core.ids import new_id
from cloud.storage.service import pack_closed_days
from tests.bench.support.boxes import DEVICES, enrol
from tests.bench.support.cpu import parent_of, process_cpu_s, server_cpu_s
from tests.bench.support.http_lane import Lane, post
from tests.bench.support.hub import Hub, running_api, running_hub

GATEWAYS = 20
"""That send without a pause, each its next batch as soon as the last is acknowledged. More of them share larger transactions and wait
longer: with 16 the slowest of a hundred waits a quarter less than with 24, and a sixth less gets through."""

POLL_PERIOD_S = 10
VALUES_PER_READING = 12
WARM_UP_BATCHES = 5


@dataclass
class Box:
    """A gateway and how far it has got."""

    site_id: UUID
    devices: list[UUID]
    headers: dict[str, str]
    epoch: UUID
    at: datetime
    seq: int = 0

    def batch(self, readings: int) -> bytes:
        """The next request, ready to be sent."""
        flushes = range(self.seq + 1, self.seq + 1 + readings // DEVICES)
        body = {
            "schema_version": 2,
            "epoch": str(self.epoch),
            "first_seq": flushes[0],
            "last_seq": flushes[-1],
            "started_at": self.at.isoformat(),
            "stretches": [self._stretch(device, n, flushes) for n, device in enumerate(self.devices)],
        }
        self.seq = flushes[-1]
        self.at += timedelta(seconds=POLL_PERIOD_S) * len(flushes)
        packed = gzip.compress(json.dumps(body, separators=(",", ":")).encode(), compresslevel=6)
        return post("/api/v1/edge/readings", packed, headers=self.headers)

    def _stretch(self, device: UUID, number: int, flushes: range) -> dict[str, object]:
        rows = [_values(seq, number) for seq in flushes]
        return {
            "device_id": str(device),
            "seqs": list(flushes),
            "offsets_ms": [POLL_PERIOD_S * 1000 * n + number * 37 for n in range(len(flushes))],
            "quality": [0] * len(flushes),
            "values": {key: [row[key] for row in rows] for key in rows[0]},
        }


def _values(step: int, device: int) -> dict[str, float | str]:
    """Twelve values of a single-phase inverter, none the same as at the last poll."""
    power_kw = round(2.5 + (step * 37 % 1000) / 500 + device / 100, 3)
    return {
        "ac_power_kw": power_kw,
        "dc_power_kw": round(power_kw * 1.03, 3),
        "dc_voltage_v": round(380 + step % 17 / 10, 1),
        "dc_current_a": round(power_kw * 2.7, 2),
        "ac_voltage_v": round(229 + step % 23 / 10, 1),
        "ac_current_a": round(power_kw * 4.35, 2),
        "grid_frequency_hz": round(49.9 + step % 11 / 50, 2),
        "power_factor": 0.99,
        "inverter_temperature_c": round(44 + step % 31 / 10, 1),
        "energy_total_kwh": round(12345.6 + step * power_kw / 360, 2),
        "energy_today_kwh": round(step * power_kw / 360, 2),
        "operating_state": "running",
    }


async def _box(db: Database, number: int, since: datetime) -> Box:
    enrolled = await enrol(db, f"bench{number}", since)
    return Box(enrolled.plant.site_id, enrolled.devices, enrolled.headers, new_id(), since)


@dataclass(frozen=True)
class Phase:
    """What one size of batch cost."""

    values: int
    seconds: float
    cpu_worker_s: float
    cpu_postgres_s: float
    latencies_ms: list[float]

    @property
    def values_per_s(self) -> float:
        return self.values / self.seconds

    @property
    def cpu_s_per_million_values(self) -> float:
        return (self.cpu_worker_s + self.cpu_postgres_s) / self.values * 1e6

    def latency_ms(self, percent: int) -> float:
        return statistics.quantiles(self.latencies_ms, n=100)[percent - 1]


async def _send(lane: Lane, requests: Sequence[bytes], readings: int) -> list[float]:
    latencies_ms = []
    for request in requests:
        started = time.perf_counter()
        status, body = await lane.ask(request)
        latencies_ms.append((time.perf_counter() - started) * 1000)
        if status != 200 or json.loads(body)["stored"] != readings:
            raise RuntimeError(f"a batch was answered with {status}: {body.decode()}")
    return latencies_ms


async def _phase(boxes: Sequence[Box], port: int, pids: tuple[int, int], *, readings: int, batches: int) -> Phase:
    requests = [[box.batch(readings) for _ in range(WARM_UP_BATCHES + batches)] for box in boxes]
    # Opened only now: the server closes connections that are quiet for five seconds.
    lanes = [await Lane.open(port) for _ in boxes]
    warm_up = [_send(lane, mine[:WARM_UP_BATCHES], readings) for lane, mine in zip(lanes, requests, strict=True)]
    await asyncio.gather(*warm_up)
    worker, postmaster = process_cpu_s(pids[0]), server_cpu_s(pids[1])
    started = time.perf_counter()
    sent = [_send(lane, mine[WARM_UP_BATCHES:], readings) for lane, mine in zip(lanes, requests, strict=True)]
    latencies = await asyncio.gather(*sent)
    seconds = time.perf_counter() - started
    for lane in lanes:
        await lane.close()
    return Phase(
        values=len(boxes) * batches * readings * VALUES_PER_READING,
        seconds=seconds,
        cpu_worker_s=process_cpu_s(pids[0]) - worker,
        cpu_postgres_s=server_cpu_s(pids[1]) - postmaster,
        latencies_ms=[latency for lane in latencies for latency in lane],
    )


@dataclass(frozen=True)
class Copied:
    """What COPY of the same rows cost PostgreSQL; whoever makes its text or bytes is not counted."""

    values_per_s: float
    cpu_s_per_million_values: float


async def _copied(admin: asyncpg.Connection, postmaster: int, days: Sequence[datetime], form: str) -> Copied:
    """COPY of everything that came in, into an empty table of the same shape, in one transaction: the best of three.

    Args:
        admin: COPY is refused to a login that row-level security holds.
        postmaster: its process.
        days: partitions.
        form: `text`, in which COPY reads numbers as the API does, from their digits, or `binary`, for which somebody else has read them.
    """
    rows = BytesIO()
    await admin.copy_from_query("SELECT * FROM telemetry_readings", output=rows, format=form)
    values = await admin.fetchval("SELECT count(*) FROM telemetry_readings") * VALUES_PER_READING
    seconds, cpu_s = [], []
    for _ in range(3):
        await admin.execute("DROP TABLE IF EXISTS bench_copy")
        await admin.execute("CREATE TABLE bench_copy (LIKE telemetry_readings INCLUDING ALL) PARTITION BY RANGE (at)")
        for day in days:
            await admin.execute(
                f"CREATE TABLE bench_copy_{day:%Y%m%d} PARTITION OF bench_copy"
                f" FOR VALUES FROM ('{day.date()}') TO ('{day.date() + timedelta(days=1)}')"
            )
        rows.seek(0)
        started, before_s = time.perf_counter(), server_cpu_s(postmaster)
        await admin.copy_to_table("bench_copy", source=rows, format=form)
        seconds.append(time.perf_counter() - started)
        cpu_s.append(server_cpu_s(postmaster) - before_s)
    await admin.execute("DROP TABLE bench_copy")
    return Copied(values / min(seconds), min(cpu_s) / values * 1e6)


async def _bytes_per_value(admin: asyncpg.Connection) -> float:
    size = await admin.fetchval(
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('telemetry_readings') WHERE isleaf"
    )
    count = await admin.fetchval("SELECT count(*) FROM telemetry_readings")
    return float(size) / (int(count) * VALUES_PER_READING)


async def _pack(db: Database, admin: asyncpg.Connection, now: datetime) -> tuple[float, float]:
    """Every day packed, as the scheduler does it once a day is over.

    Returns:
        Bytes a value then takes, and values packed in a second.
    """
    values = await admin.fetchval("SELECT count(*) FROM telemetry_readings") * VALUES_PER_READING
    started = time.perf_counter()
    await pack_closed_days(db, before=now.date() + timedelta(days=1), now=now)
    seconds = time.perf_counter() - started
    left = await admin.fetchval("SELECT count(*) FROM telemetry_readings")
    packed = await admin.fetchval("SELECT sum(readings) FROM telemetry_days") * VALUES_PER_READING
    if left or packed != values:
        raise RuntimeError(f"{packed} of {values} values are packed, {left} readings are left as rows")
    size = await admin.fetchval("SELECT pg_total_relation_size('telemetry_days')")
    return size / values, values / seconds


async def measure(hub: Hub, *, batches_200: int, batches_20: int) -> dict[str, float]:
    """Run everything; see the module."""
    async with AsyncExitStack() as stack:
        admin = await asyncpg.connect(hub.admin_url)
        stack.push_async_callback(admin.close)
        db = await Database.connect(hub.app_url)
        stack.push_async_callback(db.dispose)
        now = datetime.now(UTC)
        polls = ((batches_200 + WARM_UP_BATCHES) * 200 + (batches_20 + WARM_UP_BATCHES) * 20) // DEVICES
        since = now - timedelta(seconds=POLL_PERIOD_S * (polls + 10))
        days = [since + timedelta(days=n) for n in range((now.date() - since.date()).days + 1)]
        async with db.transaction(SYSTEM) as conn:
            await ensure_partitions(conn, "telemetry_readings", first=days[0].date(), last=days[-1].date())
        boxes = [await _box(db, number, since) for number in range(GATEWAYS)]
        child, port = await stack.enter_async_context(running_api(hub))
        pids = (child.process.pid, parent_of(await admin.fetchval("SELECT pg_backend_pid()")))
        large = await _phase(boxes, port, pids, readings=200, batches=batches_200)
        small = await _phase(boxes, port, pids, readings=20, batches=batches_20)
        copied, copied_binary = [await _copied(admin, pids[1], days, form) for form in ("text", "binary")]
        hot = await _bytes_per_value(admin)
        closed, packed_per_s = await _pack(db, admin, now)
        return _figures(large, small, copied, copied_binary) | {
            "bytes_per_value_hot": round(hot, 1),
            "bytes_per_value_closed": round(closed, 1),
            "values_per_s_packed": round(packed_per_s),
        }


def _figures(large: Phase, small: Phase, copied: Copied, copied_binary: Copied) -> dict[str, float]:
    return {
        "ratio_to_copy_200": round(large.values_per_s / copied.values_per_s, 3),
        "ratio_to_copy_20": round(small.values_per_s / copied.values_per_s, 3),
        "ratio_to_binary_copy_200": round(large.values_per_s / copied_binary.values_per_s, 3),
        "ratio_to_binary_copy_20": round(small.values_per_s / copied_binary.values_per_s, 3),
        "p50_ms_200": round(large.latency_ms(50), 1),
        "p99_ms_200": round(large.latency_ms(99), 1),
        "p50_ms_20": round(small.latency_ms(50), 1),
        "p99_ms_20": round(small.latency_ms(99), 1),
        "values_per_s_200": round(large.values_per_s),
        "values_per_s_20": round(small.values_per_s),
        "values_per_s_copy": round(copied.values_per_s),
        "values_per_s_binary_copy": round(copied_binary.values_per_s),
        "cpu_s_per_million_values": round(large.cpu_s_per_million_values, 2),
        "cpu_s_per_million_values_20": round(small.cpu_s_per_million_values, 2),
        "cpu_s_per_million_values_copy": round(copied.cpu_s_per_million_values, 2),
        "cpu_ratio_to_copy_200": round(large.cpu_s_per_million_values / copied.cpu_s_per_million_values, 2),
        "cpu_worker_share_200": round(large.cpu_worker_s / (large.cpu_worker_s + large.cpu_postgres_s), 2),
        "cpu_worker_share_20": round(small.cpu_worker_s / (small.cpu_worker_s + small.cpu_postgres_s), 2),
    }


async def _main(*, batches_200: int, batches_20: int) -> None:
    async with running_hub() as hub:
        figures = await measure(hub, batches_200=batches_200, batches_20=batches_20)
    for name, value in figures.items():
        print(f"{name:30} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches-200", type=int, default=16, help="batches of 200 readings per gateway")
    parser.add_argument("--batches-20", type=int, default=80, help="batches of 20 readings per gateway")
    given = parser.parse_args()
    asyncio.run(_main(batches_200=given.batches_200, batches_20=given.batches_20))
