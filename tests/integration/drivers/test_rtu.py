"""Modbus RTU over real terminals: never a wrong number, whatever the slave, the line and other masters do."""

import asyncio
import random
import time
from collections import Counter
from typing import Any

import pytest

from edge_agent.drivers import bus_health
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RefusedAddressError, SerialBus, SerialSettings
from edge_agent.profiles.model import RegisterFunction
from tests.rtu_wire import Slaves, Wire, noisy, read_frame, wire, words

HOLDING = RegisterFunction.HOLDING
SCALE = 0.02  # of the times of the field, so that a thousand reads take seconds


def bus_on(line: Wire, *, timeout_s: float = 10.0, **more: Any) -> SerialBus:
    return SerialBus(SerialSettings(line.port, 115_200), timeout_s=timeout_s, **more)


async def hammer(bus: SerialBus, *, reads: int, seed: int = 1, pause_s: float = 0.0) -> tuple[Counter[str], list[bool]]:
    """Read like a driver does, and check every word: counts by outcome, and good or not in order."""
    dice = random.Random(seed)  # noqa: S311 -- the same disorder in every run
    outcomes: Counter[str] = Counter()
    good: list[bool] = []
    for _ in range(reads):
        address, count = dice.randrange(50_000), dice.choice((2, 2, 2, 6))
        try:
            given = await bus.read(1, HOLDING, address=address, count=count)
        except DriverError as error:
            outcomes[error.kind] += 1
            good.append(False)
            await asyncio.sleep(pause_s)  # as the poller leaves a device alone that failed
        else:
            assert given == words(1, address, count), f"wrong: {address} x {count}"
            outcomes["good"] += 1
            good.append(True)
    return outcomes, good


async def test_whole_answers_and_refusals() -> None:
    async with wire(Slaves({1, 2})) as line:
        bus = bus_on(line)
        assert await bus.read(1, HOLDING, address=5, count=3) == words(1, 5, 3)
        assert await bus.read(2, RegisterFunction.INPUT, address=5, count=125) == words(2, 5, 125)
        with pytest.raises(RefusedAddressError):
            await bus.read(1, HOLDING, address=60_000, count=1)
        assert await bus.read(1, HOLDING, address=9, count=1) == words(1, 9, 1)
        assert (bus.counts.answers, bus.counts.exceptions, bus.counts.opened) == (3, 1, 1)
        await bus.close()
        await bus.close()


async def test_a_slave_slower_than_the_time_out_is_learnt() -> None:
    async with wire(Slaves({1}, delay_s=lambda _: 0.5 * SCALE)) as line:
        bus = bus_on(line, timeout_s=0.3 * SCALE)
        outcomes, good = await hammer(bus, reads=1000)
        assert bus.counts.late >= 1
        assert sum(good[100:]) >= 0.95 * len(good[100:]), outcomes
        await bus.close()


async def test_every_seventh_answer_is_late() -> None:
    delay = lambda n: (0.9 if n % 7 == 0 else 0.02) * SCALE  # noqa: E731
    async with wire(Slaves({1}, delay_s=delay)) as line:
        bus = bus_on(line, timeout_s=0.3 * SCALE)
        outcomes, good = await hammer(bus, reads=1000)
        assert sum(good[100:]) >= 0.95 * len(good[100:]), outcomes
        await bus.close()


async def test_answers_later_than_any_patience_are_never_taken_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some answers come after so long that nobody waits for them: they are lost, but never mistaken."""
    monkeypatch.setattr(bus_health, "LONGEST_TIMEOUT_S", 0.05)
    delay = lambda n: 0.3 if n % 10 == 0 else 0.0  # noqa: E731
    async with wire(Slaves({1}, delay_s=delay)) as line:
        bus = bus_on(line, timeout_s=0.3 * SCALE, clock=lambda: time.monotonic() * 10_000)
        outcomes, _ = await hammer(bus, reads=300, pause_s=0.1)
        assert outcomes["good"] >= 200, outcomes
        assert bus.counts.late >= 5
        await bus.close()


async def test_noise_on_the_line() -> None:
    async with wire(Slaves({1}, spoil=noisy(0.03))) as line:
        bus = bus_on(line, timeout_s=0.2)
        outcomes, good = await hammer(bus, reads=1000)
        assert bus.counts.damaged >= 10
        assert sum(good) >= 0.95 * len(good), outcomes
        await bus.close()


async def test_a_foreign_master_that_asks_for_the_same_number_of_registers() -> None:
    async with wire(Slaves({1}, delay_s=lambda _: 0.002)) as line:
        bus = bus_on(line, timeout_s=0.3)
        dice = random.Random(3)  # noqa: S311 -- the same disorder in every run

        async def ask_too() -> None:
            while True:
                await asyncio.sleep(dice.uniform(0.1, 0.8))
                line.foreign(read_frame(1, dice.randrange(50_000), 2))

        rival = asyncio.create_task(ask_too())
        outcomes, good = await hammer(bus, reads=1000)
        rival.cancel()
        await asyncio.gather(rival, return_exceptions=True)
        assert bus.counts.foreign >= 10
        assert sum(good) >= 0.95 * len(good), outcomes
        await bus.close()


async def test_a_line_that_is_never_quiet_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.drivers.modbus_bus.QUIET_LIMIT_S", 0.3)
    async with wire(Slaves({1})) as line:
        bus = bus_on(line)
        assert await bus.read(1, HOLDING, address=5, count=2) == words(1, 5, 2)

        async def chatter() -> None:
            while True:
                line.say(read_frame(9, 1, 2))
                await asyncio.sleep(0.02)

        rival = asyncio.create_task(chatter())
        await asyncio.sleep(0.05)
        with pytest.raises(DriverError, match="somebody speaks on this line all the time"):
            await bus.read(1, HOLDING, address=5, count=2)
        rival.cancel()
        await asyncio.gather(rival, return_exceptions=True)
        await asyncio.sleep(0.5)
        assert await bus.read(1, HOLDING, address=6, count=2) == words(1, 6, 2)
        await bus.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_reads_at_the_times_of_the_field() -> None:
    """A slave of 0.35 s against a time-out of 0.3 s, every seventh answer later still; a thousand reads take seven minutes."""
    delay = lambda n: 0.9 if n % 7 == 0 else 0.35  # noqa: E731
    async with wire(Slaves({1}, delay_s=delay)) as line:
        bus = SerialBus(SerialSettings(line.port, 9600), timeout_s=0.3)
        outcomes, good = await hammer(bus, reads=120)
        assert sum(good[80:]) >= 0.95 * len(good[80:]), outcomes  # the first 30 s are for learning
        await bus.close()
