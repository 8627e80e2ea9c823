"""The simulated home on real sockets, read by the agent's own drivers and by a foreign client."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pymodbus.client import AsyncModbusTcpClient

from edge_agent.clock import Clock, VirtualClock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.modbus_server import RegisterServer, ServerAddressError
from edge_agent.drivers.mqtt import BrokerAddress
from edge_agent.drivers.simulated import SimulatedSite, SimulationError
from edge_agent.drivers.simulated_plant import Day
from edge_agent.errors import ConfigError
from edge_agent.simulate import SimulationConfig, build_site, irradiance_payload, parse_broker, run_site, truth
from shared.enums import DeviceType, ProtocolType, Quality
from shared.readings import Value
from shared.wire import PlanDevice

MIDNIGHT = datetime(2026, 7, 14, 19, tzinfo=UTC)
NOON = MIDNIGHT + timedelta(hours=12)


@dataclass
class SettableClock:
    """Stands until a test moves it; waiting takes no time worth mentioning."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.01)


def days_computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the days that a simulated site computes from now on, as it does so."""
    computed: list[int] = []
    compute = SimulatedSite._compute

    def watched(site: SimulatedSite, index: int) -> Day:
        computed.append(index)
        return compute(site, index)

    monkeypatch.setattr(SimulatedSite, "_compute", watched)
    return computed


@asynccontextmanager
async def running(config: SimulationConfig, clock: Clock) -> AsyncIterator[dict[str, Any]]:
    stop = asyncio.Event()
    ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run_site(config, clock, stop=stop, on_ready=ready.set_result))
    try:
        await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        if task.done():
            task.result()
        yield ready.result()
    finally:
        stop.set()
        await task


def device(kind: DeviceType, profile: str, connection: Mapping[str, Any], **more: Any) -> PlanDevice:
    protocol = ProtocolType.MQTT if "broker" in connection else ProtocolType.MODBUS_TCP
    return PlanDevice(
        id=UUID(int=1),
        name=f"{profile} {kind}",
        device_type=kind,
        protocol=protocol,
        profile=profile,
        connection=dict(connection),
        poll_interval_s=60,
        **more,
    )


async def read(plan: PlanDevice, clock: Clock) -> Mapping[str, Value]:
    factory = DriverFactory(clock=clock)
    driver = factory.build(plan)
    try:
        for _ in range(100):  # pushed values take a moment to arrive
            try:
                answer = await driver.read()
            except DriverError as error:
                if error.kind != "stale":
                    raise
                await asyncio.sleep(0.05)
            else:
                assert answer.quality in (Quality.GOOD, Quality.DERIVED)
                return answer.values
        pytest.fail("no value arrived within 5 s")
    finally:
        await driver.close()
        await factory.close()


async def test_the_agents_drivers_read_what_the_site_does() -> None:
    clock = SettableClock(NOON)
    site = build_site(SimulationConfig(), clock)
    async with running(SimulationConfig(), clock) as at:
        inverter = await read(device(DeviceType.INVERTER, "sunspec", at["sunspec_inverter"]), clock)
        meter = await read(device(DeviceType.METER, "sunspec", at["meter"]), clock)
        hybrid = await read(device(DeviceType.INVERTER, "deye_1p_hybrid", at["hybrid"]), clock)
        battery = await read(device(DeviceType.BATTERY, "deye_1p_hybrid", at["hybrid"]), clock)
    state = site.at(NOON)
    assert inverter["ac_power_kw"] == state.powers.string_ac / 1000
    assert inverter["energy_total_kwh"] == state.counters.string_wh / 1000
    assert inverter["operating_state"] == "producing"
    assert meter["grid_power_kw"] == state.powers.grid / 1000
    assert meter["grid_import_energy_total_kwh"] == state.counters.meter_import_wh / 1000
    assert meter["grid_export_energy_total_kwh"] == state.counters.meter_export_wh / 1000
    assert hybrid["energy_total_kwh"] == state.counters.hybrid_pv_wh / 1000
    assert hybrid["dc_power_kw"] == (state.powers.pv1 + state.powers.pv2) / 1000
    assert battery["battery_power_kw"] == state.powers.battery / 1000
    assert battery["battery_soc_percent"] == round(state.charge_stored_percent)
    assert battery["battery_charge_energy_total_kwh"] == state.counters.hybrid_charge_wh / 1000


async def test_a_sleeping_inverter_answers_with_its_counter_and_no_power() -> None:
    clock = SettableClock(MIDNIGHT + timedelta(hours=2))
    async with running(SimulationConfig(), clock) as at:
        values = await read(device(DeviceType.INVERTER, "sunspec", at["sunspec_inverter"]), clock)
    assert values["operating_state"] == "sleeping"
    assert values["ac_power_kw"] is None
    assert values["energy_total_kwh"] == 12_345.678


async def test_energy_read_at_both_ends_is_the_truth_to_the_last_digit() -> None:
    clock = SettableClock(MIDNIGHT)
    site = build_site(SimulationConfig(), clock)
    async with running(SimulationConfig(), clock) as at:
        plans = {
            "string": device(DeviceType.INVERTER, "sunspec", at["sunspec_inverter"]),
            "hybrid": device(DeviceType.INVERTER, "deye_1p_hybrid", at["hybrid"]),
            "battery": device(DeviceType.BATTERY, "deye_1p_hybrid", at["hybrid"]),
            "meter": device(DeviceType.METER, "sunspec", at["meter"]),
        }
        first = {name: await read(plan, clock) for name, plan in plans.items()}
        clock.at = MIDNIGHT + timedelta(days=1)
        last = {name: await read(plan, clock) for name, plan in plans.items()}

    def grown_wh(name: str, key: str) -> int:
        before, after = first[name][key], last[name][key]
        assert isinstance(before, float)
        assert isinstance(after, float)
        return round(after * 1000) - round(before * 1000)

    expected = site.counter_energy_wh(MIDNIGHT, clock.at)
    assert grown_wh("string", "energy_total_kwh") + grown_wh("hybrid", "energy_total_kwh") == expected.generated
    assert grown_wh("meter", "grid_import_energy_total_kwh") == expected.imported
    assert grown_wh("meter", "grid_export_energy_total_kwh") == expected.exported
    assert grown_wh("battery", "battery_charge_energy_total_kwh") == expected.charged
    assert grown_wh("battery", "battery_discharge_energy_total_kwh") == expected.discharged


@pytest.mark.broker
async def test_the_sensor_publishes_through_a_real_broker(broker_port: int) -> None:
    clock = SettableClock(NOON)
    broker = BrokerAddress(broker="127.0.0.1", port=broker_port, client_id="simulated")
    config = SimulationConfig(broker=broker, publish_interval_s=1)
    async with running(config, clock) as at:
        connection = {"broker": "127.0.0.1", "port": at["mqtt"]["port"], "topic_prefix": at["mqtt"]["topic_prefix"]}
        values = await read(device(DeviceType.SENSOR, "irradiance_json", connection), clock)
    state = build_site(config, clock).at(NOON)
    assert values["irradiance_wm2.poa"] == pytest.approx(state.poa_wm2, abs=0.06)
    assert values["module_temperature_c"] == pytest.approx(state.module_c, abs=0.06)


async def test_a_missing_broker_leaves_the_modbus_devices_alone() -> None:
    clock = SettableClock(NOON)
    async with RegisterServer("127.0.0.1", 0, unit=1, first_address=0, image=lambda: [1]) as server:
        free = server.port
    config = SimulationConfig(broker=BrokerAddress(broker="127.0.0.1", port=free, client_id="x"))
    async with running(config, clock) as at:
        await asyncio.sleep(0.2)
        assert (await read(device(DeviceType.METER, "sunspec", at["meter"]), clock))["grid_power_kw"] is not None


@asynccontextmanager
async def client(port: int) -> AsyncIterator[AsyncModbusTcpClient]:
    connected = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=2)
    assert await connected.connect()
    try:
        yield connected
    finally:
        connected.close()


async def test_the_server_answers_like_a_device() -> None:
    words = [7, 8, 9]
    async with (
        RegisterServer("127.0.0.1", 0, unit=3, first_address=100, image=lambda: list(words)) as server,
        client(server.port) as modbus,
    ):
        assert (await modbus.read_holding_registers(100, count=3, device_id=3)).registers == [7, 8, 9]
        assert (await modbus.read_input_registers(101, count=1, device_id=3)).registers == [8]
        words[:] = [70, 80, 90]
        assert (await modbus.read_holding_registers(100, count=3, device_id=3)).registers == [70, 80, 90]
        assert (await modbus.read_holding_registers(99, count=2, device_id=3)).exception_code == 2
        assert (await modbus.read_holding_registers(102, count=2, device_id=3)).exception_code == 2
        assert (await modbus.read_holding_registers(100, count=1, device_id=4)).exception_code == 0x0B
        assert (await modbus.write_register(100, 1, device_id=3)).isError()
        assert (await modbus.read_holding_registers(100, count=1, device_id=3)).registers == [70]


async def test_fifty_requests_for_one_moment_compute_one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day costs a quarter of a second: in a demo that is minutes of it, so a request must not cost one."""
    computed = days_computed(monkeypatch)
    async with running(SimulationConfig(), SettableClock(NOON)) as at, client(at["sunspec_inverter"]["port"]) as modbus:
        for _ in range(50):
            assert not (await modbus.read_holding_registers(40_000, count=120, device_id=1)).isError()
    assert len(computed) == len(set(computed))


