"""A flood of late readings while live ones go on: how far behind the live ones fall, and how long the flood takes.

    python tests/bench/flood.py [--late-rows 1000000] [--live-gateways 40]

Real processes on real servers: one API, one worker, one scheduler. Late gateways send readings of two months ago, a minute apart, as fast
as they are acknowledged; live gateways send one reading of each of their devices every ten seconds. First a calm time without late
ones, then the flood until the last of its quarter-hours is rolled up.

How far behind a live reading is, is the time from the start of its POST

- to its place in the quarter-hour's row of its device (`…rollup_lag…`), seen by asking the database twenty times a second, and
- to its event at a viewer of the site's stream (`…view_lag…`).

The last line is one JSON object; `live_lag_p95_s` is the larger of the two during the flood.
"""

import argparse
import asyncio
import gzip
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from sqlalchemy import update

from cloud.accounts.tables import OrganizationMember
from cloud.auth.service import Passwords
from cloud.auth.tables import User
from cloud.core.db import SYSTEM, Database
from cloud.core.ids import new_id
from cloud.demo.processes import program, running
from shared.periods import quarter_hour_floor
from tests.bench.support.boxes import DEVICES, enrol
from tests.bench.support.cpu import parent_of, process_cpu_s, server_cpu_s
from tests.bench.support.hub import Hub, running_api, running_hub
from tests.plants import Plant

LATE_GATEWAYS = 10
LATE_BY = timedelta(days=60)
LATE_PERIOD = timedelta(minutes=1)
LATE_BATCH = 2_000
LIVE_PERIOD_S = 10.0
VIEWERS = 8
READY_WITHIN_S = 60.0
WARM_UP_S = 10.0
CALM_S = 30.0
LOOK_EVERY_S = 0.05
PASSWORD = "a password for the bench"
UNITS: dict[str, float] = {
    "ac_power_kw": 1,
    "dc_power_kw": 1.03,
    "dc_voltage_v": 80,
    "dc_current_a": 2.7,
    "ac_voltage_v": 46,
}
UNITS |= {
    "ac_current_a": 4.35,
    "grid_frequency_hz": 10,
    "power_factor": 0.2,
    "inverter_temperature_c": 9,
    "poll_latency_ms": 5,
}
"""What a metric shows at one kilowatt; with two counters they are twelve values."""


@dataclass
class Box:
    """A gateway with five inverters, and how far it has got."""

    plant: Plant
    email: str
    devices: list[UUID]
    headers: dict[str, str]
    epoch: UUID
    seq: int = 0
    energy_wh: int = 5_000_000
    counted: dict[datetime, int] = field(default_factory=dict)
    """Quarter-hour -> readings of each device sent in it."""

    def batch(self, at: datetime, count: int, period: timedelta) -> bytes:
        """The next readings of every device, as an agent joins and packs them."""
        seqs = range(self.seq + 1, self.seq + 1 + count)
        columns: dict[str, list[float]] = {name: [] for name in UNITS}
        totals = []
        for seq in seqs:
            power_kw = 1 + seq * 37 % 400 / 100
            self.energy_wh += max(1, round(power_kw * 1000 * period.total_seconds() / 3600))
            totals.append(self.energy_wh / 1000)
            for name, unit in UNITS.items():
                columns[name].append(round(power_kw * unit, 3))
        columns |= {"energy_total_kwh": totals, "energy_today_kwh": [round(total - 5_000, 3) for total in totals]}
        stretch = {
            "seqs": list(seqs),
            "offsets_ms": [round(n * period.total_seconds() * 1000) for n in range(count)],
            "quality": [0] * count,
            "values": columns,
        }
        body = {
            "schema_version": 2,
            "epoch": str(self.epoch),
            "first_seq": seqs[0],
            "last_seq": seqs[-1],
            "started_at": at.isoformat(),
            "stretches": [{"device_id": str(device), **stretch} for device in self.devices],
        }
        self.seq = seqs[-1]
        return gzip.compress(json.dumps(body, separators=(",", ":")).encode(), compresslevel=1)


async def box_of(db: Database, name: str, since: datetime) -> Box:
    """A box that may send, and its site's owner who may log in."""
    enrolled = await enrol(db, name, since)
    return Box(enrolled.plant, f"{name}@example.com", enrolled.devices, enrolled.headers, new_id())


