"""The loop beside its rules: what is written when, and what happens when writing fails or the agent ends."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from edge_agent.control.loop import ZeroExport
from edge_agent.control.rules import Refusal, Writable, WriteRefusedError
from edge_agent.control.zero_export import Seen, Why, ZeroExportSettings
from edge_agent.drivers.base import DriverError

SETTINGS = ZeroExportSettings(rated_kw=10.0, meter_proof_s=0.0, raise_percent_per_s=50.0)


@dataclass
class StillClock:
    """Time stands until somebody sleeps."""

    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


@dataclass
class Inverter:
    """Takes writes, or refuses them."""

    written: list[tuple[Decimal, bool]] = field(default_factory=list)
    error: DriverError | None = None

    async def take(self, value: Decimal, *, refresh: bool) -> None:
        if self.error is not None:
            raise self.error
        self.written.append((value, refresh))


def limit(*, in_flash: bool = False, reverts_after_s: float | None = None) -> Writable:
    return Writable(
        "active_power_limit_percent",
        Decimal(0),
        Decimal(100),
        Decimal(1),
        in_flash,
        is_verified=True,
        reverts_after_s=reverts_after_s,
    )


def loop_of(
    inverter: Inverter, clock: StillClock, writable: Writable | None = None, seen: Seen | None = None
) -> ZeroExport:
    return ZeroExport(
        SETTINGS,
        writable or limit(),
        clock=clock,  # type: ignore[arg-type]  # the two methods that the loop uses
        look=lambda _: seen or Seen(2.0, 0.1, 3.0, 1.0),
        write=inverter.take,
        accepts_loss=True,
    )


async def test_the_limit_follows_the_load_in_steps_of_the_register() -> None:
    inverter, clock = Inverter(), StillClock()
    loop = loop_of(inverter, clock)
    await loop.follow(Seen(2.0, 0.1, 0.0, 1.0))
    await loop.follow(Seen(0.07, 0.1, 1.93, 1.0))
    await loop.follow(Seen(-1.0, 0.1, 1.9, 1.0))
    assert [value for value, _ in inverter.written] == [Decimal(19), Decimal(8)]
    assert loop.state.why is Why.LOWERED


async def test_the_same_limit_is_written_again_before_the_inverter_forgets_it() -> None:
    inverter, clock = Inverter(), StillClock()
    loop = loop_of(inverter, clock, limit(reverts_after_s=30))
    for _ in range(25):
        await loop.follow(Seen(0.05, 0.1, 0.0, 1.0))
        clock.now_s += 1
    assert inverter.written == [(Decimal(0), False), (Decimal(0), True), (Decimal(0), True)]


async def test_a_write_that_failed_is_tried_again_and_not_believed() -> None:
    inverter, clock = Inverter(), StillClock()
    loop = loop_of(inverter, clock)
    await loop.follow(Seen(4.0, 0.1, 0.0, 1.0))
    inverter.error = DriverError("silent", retry=True, kind="timeout")
    await loop.follow(Seen(-2.0, 0.1, 3.9, 1.0))
    assert loop.state.limit_percent == 39
    inverter.error = None
    await loop.follow(Seen(-2.0, 0.1, 3.9, 1.0))
    assert inverter.written[-1] == (Decimal(18), False)


async def test_a_meter_that_is_lost_leaves_the_fall_back_limit_and_so_does_the_end() -> None:
    inverter, clock = Inverter(), StillClock()
    loop = loop_of(inverter, clock)
    await loop.follow(Seen(4.0, 0.1, 0.0, 1.0))
    await loop.follow(Seen(None, 0.1, 3.0, 1.0))
    assert inverter.written[-1] == (Decimal(0), False)
    running = asyncio.create_task(loop.run())
    while inverter.written[-1][0] == 0:  # noqa: ASYNC110 -- the fake offers no event to wait for
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert inverter.written[-1] == (Decimal(0), True)


@pytest.mark.parametrize(
    ("writable", "accepts_loss", "reason"),
    [
        (limit(in_flash=True), True, Refusal.FLASH_BUDGET),
        (limit(), False, Refusal.NO_REVERSION),
        (limit(reverts_after_s=60), False, Refusal.NO_REVERSION),
    ],
)
async def test_a_control_that_is_not_made_for_a_loop_is_refused(
    writable: Writable, accepts_loss: bool, reason: Refusal
) -> None:
    with pytest.raises(WriteRefusedError) as refused:
        ZeroExport(
            SETTINGS,
            writable,
            clock=StillClock(),  # type: ignore[arg-type]  # never used
            look=lambda _: Seen(None, 0, None, 0),
            write=Inverter().take,
            accepts_loss=accepts_loss,
        )
    assert refused.value.reason is reason
