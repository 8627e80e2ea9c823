"""A server written in another language by somebody else (jsmodbus on Node.js) is read, and written, as ours are."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.modbus import ModbusBus
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, ProtocolType
from shared.wire import PlanDevice
from tests.captures import FOLDER
from tests.modbus_server import serve

FOLDER_OF_NODE = Path(__file__).parents[2] / "node"
KACO = FOLDER / "kaco_blueplanet_86tl3_producing.dump.json"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    node = shutil.which("node")
    if node is None or not (FOLDER_OF_NODE / "node_modules" / "jsmodbus").is_dir():
        pytest.fail("node or jsmodbus is missing; `make test` installs both")
    process = await asyncio.create_subprocess_exec(
        node, FOLDER_OF_NODE / "server.js", KACO, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        said = await process.stdout.readline()
    yield int(said)
    process.kill()
    await process.communicate()


async def reading(port: int) -> dict[str, object]:
    factory = DriverFactory(clock=SystemClock())
    device = PlanDevice(
        id=UUID(int=1),
        name="roof",
        device_type=DeviceType.INVERTER,
        protocol=ProtocolType.MODBUS_TCP,
        profile="sunspec",
        connection={"host": "127.0.0.1", "port": port, "slave_id": 1},
    )
    answer = await factory.build(device).read()
    await factory.close()
    return dict(answer.values)


async def test_a_recording_reads_the_same_from_both_servers(port: int) -> None:
    dump = json.loads(KACO.read_text())
    async with serve({int(address): word for address, word in dump["holding"].items()}) as of_ours:
        ours = await reading(of_ours)
    assert ours["ac_power_kw"] == 1.0
    assert await reading(port) == ours


async def test_many_reads_at_once_and_writes_of_both_kinds(port: int) -> None:
    bus = ModbusBus("127.0.0.1", port)
    await bus.write(1, address=50_000, words=[0xBEEF], function_code=6)
    await bus.write(1, address=50_001, words=list(range(100)), function_code=16)
    expected = [0xBEEF, *range(100)]
    asked = [
        bus.read(1, RegisterFunction.HOLDING, address=50_000 + first, count=count)
        for first in range(0, 90, 3)
        for count in (1, 2, 11)
    ]
    answers = await asyncio.gather(*asked)
    wanted = [expected[first : first + count] for first in range(0, 90, 3) for count in (1, 2, 11)]
    assert answers == wanted
    assert bus.counts.requests == len(asked) + 2
    await bus.close()
