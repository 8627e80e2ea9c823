"""What polling costs, and whether a poll is ever lost.

    python tests/bench/poll.py [--seconds 20] [--polls 4000]

Twenty units of sixty registers (forty values each) behind one endpoint on loopback, served by another process.

- At saturation: the driver with its profile, decoded values and all, against a bare loop of pymodbus that decodes nothing; by turns, in the
  same run, each its best of three. CPU of this process only.
- A bus of 20 ms an answer: every unit once a second through the poller, with its store.
- The same on a shared serial line (RTU over TCP), one unit of the twenty silent. Each answer carries the server's time, so that the
  time stamps of the readings can be checked.
- The grid: one device a second for an hour of a simulated clock.

The last line is one JSON object.
"""

import argparse
import asyncio
import contextlib
import json
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from pymodbus.client import AsyncModbusTcpClient

from edge_agent.alerting import Alerting
from edge_agent.clock import VirtualClock
from edge_agent.drivers.base import DeviceAnswer, Driver
from edge_agent.drivers.modbus import ModbusBus
from edge_agent.drivers.modbus_frame import with_crc
from edge_agent.drivers.modbus_profile import ProfileDriver
from edge_agent.poller import Poller
from edge_agent.profiles.model import Profile
from edge_agent.store.boots import Timeline
from edge_agent.store.buffer import Buffer
from edge_agent.store.file import StoreFile
from edge_agent.store.newest import read_newest
from edge_agent.supervise import Progress
from shared.enums import DeviceType, ProtocolType
from shared.readings import Reading
from shared.wire import EdgePlan, PlanDevice, PlanSite

UNITS = range(1, 21)
SILENT = 13
REGISTERS = 60
VALUES = 40
ANSWER_S = 0.02
ROUNDS = 3
START = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
QUOTA_BYTES = 512_000_000


@dataclass
class SteppedClock:
    """Runs as fast as somebody sleeps on it."""

    mono: float = 100.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.mono - 100.0)

    def monotonic(self) -> float:
        return self.mono

    async def sleep(self, seconds: float) -> None:
        self.mono += seconds
        await asyncio.sleep(0)


def real_clock(epoch: float) -> VirtualClock:
    """Begins at START at this Unix time, and goes as time does."""
    return VirtualClock(start=START, end=START + timedelta(days=1), speed=1.0, epoch=epoch)


def device_id(unit: int) -> UUID:
    return UUID(int=unit)


def plan(units: Iterable[int]) -> EdgePlan:
    """Each unit once a second."""
    devices = tuple(
        PlanDevice(
            id=device_id(unit),
            name=f"unit {unit}",
            device_type=DeviceType.INVERTER,
            protocol=ProtocolType.MODBUS_TCP,
            profile="bench",
            connection={},
            poll_interval_s=1.0,
        )
        for unit in units
    )
    return EdgePlan(
        revision=1, site=PlanSite(id=UUID(int=99), name="bench", timezone="Asia/Karachi"), devices=devices, rules=()
    )


def profile() -> Profile:
    """Twenty 32-bit and twenty 16-bit rows without a gap."""
    double = {"function": "holding", "type": "u32", "unit": "kW", "scale": 1.0, "for": ["inverter"]}
    single = {"function": "holding", "type": "u16", "unit": "V", "scale": 0.1, "for": ["inverter"]}
    rows = [double | {"metric": f"dc_power_kw.pv{n + 1}", "address": 2 * n} for n in range(20)]
    rows += [single | {"metric": f"dc_voltage_v.pv{n + 1}", "address": 40 + n} for n in range(20)]
    return Profile.model_validate(
        {
            "format": 1,
            "name": "bench",
            "title": "bench",
            "platforms": ["bench"],
            "quality": "draft",
            "word_order": "high_first",
            "sources": [{"title": "this file"}],
            "row": rows,
        }
    )


