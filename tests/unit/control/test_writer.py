"""A write happens once, only where it may, and is believed only after it was read back."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from edge_agent.control.rules import FLASH_WRITES_PER_DAY, Refusal, WriteRefusedError
from edge_agent.control.writer import ControlWriter, ReadBackError, value_of, words_of
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.profiles.model import Control, Profile, RegisterFunction, WordOrder
from edge_agent.store.file import StoreFile
from edge_agent.store.state import read_events
from edge_agent.store.writes import WriteJournal
from shared.enums import DeviceType

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIMIT, GATE, EXPORT = 40, 39, 50


@dataclass
class Registers:
    """A bus with one device that holds registers and confirms writes.

    Attributes:
        ignored: addresses whose writes are confirmed and not taken.
        silent: addresses whose writes are taken and not confirmed.
    """

    held: dict[int, int]
    ignored: set[int] = field(default_factory=set)
    silent: set[int] = field(default_factory=set)
    writes: list[tuple[int, list[int], int]] = field(default_factory=list)

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        assert (unit, function) == (3, RegisterFunction.HOLDING)
        return [self.held[place] for place in range(address, address + count)]

    async def write(self, unit: int, *, address: int, words: Sequence[int], function_code: int) -> None:
        assert unit == 3
        self.writes.append((address, list(words), function_code))
        if address not in self.ignored:
            self.held |= {address + place: word for place, word in enumerate(words)}
        if address in self.silent:
            raise DriverError("no answer within 1 s", retry=True, kind="timeout")

    async def close(self) -> None:
        return None


@dataclass
class Reader:
    """The driver of the same device."""

    error: DriverError | None = None

    async def read(self) -> DeviceAnswer:
        if self.error:
            raise self.error
        return DeviceAnswer({"ac_power_kw": 1.0})

    async def close(self) -> None:
        return None


def profile_of(**changes: Any) -> Profile:
    limit = {
        "name": "active_power_limit_percent",
        "address": LIMIT,
        "function_code": 6,
        "scale": 0.1,
        "unit": "%",
        "range": [0, 100],
        "gate": {"address": GATE, "value": 1},
        "verified": True,
        **changes,
    }
    export = {
        "name": "export_limit_w",
        "address": EXPORT,
        "function_code": 16,
        "type": "s32",
        "unit": "W",
        "range": [-5000, 5000],
        "verified": True,
        "reverts_after_s": 60,
    }
    row = {"metric": "ac_power_kw", "address": 0, "type": "u16", "unit": "W", "for": ["inverter"]}
    source = {"title": "made up for this test"}
    return Profile.model_validate(
        {
            "format": 1,
            "name": "made_up",
            "title": "Made up",
            "platforms": ["x"],
            "quality": "draft",
            "word_order": "high_first",
            "sources": [source],
            "row": [row],
            "control": [limit, export],
        }
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StoreFile]:
    file = StoreFile(tmp_path)
    file.open()
    yield file
    file.close()


def writer_of(bus: Registers, store: StoreFile, driver: Reader | None = None, **changes: Any) -> ControlWriter:
    return ControlWriter(
        bus,
        3,
        profile=profile_of(**changes),
        device_type=DeviceType.INVERTER,
        driver=driver or Reader(),
        journal=WriteJournal(store, "roof"),
    )


async def test_the_gate_is_opened_then_the_value_written_and_both_are_read_back(store: StoreFile) -> None:
    bus = Registers({GATE: 0, LIMIT: 1000})
    done = await writer_of(bus, store).write("active_power_limit_percent", Decimal(60), now=NOW)
    assert bus.writes == [(GATE, [1], 6), (LIMIT, [600], 6)]
    assert (done.before, done.value, done.changed) == (Decimal(100), Decimal(60), True)
    [event] = await store.read(read_events)
    assert (event.kind, event.detail["before"], event.detail["value"]) == ("control_write", "100.0", "60")


async def test_what_the_device_holds_already_is_not_written(store: StoreFile) -> None:
    bus = Registers({GATE: 1, LIMIT: 600})
    done = await writer_of(bus, store).write("active_power_limit_percent", Decimal(60), now=NOW)
    assert (done.changed, bus.writes) == (False, [])
    assert await WriteJournal(store, "roof").written("active_power_limit_percent") == []


async def test_long_and_negative_values_go_in_one_request(store: StoreFile) -> None:
    bus = Registers({EXPORT: 0, EXPORT + 1: 0})
    done = await writer_of(bus, store).write("export_limit_w", Decimal(-1500), now=NOW)
    assert bus.writes == [(EXPORT, [0xFFFF, 0x10000 - 1500], 16)]
    assert done.reverts_after_s == 60


async def test_a_device_that_confirms_and_does_not_take_it_is_told_of(store: StoreFile) -> None:
    bus = Registers({GATE: 1, LIMIT: 1000}, ignored={LIMIT})
    with pytest.raises(ReadBackError, match=r"holds \[1000\] after \[600\]"):
        await writer_of(bus, store).write("active_power_limit_percent", Decimal(60), now=NOW)


async def test_a_lost_confirmation_is_made_up_for_by_reading(store: StoreFile) -> None:
    bus = Registers({GATE: 1, LIMIT: 1000}, silent={LIMIT})
    assert (await writer_of(bus, store).write("active_power_limit_percent", Decimal(60), now=NOW)).changed
    bus = Registers({GATE: 1, LIMIT: 1000}, silent={LIMIT}, ignored={LIMIT})
    with pytest.raises(ReadBackError):
        await writer_of(bus, store).write("active_power_limit_percent", Decimal(70), now=NOW + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("name", "value", "changes", "reason"),
    [
        ("battery_reserve_percent", "50", {}, Refusal.UNKNOWN),
        ("active_power_limit_percent", "101", {}, Refusal.OUT_OF_RANGE),
        ("active_power_limit_percent", "50.05", {}, Refusal.OFF_STEP),
        ("active_power_limit_percent", "50", {"verified": False}, Refusal.UNVERIFIED),
        ("active_power_limit_percent", "50", {"range": None}, Refusal.OUT_OF_RANGE),
    ],
)
async def test_a_refused_write_touches_nothing(
    store: StoreFile, name: str, value: str, changes: dict[str, Any], reason: Refusal
) -> None:
    bus = Registers({GATE: 0, LIMIT: 1000})
    with pytest.raises(WriteRefusedError) as refused:
        await writer_of(bus, store, **changes).write(name, Decimal(value), now=NOW)
    assert (refused.value.reason, bus.writes) == (reason, [])


async def test_another_device_at_the_address_is_not_written(store: StoreFile) -> None:
    bus = Registers({GATE: 0, LIMIT: 1000})
    stranger = Reader(DriverError("unit 3 is no made_up", retry=False, kind="identity"))
    with pytest.raises(DriverError, match="is no made_up"):
        await writer_of(bus, store, stranger).write("active_power_limit_percent", Decimal(60), now=NOW)
    assert bus.writes == []


async def test_the_memory_of_a_device_is_spared_across_restarts(store: StoreFile) -> None:
    bus = Registers({GATE: 1, LIMIT: 1000})
    for number in range(FLASH_WRITES_PER_DAY):
        writer = writer_of(bus, store, in_flash=True)  # each as after a restart
        await writer.write("active_power_limit_percent", Decimal(number), now=NOW + timedelta(minutes=2 * number))
    with pytest.raises(WriteRefusedError) as refused:
        await writer.write("active_power_limit_percent", Decimal(99), now=NOW + timedelta(hours=20))
    assert refused.value.reason is Refusal.FLASH_BUDGET
    await writer.write("active_power_limit_percent", Decimal(99), now=NOW + timedelta(hours=24, minutes=1))


def test_words_say_the_value_in_both_orders() -> None:
    control = profile_of().controls[1]
    for order in WordOrder:
        for value in (Decimal(-5000), Decimal(-1), Decimal(0), Decimal(4999)):
            assert value_of(control, words_of(control, value, order=order), order=order) == value
    assert isinstance(control, Control)
