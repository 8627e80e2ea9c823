"""Devices asked in their rhythm: answering, silent, asleep, stuck, wrong."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from edge_agent.alerting import Alerting
from edge_agent.clock import VirtualClock
from edge_agent.drivers.base import DeviceAnswer, Driver, DriverError
from edge_agent.poller import Poller
from edge_agent.store.newest import read_newest
from edge_agent.supervise import Progress
from shared.enums import Quality
from shared.readings import Reading
from shared.wire import EdgePlan, PlanDevice
from tests.edge_world import GATEWAY, START, SteppedClock, World, device, device_id, eventually, fast_clock, plan, world

Say = Callable[[], DeviceAnswer]


def timed_out() -> DeviceAnswer:
    raise DriverError("no answer within 1 s", retry=True, kind="timeout")


def well() -> DeviceAnswer:
    return DeviceAnswer({"ac_power_kw": 1.5, "energy_total_kwh": 10.0})


@dataclass
class FakeDriver:
    say: Say = well
    takes_s: float = 0.0
    reads: int = 0
    closed: int = 0

    async def read(self) -> DeviceAnswer:
        self.reads += 1
        await asyncio.sleep(self.takes_s)
        return self.say()

    async def close(self) -> None:
        self.closed += 1


@dataclass
class FakeBuilder:
    drivers: dict[UUID, FakeDriver] = field(default_factory=dict)
    wrong: set[UUID] = field(default_factory=set)

    def build(self, device: PlanDevice) -> Driver:
        if device.id in self.wrong:
            raise DriverError(f"{device.name}: profile = 'nix' is not known", retry=False, kind="config")
        return self.drivers.setdefault(device.id, FakeDriver())


@dataclass
class Polling:
    box: World
    poller: Poller
    builder: FakeBuilder
    readings: list[Reading]

    def of(self, number: int) -> list[Reading]:
        return [reading for reading in self.readings if reading.device_id == device_id(number)]


@asynccontextmanager
async def polling(
    folder: Path,
    with_plan: EdgePlan,
    clock: VirtualClock | SteppedClock,
    *,
    drivers: dict[int, FakeDriver] | None = None,
    wrong: int = 0,
) -> AsyncIterator[Polling]:
    builder = FakeBuilder({device_id(number): each for number, each in (drivers or {}).items()}, {device_id(wrong)})
    with world(folder, clock) as box:
        readings: list[Reading] = []
        append = box.buffer.append

        def record(reading: Reading, **details: object) -> None:
            readings.append(reading)
            append(reading, **details)  # type: ignore[arg-type]

        box.buffer.append = record  # type: ignore[method-assign]
        alerting = Alerting(box.store, box.buffer, gateway_id=GATEWAY)
        known = box.store.write_now(read_newest)
        poller = Poller(
            builder,
            clock=clock,
            timeline=box.timeline,
            buffer=box.buffer,
            alerting=alerting,
            progress=Progress({}),
            known=known,
        )
        await poller.apply(with_plan)
        task = asyncio.create_task(poller.run())
        try:
            yield Polling(box, poller, builder, readings)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await box.buffer.flush()


def slots(readings: list[Reading], interval_s: int) -> list[int]:
    return [int(reading.at.timestamp()) // interval_s for reading in readings]


async def test_every_slot_is_polled_once_and_dated_within_it(tmp_path: Path) -> None:
    async with polling(tmp_path, plan(device(1, interval_s=60), device(2, interval_s=120)), fast_clock(600)) as run:
        await eventually(lambda: len(run.of(1)) >= 8)
    first, second = slots(run.of(1), 60), slots(run.of(2), 120)
    assert len(set(first)) == len(first)
    assert len(set(second)) == len(second)
    assert first == sorted(first)
    assert all(reading.values == well().values for reading in run.readings)


async def test_a_clock_that_stands_is_read_once_at_its_first_and_once_at_its_last_moment(tmp_path: Path) -> None:
    end = START + timedelta(minutes=10)
    clock = VirtualClock(start=START, end=end, speed=1200, epoch=time.time() + 0.3)
    async with polling(tmp_path, plan(device(1, interval_s=60)), clock) as run:
        await eventually(lambda: bool(run.readings) and run.readings[-1].at == end)
        await asyncio.sleep(0.3)
    assert run.readings[0].at == START
    assert [reading.at for reading in run.readings].count(START) == 1
    assert [reading.at for reading in run.readings].count(end) == 1
    assert len({reading.at for reading in run.readings}) == len(run.readings)
    async with polling(tmp_path, plan(device(1, interval_s=60)), clock) as again:
        await asyncio.sleep(0.2)
    assert again.readings == [], "a restart does not read the last moment twice"


async def test_an_answer_slower_than_its_slot_is_dated_within_it(tmp_path: Path) -> None:
    slow = {1: FakeDriver(takes_s=0.15)}
    async with polling(tmp_path, plan(device(1, interval_s=60)), fast_clock(600), drivers=slow) as run:
        await eventually(lambda: len(run.readings) >= 4)
    served = slots(run.readings, 60)
    assert len(set(served)) == len(served)
    assert all(after - before >= 2 for before, after in itertools.pairwise(served)), "missed slots are skipped"


async def test_a_silent_device_is_recorded_at_the_change_and_then_every_five_minutes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    night = {1: FakeDriver(say=timed_out)}
    async with polling(tmp_path, plan(device(1, interval_s=30)), fast_clock(3600), drivers=night) as run:
        await eventually(lambda: run.poller.live[device_id(1)].failures >= 60)
        night[1].say = well
        await eventually(lambda: run.poller.live[device_id(1)].link_up is True)
        await eventually(lambda: len(run.readings) >= 2)
    silences = [reading for reading in run.readings if reading.quality & Quality.LINK_DOWN]
    gaps = [(after.at - before.at).total_seconds() for before, after in itertools.pairwise(silences)]
    assert silences
    assert silences[0].values == {}
    assert min(gaps) >= 299
    assert len(silences) < night[1].reads / 3
    assert [record.message for record in caplog.records if record.name == "edge_agent.poller"] == [
        "device_silent",
        "device_back",
    ]


@pytest.mark.parametrize(("interval_s", "night_s"), [(10, 43_200), (10, 43_237), (30, 40_001), (60, 36_059)])
async def test_a_night_is_no_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, interval_s: float, night_s: float
) -> None:
    """An inverter sleeps, and is heard within a minute of waking."""
    caplog.set_level(logging.INFO)
    clock = SteppedClock()
    dusk, dawn = clock.mono + 3_600, clock.mono + 3_600 + night_s

    def sleep_at_night() -> DeviceAnswer:
        if dusk <= clock.mono < dawn:
            clock.step(3.0)  # what it takes to find nobody there
            error = DriverError("no answer within 3 s", retry=True, kind="timeout")
            error.is_rationed = True
            raise error
        return well()

    driver = FakeDriver(say=sleep_at_night)
    async with polling(tmp_path, plan(device(1, interval_s=interval_s)), clock, drivers={1: driver}) as run:
        await eventually(lambda: clock.mono > dawn + 600)
    awake = [reading for reading in run.of(1) if reading.values and reading.at > START + timedelta(seconds=dawn - 100)]
    assert awake[0].at - (START + timedelta(seconds=dawn - 100)) <= timedelta(seconds=60)
    assert len([record for record in caplog.records if record.name.startswith("edge_agent")]) <= 5
    asked = 3.0 * (driver.reads - sum(bool(reading.values) for reading in run.of(1)))
    assert asked <= night_s * 0.07


async def test_a_dead_device_does_not_slow_the_living(tmp_path: Path) -> None:
    drivers = {1: FakeDriver(), 2: FakeDriver(say=timed_out, takes_s=0.02)}
    async with polling(
        tmp_path, plan(device(1, interval_s=60), device(2, interval_s=60)), fast_clock(600), drivers=drivers
    ) as run:
        await eventually(lambda: drivers[1].reads >= 12)
    assert drivers[2].reads <= 4
    assert [live.link_up for live in run.poller.live.values()] == [True, False]
    assert [each.device_id for each in run.poller.newest()] == [device_id(1)]
    assert "no answer" in run.poller.live[device_id(2)].error


async def test_a_device_described_wrongly_stops_nobody_else(tmp_path: Path) -> None:
    async with polling(tmp_path, plan(device(1), device(2)), fast_clock(), wrong=2) as run:
        await eventually(lambda: len(run.of(1)) >= 3)
        assert "profile = 'nix'" in run.poller.live[device_id(2)].error
        assert run.of(2) == []


async def test_a_bug_in_one_driver_comes_up_and_the_others_go_on(tmp_path: Path) -> None:
    def bug() -> DeviceAnswer:
        raise ZeroDivisionError

    drivers = {1: FakeDriver(say=bug), 2: FakeDriver()}
    async with polling(tmp_path, plan(device(1), device(2)), fast_clock(), drivers=drivers) as run:
        with pytest.raises(ZeroDivisionError):
            await run.poller.run()
        before = drivers[2].reads
        await eventually(lambda: drivers[2].reads > before + 2)
        drivers[1].say = well
        second = asyncio.create_task(run.poller.run())
        await eventually(lambda: len(run.of(1)) >= 2)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)


async def test_a_stuck_driver_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.poller.READ_LIMIT_S", 0.05)
    stuck = {1: FakeDriver(takes_s=60)}
    async with polling(tmp_path, plan(device(1)), fast_clock(), drivers=stuck) as run:
        await eventually(lambda: run.poller.live[device_id(1)].failures >= 1)
        assert "no answer and no error" in run.poller.live[device_id(1)].error


async def test_a_new_plan_stops_starts_and_leaves_alone(tmp_path: Path) -> None:
    async with polling(tmp_path, plan(device(1), device(2)), fast_clock()) as run:
        await eventually(lambda: len(run.of(1)) >= 1 and len(run.of(2)) >= 1)
        first = run.builder.drivers[device_id(1)]
        await run.poller.apply(plan(device(1), device(3), revision=2))
        assert run.builder.drivers[device_id(2)].closed == 1
        await eventually(lambda: len(run.of(3)) >= 1)
        assert first.closed == 0
        assert list(run.poller.live) == [device_id(1), device_id(3)]
    assert first.closed == 1


async def test_a_restart_remembers_what_a_device_said_last(tmp_path: Path) -> None:
    clock = fast_clock(60)
    async with polling(tmp_path, plan(device(1, interval_s=60)), clock) as run:
        await eventually(lambda: len(run.of(1)) >= 1)
    last: datetime = run.of(1)[-1].at
    async with polling(tmp_path, plan(device(1, interval_s=60)), clock) as again:
        live = again.poller.live[device_id(1)]
        assert (live.answered_at, live.values, live.link_up) == (last, dict(well().values), None)
        await eventually(lambda: len(again.of(1)) >= 1)
    assert slots([*run.of(1), *again.of(1)], 60) == sorted(set(slots([*run.of(1), *again.of(1)], 60)))