class Server(asyncio.Protocol):
    """Answers read requests: the first two registers are its time in ms, modulo 2^32; one at a time, as a serial line does."""

    def __init__(self, *, answer_s: float, is_rtu: bool, silent: int) -> None:
        self._answer_s, self._is_rtu, self._silent = answer_s, is_rtu, silent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        size = 8 if self._is_rtu else 12
        for start in range(0, len(data), size):
            frame = data[start : start + size]
            if frame[0 if self._is_rtu else 6] == self._silent:
                continue
            if self._answer_s:
                asyncio.get_running_loop().call_later(self._answer_s, self._answer, frame)
            else:
                self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        head = frame[:2] if self._is_rtu else frame[6:8]
        count = int.from_bytes(frame[4:6] if self._is_rtu else frame[10:12], "big")
        words = struct.pack(">I", time.time_ns() // 1_000_000 & 0xFFFFFFFF) + bytes((7,)) * (2 * count - 4)
        body = head + bytes((2 * count,)) + words
        answer = with_crc(body) if self._is_rtu else frame[:4] + len(body).to_bytes(2, "big") + body
        self._transport.write(answer)  # type: ignore[attr-defined]


async def serve(answer_s: float, is_rtu: bool, silent: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(answer_s=answer_s, is_rtu=is_rtu, silent=silent), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.asynccontextmanager
async def serving(*, answer_s: float = 0.0, is_rtu: bool = False, silent: int = 0) -> AsyncIterator[int]:
    """A server in a process of its own; yields its port."""
    words = ["--serve", str(answer_s), str(int(is_rtu)), str(silent)]
    child = await asyncio.create_subprocess_exec(sys.executable, __file__, *words, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    try:
        yield int(await child.stdout.readline())
    finally:
        child.terminate()
        await child.wait()


def drivers(bus: ModbusBus, clock: VirtualClock) -> dict[int, ProfileDriver]:
    shape = profile()
    return {
        unit: ProfileDriver(bus, unit, profile=shape, device_type=DeviceType.INVERTER, clock=clock) for unit in UNITS
    }


@dataclass
class Cost:
    """Of so many polls."""

    polls: int
    seconds: float
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.polls / self.seconds

    @property
    def cpu_s_per_million_values(self) -> float:
        return self.cpu_s / (self.polls * VALUES) * 1e6


async def measured(polls: int, ask: Callable[[int], Awaitable[object]]) -> Cost:
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(polls):
        await ask(UNITS[number % len(UNITS)])
    return Cost(polls, time.perf_counter() - began, time.process_time() - cpu)


async def saturation(polls: int) -> tuple[Cost, Cost]:
    """Ours, and a bare loop."""
    async with serving() as port:
        bus = ModbusBus("127.0.0.1", port)
        ours = drivers(bus, real_clock(time.time()))
        bare = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0)
        await bare.connect()

        async def ask_bare(unit: int) -> None:
            answer = await bare.read_holding_registers(0, count=REGISTERS, device_id=unit)
            assert len(answer.registers) == REGISTERS

        async def ask_ours(unit: int) -> None:
            answer = await ours[unit].read()
            assert len(answer.values) == VALUES

        kept: tuple[list[Cost], list[Cost]] = ([], [])
        for _ in range(ROUNDS + 1):  # the first round warms up
            kept[0].append(await measured(polls, ask_ours))
            kept[1].append(await measured(polls, ask_bare))
        bare.close()
        await bus.close()
    best = [min(costs[1:], key=lambda cost: cost.cpu_s) for costs in kept]
    return best[0], best[1]


@dataclass
class Builder:
    """Gives each device of the plan its unit's driver."""

    by_id: dict[UUID, Driver]

    def build(self, device: PlanDevice) -> Driver:
        return self.by_id[device.id]


@dataclass
class Watched:
    """What the poller recorded."""

    readings: list[Reading] = field(default_factory=list)

    def lost(self, units: list[int], rounds: int, *, first: int) -> int:
        """Polls of these units that are missing in the seconds from the `first` on."""
        kept = {
            (reading.device_id, int((reading.at - START).total_seconds()))
            for reading in self.readings
            if reading.values
        }
        return sum((device_id(unit), second) not in kept for unit in units for second in range(first, first + rounds))

    def worst_stamp_s(self, epoch: float) -> float:
        """The largest distance between a reading's moment and the server's clock in it."""
        worst = 0.0
        for reading in self.readings:
            told = reading.values.get("dc_power_kw.pv1")
            if isinstance(told, float | int):
                at_ms = round((epoch + (reading.at - START).total_seconds()) * 1000) & 0xFFFFFFFF
                worst = max(worst, abs(at_ms - told) / 1000)
        return worst


async def polled(by_unit: dict[int, Driver], clock: VirtualClock | SteppedClock, until: Callable[[], bool]) -> Watched:
    """The poller, with its store, over these drivers once a second."""
    watched = Watched()
    with tempfile.TemporaryDirectory() as folder:
        store = StoreFile(Path(folder))
        store.open()
        timeline = Timeline(store, clock)
        buffer = Buffer(store, timeline, quota_bytes=QUOTA_BYTES)
        poller = Poller(
            Builder({device_id(unit): driver for unit, driver in by_unit.items()}),
            clock=clock,
            timeline=timeline,
            buffer=buffer,
            alerting=Alerting(store, buffer, gateway_id=UUID(int=98)),
            progress=Progress({}),
            known=store.write_now(read_newest),
            on_reading=watched.readings.append,
        )
        await poller.apply(plan(by_unit))
        task = asyncio.create_task(poller.run())
        while not until():  # noqa: ASYNC110 -- a clock is watched, which tells nobody when it passes
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await buffer.flush()
        store.close()
    return watched


async def rounds_of(seconds: int, *, is_rtu: bool, silent: int) -> tuple[int, float]:
    """Polls lost of the living units, and the worst time stamp."""
    async with serving(answer_s=ANSWER_S, is_rtu=is_rtu, silent=silent) as port:
        epoch = time.time()
        clock = real_clock(epoch)
        bus = ModbusBus("127.0.0.1", port, timeout_s=0.4, framer="rtu" if is_rtu else "tcp")
        watched = await polled(dict(drivers(bus, clock)), clock, lambda: time.time() > epoch + seconds + 2)
        await bus.close()
    living = [unit for unit in UNITS if unit != silent]
    return watched.lost(living, seconds, first=1), watched.worst_stamp_s(epoch)


class Ready:
    """A device that answers at once."""

    async def read(self) -> DeviceAnswer:
        return DeviceAnswer({"ac_power_kw": 1.0})

    async def close(self) -> None:
        """It holds nothing."""


async def grid(hours: float = 1.0) -> int:
    """Rounds lost in a simulated hour."""
    clock = SteppedClock()
    seconds = int(hours * 3600)
    watched = await polled({1: Ready()}, clock, lambda: clock.now() > START and clock.mono > 102 + seconds)
    kept = {int((reading.at - START).total_seconds()) for reading in watched.readings}
    return sum(second not in kept for second in range(1, seconds))


async def main(seconds: int, polls: int) -> dict[str, float]:
    ours, bare = await saturation(polls)
    print(f"ours {ours.rate:.0f} polls/s, bare pymodbus {bare.rate:.0f} polls/s")
    slow_lost, slow_stamp = await rounds_of(seconds, is_rtu=False, silent=0)
    dead_lost, dead_stamp = await rounds_of(seconds, is_rtu=True, silent=SILENT)
    return {
        "polls_per_s": round(ours.rate),
        "rate_ratio_to_bare": round(ours.rate / bare.rate, 3),
        "cpu_s_per_million_values": round(ours.cpu_s_per_million_values, 2),
        "cpu_ratio_to_bare": round(ours.cpu_s / bare.cpu_s, 3),
        "polls_lost_slow_bus": slow_lost,
        "polls_lost_dead_unit": dead_lost,
        "worst_time_stamp_s": round(max(slow_stamp, dead_stamp), 3),
        "rounds_lost_in_an_hour": await grid(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="of polling on each slow bus")
    parser.add_argument("--polls", type=int, default=4000, help="of each round at saturation")
    parser.add_argument("--serve", nargs=3, metavar=("ANSWER_S", "RTU", "SILENT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(float(given.serve[0]), given.serve[1] == "1", int(given.serve[2])))
    else:
        print(json.dumps(asyncio.run(main(given.seconds, given.polls))))
