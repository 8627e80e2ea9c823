"""What a device on a real socket refuses is learnt, kept in the store, and not asked for again after a restart."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from edge_agent.drivers.factory import DriverFactory
from edge_agent.profiles.load import ProfileLibrary
from edge_agent.store.refusals import RefusalNotes
from edge_agent.store.state import read_refusals
from shared.enums import DeviceType, ProtocolType, Quality
from shared.readings import Value
from shared.wire import PlanDevice
from tests.edge_world import SteppedClock, device_id, world
from tests.modbus_server import answer, exception, serve_raw

ILLEGAL_ADDRESS, ILLEGAL_VALUE = 2, 3
PROFILE = """
format = 1
name = "roof"
title = "A test platform"
platforms = ["R"]
quality = "draft"
word_order = "high_first"
sources = [{ title = "a manual" }]
row = [
  { metric = "ac_power_kw", address = 10, type = "u16", unit = "W", for = ["inverter"] },
  { metric = "dc_power_kw", address = 12, type = "u16", unit = "W", for = ["inverter"] },
  { metric = "grid_frequency_hz", address = 14, type = "u16", unit = "Hz", scale = 0.01, for = ["inverter"] },
  { metric = "dc_voltage_v.pv1", address = 16, type = "u16", unit = "V", for = ["inverter"] },
]
"""


class Device:
    """Answers on a socket, lacks some registers, and takes requests of a limited length."""

    def __init__(self, *, missing: Iterable[int] = (), longest: int = 125) -> None:
        self.missing = set(missing)
        self.longest = longest
        self.asked: list[tuple[int, int]] = []

    async def talk(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        address, count = int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")
        self.asked.append((address, count))
        if count > self.longest:
            writer.write(exception(request, ILLEGAL_VALUE))
        elif self.missing & set(range(address, address + count)):
            writer.write(exception(request, ILLEGAL_ADDRESS))
        else:
            writer.write(answer(request, [1000 + address + step for step in range(count)]))
        await writer.drain()


def plan_device(port: int) -> PlanDevice:
    return PlanDevice(
        id=device_id(1),
        name="roof",
        device_type=DeviceType.INVERTER,
        protocol=ProtocolType.MODBUS_TCP,
        profile="roof",
        connection={"host": "127.0.0.1", "port": port},
    )


@pytest.fixture
def profiles(tmp_path: Path) -> ProfileLibrary:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "roof.toml").write_text(PROFILE)
    return ProfileLibrary(folder)


async def one_life(
    folder: Path, profiles: ProfileLibrary, device: Device, clock: SteppedClock
) -> tuple[list[dict[str, Value]], Quality]:
    """The agent starts, reads twice, flushes and ends."""
    async with serve_raw(device.talk) as port:
        with world(folder, clock) as box:
            notes = RefusalNotes(box.store.write_now(read_refusals), stage=box.buffer.stage)
            factory = DriverFactory(clock=clock, profiles=profiles, notes=notes.of)
            driver = factory.build(plan_device(port))
            answers = [await driver.read() for _ in range(2)]
            await driver.close()
            await factory.close()
            await box.buffer.flush()
    return [dict(each.values) for each in answers], answers[-1].quality


EVERY: dict[str, Value] = {
    "ac_power_kw": 1.01,
    "dc_power_kw": 1.012,
    "grid_frequency_hz": 10.14,
    "dc_voltage_v.pv1": 1016.0,
}


async def test_a_missing_register_is_asked_for_once_in_two_lives(tmp_path: Path, profiles: ProfileLibrary) -> None:
    clock, device = SteppedClock(), Device(missing={14})
    values, quality = await one_life(tmp_path, profiles, device, clock)
    assert values == [EVERY | {"grid_frequency_hz": None}] * 2
    assert quality == Quality.PARTIAL
    device.asked.clear()
    values, quality = await one_life(tmp_path, profiles, device, clock)
    assert values == [EVERY | {"grid_frequency_hz": None}] * 2
    assert device.asked == [(10, 3), (16, 1)] * 2


async def test_a_hole_is_asked_for_once_in_two_lives(tmp_path: Path, profiles: ProfileLibrary) -> None:
    clock, device = SteppedClock(), Device(missing={13})
    await one_life(tmp_path, profiles, device, clock)
    device.asked.clear()
    values, quality = await one_life(tmp_path, profiles, device, clock)
    assert (values, quality) == ([EVERY] * 2, Quality.GOOD)
    assert device.asked == [(10, 3), (14, 3)] * 2


async def test_too_long_a_request_is_cut(tmp_path: Path, profiles: ProfileLibrary) -> None:
    clock, device = SteppedClock(), Device(longest=4)
    values, quality = await one_life(tmp_path, profiles, device, clock)
    assert (values, quality) == ([EVERY] * 2, Quality.GOOD)
    device.asked.clear()
    await one_life(tmp_path, profiles, device, clock)
    assert device.asked == [(10, 3), (14, 3)] * 2


async def test_after_a_day_it_is_asked_for_again(tmp_path: Path, profiles: ProfileLibrary) -> None:
    clock, device = SteppedClock(), Device(missing={14})
    await one_life(tmp_path, profiles, device, clock)
    device.missing = set()
    clock.step(86_400)
    values, quality = await one_life(tmp_path, profiles, device, clock)
    assert (values, quality) == ([EVERY] * 2, Quality.GOOD)
    with world(tmp_path, clock) as box:
        assert await box.store.read(read_refusals) == {}


async def test_a_corrected_profile_asks_anew(tmp_path: Path, profiles: ProfileLibrary) -> None:
    clock, device = SteppedClock(), Device(missing={14})
    await one_life(tmp_path, profiles, device, clock)
    (tmp_path / "profiles" / "roof.toml").write_text(PROFILE.replace("address = 14", "address = 15"))
    values, quality = await one_life(tmp_path, profiles, device, clock)
    assert (values, quality) == ([EVERY | {"grid_frequency_hz": 10.15}] * 2, Quality.GOOD)


async def test_a_device_that_left_the_plan_is_forgotten(tmp_path: Path) -> None:
    clock = SteppedClock()
    with world(tmp_path, clock) as box:
        notes = RefusalNotes({}, stage=box.buffer.stage)
        notes.of(device_id(1)).keep("one")
        notes.of(device_id(2)).keep("two")
        notes.retain([device_id(2)])
        await box.buffer.flush()
        assert await box.store.read(read_refusals) == {device_id(2): "two"}


async def test_a_rebuilt_store_gets_what_memory_holds(tmp_path: Path) -> None:
    clock = SteppedClock()
    with world(tmp_path, clock) as box:
        notes = RefusalNotes({device_id(1): "one"}, stage=box.buffer.stage)
        box.store.write_now(notes.save_all)
        assert await box.store.read(read_refusals) == {device_id(1): "one"}


async def test_a_rotten_name_is_left_out(tmp_path: Path) -> None:
    with world(tmp_path) as box:
        box.store.write_now(
            lambda connection: connection.execute("INSERT INTO state (key, value) VALUES ('refused x', 'y')")
        )
        assert await box.store.read(read_refusals) == {}
