"""What the agent's tests stand on: a clock to step, a cloud that speaks `shared.wire` on a real socket, a line that can be cut."""

import asyncio
import gzip
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_agent.clock import VirtualClock
from edge_agent.config import EdgeSettings
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.file import StoreFile
from shared.alert_rules import Condition, Operator
from shared.enums import AlertSeverity, DeviceType, ProtocolType, Quality
from shared.readings import Reading, Value
from shared.wire import (
    AlertAck,
    AlertBatch,
    BatchAck,
    EdgePlan,
    EnrolAnswer,
    Heartbeat,
    HeartbeatAnswer,
    PlanDevice,
    PlanRule,
    PlanSite,
    ReadingBatch,
    RejectedReading,
)

START = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
NAMESPACE = UUID("0190a0c0-0000-7000-8000-000000000000")
GATEWAY = uuid5(NAMESPACE, "gateway")
SITE = uuid5(NAMESPACE, "site")
CREDENTIAL = f"she_{GATEWAY.hex}_secret-of-the-test"


def device_id(number: int) -> UUID:
    return uuid5(NAMESPACE, f"device {number}")


@dataclass
class SteppedClock:
    """Stands until it is told to move; the wall clock can be set apart from the monotonic one."""

    wall: datetime = START
    mono: float = 100.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    async def sleep(self, seconds: float) -> None:
        self.step(seconds)
        await asyncio.sleep(0)

    def step(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += timedelta(seconds=seconds)


def fast_clock(speed: float = 1000.0, *, epoch: float = 0.0) -> VirtualClock:
    """A clock whose years pass quickly; every pause of the agent lasts milliseconds."""
    return VirtualClock(start=START, end=START + timedelta(days=3650), speed=speed, epoch=epoch or time.time())


def device(number: int = 1, *, kind: DeviceType = DeviceType.INVERTER, interval_s: float = 10.0) -> PlanDevice:
    return PlanDevice(
        id=device_id(number),
        name=f"device {number}",
        device_type=kind,
        protocol=ProtocolType.MODBUS_TCP,
        profile="sunspec",
        connection={"host": "127.0.0.1", "port": 1, "slave_id": 1},
        poll_interval_s=interval_s,
    )


def over_voltage(*, duration_s: float = 60, number: int | None = None, auto_resolve: bool = True) -> PlanRule:
    return PlanRule(
        id=uuid5(NAMESPACE, "over-voltage"),
        name="Grid over-voltage",
        condition=Condition(
            metric="ac_voltage_v",
            operator=Operator.GT,
            threshold=253.0,
            duration_seconds=duration_s,
            clear_threshold=250.0,
        ),
        severity=AlertSeverity.WARNING,
        device_id=None if number is None else device_id(number),
        auto_resolve=auto_resolve,
    )


def plan(
    *devices: PlanDevice, rules: tuple[PlanRule, ...] = (), revision: int = 1, timezone: str = "Asia/Karachi"
) -> EdgePlan:
    return EdgePlan(
        revision=revision, site=PlanSite(id=SITE, name="Home", timezone=timezone), devices=devices, rules=rules
    )


def settings(folder: Path, **changes: object) -> EdgeSettings:
    values: dict[str, object] = {"data_dir": folder, "web_host": "127.0.0.1", "web_port": 0, "http_timeout_s": 5}
    return EdgeSettings.model_validate({**values, **changes})


@contextmanager
def opened(folder: Path) -> Iterable[StoreFile]:
    store = StoreFile(folder)
    store.open()
    try:
        yield store
    finally:
        store.close()


@dataclass
class World:
    """A store with its buffer, on a clock of one's own."""

    store: StoreFile
    timeline: Timeline
    buffer: Buffer
    clock: SteppedClock | VirtualClock

    def say(self, number: int = 1, *, quality: Quality = Quality.GOOD, **values: Value) -> Reading:
        """Append one reading of now."""
        mono_ms = round(self.clock.monotonic() * 1000)
        boot = self.timeline.boot
        reading = Reading(device_id(number), boot.date(mono_ms), values, quality)
        self.buffer.append(reading, mono_ms=mono_ms, boot=boot)
        return reading

    async def fill(self, flushes: int, *, per_flush: int = 2, start_kwh: float = 100.0) -> list[Reading]:
        """Commit flushes of one device whose counter grows by 0.1 kWh a reading, ten seconds apart (on a stepped clock)."""
        said = []
        for flush in range(flushes):
            for index in range(per_flush):
                kwh = round(start_kwh + (flush * per_flush + index) * 0.1, 1)
                said.append(self.say(ac_power_kw=3.5, energy_total_kwh=kwh))
                if isinstance(self.clock, SteppedClock):
                    self.clock.step(10)
                else:
                    await asyncio.sleep(0.002)
            await self.buffer.flush()
        return said


@contextmanager
def world(folder: Path, clock: SteppedClock | VirtualClock | None = None, *, quota_mb: float = 512) -> Iterable[World]:
    clock = clock or SteppedClock()
    with opened(folder) as store:
        timeline = Timeline(store, clock)
        yield World(store, timeline, Buffer(store, timeline, quota_bytes=round(quota_mb * 1e6)), clock)


Fault = Callable[[Request], Response | None]
"""Answers instead of the cloud, or None to let it answer."""


def problem(status: int, code: str, *, headers: dict[str, str] | None = None, **more: object) -> Response:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": f"{code} happened", **more}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


@dataclass
class FakeCloud:
    """The cloud's side of the contract, in memory.

    Attributes:
        faults: per path, answers that are given first, one per request.
        rows: (device, moment) -> values, as first committed.
        duplicates: readings that were there already.
    """

    plan: EdgePlan
    acked: dict[UUID, int] = field(default_factory=dict)
    rows: dict[tuple[UUID, datetime], dict[str, Value]] = field(default_factory=dict)
    duplicates: int = 0
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    batches: list[ReadingBatch] = field(default_factory=list)
    heartbeats: list[Heartbeat] = field(default_factory=list)
    alert_batches: list[AlertBatch] = field(default_factory=list)
    plan_requests: int = 0
    raw_plan: object = None
    unknown_devices: set[UUID] = field(default_factory=set)
    server_time: datetime = START
    most_body_bytes: int = 10_000_000
    codes: set[str] = field(default_factory=lambda: {"ABCD-2345"})

    def fail(self, path: str, *faults: Fault | Response) -> None:
        queue = self.faults.setdefault(path, deque())
        queue.extend((lambda _, answer=fault: answer) if isinstance(fault, Response) else fault for fault in faults)

    def app(self) -> Starlette:
        paths = {"claim": self._claim, "readings": self._readings, "heartbeat": self._heartbeat, "alerts": self._alerts}
        routes = [
            Route(f"/api/v1/edge/{name}", self._guard(name, take), methods=["POST"]) for name, take in paths.items()
        ]
        return Starlette(routes=[*routes, Route("/api/v1/edge/plan", self._guard("plan", self._plan))])

    def _guard(self, name: str, take: Callable[[Request, bytes], Response]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            queue = self.faults.get(name)
            if queue and (answer := queue.popleft()(request)) is not None:
                return answer
            if name != "claim" and request.headers.get("authorization") != f"Bearer {CREDENTIAL}":
                return problem(401, "credential_invalid")
            if len(body) > self.most_body_bytes:
                return problem(413, "body_too_large")
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            return take(request, body)

        return endpoint

    def _claim(self, _: Request, body: bytes) -> Response:
        code = json.loads(body)["code"]
        if code not in self.codes:
            return problem(404, "claim_code_unknown")
        self.codes.remove(code)
        answer = EnrolAnswer(
            gateway_id=GATEWAY, credential=SecretStr(CREDENTIAL), plan=self.plan, server_time=self.server_time
        )
        return JSONResponse({**answer.model_dump(mode="json"), "credential": CREDENTIAL})

    def _readings(self, _: Request, body: bytes) -> Response:
        batch = ReadingBatch.model_validate_json(body)
        self.batches.append(batch)
        have = self.acked.get(batch.epoch, 0)
        if batch.first_seq > have + 1:
            return problem(409, "sequence_gap", expected_seq=have + 1)
        stored = duplicates = 0
        rejected = []
        for stretch in batch.stretches:
            for index, seq in enumerate(stretch.seqs):
                if seq <= have:
                    continue
                if stretch.device_id in self.unknown_devices:
                    within = index - stretch.seqs.index(seq)
                    rejected.append(
                        RejectedReading(seq=seq, device_id=stretch.device_id, index=within, reason="unknown")
                    )
                    continue
                key = (stretch.device_id, batch.started_at + timedelta(milliseconds=stretch.offsets_ms[index]))
                duplicates += key in self.rows
                stored += key not in self.rows
                self.rows.setdefault(key, {name: column[index] for name, column in stretch.values.items()})
        self.duplicates += duplicates
        self.acked[batch.epoch] = max(have, batch.last_seq)
        return _json(
            BatchAck(
                acked_seq=max(have, batch.last_seq),
                stored=stored,
                duplicates=duplicates,
                flagged=0,
                rejected=tuple(rejected),
                server_time=self.server_time,
            )
        )

    def _heartbeat(self, _: Request, body: bytes) -> Response:
        self.heartbeats.append(Heartbeat.model_validate_json(body))
        return _json(HeartbeatAnswer(server_time=self.server_time, plan_revision=self.plan.revision))

    def _alerts(self, _: Request, body: bytes) -> Response:
        batch = AlertBatch.model_validate_json(body)
        self.alert_batches.append(batch)
        return _json(AlertAck(accepted=tuple({alert.id for alert in batch.alerts})))

    def _plan(self, request: Request, _: bytes) -> Response:
        self.plan_requests += 1
        if self.raw_plan is not None:
            return JSONResponse(self.raw_plan)
        if request.headers.get("if-none-match") == f'"{self.plan.revision}"':
            return Response(status_code=304)
        return _json(self.plan)


def _json(model: object) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")  # type: ignore[attr-defined]


@asynccontextmanager
async def serving(cloud: FakeCloud) -> AsyncIterator[int]:
    """Serve it on loopback; gives the port."""
    config = uvicorn.Config(
        cloud.app(), host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn offers no event
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterable[None]:  # type: ignore[override]
        yield


@dataclass
class Line:
    """A TCP relay in front of a server: it can break off in the middle of a request, or swallow an answer.

    Attributes:
        cut_request_after: bytes of a request after which connections break; None = never.
        swallow_answers: how many answers are lost on the way, with their connections.
    """

    target_port: int
    cut_request_after: int | None = None
    swallow_answers: int = 0
    cuts: int = 0

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(reader, up_writer))
                group.create_task(self._down(up_reader, writer))
        except* (ConnectionError, _ClosedError):
            pass
        except* _CutError:
            self.cuts += 1
        finally:
            for each in (up_writer, writer):
                each.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        total = 0
        while data := await reader.read(4096):
            total += len(data)
            if self.cut_request_after is not None and total > self.cut_request_after:
                raise _CutError
            writer.write(data)
            await writer.drain()
        raise _ClosedError

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.swallow_answers > 0:
                self.swallow_answers -= 1
                raise _CutError
            writer.write(data)
            await writer.drain()
        raise _ClosedError


class _CutError(Exception):
    """The line breaks off."""


class _ClosedError(Exception):
    """One side has closed in order."""


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[tuple[Line, int]]:
    """A relay to the port; gives it and its own port."""
    line = Line(port)
    tasks: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await line.relay(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield line, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def eventually(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  the condition is whatever the test looks at
            await asyncio.sleep(0.01)
