"""A PI30 inverter behind a pseudo-terminal and behind a TCP bridge: what is read, and that no answer is taken for another's."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.line import TcpLine
from edge_agent.drivers.serial_line import SerialLine, SerialSettings
from edge_agent.drivers.voltronic import COUNTER_PERIOD_S, SLOW_PERIOD_S, TRIES, UNKNOWN_PERIOD_S, VoltronicDriver
from edge_agent.drivers.voltronic_line import NakError, VoltronicLine
from edge_agent.drivers.voltronic_table import (
    LOAD_ENERGY,
    MODE,
    PV_ENERGY,
    SERIAL_NUMBER,
    STATUS,
    STATUS_2,
    WARNINGS,
    Query,
)
from shared.enums import DeviceType, Quality
from tests.unit.drivers.conftest import HandClock
from tests.voltronic_inverter import ANSWERS, MAX_STATUS, OLD_STATUS, Inverter, Reply, crc, framed, on_pty, on_tcp

INVERTER, BATTERY = DeviceType.INVERTER, DeviceType.BATTERY
QUICK_S = 0.15
MAX_INVERTER = {
    "ac_voltage_v.l1": 227.2,
    "grid_frequency_hz": 50.0,
    "load_power_kw": 0.751,
    "inverter_temperature_c.heatsink": 54.0,
    "dc_current_a.pv1": 2.7,
    "dc_voltage_v.pv1": 323.6,
    "dc_power_kw.pv1": 0.879,
    "dc_current_a.pv2": 3.1,
    "dc_voltage_v.pv2": 327.3,
    "dc_power_kw.pv2": 1.026,
    "dc_power_kw": 1.905,
    "operating_state": "producing",
    "fault_codes": "voltronic_pi30:line_fail_warning voltronic_pi30:overload",
    "energy_total_kwh": 238.8,
    "load_energy_total_kwh": 191.5,
    "rated_power_kw": 8.0,
}


@asynccontextmanager
async def a_line(inverter: Inverter, *, timeout_s: float = 2.0) -> AsyncIterator[VoltronicLine]:
    async with on_pty(inverter) as path:
        line = VoltronicLine(SerialLine(SerialSettings(path, 2400)), timeout_s=timeout_s)
        try:
            yield line
        finally:
            await line.close()


async def failure(line: VoltronicLine, query: Query = STATUS) -> DriverError:
    with pytest.raises(DriverError) as raised:
        await line.ask(query, taker=object())
    return raised.value


def base_model() -> Inverter:
    """Old firmware: 17 fields, one tracker, no energy."""
    answers = {**ANSWERS, "QPIGS": OLD_STATUS}
    for command in ("QPIGS2", "QET", "QLT"):
        del answers[command]
    return Inverter(answers)


# --- what is read ---------------------------------------------------------------------------------------------------------------------


async def test_an_inverter_on_a_serial_port() -> None:
    inverter = Inverter()
    async with a_line(inverter) as line:
        answer = await VoltronicDriver(line, device_type=INVERTER, clock=HandClock()).read()
    assert answer == DeviceAnswer(MAX_INVERTER)
    assert inverter.heard == ["QPI", "QPIGS", "QMOD", "QPIWS", "QPIGS2", "QET", "QLT", "QPIRI"]


async def test_an_inverter_behind_a_tcp_bridge() -> None:
    async with on_tcp(Inverter()) as port:
        driver = VoltronicDriver(VoltronicLine(TcpLine("127.0.0.1", port)), device_type=INVERTER, clock=HandClock())
        assert await driver.read() == DeviceAnswer(MAX_INVERTER)
        await driver.close()
        assert (await driver.read()).values["load_power_kw"] == 0.751
        await driver.close()


async def test_a_battery() -> None:
    inverter = Inverter()
    async with a_line(inverter) as line:
        answer = await VoltronicDriver(line, device_type=BATTERY, clock=HandClock()).read()
    assert answer.values == {
        "battery_voltage_v": 54.5,
        "battery_soc_percent": 83.0,
        "battery_current_a": -20.0,
        "battery_power_kw": -1.09,
    }
    assert answer.quality == Quality.DERIVED
    assert inverter.heard == ["QPI", "QPIGS"]


async def test_inverter_and_battery_share_one_answer_and_nobody_gets_it_twice() -> None:
    inverter = Inverter()
    async with a_line(inverter) as line:
        battery = VoltronicDriver(line, device_type=BATTERY, clock=HandClock())
        whole = VoltronicDriver(line, device_type=INVERTER, clock=HandClock())
        await asyncio.gather(battery.read(), whole.read())
        assert inverter.heard.count("QPIGS") == 1
        await battery.read()
        assert inverter.heard.count("QPIGS") == 2


async def test_counters_and_ratings_are_asked_when_they_are_due() -> None:
    inverter, clock = Inverter(), HandClock()
    async with a_line(inverter) as line:
        driver = VoltronicDriver(line, device_type=INVERTER, clock=clock)
        await driver.read()
        clock.elapsed += COUNTER_PERIOD_S - 1
        assert "energy_total_kwh" not in (await driver.read()).values
        clock.elapsed += 1
        assert (await driver.read()).values["energy_total_kwh"] == 238.8
        assert inverter.heard.count("QPIRI") == 1
        clock.elapsed += SLOW_PERIOD_S
        assert (await driver.read()).values["rated_power_kw"] == 8.0
    assert [inverter.heard.count(command) for command in ("QPIGS", "QET", "QPIRI")] == [4, 3, 2]


async def test_a_base_model_tells_what_it_can() -> None:
    inverter, clock = base_model(), HandClock()
    async with a_line(inverter) as line:
        driver = VoltronicDriver(line, device_type=INVERTER, clock=clock)
        for _ in range(TRIES - 1):
            answer = await driver.read()
            assert (answer.values["dc_power_kw"], answer.values["energy_total_kwh"]) == (None, None)
            assert answer.quality == Quality.PARTIAL | Quality.DERIVED
        for _ in range(5):
            answer = await driver.read()
            assert answer.quality == Quality.DERIVED
            assert answer.values["dc_power_kw"] == answer.values["dc_power_kw.pv1"] == 0.8043
            assert answer.values["operating_state"] == "off_grid"
            assert not answer.values.keys() & {"energy_total_kwh", "load_energy_total_kwh", "dc_power_kw.pv2"}
        assert inverter.heard.count("QET") == inverter.heard.count("QPIGS2") == TRIES
        clock.elapsed += UNKNOWN_PERIOD_S
        await driver.read()
        assert inverter.heard.count("QET") == TRIES + 1


async def test_firmware_that_is_silent_to_what_it_does_not_know() -> None:
    inverter = base_model()
    inverter.trouble = lambda command, _: None if command in inverter.answers else Reply(())
    async with a_line(inverter, timeout_s=QUICK_S) as line:
        driver = VoltronicDriver(line, device_type=INVERTER, clock=HandClock())
        answers = [await driver.read() for _ in range(3 * TRIES + 1)]
    assert answers[-1].quality == Quality.DERIVED
    assert answers[-1].values["dc_power_kw"] == 0.8043
    assert [inverter.heard.count(command) for command in ("QPIGS2", "QET", "QLT")] == [TRIES] * 3


async def test_a_second_tracker_that_fails_once_makes_no_half_a_power() -> None:
    def refuse(command: str, number: int) -> Reply | None:
        return Reply((framed("NAK"),)) if command == "QPIGS2" and number > 8 else None

    async with a_line(Inverter(trouble=refuse)) as line:
        driver = VoltronicDriver(line, device_type=INVERTER, clock=HandClock())
        assert (await driver.read()).values["dc_power_kw"] == 1.905
        for _ in range(2 * TRIES):
            answer = await driver.read()
            assert answer.values["dc_power_kw"] is None
            assert answer.values["dc_power_kw.pv1"] == 0.879
            assert answer.quality == Quality.PARTIAL


async def test_an_absurd_temperature_is_kept_and_flagged() -> None:
    answers = {**ANSWERS, "QPIGS": MAX_STATUS.replace(" 0054 ", " 0574 ")}
    async with a_line(Inverter(answers)) as line:
        answer = await VoltronicDriver(line, device_type=INVERTER, clock=HandClock()).read()
    assert answer.values["inverter_temperature_c.heatsink"] == 574.0
    assert answer.quality == Quality.OUT_OF_RANGE


async def test_more_than_the_rated_power_can_be_is_flagged() -> None:
    async with a_line(Inverter()) as line:
        small = VoltronicDriver(line, device_type=INVERTER, clock=HandClock(), rated_power_kw=0.5)
        assert (await small.read()).quality == Quality.OUT_OF_RANGE


# --- whose inverter it is -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serial", [ANSWERS["QID"], ANSWERS["QID"] + "105335"])
async def test_the_right_inverter_is_taken(serial: str) -> None:
    inverter = Inverter()
    async with a_line(inverter) as line:
        driver = VoltronicDriver(line, device_type=BATTERY, clock=HandClock(), serial_number=serial)
        await driver.read()
        await driver.read()
    assert inverter.heard.count("QID") == 1


async def test_another_inverter_is_refused() -> None:
    async with a_line(Inverter()) as line:
        driver = VoltronicDriver(line, device_type=BATTERY, clock=HandClock(), serial_number="12345678901234")
        with pytest.raises(DriverError, match="serial number is 92932004102443, expected 12345678901234") as raised:
            await driver.read()
    assert (raised.value.kind, raised.value.retry) == ("identity", False)


async def test_another_protocol_is_refused() -> None:
    async with a_line(Inverter({**ANSWERS, "QPI": "PI18"})) as line:
        error = await failure(line)
    assert (error.kind, error.retry) == ("identity", False)
    assert "speaks PI18, not PI30" in str(error)


# --- what goes wrong ------------------------------------------------------------------------------------------------------------------


async def test_a_command_that_is_not_known() -> None:
    inverter = base_model()
    async with a_line(inverter) as line:
        with pytest.raises(NakError, match="does not know QET"):
            await line.ask(PV_ENERGY, taker=1)
        assert await line.ask(MODE, taker=1) == "B"
    assert inverter.heard == ["QPI", "QET", "QMOD"]


async def test_a_silent_inverter() -> None:
    async with a_line(Inverter(trouble=lambda *_: Reply(())), timeout_s=QUICK_S) as line:
        for _ in range(3):
            error = await failure(line)
            assert (error.kind, error.retry) == ("timeout", True)
            assert "no answer to QPI within 0.15 s" in str(error)


async def test_an_inverter_that_wakes_up() -> None:
    """The questions that it slept through are never answered."""
    async with a_line(
        Inverter(trouble=lambda _, number: Reply(()) if number <= 4 else None), timeout_s=QUICK_S
    ) as line:
        for _ in range(4):
            assert (await failure(line)).kind == "timeout"
        assert await line.ask(STATUS, taker=1) == MAX_STATUS
        assert await line.ask(MODE, taker=1) == "B"


async def test_an_answer_in_crumbs_behind_an_echo() -> None:
    def crumbs(command: str, _: int) -> Reply:
        echo = command.encode() + crc(command.encode()) + b"\r"
        whole = echo + framed(ANSWERS[command])
        return Reply(tuple(whole[place : place + 7] for place in range(0, len(whole), 7)))

    async with a_line(Inverter(trouble=crumbs)) as line:
        assert await line.ask(STATUS, taker=1) == MAX_STATUS


async def test_one_damaged_answer_is_asked_again() -> None:
    def once(command: str, number: int) -> Reply | None:
        return Reply((framed(MAX_STATUS).replace(b"0751", b"0951"),)) if number == 2 else None

    inverter = Inverter(trouble=once)
    async with a_line(inverter) as line:
        assert await line.ask(STATUS, taker=1) == MAX_STATUS
    assert inverter.heard == ["QPI", "QPIGS", "QPI", "QPIGS"]


async def test_answers_that_are_always_damaged() -> None:
    def damage(command: str, _: int) -> Reply | None:
        return Reply((b"(227.2 50.0" + b"\r",)) if command == "QPIGS" else None

    async with a_line(Inverter(trouble=damage)) as line:
        error = await failure(line)
    assert (error.kind, error.retry) == ("malformed", True)
    assert "wrong CRC" in str(error)


async def test_a_truncated_answer_runs_into_the_time_out() -> None:
    def cut(command: str, number: int) -> Reply | None:
        return Reply((framed(MAX_STATUS)[:40],)) if number == 2 else None

    async with a_line(Inverter(trouble=cut), timeout_s=QUICK_S) as line:
        assert (await failure(line)).kind == "timeout"
        assert await line.ask(STATUS, taker=1) == MAX_STATUS


async def test_a_late_counter_is_never_taken_for_the_other_counter() -> None:
    """Both answers have eight digits and nothing that tells them apart."""

    def late(command: str, number: int) -> Reply | None:
        return Reply((2.5 * QUICK_S, framed(ANSWERS[command]))) if number == 2 else None

    async with a_line(Inverter(trouble=late), timeout_s=QUICK_S) as line:
        assert (await failure(line, PV_ENERGY)).kind == "timeout"
        for _ in range(5):
            try:
                assert await line.ask(LOAD_ENERGY, taker=1) == ANSWERS["QLT"]
                break
            except DriverError:
                continue
        else:
            pytest.fail("the line did not recover")
        assert await line.ask(PV_ENERGY, taker=1) == ANSWERS["QET"]


class CountingLine(SerialLine):
    """Counts what is asked: the inverter's n-th answer to a command belongs to the n-th question."""

    def __init__(self, settings: SerialSettings) -> None:
        super().__init__(settings)
        self.asked: Counter[str] = Counter()

    def write(self, data: bytes) -> None:
        self.asked[data[:-3].decode()] += 1
        super().write(data)


