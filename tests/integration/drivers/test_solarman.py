"""A Solarman V5 logger over a socket: ours and another implementation's client, and everything a stick does wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from pysolarmanv5 import PySolarmanV5Async
from umodbus.client.serial.redundancy_check import get_crc

from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RefusedAddressError
from edge_agent.drivers.solarman import SolarmanBus
from edge_agent.profiles.model import RegisterFunction
from tests.solarman_logger import (
    SERIAL,
    Asked,
    Handler,
    Image,
    Logger,
    exception,
    handshake,
    heartbeat,
    registers,
    response,
    serve,
)

HOLDING, INPUT = RegisterFunction.HOLDING, RegisterFunction.INPUT
IMAGE = {address: 1000 + address for address in range(200)}


@asynccontextmanager
async def served(
    image: Image = IMAGE, *, handler: Handler | None = None, serial: int = SERIAL, timeout_s: float = 0.3
) -> AsyncIterator[tuple[SolarmanBus, Logger]]:
    async with serve(image, handler=handler) as logger:
        bus = SolarmanBus("127.0.0.1", logger.port, logger_serial=serial, timeout_s=timeout_s)
        try:
            yield bus, logger
        finally:
            await bus.close()


async def failure(bus: SolarmanBus, *, unit: int = 1, address: int = 0) -> DriverError:
    with pytest.raises(DriverError) as raised:
        await bus.read(unit, HOLDING, address=address, count=1)
    return raised.value


async def test_registers_come_through() -> None:
    async with served() as (bus, logger):
        assert await bus.read(1, HOLDING, address=0, count=125) == [1000 + address for address in range(125)]
        assert await bus.read(1, INPUT, address=199, count=1) == [1199]
        assert [(asked.function, asked.address, asked.count) for asked in logger.asked] == [(3, 0, 125), (4, 199, 1)]
        assert logger.connections == 1


async def test_the_logger_of_the_tests_satisfies_another_client() -> None:
    async with serve(IMAGE) as logger:
        other = PySolarmanV5Async("127.0.0.1", SERIAL, port=logger.port, socket_timeout=2)
        await other.connect()
        try:
            assert await other.read_holding_registers(10, 3) == [1010, 1011, 1012]
            assert await other.read_input_registers(199, 1) == [1199]
        finally:
            await other.disconnect()


async def test_both_clients_send_the_same_bytes() -> None:
    async with served() as (bus, logger):
        await bus.read(1, HOLDING, address=60, count=12)
        other = PySolarmanV5Async("127.0.0.1", SERIAL, port=logger.port, socket_timeout=2)
        other.sequence_number = ((logger.asked[0].sequence & 0xFF) - 1) & 0xFF
        await other.connect()
        try:
            await other.read_holding_registers(60, 12)
        finally:
            await other.disconnect()
        assert logger.asked[0].raw == logger.asked[1].raw


async def test_sequences_go_round() -> None:
    async with served() as (bus, logger):
        for _ in range(300):
            await bus.read(1, HOLDING, address=5, count=1)
        sequences = [asked.sequence for asked in logger.asked]
        assert max(sequences) < 256
        assert all((after - before) % 256 == 1 for before, after in pairwise(sequences))


async def test_reads_of_several_devices_take_turns() -> None:
    async with served() as (bus, logger):
        answers = await asyncio.gather(*(bus.read(1, HOLDING, address=address, count=1) for address in range(50)))
        assert answers == [[1000 + address] for address in range(50)]
        assert logger.connections == 1


async def test_an_absent_register_is_refused_and_the_connection_kept() -> None:
    async with served() as (bus, logger):
        with pytest.raises(RefusedAddressError, match=r"unit 1, holding 199\.\.200: .* no such register"):
            await bus.read(1, HOLDING, address=199, count=2)
        assert await bus.read(1, HOLDING, address=3, count=1) == [1003]
        assert logger.connections == 1


async def test_another_exception_is_told() -> None:
    async def busy(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(exception(1, 3, 6), sequence=asked.sequence))

    async with served(handler=busy) as (bus, _):
        error = await failure(bus)
        assert (error.kind, error.retry) == ("exception", True)
        assert "exception 6" in str(error)


async def test_an_inverter_that_is_silent_behind_its_logger() -> None:
    async with served() as (bus, logger):
        error = await failure(bus, unit=9)
        assert (error.kind, error.retry) == ("timeout", True)
        assert "unit id" in str(error)
        assert await bus.read(1, HOLDING, address=3, count=1) == [1003]
        assert logger.connections == 1


async def test_a_wrong_serial_is_named() -> None:
    async with served(serial=SERIAL + 1) as (bus, _):
        error = await failure(bus)
        assert (error.kind, error.retry) == ("identity", False)
        assert f"is logger {SERIAL}, not {SERIAL + 1}" in str(error)


async def test_a_logger_that_echoes_a_wrong_serial_with_its_refusal() -> None:
    async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"\x06\0", sequence=asked.sequence, serial=asked.serial))

    async with served(handler=echo, serial=77) as (bus, _):
        error = await failure(bus)
        assert (error.kind, error.retry) == ("identity", False)
        assert "printed on the stick" in str(error)


async def test_heartbeats_and_handshakes_come_in_between() -> None:
    async def chatty(asked: Asked, writer: asyncio.StreamWriter) -> None:
        answer = response(registers(1, 3, [4711]), sequence=asked.sequence)
        writer.write(heartbeat(asked.sequence) + handshake(0x0101) + answer + heartbeat(0x4455))

    async with served(handler=chatty) as (bus, logger):
        for _ in range(20):
            assert await bus.read(1, HOLDING, address=0, count=1) == [4711]
        assert (len(logger.asked), logger.connections) == (20, 1)


async def test_an_answer_in_crumbs() -> None:
    async def crumbs(asked: Asked, writer: asyncio.StreamWriter) -> None:
        for byte in response(registers(1, 3, [4711]), sequence=asked.sequence):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with served(handler=crumbs) as (bus, _):
        assert await bus.read(1, HOLDING, address=0, count=1) == [4711]


async def test_a_damaged_heartbeat_does_no_harm_and_a_damaged_answer_is_refused() -> None:
    answers: list[bytes] = []

    async def noisy(asked: Asked, writer: asyncio.StreamWriter) -> None:
        good = response(registers(1, 3, [4711]), sequence=asked.sequence)
        bad = good[:-3] + bytes([good[-3] ^ 1]) + good[-2:]
        beat = heartbeat(asked.sequence)
        answers.append(bad)
        writer.write(beat[:-2] + b"\x99" + beat[-1:] + (good if len(answers) % 2 else bad))

    async with served(handler=noisy) as (bus, logger):
        assert await bus.read(1, HOLDING, address=0, count=1) == [4711]
        error = await failure(bus)
        assert (error.kind, error.retry) == ("malformed", True)
        assert await bus.read(1, HOLDING, address=0, count=1) == [4711]
        assert logger.connections == 2


async def test_what_is_no_logger_is_told_apart() -> None:
    async def web(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with served(handler=web) as (bus, _):
        error = await failure(bus)
        assert error.kind == "malformed"
        assert "not the beginning of a Solarman V5 frame" in str(error)


async def test_an_answer_to_the_makers_cloud_is_not_taken() -> None:
    """The logger sends with our sequence what its own question was answered."""

    async def crossed(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(registers(1, 3, [1, 2, 3]), sequence=asked.sequence))

    async with served(handler=crossed) as (bus, _):
        error = await failure(bus)
        assert error.kind == "malformed"
        assert "another master" in str(error)


async def test_a_late_answer_is_never_taken_for_a_later_request() -> None:
    """Every third answer comes after its time-out, together with the next request's."""
    late: list[bytes] = []

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        answer = response(registers(1, 3, [2000 + asked.address]), sequence=asked.sequence)
        if len(logger.asked) % 3 == 0:
            late.append(answer)
            return
        writer.write(b"".join(late) + answer)
        late.clear()

    async with served(handler=slow, timeout_s=0.1) as (bus, logger):
        outcomes: list[int | str] = []
        for address in range(45):
            try:
                outcomes += await bus.read(1, HOLDING, address=address, count=1)
            except DriverError as error:
                outcomes.append(error.kind)
        wanted = ["timeout" if address % 3 == 2 else 2000 + address for address in range(45)]
        assert outcomes == wanted


