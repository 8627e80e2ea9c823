"""Serial adapters that come and go, gateways, dead units on a slow line, and servers that others wrote."""

import asyncio
import os
import threading
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
import serial
from modbus_tk import defines, modbus_tcp
from modbus_tk.modbus_rtu import RtuServer
from pyModbusTCP.server import DataBank, ModbusServer

from edge_agent.clock import SystemClock
from edge_agent.drivers import modbus_rtu
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.modbus import LineBus, ModbusBus, SerialBus, SerialSettings
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, ProtocolType
from shared.wire import PlanDevice
from tests.modbus_server import answer, serve_raw
from tests.rtu_wire import Slaves, answer_to, wire, words

HOLDING = RegisterFunction.HOLDING
BYTE_9600_S = 10 / 9600
OLD_NAMES = pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")  # modbus-tk's own


@asynccontextmanager
async def gateway(slaves: Slaves) -> AsyncIterator[int]:
    """A serial server that passes bytes on as they are: to whoever is connected now."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        slaves.write = writer.write
        try:
            while data := await reader.read(512):
                slaves.hear(data)
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    task = asyncio.create_task(slaves.run())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
        await server.wait_closed()


async def trouble(reading: Awaitable[list[int]]) -> DriverError:
    with pytest.raises(DriverError) as caught:
        await reading
    return caught.value


async def test_an_adapter_that_is_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    name = tmp_path / "usb-adapter"
    bus = SerialBus(SerialSettings(str(name)), timeout_s=5.0)
    missing = await trouble(bus.read(1, HOLDING, address=0, count=2))
    assert (missing.kind, missing.retry) == ("refused", True)
    assert "is the adapter plugged in?" in str(missing)
    for _ in range(2):
        async with wire(Slaves({1})) as line:
            name.symlink_to(line.port)
            assert await bus.read(1, HOLDING, address=4, count=2) == words(1, 4, 2)
        name.unlink()
        await asyncio.sleep(0.02)
        gone = await trouble(bus.read(1, HOLDING, address=4, count=2))
        assert gone.kind == "refused"
    assert bus.counts.opened == 2
    await bus.close()


async def test_an_adapter_pulled_out_while_an_answer_is_waited_for(tmp_path: Path) -> None:
    name = tmp_path / "usb-adapter"
    async with wire(Slaves(set())) as line:
        name.symlink_to(line.port)
        bus = SerialBus(SerialSettings(str(name)), timeout_s=30.0)
        reading = asyncio.create_task(trouble(bus.read(1, HOLDING, address=4, count=2)))
        await asyncio.sleep(0.05)
        name.unlink()
    async with asyncio.timeout(5):
        assert (await reading).kind == "refused"


async def test_a_port_is_held_by_one_program(tmp_path: Path) -> None:
    async with wire(Slaves({1})) as line:
        first, second = (SerialBus(SerialSettings(line.port), timeout_s=5.0) for _ in range(2))
        assert await first.read(1, HOLDING, address=4, count=2) == words(1, 4, 2)
        assert "another program may hold it" in str(await trouble(second.read(1, HOLDING, address=4, count=2)))
        await first.close()
        assert await second.read(1, HOLDING, address=4, count=2) == words(1, 4, 2)
        await second.close()


async def test_an_adapter_that_echoes() -> None:
    slaves = Slaves({1}, delay_s=lambda _: 0.01)
    async with wire(slaves) as line:
        hear = slaves.hear

        def echo(data: bytes) -> None:
            line.say(data)
            hear(data)

        slaves.hear = echo  # type: ignore[method-assign]
        bus = SerialBus(SerialSettings(line.port, 115_200), timeout_s=5.0)
        for address in range(20):
            assert await bus.read(1, HOLDING, address=address, count=3) == words(1, address, 3)
        assert bus.counts.foreign == 0
        await bus.close()


async def test_a_read_that_is_given_up_leaves_nothing_behind() -> None:
    async with wire(Slaves({1}, delay_s=lambda n: 0.2 if n == 1 else 0.0)) as line:
        bus = SerialBus(SerialSettings(line.port, 115_200), timeout_s=5.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await bus.read(1, HOLDING, address=100, count=2)
        assert await bus.read(1, HOLDING, address=200, count=2) == words(1, 200, 2)
        assert bus.counts.late == 1
        await bus.close()


async def count_stalls(seen: list[float]) -> None:
    """Note how long this machine stood still, each time it did for so long that an answer may have been given up."""
    loop = asyncio.get_running_loop()
    while True:
        fell_asleep = loop.time()
        await asyncio.sleep(0.02)
        if (late_s := loop.time() - fell_asleep - 0.02) > 0.1:
            seen.append(round(late_s, 2))


async def test_three_living_units_and_a_dead_one_at_9600_baud() -> None:
    """Each living unit is heard at every turn, and in its turn; the dead one takes little of the line."""
    interval_s, rounds = 0.6, 16
    slaves = Slaves({1, 2, 3}, delay_s=lambda _: 0.01, byte_time_s=BYTE_9600_S)
    async with wire(slaves) as line:
        bus = SerialBus(SerialSettings(line.port), timeout_s=0.3)
        answered = dict.fromkeys((1, 2, 3, 4), 0)
        epoch = asyncio.get_running_loop().time()

        async def poll(unit: int) -> None:
            loop = asyncio.get_running_loop()
            for turn in range(rounds):
                await asyncio.sleep(max(0.0, epoch + turn * interval_s - loop.time()))
                try:
                    given = await bus.read(unit, HOLDING, address=turn * 20, count=20)
                except DriverError:
                    continue
                assert given == words(unit, turn * 20, 20)
                answered[unit] += 1

        stalls: list[float] = []
        watch = asyncio.create_task(count_stalls(stalls))
        await asyncio.gather(*(poll(unit) for unit in answered))
        watch.cancel()
        lost = 3 * rounds - sum(answered[unit] for unit in (1, 2, 3))
        assert lost <= len(stalls), f"each of {stalls} costs one at most"
        assert answered[4] == 0
        assert bus.counts.spared >= rounds / 2, "the dead unit is left alone most of the time"
        assert sum(request[0] == 4 for request in slaves.heard) <= 5, "1.5 of 9.6 s; the living ones need 4"
        turns = {1: 0, 2: 0, 3: 0}
        for request in slaves.heard:
            if request[0] in turns:
                turns[request[0]] = int.from_bytes(request[2:4]) // 20
                ahead = max(turns.values()) - min(turns.values())
                assert ahead <= 1 + len(stalls), "none is made to wait for the others"
        await bus.close()


async def test_a_unit_that_comes_back_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    speed = 100.0  # of the clock by which silent units are left alone
    monkeypatch.setattr(modbus_rtu, "OWED_S", 30 / speed)
    slaves = Slaves({1})
    async with wire(slaves) as line:
        bus = SerialBus(SerialSettings(line.port, 115_200), timeout_s=0.02, clock=lambda: time.monotonic() * speed)
        for _ in range(400):
            await trouble(bus.read(2, HOLDING, address=1, count=1))
            await asyncio.sleep(0.005)
        slaves.units.add(2)
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await bus.read(2, HOLDING, address=1, count=1) == words(2, 1, 1)
                    break
                except DriverError:
                    await asyncio.sleep(0.005)
        await bus.close()


async def test_rtu_over_tcp_through_a_gateway_that_keeps_late_bytes() -> None:
    late = lambda n: 0.12 if n % 5 == 0 else 0.0  # noqa: E731
    async with gateway(Slaves({1}, delay_s=late)) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=0.03, framer="rtu")
        good = 0
        for address in range(200):
            try:
                assert await bus.read(1, HOLDING, address=address, count=2) == words(1, address, 2)
                good += 1
            except DriverError:
                await asyncio.sleep(0.02)
            if address % 20 == 19:
                await bus.close()
        assert good >= 150
        await bus.close()


async def test_a_gateway_without_transaction_ids_that_keeps_late_answers() -> None:
    """It gives what comes from the serial side to whoever is connected, under a number of its own."""
    asked = 0
    newest: list[asyncio.StreamWriter] = []
    pending: set[asyncio.Task[None]] = set()
    turn = asyncio.Lock()

    async def reply(request: bytes, number: int) -> None:
        async with turn:
            await asyncio.sleep(0.1 if number % 7 == 3 else 0.0)
            address, count = int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")
            newest[-1].write(answer(request, words(1, address, count), tid=(0x7000 + number).to_bytes(2, "big")))

    async def take(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        newest[:] = [writer]
        task = asyncio.create_task(reply(request, asked))
        pending.add(task)
        task.add_done_callback(pending.discard)

    async with serve_raw(take) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=0.03)
        bus.widen(timeout_s=0.03, request_gap_s=0.0, has_transactions=False)
        good = 0
        for address in range(150):
            try:
                assert await bus.read(1, HOLDING, address=address, count=2) == words(1, address, 2)
                good += 1
            except DriverError:
                await asyncio.sleep(0.02)
        assert good >= 75
        await bus.close()


async def test_a_network_that_stumbles_is_given_more_time() -> None:
    """With transaction ids the connection is kept, and the late answer teaches what to wait for."""
    asked = 0

    async def stumble(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.12 if asked == 3 or asked >= 6 else 0.0)
        writer.write(answer(request, words(1, int.from_bytes(request[8:10], "big"), 2)))

    async with serve_raw(stumble) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=0.08)
        outcomes = []
        for address in range(12):
            try:
                assert await bus.read(1, HOLDING, address=address, count=2) == words(1, address, 2)
                outcomes.append("good")
            except DriverError as error:
                outcomes.append(error.kind)
                await asyncio.sleep(0.1)
        assert outcomes == ["good", "good", "timeout", *["good"] * 9]
        assert (bus.counts.late, bus.counts.opened) == (1, 1)
        await bus.close()


async def test_one_connection_is_waited_for_after_it_was_closed() -> None:
    times: list[float] = []

    async def silent(request: bytes, writer: asyncio.StreamWriter) -> None:
        times.append(time.monotonic())
        if len(times) == 2:
            writer.write(answer(request, [1, 2]))

    async with serve_raw(silent) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=0.05)
        bus.widen(timeout_s=0.05, request_gap_s=0, is_single_client=True)
        await trouble(bus.read(1, HOLDING, address=0, count=2))
        assert await bus.read(1, HOLDING, address=0, count=2) == [1, 2]
        assert times[1] - times[0] >= 1.0
        await bus.close()


async def test_all_who_wait_for_a_line_that_cannot_be_opened_learn_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = SerialBus(SerialSettings("/dev/nothing-here"), timeout_s=5.0)
    opened = 0

    async def slowly(*, timeout_s: float) -> None:
        nonlocal opened
        opened += 1
        await asyncio.sleep(0.05)
        raise DriverError("no such line", retry=True, kind="refused")

    monkeypatch.setattr(vars(bus)["_line"], "open", slowly)
    given = await asyncio.gather(
        *(bus.read(unit, HOLDING, address=0, count=1) for unit in range(1, 21)), return_exceptions=True
    )
    assert {getattr(each, "kind", None) for each in given} == {"refused"}
    assert opened == 1


@contextmanager
def filled_by_modbus_tk(server: RtuServer | modbus_tcp.TcpServer) -> Iterator[None]:
    slave = server.add_slave(1)
    slave.add_block("holding", defines.HOLDING_REGISTERS, 0, 300)
    slave.set_values("holding", 0, words(1, 0, 300))
    server.start()
    try:
        yield
    finally:
        server.stop()


async def check(bus: LineBus) -> None:
    for address in range(0, 200, 7):
        assert await bus.read(1, HOLDING, address=address, count=1 + address % 90) == words(
            1, address, 1 + address % 90
        )
    with pytest.raises(DriverError, match="exception 2"):
        await bus.read(1, HOLDING, address=5000, count=2)
    await bus.write(1, address=9, words=[4711], function_code=6)
    await bus.write(1, address=10, words=[1, 2, 3], function_code=16)
    assert await bus.read(1, HOLDING, address=9, count=4) == [4711, 1, 2, 3]
    await bus.close()


@OLD_NAMES
async def test_the_tcp_server_of_modbus_tk() -> None:
    server = modbus_tcp.TcpServer(port=0, address="127.0.0.1")
    with filled_by_modbus_tk(server):
        port = await asyncio.to_thread(_port_of, server)
        await check(ModbusBus("127.0.0.1", port, timeout_s=5.0))


def _port_of(server: modbus_tcp.TcpServer) -> int:
    for _ in range(500):
        sock = vars(server).get("_sock")
        if sock is not None and sock.getsockname()[1]:
            return int(sock.getsockname()[1])
        threading.Event().wait(0.01)
    raise AssertionError("the server did not start")


async def test_the_server_of_pymodbustcp() -> None:
    bank = DataBank(h_regs_size=300)
    bank.set_holding_registers(0, words(1, 0, 300))
    server = ModbusServer("127.0.0.1", 0, no_block=True, data_bank=bank)
    server.start()
    try:
        port = vars(server)["_service"].server_address[1]
        await check(ModbusBus("127.0.0.1", port, timeout_s=5.0))
    finally:
        server.stop()


@OLD_NAMES
async def test_the_serial_server_of_modbus_tk() -> None:
    loop, (far, near) = asyncio.get_running_loop(), os.openpty()
    tty.setraw(near)
    async with wire(Slaves(set())) as line:
        loop.add_reader(line.far, lambda: os.write(far, os.read(line.far, 512)))
        loop.add_reader(far, lambda: os.write(line.far, os.read(far, 512)))
        with filled_by_modbus_tk(RtuServer(serial.Serial(os.ttyname(near), 115_200))):
            await check(SerialBus(SerialSettings(line.port, 115_200), timeout_s=5.0))
        loop.remove_reader(far)
    os.close(far)
    os.close(near)


async def test_a_plan_with_a_serial_line() -> None:
    slaves = Slaves({1}, delay_s=lambda _: 0.02)
    async with wire(slaves) as line:
        device = PlanDevice(
            id=UUID(int=1),
            name="inverter",
            device_type=DeviceType.INVERTER,
            protocol=ProtocolType.MODBUS_RTU,
            profile="deye_1p_hybrid",
            connection={"serial_port": line.port, "baud_rate": 115_200, "parity": "N", "stop_bits": 1, "slave_id": 1},
        )
        factory = DriverFactory(clock=SystemClock())
        driver = factory.build(device)
        with pytest.raises(DriverError):
            await driver.read()  # its registers hold what no Deye holds
        figures = factory.statistics()[line.port]
        assert figures["answers"] >= 1
        assert figures["slowest_latency_s"] > 0
        await driver.close()
        await factory.close()
    assert answer_to(slaves.heard[0])[:2] == b"\1\3"
