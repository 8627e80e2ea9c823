"""`device read` and `device scan` over every kind of address."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus_frame import with_crc
from edge_agent.drivers.mqtt import BrokerAddress, MqttPublisher
from edge_agent.installer.asking import Asked, read_once
from edge_agent.installer.endings import exit_code_of
from edge_agent.installer.scan import Scanner
from edge_agent.profiles.load import ProfileLibrary
from shared.enums import DeviceType
from tests.captures import FOLDER, holding_of
from tests.http_device import Device, answer, running
from tests.integration.installer.command import solarhub_edge
from tests.modbus_server import answer as modbus_answer
from tests.modbus_server import exception, serve_raw
from tests.mqtt_broker import Broker
from tests.rtu_wire import Slaves, Wire, wire
from tests.solarman_logger import SERIAL
from tests.solarman_logger import serve as serve_logger
from tests.voltronic_inverter import Inverter, on_pty

DEYE = "sunsynk_sg01lp1_3k6"
AC_POWER_KW = 0.539
"""Of the recording."""

API = "/solar_api/v1/"
FRONIUS = {
    f"{API}GetInverterRealtimeData.cgi?Scope=Device&DeviceId=1&DataCollection=CommonInverterData": "inverter",
    f"{API}GetPowerFlowRealtimeData.fcgi": "power_flow",
    f"{API}GetMeterRealtimeData.cgi?Scope=System": "meter",
    f"{API}GetStorageRealtimeData.cgi?Scope=System": "storage",
}


def rtu_answer(request: bytes, image: Mapping[int, int]) -> bytes:
    address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
    wanted = range(address, address + count)
    if request[1] != 3 or any(each not in image for each in wanted):
        return with_crc(bytes((request[0], request[1] | 0x80, 2)))
    data = b"".join(image[each].to_bytes(2, "big") for each in wanted)
    return with_crc(bytes((request[0], request[1], len(data))) + data)


@asynccontextmanager
async def deye_on_a_serial_port(unit: int) -> AsyncIterator[Wire]:
    image, slaves = holding_of(DEYE), Slaves({unit})
    slaves.spoil = lambda _: rtu_answer(slaves.heard[-1], image)
    async with wire(slaves) as line:
        yield line


@asynccontextmanager
async def deye_behind_a_serial_bridge() -> AsyncIterator[int]:
    """Passes serial frames on as they are."""
    image = holding_of(DEYE)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(rtu_answer(await reader.readexactly(8), image))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_serial_port_by_the_command() -> None:
    async with deye_on_a_serial_port(5) as line:
        ended = await solarhub_edge(
            *("device", "read", "--url", f"rtu://{line.port}?baud=9600&parity=N", "--unit", "5", "--json")
        )
    assert (ended.code, ended.err) == (0, "")
    values = {entry["metric"]: entry["value"] for entry in ended.document["values"] if entry["channel"] is None}
    assert values["ac_power_kw"] == AC_POWER_KW
    assert ended.document["requests"] > 3


async def test_a_serial_bridge() -> None:
    async with deye_behind_a_serial_bridge() as port:
        report = await read_once(Asked(f"rtutcp://127.0.0.1:{port}"))
    assert report.profile == "deye_1p_hybrid"
    assert report.values["ac_power_kw"] == AC_POWER_KW


async def test_one_lost_answer_is_not_a_silent_device() -> None:
    image, requests = holding_of(DEYE), 0

    async def lose_the_second(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        address, count = int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")
        wanted = range(address, address + count)
        if requests == 2:
            return
        is_known = request[7] == 3 and all(each in image for each in wanted)
        writer.write(modbus_answer(request, [image[each] for each in wanted]) if is_known else exception(request, 2))

    async with serve_raw(lose_the_second) as port:
        report = await read_once(Asked(f"tcp://127.0.0.1:{port}", "deye_1p_hybrid"))
    assert report.values["ac_power_kw"] == AC_POWER_KW
    assert [(read.words is None, read.refused) for read in report.registers[:3]] == [
        (False, False),
        (True, False),
        (False, False),
    ]
    assert requests == len(report.registers)


async def test_a_solarman_logger() -> None:
    async with serve_logger(holding_of(DEYE)) as logger:
        report = await read_once(Asked(f"v5://127.0.0.1:{logger.port}?serial={SERIAL}"))
        with pytest.raises(DriverError) as caught:
            await read_once(Asked(f"v5://127.0.0.1:{logger.port}", "deye_1p_hybrid", logger_serial=SERIAL + 1))
    assert report.profile == "deye_1p_hybrid"
    assert report.values["battery_soc_percent"] == 21.0
    assert report.to_json()["requests"] == len(report.registers) > 3
    assert exit_code_of(caught.value) == 1


async def test_a_voltronic_inverter() -> None:
    async with on_pty(Inverter()) as port:
        report = await read_once(Asked(f"pi30://{port}"))
    assert report.profile == "voltronic_pi30"
    assert [part.device_type for part in report.parts] == [DeviceType.INVERTER, DeviceType.BATTERY]
    assert (report.values["dc_power_kw.pv1"], report.values["battery_soc_percent"]) == (0.879, 83.0)
    assert report.to_json()["requests"] is None


async def test_http() -> None:
    folder = FOLDER / "fronius_gen24_storage"
    device = Device({path: answer((folder / f"{name}.json").read_bytes()) for path, name in FRONIUS.items()})
    async with running(device):
        report = await read_once(Asked(f"http://127.0.0.1:{device.port}", "fronius_solar_api"))
    said = json.loads((folder / "inverter.json").read_bytes())["Body"]["Data"]
    assert report.values["ac_power_kw"] == pytest.approx(said["PAC"]["Value"] / 1000)
    assert {part.device_type for part in report.parts if part.values} == {
        DeviceType.INVERTER,
        DeviceType.BATTERY,
        DeviceType.METER,
    }


async def test_mqtt(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    await broker.start()
    publisher = MqttPublisher(BrokerAddress(broker="127.0.0.1", port=broker.port, client_id="device"))

    async def publish() -> None:
        async with publisher:
            while True:
                await publisher.publish("roof/irradiance", b'{"poa_wm2": 812.5, "module_temperature_c": 41}')
                await asyncio.sleep(0.2)

    task = asyncio.create_task(publish())
    try:
        report = await read_once(Asked(f"mqtt://127.0.0.1:{broker.port}/roof", "irradiance_json"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broker.kill()
    assert report.values == {"irradiance_wm2.poa": 812.5, "module_temperature_c": 41.0}


async def test_a_serial_line_is_scanned() -> None:
    async with deye_on_a_serial_port(2) as line:
        scanner = Scanner(ProfileLibrary(), timeout_s=0.1)
        (found,) = await scanner.serial(line.port, rates=(19200, 9600))
        assert {request[0] for request in line.slaves.heard} >= {1, 2, 3, 247}
    assert (found.unit, found.profile) == (2, "deye_1p_hybrid")
    assert found.url == f"rtu://{line.port}?baud=19200&parity=N"
    assert scanner.progress.done <= scanner.progress.of


async def test_a_device_that_is_found_is_read_by_the_url_that_the_scan_gave() -> None:
    async with deye_on_a_serial_port(3) as line:
        (found,) = await Scanner(ProfileLibrary(), timeout_s=0.1).serial(line.port, rates=(9600,), units=(3,))
        report = await read_once(Asked(found.url, found.profile or "", unit=found.unit))
    assert report.values["ac_power_kw"] == AC_POWER_KW


@pytest.mark.slow
async def test_an_unlikely_unit_is_found_by_asking_all() -> None:
    async with deye_on_a_serial_port(77) as line:
        (found,) = await Scanner(ProfileLibrary(), timeout_s=0.05).serial(line.port, rates=(9600,))
    assert found.unit == 77


async def test_a_port_that_is_not_there_is_named() -> None:
    with pytest.raises(DriverError, match="/dev/nosuch") as caught:
        await Scanner(ProfileLibrary()).serial("/dev/nosuch")
    assert exit_code_of(caught.value) in {1, 2}