async def open_accounts(db: Database) -> None:
    """Let every owner log in."""
    hashed = await Passwords().hash(PASSWORD)
    async with db.transaction(SYSTEM) as conn:
        await conn.execute(update(User).values(password_hash=hashed))
        await conn.execute(update(OrganizationMember).values(invitation_accepted=True))


@dataclass
class Post:
    """One live batch, and when it was where."""

    box: Box
    at: datetime
    bucket: datetime
    place: int
    """Which reading of the quarter-hour it is, from 1."""
    started: float
    posted: float | None = None
    rolled_up: float | None = None
    viewed: float | None = None


@dataclass
class Live:
    """The live gateways, and what became of every reading."""

    boxes: Sequence[Box]
    viewed: Sequence[Box]
    posts: list[Post] = field(default_factory=list)
    refused: int = 0

    async def send_forever(self, http: httpx.AsyncClient, box: Box, offset_s: float) -> None:
        """One reading of each device at every slot."""
        clock = asyncio.get_running_loop().time
        slot = clock() + offset_s
        while True:
            await asyncio.sleep(max(0.0, slot - clock()))
            slot += LIVE_PERIOD_S
            at = datetime.now(UTC)
            bucket = quarter_hour_floor(at)
            box.counted[bucket] = box.counted.get(bucket, 0) + 1
            body = box.batch(at, 1, timedelta(seconds=LIVE_PERIOD_S))
            post = Post(box, at, bucket, box.counted[bucket], time.perf_counter())
            self.posts.append(post)
            self.refused += await deliver(http, box, body)
            post.posted = time.perf_counter()

    async def watch_rollups(self, admin: asyncpg.Connection) -> None:
        """See each reading in its quarter-hour, by how many readings that has."""
        first = {box.devices[0]: box for box in self.boxes}
        while True:
            waiting = [post for post in self.posts if post.rolled_up is None]
            buckets = list({post.bucket for post in waiting})
            rows = await admin.fetch(
                "SELECT device_id, bucket, n_valid FROM telemetry_quarter_hour WHERE bucket = ANY ($1) AND device_id = ANY ($2)",
                buckets,
                list(first),
            )
            now, found = time.perf_counter(), {(row["device_id"], row["bucket"]): row["n_valid"] for row in rows}
            for post in waiting:
                if found.get((post.box.devices[0], post.bucket), 0) >= post.place:
                    post.rolled_up = now
            await asyncio.sleep(LOOK_EVERY_S)

    async def view_forever(self, http: httpx.AsyncClient, box: Box) -> None:
        """A person who looks at the site; the stream ends now and then, and is opened again."""
        seen = ""
        while True:
            login = await http.post("/api/v1/auth/login", json={"email": box.email, "password": PASSWORD})
            headers = {"Authorization": f"Bearer {login.raise_for_status().json()['access_token']}"}
            if seen:
                headers["Last-Event-ID"] = seen
            path = f"/api/v1/sites/{box.plant.site_id}/live/stream"
            async with http.stream("GET", path, headers=headers) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        seen = value
                    elif name == "data" and (newest := json.loads(value)["newest_reading_at"]):
                        self._show(box, datetime.fromisoformat(newest), time.perf_counter())

    def _show(self, box: Box, newest: datetime, now: float) -> None:
        # The cloud keeps milliseconds of what the wire says.
        shown = newest + timedelta(milliseconds=1)
        for post in self.posts:
            if post.box is box and post.viewed is None and post.at <= shown:
                post.viewed = now


async def deliver(http: httpx.AsyncClient, box: Box, body: bytes) -> int:
    """Send until it is taken; returns how often the cloud asked to come back later."""
    refused = 0
    while True:
        answer = await http.post("/api/v1/edge/readings", content=body, headers=box.headers)
        if answer.status_code == httpx.codes.OK:
            return refused
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            raise RuntimeError(f"a batch was answered with {answer.status_code}: {answer.text}")
        refused += 1
        await asyncio.sleep(float(answer.headers["Retry-After"]))


