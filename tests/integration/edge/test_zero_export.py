"""A SunSpec inverter and a meter over real Modbus TCP, served by somebody else's server: the loop keeps the site from exporting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from pyModbusTCP.server import DataBank, ModbusServer

from edge_agent.clock import SystemClock
from edge_agent.config import ZeroExportOptions
from edge_agent.control import loop, rules
from edge_agent.control.assembly import ZeroExportTask
from edge_agent.drivers.base import Driver, DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.poller import LiveDevice
from edge_agent.store.file import StoreFile
from edge_agent.store.state import read_events
from shared.enums import DeviceType, ProtocolType
from shared.wire import PlanDevice
from tests.sunspec_image import image, model_words

RATED_W = 10_000
BASE = 40_000
LIMITED = ("WMaxLimPct", "WMaxLim_Ena")


def inverter_image(power_w: int) -> dict[int, int]:
    limit = model_words(
        123,
        {"WMaxLimPct": Decimal(100), "WMaxLim_Ena": Decimal(0), "WMaxLimPct_RvrtTms": Decimal(0)},
        scales={"WMaxLimPct_SF": 0},
    )
    return image(model_words(1, {"Mn": "Maker"}), model_words(103, {"W": Decimal(power_w)}), limit, base=BASE)


def meter_image(power_w: int) -> dict[int, int]:
    return image(model_words(1, {"Mn": "Maker"}), model_words(203, {"W": Decimal(power_w)}), base=BASE)


@dataclass
class Site:
    """Sun and load of a site, and the registers of its inverter and its meter."""

    sun_w: int = 8_000
    load_w: int = 3_000
    meter_answers: bool = True
    inverter: DataBank = field(default_factory=DataBank)
    meter: DataBank = field(default_factory=DataBank)

    def begin(self) -> None:
        for bank, held in ((self.inverter, inverter_image(0)), (self.meter, meter_image(0))):
            bank.set_holding_registers(min(held), [held.get(place, 0) for place in range(min(held), max(held) + 1)])

    @property
    def limit_percent(self) -> float:
        held = inverter_image(0)
        first = min(held)
        words = self.inverter.get_holding_registers(first, len(held))
        assert words is not None
        offset = _offset_of_limit(held) - first
        percent, enabled = words[offset], words[offset + 4]
        return percent if enabled else 100

    def live(self) -> int:
        """One step of the site; returns what the meter sees (W, import positive)."""
        made_w = min(self.sun_w, int(self.limit_percent / 100 * RATED_W))
        _put(self.inverter, inverter_image(0), inverter_image(made_w))
        _put(self.meter, meter_image(0), meter_image(self.load_w - made_w))
        return self.load_w - made_w


def _offset_of_limit(held: dict[int, int]) -> int:
    words = [held[place] for place in sorted(held)]
    at = next(place for place in range(len(words)) if words[place : place + 2] == [123, 24])
    return min(held) + at + 5  # behind header, Conn_WinTms, Conn_RvrtTms and Conn


def _put(bank: DataBank, before: dict[int, int], now: dict[int, int]) -> None:
    """Write the registers in which two images differ."""
    for place, word in now.items():
        if before.get(place) != word:
            bank.set_holding_registers(place, [word])


class Watched:
    """Reads both devices again and again, as the poller does."""

    def __init__(self, site: Site, drivers: dict[UUID, Driver], plan: list[PlanDevice]) -> None:
        self._site = site
        self._drivers = drivers
        self.live = {device.id: LiveDevice(device, at=datetime.now(UTC)) for device in plan}
        self.exported: list[int] = []

    async def run(self) -> None:
        while True:
            self.exported.append(max(0, -self._site.live()))
            for key, driver in self._drivers.items():
                known = self.live[key]
                if known.device.device_type is DeviceType.METER and not self._site.meter_answers:
                    continue
                with suppress(DriverError):
                    answer = await driver.read()
                    now = datetime.now(UTC)
                    self.live[key] = replace(known, at=now, link_up=True, answered_at=now, values=dict(answer.values))
            await asyncio.sleep(0.02)


class Wall:
    def now(self) -> datetime:
        return datetime.now(UTC)


def device(name: str, kind: DeviceType, port: int) -> PlanDevice:
    return PlanDevice(
        id=UUID(int=port),
        name=name,
        device_type=kind,
        protocol=ProtocolType.MODBUS_TCP,
        profile="sunspec",
        connection={"host": "127.0.0.1", "port": port, "slave_id": 1},
        poll_interval_s=0.25,
        rated_power_kw=RATED_W / 1000,
    )


@pytest.fixture
async def site() -> AsyncIterator[tuple[Site, list[PlanDevice]]]:
    made = Site()
    made.begin()
    servers = [ModbusServer("127.0.0.1", 0, no_block=True, data_bank=bank) for bank in (made.inverter, made.meter)]
    for server in servers:
        server.start()
    ports = [server._service.server_address[1] for server in servers]
    yield (
        made,
        [device("Inverter", DeviceType.INVERTER, ports[0]), device("Grid meter", DeviceType.METER, ports[1])],
    )
    for server in servers:
        server.stop()


async def test_the_site_stops_exporting_and_a_lost_meter_stops_the_inverter(
    site: tuple[Site, list[PlanDevice]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PERIOD_S", 0.05)
    monkeypatch.setattr(rules, "LEAST_PAUSE", timedelta(0))
    made, plan = site
    clock = SystemClock()
    factory, store = DriverFactory(clock=clock), StoreFile(tmp_path)
    store.open()
    watched = Watched(made, {each.id: factory.build(each) for each in plan}, plan)
    options = ZeroExportOptions(
        meter="Grid meter",
        inverter="Inverter",
        raise_percent_per_s=200,
        meter_max_age_s=0.4,
        meter_proof_s=0.2,
        accepts_loss=True,
    )
    task = ZeroExportTask(options, factory=factory, devices=watched, store=store, time=Wall(), clock=clock)
    watching = asyncio.create_task(watched.run())
    running = asyncio.create_task(task.run())
    try:
        await until(lambda: 28 <= made.limit_percent <= 30)
        assert made.live() >= 0
        made.load_w = 1_000
        await until(lambda: made.limit_percent <= 10)
        made.load_w = 6_000
        await until(lambda: made.limit_percent >= 57)
        assert made.live() >= 0
        made.meter_answers = False
        await until(lambda: made.limit_percent == 0)
        made.meter_answers = True
        await until(lambda: made.limit_percent >= 57)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        watching.cancel()
        await factory.close()
    assert made.limit_percent == 0  # as the agent ends
    assert {event.kind for event in await store.read(read_events)} == {"control_write"}
    store.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- somebody else's server offers no event to wait for
            await asyncio.sleep(0.02)