async def test_a_reader_that_gives_up_leaves_nothing_behind() -> None:
    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(logger.asked) == 1:
            await asyncio.sleep(0.05)
        writer.write(response(registers(1, 3, [asked.address]), sequence=asked.sequence))

    async with served(handler=slow, timeout_s=5.0) as (bus, logger):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await bus.read(1, HOLDING, address=7, count=1)
        assert await bus.read(1, HOLDING, address=8, count=1) == [8]
        assert logger.connections == 2


async def test_a_connection_that_the_logger_closed_meanwhile_is_opened_again() -> None:
    async def once(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(logger.asked) != 2:  # the second request falls into the closing of an idle connection
            writer.write(response(registers(1, 3, [asked.address]), sequence=asked.sequence))
            return
        writer.close()

    async with served(handler=once) as (bus, logger):
        assert await bus.read(1, HOLDING, address=7, count=1) == [7]
        assert await bus.read(1, HOLDING, address=8, count=1) == [8]
        assert (len(logger.asked), logger.connections) == (3, 2)


async def test_a_logger_that_always_hangs_up() -> None:
    async def hang_up(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with served(handler=hang_up) as (bus, logger):
        error = await failure(bus)
        assert (error.kind, error.retry) == ("refused", True)
        assert "closed the connection before an answer" in str(error)
        assert len(logger.asked) == 1


async def test_a_logger_that_hangs_up_within_an_answer() -> None:
    async def cut(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(registers(1, 3, [1]), sequence=asked.sequence)[:18])
        await writer.drain()
        writer.close()

    async with served(handler=cut) as (bus, _):
        error = await failure(bus)
        assert (error.kind, error.retry) == ("refused", True)
        assert "within an answer" in str(error)


async def test_a_logger_that_is_not_there() -> None:
    async with serve(IMAGE) as logger:
        port = logger.port
    bus = SolarmanBus("127.0.0.1", port, logger_serial=SERIAL, timeout_s=0.5)
    error = await failure(bus)
    assert (error.kind, error.retry) == ("refused", True)
    assert f"127.0.0.1:{port} logger {SERIAL} takes no connection" in str(error)


async def test_an_address_that_cannot_be_one() -> None:
    error = await failure(SolarmanBus("a" * 70, logger_serial=SERIAL))
    assert (error.kind, error.retry) == ("config", False)


async def test_the_slower_wish_of_two_devices_holds() -> None:
    async with served() as (bus, _):
        bus.widen(timeout_s=2.0, request_gap_s=0.03)
        bus.widen(timeout_s=1.0, request_gap_s=0.01)
        assert (bus.timeout_s, bus.request_gap_s) == (2.0, 0.03)
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await bus.read(1, HOLDING, address=0, count=1)
        assert asyncio.get_running_loop().time() - began >= 0.06


# --- writing --------------------------------------------------------------------------------------------------------------------------


async def test_a_write_is_confirmed() -> None:
    async def confirm(asked: Asked, writer: asyncio.StreamWriter) -> None:
        body = asked.rtu[:6]
        writer.write(response(body + bytes(get_crc(body)), sequence=asked.sequence))

    async with served(handler=confirm) as (bus, logger):
        await bus.write(1, address=245, words=[50], function_code=6)
        await bus.write(1, address=60, words=[1, 2], function_code=16)
        assert [asked.rtu[:-2].hex() for asked in logger.asked] == ["010600f50032", "0110003c00020400010002"]


async def test_a_write_is_refused_or_answered_with_something_else() -> None:
    answers = [exception(1, 6, 3), registers(1, 3, [50])]

    async def other(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(answers.pop(0), sequence=asked.sequence))

    async with served(handler=other) as (bus, _):
        with pytest.raises(DriverError, match="exception 3") as refused:
            await bus.write(1, address=245, words=[50], function_code=6)
        assert refused.value.kind == "exception"
        with pytest.raises(DriverError, match="another master") as crossed:
            await bus.write(1, address=245, words=[50], function_code=6)
        assert crossed.value.kind == "malformed"


async def test_a_write_is_never_sent_twice() -> None:
    async def hang_up_on_writes(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.function == 6:
            writer.close()
        else:
            writer.write(response(registers(1, 3, [1]), sequence=asked.sequence))

    async with served(handler=hang_up_on_writes) as (bus, logger):
        await bus.read(1, HOLDING, address=0, count=1)
        with pytest.raises(DriverError, match="closed the connection before an answer") as raised:
            await bus.write(1, address=245, words=[50], function_code=6)
        assert raised.value.kind == "refused"
        assert [asked.function for asked in logger.asked] == [3, 6]