@dataclass
class Flood:
    """The late gateways, with everything that they are going to send."""

    boxes: Sequence[Box]
    batches: dict[UUID, list[bytes]]
    rows: int
    refused: int = 0
    accepted_s: float = 0.0
    drained_s: float = 0.0
    longest_queue: int = 0

    @classmethod
    async def make(cls, db: Database, rows: int, now: datetime) -> "Flood":
        """Enrol the gateways and pack their batches."""
        per_box = rows // LATE_GATEWAYS // DEVICES
        start = quarter_hour_floor(now) - LATE_BY - per_box * LATE_PERIOD
        boxes = [await box_of(db, f"late{number}", start - timedelta(days=1)) for number in range(LATE_GATEWAYS)]
        size = LATE_BATCH // DEVICES
        batches = {
            box.plant.site_id: [
                box.batch(start + first * LATE_PERIOD, min(size, per_box - first), LATE_PERIOD)
                for first in range(0, per_box, size)
            ]
            for box in boxes
        }
        return cls(boxes, batches, per_box * LATE_GATEWAYS * DEVICES)

    async def run(self, http: httpx.AsyncClient, admin: asyncpg.Connection) -> None:
        """Send everything, and wait until the last late quarter-hour is rolled up."""
        started = time.perf_counter()
        sending = asyncio.create_task(self._send(http))
        while True:
            waiting = await admin.fetchval("SELECT count(*) FROM rollup_dirty WHERE priority > 0")
            self.longest_queue = max(self.longest_queue, waiting)
            if sending.done():
                await sending
                self.accepted_s = self.accepted_s or time.perf_counter() - started
                if not waiting:
                    break
            await asyncio.sleep(0.5)
        self.drained_s = time.perf_counter() - started

    async def _send(self, http: httpx.AsyncClient) -> None:
        async with asyncio.TaskGroup() as group:
            for box in self.boxes:
                group.create_task(self._send_of(http, box))

    async def _send_of(self, http: httpx.AsyncClient, box: Box) -> None:
        for body in self.batches[box.plant.site_id]:
            self.refused += await deliver(http, box, body)


def lags(posts: Sequence[Post], since: float, until: float, *, name: str) -> dict[str, Any]:
    """How far behind the readings were that were sent in a span of time; one that is nowhere yet counts until now."""
    mine, now = [post for post in posts if since <= post.started < until], time.perf_counter()
    rolled_up = [(post.rolled_up or now) - post.started for post in mine]
    viewed = [post.viewed - post.started for post in mine if post.viewed is not None]
    posted = [(post.posted or now) - post.started for post in mine]
    found: dict[str, Any] = {f"{name}_posts": len(mine), f"{name}_views": len(viewed)}
    for what, spans in (("rollup_lag", rolled_up), ("view_lag", viewed), ("post", posted)):
        parts = statistics.quantiles(spans, n=100)
        found |= {
            f"{name}_{what}_{p}_s": round(parts[p_number - 1], 3)
            for p, p_number in (("p50", 50), ("p95", 95), ("p99", 99))
        }
    return found


@asynccontextmanager
async def going_on(live: Live, http: httpx.AsyncClient, admin_url: str) -> AsyncIterator[None]:
    """Live gateways and viewers for the length of a block; a failure of one of them ends it."""
    admin = await asyncpg.connect(admin_url)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(live.watch_rollups(admin))]
        for number, box in enumerate(live.boxes):
            tasks.append(group.create_task(live.send_forever(http, box, number * LIVE_PERIOD_S / len(live.boxes))))
        tasks += [group.create_task(live.view_forever(http, box)) for box in live.viewed]
        yield
        for task in tasks:
            task.cancel()
    await admin.close()


@asynccontextmanager
async def running_ready(hub: Hub, name: str) -> AsyncIterator[int]:
    """A worker or a scheduler that has said that it is ready."""
    command = [program("solarhub"), name]
    async with running(name, command, folder=hub.folder, environment=hub.environment) as child:
        async with asyncio.timeout(READY_WITHIN_S):
            while f"{name}_ready" not in child.log.read_text():
                child.check()
                await asyncio.sleep(0.1)
        yield child.process.pid


