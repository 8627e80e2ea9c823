"""A SunSpec inverter is told its limit in the order that the standard wants, and believed after it was read back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from edge_agent.control.rules import Refusal, WriteRefusedError
from edge_agent.control.sunspec_writer import LIMIT, SunSpecLimitWriter
from edge_agent.control.writer import ReadBackError
from edge_agent.drivers.base import DriverError
from edge_agent.drivers.modbus import RefusedAddressError
from edge_agent.drivers.sunspec import SunSpecDriver
from edge_agent.profiles.model import RegisterFunction
from shared.enums import DeviceType
from tests.sunspec_image import image, model_words

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class SunSpecInverter:
    """Registers of an inverter with models 103 and 123; writes to the limit come into force when it is enabled."""

    held: dict[int, int]
    is_deaf: bool = False
    is_silent: bool = False
    writes: list[int] = field(default_factory=list)

    async def read(self, unit: int, function: RegisterFunction, *, address: int, count: int) -> list[int]:
        assert (unit, function) == (1, RegisterFunction.HOLDING)
        try:
            return [self.held[place] for place in range(address, address + count)]
        except KeyError as error:
            raise RefusedAddressError(f"no register {error}") from None

    async def write(self, unit: int, *, address: int, words: Sequence[int], function_code: int) -> None:
        assert (unit, function_code) == (1, 16)
        self.writes.append(address)
        if not self.is_deaf:
            self.held |= {address + place: word for place, word in enumerate(words)}
        if self.is_silent:
            raise DriverError("no answer", retry=True, kind="timeout")

    async def close(self) -> None:
        return None


@dataclass
class Memory:
    """A journal in memory."""

    moments: list[datetime] = field(default_factory=list)

    async def written(self, control: str) -> list[datetime]:
        assert control == LIMIT
        return self.moments

    async def note(self, control: str, *, at: datetime, value: Decimal, before: Decimal | None) -> None:
        assert control == LIMIT
        self.moments.append(at)


def inverter(*, with_limit: bool = True, is_deaf: bool = False, is_silent: bool = False) -> SunSpecInverter:
    limit = model_words(
        123,
        {"WMaxLimPct": Decimal(100), "WMaxLim_Ena": Decimal(0), "WMaxLimPct_RvrtTms": Decimal(0)},
        scales={"WMaxLimPct_SF": -1},
    )
    models = [model_words(1, {"Mn": "Maker"}), model_words(103, {"W": Decimal(1000)}), *([limit] if with_limit else [])]
    return SunSpecInverter(image(*models), is_deaf=is_deaf, is_silent=is_silent)


def writer_of(bus: SunSpecInverter, journal: Memory, *, reversion_s: int = 0) -> SunSpecLimitWriter:
    driver = SunSpecDriver(bus, 1, device_type=DeviceType.INVERTER)
    return SunSpecLimitWriter(bus, 1, driver=driver, journal=journal, reversion_s=reversion_s)


async def test_the_limit_holds_with_its_reversion_and_is_enabled_last() -> None:
    bus, journal = inverter(), Memory()
    done = await writer_of(bus, journal, reversion_s=60).write(LIMIT, Decimal("60.5"), now=NOW)
    assert (done.before, done.changed, done.reverts_after_s) == (Decimal(100), True, 60.0)
    assert journal.moments == [NOW]
    again = await writer_of(bus, journal, reversion_s=60).write(LIMIT, Decimal("60.5"), now=NOW)
    assert (again.before, again.changed) == (Decimal("60.5"), False)
    assert bus.writes[-1] == max(bus.writes)  # WMaxLim_Ena lies behind the limit and its reversion


async def test_a_lost_confirmation_is_made_up_for_and_a_deaf_inverter_told_of() -> None:
    assert (await writer_of(inverter(is_silent=True), Memory()).write(LIMIT, Decimal(30), now=NOW)).changed
    with pytest.raises(ReadBackError, match="model 123"):
        await writer_of(inverter(is_deaf=True), Memory()).write(LIMIT, Decimal(30), now=NOW)


@pytest.mark.parametrize(
    ("name", "value", "with_limit", "reason"),
    [
        ("export_limit_w", "0", True, Refusal.UNKNOWN),
        (LIMIT, "60", False, Refusal.UNKNOWN),
        (LIMIT, "100.1", True, Refusal.OUT_OF_RANGE),
        (LIMIT, "60.55", True, Refusal.OFF_STEP),
    ],
)
async def test_what_must_not_be_is_refused_before_anything_is_written(
    name: str, value: str, with_limit: bool, reason: Refusal
) -> None:
    bus, journal = inverter(with_limit=with_limit), Memory()
    with pytest.raises(WriteRefusedError) as refused:
        await writer_of(bus, journal).write(name, Decimal(value), now=NOW)
    assert (refused.value.reason, bus.writes, journal.moments) == (reason, [], [])
