"""The Modbus TCP bus against real sockets: whole answers, or an error with its reason; never a wrong number."""

import asyncio
import socket
from itertools import pairwise
from uuid import UUID

import pytest

from edge_agent.clock import SystemClock
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.factory import DriverFactory
from edge_agent.drivers.modbus import ModbusBus, RefusedAddressError
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType, ProtocolType
from shared.wire import PlanDevice
from tests.modbus_server import answer, exception, serve, serve_raw

HOLDING, INPUT = RegisterFunction.HOLDING, RegisterFunction.INPUT
FAST = {"timeout_s": 0.3}  # where silence is expected
PATIENT = {"timeout_s": 10.0}  # where an answer is: a busy machine is not a silent device


async def read(bus: ModbusBus, *, address: int = 0, count: int = 2, unit: int = 1) -> list[int]:
    return await bus.read(unit, HOLDING, address=address, count=count)


async def trouble(bus: ModbusBus, *, count: int = 2) -> DriverError:
    with pytest.raises(DriverError) as caught:
        await read(bus, count=count)
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_both_tables() -> None:
    async with serve({0: 1, 1: 2}, registers_in={0: 3, 1: 4}) as port:
        bus = ModbusBus("127.0.0.1", port)
        assert await read(bus) == [1, 2]
        assert await bus.read(1, INPUT, address=0, count=2) == [3, 4]
        await bus.close()
        await bus.close()


async def test_the_longest_read() -> None:
    async with serve(dict.fromkeys(range(125), 7)) as port:
        bus = ModbusBus("127.0.0.1", port)
        assert await read(bus, count=125) == [7] * 125
        await bus.close()


async def test_a_missing_register_is_told_apart() -> None:
    async with serve({0: 1}) as port:
        bus = ModbusBus("127.0.0.1", port)
        with pytest.raises(RefusedAddressError, match=r"unit 1, holding 0..1: .* exception 2") as caught:
            await read(bus)
        assert not caught.value.retry
        assert await read(bus, count=1) == [1]
        await bus.close()


@pytest.mark.parametrize(
    ("code", "words"), [(4, "failed"), (6, "busy"), (11, "no answer from the unit"), (77, "maker")]
)
async def test_other_exceptions_may_pass(code: int, words: str) -> None:
    async def refuse(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(exception(request, code))

    async with serve_raw(refuse) as port:
        bus = ModbusBus("127.0.0.1", port, **PATIENT)
        error = await trouble(bus)
        assert (error.kind, error.retry) == ("exception", True)
        assert f"exception {code}" in str(error)
        assert words in str(error)
        await bus.close()


async def test_nobody_listens() -> None:
    error = await trouble(ModbusBus("127.0.0.1", free_port(), **PATIENT))
    assert (error.kind, error.retry) == ("refused", True)
    assert "takes no connection" in str(error)


async def test_silence_is_a_time_out_and_the_next_read_connects_anew() -> None:
    frames: list[asyncio.StreamWriter] = []

    async def silent_once(request: bytes, writer: asyncio.StreamWriter) -> None:
        frames.append(writer)
        if len(frames) > 1:
            writer.write(answer(request, [5, 6]))

    async with serve_raw(silent_once) as port:
        bus = ModbusBus("127.0.0.1", port, **FAST)
        error = await trouble(bus)
        assert (error.kind, error.retry) == ("timeout", True)
        bus.timeout_s = PATIENT["timeout_s"]
        assert await read(bus) == [5, 6]
        assert len(frames) == 2, "nothing is asked twice behind the caller's back"
        assert frames[0] is not frames[1], "a connection with a lost answer is not used again"
        await bus.close()


async def test_a_late_answer_is_never_the_answer_to_a_later_request() -> None:
    """A device that answers each third request after the caller has given up: no value, or the right one."""

    async def late(request: bytes, writer: asyncio.StreamWriter) -> None:
        first = int.from_bytes(request[8:10], "big")
        await asyncio.sleep(0.15 if first % 3 == 0 else 0.0)
        # A gateway that does not echo the transaction id: nothing but the connection tells answers apart.
        writer.write(answer(request, [first, first + 1], tid=b"\0\0"))

    async with serve_raw(late) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=0.1)
        answers = await asyncio.gather(*(read(bus, address=address) for address in range(24)), return_exceptions=True)
        lost = [address for address, given in enumerate(answers) if isinstance(given, DriverError)]
        assert set(range(0, 24, 3)) <= set(lost)
        assert len(lost) < 24
        for address, given in enumerate(answers):
            assert address in lost or given == [address, address + 1]
        await bus.close()


async def test_a_caller_who_gave_up_leaves_no_answer_behind() -> None:
    async def slow(request: bytes, writer: asyncio.StreamWriter) -> None:
        first = int.from_bytes(request[8:10], "big")
        await asyncio.sleep(0.5 if first == 0 else 0)
        writer.write(answer(request, [first, first], tid=b"\0\0"))

    async with serve_raw(slow) as port:
        bus = ModbusBus("127.0.0.1", port, **PATIENT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await read(bus)
        assert await read(bus, address=9) == [9, 9]
        await bus.close()


@pytest.mark.parametrize("registers", [[], [1], [1, 2, 3]])
async def test_an_answer_of_another_length_is_no_answer(registers: list[int]) -> None:
    async def wrong(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request, registers))

    async with serve_raw(wrong) as port:
        bus = ModbusBus("127.0.0.1", port, **PATIENT)
        error = await trouble(bus)
        assert (error.kind, error.retry) == ("malformed", True)
        await bus.close()