async def test_hundreds_of_questions_on_a_bad_line_never_get_a_wrong_answer() -> None:
    """Late, cut, damaged and lost answers at random: each one that is taken is the answer to its very question."""
    dice = random.Random(30)  # noqa: S311 - the same troubles with every run
    slow_s = 0.02
    bases = {"QET": 10_000_000, "QLT": 50_000_000}

    def trouble(command: str, _: int) -> Reply:
        if command in bases:
            inverter.answers[command] = f"{bases[command] + inverter.heard.count(command):08}"
        good, roll = framed(inverter.answers[command]), dice.random()
        if roll < 0.80:
            return Reply((good,))
        if roll < 0.86:
            return Reply((dice.uniform(0.5, 3.0) * slow_s, good))
        if roll < 0.90:
            return Reply((good[: dice.randrange(len(good))],))
        if roll < 0.96:
            place = dice.randrange(1, len(good) - 1)
            return Reply((good[:place] + bytes([good[place] ^ 0x04]) + good[place + 1 :],))
        return Reply(())

    inverter = Inverter(trouble=trouble)
    outcomes: Counter[bool] = Counter()
    async with on_pty(inverter) as path:
        counting = CountingLine(SerialSettings(path, 2400))
        line = VoltronicLine(counting, timeout_s=slow_s)
        for _ in range(600):
            query = dice.choice((PV_ENERGY, LOAD_ENERGY, STATUS, MODE, WARNINGS, STATUS_2, SERIAL_NUMBER))
            try:
                text = await line.ask(query, taker=1)
            except DriverError:
                continue
            base = bases.get(query.command)
            wanted = ANSWERS[query.command] if base is None else f"{base + counting.asked[query.command]:08}"
            outcomes[text == wanted] += 1
        await line.close()
    assert outcomes[False] == 0
    assert outcomes[True] > 300