@dataclass
class Processes:
    """Whose CPU time is counted."""

    pids: dict[str, int]
    postmaster: int

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far."""
        found = {name: process_cpu_s(pid) for name, pid in self.pids.items()}
        return {**found, "postgres": server_cpu_s(self.postmaster), "bench": time.process_time()}


async def measure(hub: Hub, *, late_rows: int, live_gateways: int) -> dict[str, Any]:
    """Run everything; see the module."""
    async with AsyncExitStack() as stack:
        admin = await asyncpg.connect(hub.admin_url)
        stack.push_async_callback(admin.close)
        db = await Database.connect(hub.app_url)
        stack.push_async_callback(db.dispose)
        now = datetime.now(UTC)
        flood = await Flood.make(db, late_rows, now)
        boxes = [await box_of(db, f"live{number}", now - timedelta(days=1)) for number in range(live_gateways)]
        await open_accounts(db)
        live = Live(boxes, boxes[:VIEWERS])
        api, port = await stack.enter_async_context(running_api(hub))
        pids = {name: await stack.enter_async_context(running_ready(hub, name)) for name in ("worker", "scheduler")}
        backend = await admin.fetchval("SELECT pg_backend_pid()")
        processes = Processes({"api": api.process.pid, **pids}, parent_of(backend))
        limits = httpx.Limits(max_connections=None)
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits)
        await stack.enter_async_context(http)
        async with going_on(live, http, hub.admin_url):
            await asyncio.sleep(WARM_UP_S)
            calm = time.perf_counter()
            await asyncio.sleep(CALM_S)
            began, cpu_s = time.perf_counter(), processes.cpu_s()
            await flood.run(http, admin)
            ended, cpu_s_after = time.perf_counter(), processes.cpu_s()
            await asyncio.sleep(5)
        await check(admin, flood, live)
        flooded = lags(live.posts, began, ended, name="live")
        return {
            "bench": "flood",
            "live_lag_p95_s": max(flooded["live_rollup_lag_p95_s"], flooded["live_view_lag_p95_s"]),
            "late_rows": flood.rows,
            "drain_seconds": round(flood.drained_s, 1),
            "accepted_seconds": round(flood.accepted_s, 1),
            "longest_rollup_queue": flood.longest_queue,
            "late_batches_told_to_wait": flood.refused,
            "live_batches_told_to_wait": live.refused,
            **flooded,
            **lags(live.posts, began, began + flood.accepted_s, name="accepting"),
            **lags(live.posts, calm, began, name="calm"),
            **{f"cpu_{name}_s": round(cpu_s_after[name] - spent, 1) for name, spent in cpu_s.items()},
        }


async def check(admin: asyncpg.Connection, flood: Flood, live: Live) -> None:
    """Everything is there once, and the late days hold what the counters rose."""
    rows = await admin.fetchval("SELECT count(*) FROM telemetry_readings")
    sent = flood.rows + len(live.posts) * DEVICES
    risen = sum(box.energy_wh - 5_000_000 for box in flood.boxes) * DEVICES
    days = await admin.fetchval(
        "SELECT round(sum(energy_generated_kwh::numeric) * 1000)::bigint FROM telemetry_daily_summary"
        " WHERE device_id IS NULL AND site_id = ANY ($1)",
        [box.plant.site_id for box in flood.boxes],
    )
    # A counter's first reading is its base.
    base = sum(first_rise() for _ in flood.boxes) * DEVICES
    if rows not in (sent, sent - DEVICES) or days != risen - base:
        raise SystemExit(
            f"{rows} readings of {sent} are stored; days hold {days} Wh, the counters rose {risen - base} Wh"
        )


def first_rise() -> int:
    """Wh by which a late counter had risen with its first reading."""
    return max(1, round((1 + 37 % 400 / 100) * 1000 * LATE_PERIOD.total_seconds() / 3600))


async def _main(*, late_rows: int, live_gateways: int) -> None:
    load_before = os.getloadavg()[0]
    async with running_hub() as hub:
        figures = await measure(hub, late_rows=late_rows, live_gateways=live_gateways)
    # What else the machine did: with a load of its processors' number already, lags are not the product's.
    figures |= {"load_before": round(load_before, 2), "processors": os.cpu_count()}
    for name, value in figures.items():
        print(f"{name:30} {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--late-rows", type=int, default=1_000_000)
    parser.add_argument("--live-gateways", type=int, default=40)
    given = parser.parse_args()
    asyncio.run(_main(late_rows=given.late_rows, live_gateways=given.live_gateways))