async def test_an_answer_of_another_function_is_no_answer() -> None:
    async def other(request: bytes, writer: asyncio.StreamWriter) -> None:
        frame = bytearray(answer(request, [1, 2]))
        frame[7] = 4
        writer.write(bytes(frame))

    async with serve_raw(other) as port:
        bus = ModbusBus("127.0.0.1", port, **PATIENT)
        assert (await trouble(bus)).kind == "malformed"
        await bus.close()


async def test_a_byte_count_that_lies_is_no_answer() -> None:
    async def lying(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request, [1], count=2))

    async with serve_raw(lying) as port:
        bus = ModbusBus("127.0.0.1", port, **PATIENT)
        assert (await trouble(bus)).retry
        await bus.close()


async def test_another_unit_is_not_listened_to() -> None:
    async def other_unit(request: bytes, writer: asyncio.StreamWriter) -> None:
        frame = bytearray(answer(request, [1, 2]))
        frame[6] = 9
        writer.write(bytes(frame))

    async with serve_raw(other_unit) as port:
        bus = ModbusBus("127.0.0.1", port, **FAST)
        assert (await trouble(bus)).kind == "timeout"
        await bus.close()


async def test_half_an_answer_is_a_time_out() -> None:
    async def half(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request, [1, 2])[:-2])

    async with serve_raw(half) as port:
        bus = ModbusBus("127.0.0.1", port, **FAST)
        assert (await trouble(bus)).kind == "timeout"
        await bus.close()


async def test_a_hang_up_is_seen_at_once() -> None:
    async def hang_up(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serve_raw(hang_up) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=30)
        async with asyncio.timeout(5):
            error = await trouble(bus)
        assert (error.kind, error.retry) == ("refused", True)
        assert "one client only" in str(error)
        await bus.close()


async def test_a_half_closed_socket_is_seen_at_once() -> None:
    async def half_close(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()

    async with serve_raw(half_close) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=30)
        async with asyncio.timeout(5):
            assert (await trouble(bus)).kind == "refused"
        await bus.close()


async def test_a_connection_lost_between_two_reads_is_renewed() -> None:
    async def answer_and_leave(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request, [1, 2]))
        await writer.drain()
        writer.close()

    async with serve_raw(answer_and_leave) as port:
        bus = ModbusBus("127.0.0.1", port, **PATIENT)
        assert await read(bus) == [1, 2]
        await asyncio.sleep(0.05)
        assert await read(bus) == [1, 2]
        await bus.close()


async def test_a_device_comes_back() -> None:
    port = free_port()
    bus = ModbusBus("127.0.0.1", port, **PATIENT)
    assert (await trouble(bus)).kind == "refused"
    async with serve({0: 1, 1: 2}, port=port):
        assert await read(bus) == [1, 2]
        await bus.close()


async def test_one_request_at_a_time_with_gaps_between() -> None:
    times: list[float] = []
    busy = False

    async def careful(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal busy
        assert not busy, "two requests at once"
        busy = True
        times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        busy = False
        writer.write(answer(request, [1, 2]))

    async with serve_raw(careful) as port:
        bus = ModbusBus("127.0.0.1", port, timeout_s=2, request_gap_s=0.03)
        answers = await asyncio.gather(*(read(bus) for _ in range(4)))
        assert answers == [[1, 2]] * 4
        assert all(later - earlier >= 0.04 for earlier, later in pairwise(times))
        await bus.close()


def test_the_slower_wish_holds_for_a_shared_endpoint() -> None:
    bus = ModbusBus("host", timeout_s=1, request_gap_s=0.5)
    bus.widen(timeout_s=3, request_gap_s=0.1)
    assert (bus.timeout_s, bus.request_gap_s) == (3, 0.5)


async def test_a_host_that_can_be_no_name_is_said() -> None:
    with pytest.raises(DriverError, match="cannot be the name of a machine") as caught:
        await read(ModbusBus("a" * 70))
    assert (caught.value.kind, caught.value.retry) == ("config", False)


@pytest.mark.parametrize("profile", ["sunspec", "deye_1p_hybrid"])
async def test_a_device_that_is_given_up_lets_go_of_its_connection(profile: str) -> None:
    gone = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(260):
            writer.write(answer(request, [1] * int.from_bytes(request[10:12], "big")))
        gone.set()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    device = PlanDevice(
        id=UUID(int=1),
        name="inverter",
        device_type=DeviceType.INVERTER,
        protocol=ProtocolType.MODBUS_TCP,
        profile=profile,
        connection={"host": "127.0.0.1", "port": port, "slave_id": 1},
    )
    driver = DriverFactory(clock=SystemClock()).build(device)
    with pytest.raises(DriverError):
        await driver.read()
    await driver.close()
    async with asyncio.timeout(5):
        await gone.wait()
    server.close()
    await server.wait_closed()