async def test_a_bridge_that_hangs_up_is_connected_to_again() -> None:
    async with on_tcp(Inverter()) as port:
        tcp = TcpLine("127.0.0.1", port)
        line = VoltronicLine(tcp, timeout_s=1.0)
        assert await line.ask(MODE, taker=1) == "B"
        tcp.lost()
        assert await line.ask(MODE, taker=1) == "B"
        await line.close()


async def test_a_bridge_that_hangs_up_before_the_answer() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    line = VoltronicLine(TcpLine("127.0.0.1", server.sockets[0].getsockname()[1]), timeout_s=5.0)
    error = await failure(line)
    assert (error.kind, error.retry) == ("refused", True)
    assert "the port is gone" in str(error)
    await line.close()
    server.close()
    await server.wait_closed()


async def test_a_port_that_is_not_there() -> None:
    line = VoltronicLine(SerialLine(SerialSettings("/dev/serial/by-id/usb-none", 2400)), timeout_s=QUICK_S)
    error = await failure(line)
    assert (error.kind, error.retry) == ("refused", True)


async def test_a_reader_that_gives_up_leaves_no_answer_behind() -> None:
    def slow_once(command: str, number: int) -> Reply | None:
        return Reply((0.05, framed(ANSWERS[command]))) if number == 2 else None

    inverter = Inverter(trouble=slow_once)
    async with a_line(inverter) as line:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await line.ask(PV_ENERGY, taker=1)
        assert await line.ask(LOAD_ENERGY, taker=1) == ANSWERS["QLT"]
    assert inverter.heard == ["QPI", "QET", "QPI", "QLT"]


async def test_the_slower_wish_of_two_devices_holds() -> None:
    line = VoltronicLine(TcpLine("127.0.0.1", 1), timeout_s=3.0)
    line.widen(timeout_s=5.0)
    line.widen(timeout_s=1.0)
    assert line.timeout_s == 5.0