async def test_a_taken_port_is_said_to_be_taken() -> None:
    async with RegisterServer("127.0.0.1", 0, unit=1, first_address=0, image=lambda: [1]) as first:
        second = RegisterServer("127.0.0.1", first.port, unit=1, first_address=0, image=lambda: [1])
        with pytest.raises(ServerAddressError, match=f"port {first.port}"):
            await second.start()


async def test_a_stopped_server_gives_its_port_back() -> None:
    server = RegisterServer("127.0.0.1", 0, unit=1, first_address=0, image=lambda: [1])
    await server.start()
    port = server.port
    await server.stop()
    await server.stop()
    async with RegisterServer("127.0.0.1", port, unit=1, first_address=0, image=lambda: [1]) as again:
        assert again.port == port


async def test_a_site_commissioned_after_the_clocks_start_is_refused() -> None:
    config = SimulationConfig(commissioned=(NOON + timedelta(days=2)).date())
    with pytest.raises(SimulationError, match="commissioning"):
        async with running(config, SettableClock(NOON)):
            pytest.fail("it must not become ready")


def test_an_earlier_commissioning_date_keeps_counters_going_over_a_restart() -> None:
    first = build_site(SimulationConfig(commissioned=MIDNIGHT.date()), SettableClock(NOON))
    later = build_site(SimulationConfig(commissioned=MIDNIGHT.date()), SettableClock(NOON + timedelta(days=1)))
    moment = NOON + timedelta(hours=3)
    assert first.device_counters(moment) == later.device_counters(moment)


