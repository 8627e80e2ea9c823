"""One row dates a whole boot."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.clock import VirtualClock, boot_identity, from_ms, is_synchronised, monotonic_ms, to_ms, wall_offset_ms
from edge_agent.store.boots import VOUCHED_FOR_MS
from shared.enums import TimeQuality
from tests.edge_world import START, SteppedClock, World, fast_clock, world

Y2017 = datetime(2017, 3, 1, tzinfo=UTC)


@pytest.fixture
def ntp(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Decides what the operating system says of its clock."""
    says = ["alone"]
    monkeypatch.setattr("edge_agent.store.boots.is_synchronised", lambda _: says[0] == "synced")
    return lambda word: says.__setitem__(0, word)


async def dates(box: World) -> list[datetime]:
    flushes = await box.buffer.peek(max_readings=1000, max_bytes=1_000_000)
    return [
        flush.started_at + timedelta(milliseconds=offset)
        for flush in flushes
        for block in flush.blocks
        for offset in block.offsets_ms
    ]


async def test_a_boot_in_2017_is_redated_when_ntp_comes_and_a_step_back_is_not_believed(
    tmp_path: Path, ntp: Callable[[str], None]
) -> None:
    clock = SteppedClock(wall=Y2017)
    truth = START
    with world(tmp_path, clock) as box:
        assert box.timeline.boot.time_quality is TimeQuality.UNKNOWN
        await box.fill(3)
        clock.wall, truth = START + timedelta(seconds=60), START
        ntp("synced")
        assert await box.timeline.check_wall_clock() == "redated"
        assert await dates(box) == [truth + timedelta(seconds=10 * index) for index in range(6)]
        clock.wall -= timedelta(hours=1)
        ntp("alone")  # setting the clock by hand takes the kernel's word away
        assert await box.timeline.check_wall_clock() is None
        await box.fill(1)
        assert (await dates(box))[-2:] == [truth + timedelta(seconds=60), truth + timedelta(seconds=70)]
        assert abs(box.timeline.now() - (truth + timedelta(seconds=80))) < timedelta(seconds=1)


async def test_ntp_stepping_a_trusted_clock_begins_a_segment_and_leaves_the_past(
    tmp_path: Path, ntp: Callable[[str], None]
) -> None:
    ntp("synced")
    clock = SteppedClock()
    with world(tmp_path, clock) as box:
        await box.fill(1)
        clock.wall += timedelta(seconds=90)
        assert await box.timeline.check_wall_clock() == "stepped"
        await box.fill(1)
        seconds = [(moment - START).total_seconds() for moment in await dates(box)]
    assert seconds == [0, 10, 110, 120]


async def test_the_cloud_dates_a_box_without_ntp(tmp_path: Path, ntp: Callable[[str], None]) -> None:
    clock = SteppedClock(wall=Y2017)
    with world(tmp_path, clock) as box:
        await box.fill(1)
        now = monotonic_ms(clock)
        told = START + timedelta(seconds=20)
        assert await box.timeline.hear_cloud(told, asked_mono_ms=now - 30_000, answered_mono_ms=now) is None
        assert await box.timeline.hear_cloud(told, asked_mono_ms=now, answered_mono_ms=now) == "redated"
        assert await dates(box) == [START, START + timedelta(seconds=10)]
        assert box.timeline.boot.time_quality is TimeQuality.SYNCED
        assert await box.timeline.check_wall_clock() is None, "the box's own clock is still in 2017"
        clock.step(VOUCHED_FOR_MS / 1000 + 1)
        assert await box.timeline.check_wall_clock() == "held"
        late = box.timeline.now() + timedelta(seconds=8)
        now = monotonic_ms(clock)
        assert await box.timeline.hear_cloud(late, asked_mono_ms=now, answered_mono_ms=now) == "stepped"
        assert abs(box.timeline.now() - late) < timedelta(seconds=1)


async def test_a_held_clock_that_the_cloud_agrees_with_is_synced_again(
    tmp_path: Path, ntp: Callable[[str], None]
) -> None:
    ntp("synced")
    clock = SteppedClock()
    with world(tmp_path, clock) as box:
        ntp("alone")
        assert await box.timeline.check_wall_clock() == "held"
        now = monotonic_ms(clock)
        told = box.timeline.now() + timedelta(seconds=1)
        assert await box.timeline.hear_cloud(told, asked_mono_ms=now, answered_mono_ms=now) == "synced"
        assert await box.timeline.hear_cloud(told, asked_mono_ms=now, answered_mono_ms=now) is None


async def test_a_restart_in_the_same_boot_goes_on_with_its_dates(tmp_path: Path, ntp: Callable[[str], None]) -> None:
    ntp("synced")
    clock = SteppedClock()
    with world(tmp_path, clock) as box:
        await box.fill(1)
        first = box.timeline.boot
    clock.wall += timedelta(hours=5)  # a wall clock that was changed meanwhile changes nothing by itself
    with world(tmp_path, clock) as box:
        assert box.timeline.boot == first


async def test_a_simulated_clock_is_not_put_right_by_the_real_one(tmp_path: Path) -> None:
    with world(tmp_path, fast_clock()) as box:
        assert box.timeline.boot.time_quality is TimeQuality.SYNCED
        now = monotonic_ms(box.clock)
        assert await box.timeline.hear_cloud(datetime.now(UTC), asked_mono_ms=now, answered_mono_ms=now) is None
        assert await box.timeline.check_wall_clock() is None


def test_a_simulated_clock_dates_its_first_moment_exactly() -> None:
    clock = VirtualClock(start=START, end=START + timedelta(days=1), speed=900, epoch=4e9)
    assert from_ms(wall_offset_ms(clock) + monotonic_ms(clock)) == START
    ended = VirtualClock(start=START, end=START + timedelta(days=1), speed=900, epoch=0)
    assert from_ms(wall_offset_ms(ended) + monotonic_ms(ended)) == START + timedelta(days=1)
    assert boot_identity(clock) != boot_identity(ended)
    assert is_synchronised(clock)


def test_milliseconds_go_there_and_back() -> None:
    assert to_ms(from_ms(1_780_000_000_123)) == 1_780_000_000_123
    assert from_ms(0) == datetime(1970, 1, 1, tzinfo=UTC)