def test_a_long_stretch_is_ready_at_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock(start=MIDNIGHT, end=MIDNIGHT + timedelta(days=6), speed=1, epoch=time.time() + 3600)
    site = build_site(SimulationConfig(), clock)
    site.prepare(MIDNIGHT + timedelta(days=1))
    computed = days_computed(monkeypatch)
    for _ in range(10):
        site.at(clock.now())
        site.at(clock.now() + timedelta(days=1))
    assert computed == [], "both days are kept: one computed anew costs a quarter of a second each time"


def test_truth_names_every_flow_in_both_ways() -> None:
    site = SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=(MIDNIGHT + timedelta(hours=6)).date())
    told = truth(site, start=site.start, end=site.start + timedelta(hours=15))
    flows = {"generated", "consumed", "imported", "exported", "charged", "discharged"}
    assert set(told["counter_energy_kwh"]) == set(told["true_energy_kwh"]) == flows
    assert told["counter_energy_kwh"]["generated"] == pytest.approx(told["true_energy_kwh"]["generated"], abs=0.102)
    assert json.loads(json.dumps(told)) == told


def test_the_payload_is_what_the_topic_map_reads() -> None:
    state = build_site(SimulationConfig(), SettableClock(NOON)).at(NOON)
    sample = json.loads(irradiance_payload(state))
    assert sample == {
        "poa_wm2": round(state.poa_wm2, 1),
        "module_temperature_c": round(state.module_c, 1),
        "at": NOON.isoformat(),
    }


@pytest.mark.parametrize(("text", "port"), [("box.local:1884", 1884), ("box.local", 1883)])
def test_a_broker_is_host_and_port(text: str, port: int) -> None:
    broker = parse_broker(text, username="u", password="p")
    assert (broker.broker, broker.port, broker.username, broker.password) == ("box.local", port, "u", "p")


@pytest.mark.parametrize("text", ["box:", "box:0", "box:65536", "box:abc", ":1883"])
def test_a_broker_without_a_sound_port_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        parse_broker(text)


SCRIPT = "import typer; from edge_agent.simulate import simulate_command; typer.run(simulate_command)"


async def test_the_command_prints_its_endpoints_and_leaves_the_truth_behind(tmp_path: Path) -> None:
    clock = VirtualClock(start=MIDNIGHT, end=MIDNIGHT + timedelta(days=1), speed=1e6, epoch=time.time())
    file = tmp_path / "truth.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, "--json", "--truth-file", str(file)),
        env={
            **os.environ,
            "SOLARHUB_CLOCK_START": clock.start.isoformat(),
            "SOLARHUB_CLOCK_END": clock.end.isoformat(),
            "SOLARHUB_CLOCK_SPEED": str(clock.speed),
            "SOLARHUB_CLOCK_EPOCH": str(clock.epoch),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    endpoints = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    assert set(endpoints) == {"sunspec_inverter", "hybrid", "meter"}
    process.send_signal(signal.SIGUSR1)
    for _ in range(100):
        if file.exists():
            break
        await asyncio.sleep(0.05)
    asked = json.loads(file.read_text())
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    told = json.loads(file.read_text())
    assert told == asked
    site = SimulatedSite(31.52, 74.36, timezone="Asia/Karachi", commissioned=(MIDNIGHT + timedelta(hours=6)).date())
    assert told == truth(site, start=clock.start, end=clock.end)


async def test_a_wrong_broker_ends_the_command_with_the_way_out() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, "--broker", "box:abc"), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"host:port" in stderr
    assert b"Traceback" not in stderr
