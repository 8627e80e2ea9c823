"""What may be written to a device. Pure.

A wrong write can stop a plant or wear out its memory, so everything is refused that a profile does not allow in so many words: a register
that is not listed, one that nobody has verified, a value outside the range or between the steps, a write too soon after the last one, and
one more than the memory is made for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from edge_agent.errors import EdgeError

FLASH_WRITES_PER_DAY = 20
"""A flash cell bears about a hundred thousand writes: at twenty a day, more than thirteen years."""

LEAST_PAUSE = timedelta(seconds=0.5)
FLASH_PAUSE = timedelta(seconds=60)
DAY = timedelta(days=1)


class Refusal(StrEnum):
    """Why a write was refused."""

    UNKNOWN = "unknown_control"
    UNVERIFIED = "unverified"
    OUT_OF_RANGE = "out_of_range"
    OFF_STEP = "off_step"
    TOO_SOON = "too_soon"
    FLASH_BUDGET = "flash_budget"
    GATE_CLOSED = "gate_closed"
    NO_REVERSION = "no_reversion"


class WriteRefusedError(EdgeError):
    """Nothing was written.

    Attributes:
        reason: stable word for logs and programs.
    """

    def __init__(self, message: str, *, reason: Refusal) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Writable:
    """What a profile says of one thing that can be written.

    Attributes:
        name: as `active_power_limit_percent`; the unit is in it.
        low: least value that may be written.
        high: greatest one.
        step: of the register, in the value's unit.
        in_flash: whether every write wears the device's memory.
        is_verified: whether a source beyond one document, or a trial on a device, stands behind it.
        reverts_after_s: the device goes back to its default by itself after so long without a write; None if it never does.
    """

    name: str
    low: Decimal
    high: Decimal
    step: Decimal
    in_flash: bool
    is_verified: bool
    reverts_after_s: float | None = None

    @property
    def least_pause(self) -> timedelta:
        """Between two writes."""
        return FLASH_PAUSE if self.in_flash else LEAST_PAUSE


def judge(writable: Writable, value: Decimal, *, written: Sequence[datetime], now: datetime) -> None:
    """Refuse a write that must not be.

    Args:
        writable: what the profile says.
        value: to be written, in the unit of the name.
        written: moments of earlier writes of the same control, in order; those of the last day are enough.
        now: the present moment.

    Raises:
        WriteRefusedError: naming the control, the value and the way out.
    """
    if not writable.is_verified:
        raise WriteRefusedError(
            f"{writable.name}: the profile knows the register from one source only; it is not written before it is verified",
            reason=Refusal.UNVERIFIED,
        )
    if not value.is_finite() or not writable.low <= value <= writable.high:
        raise WriteRefusedError(
            f"{writable.name} = {value}: it must be between {writable.low} and {writable.high}",
            reason=Refusal.OUT_OF_RANGE,
        )
    if value % writable.step:
        below = value // writable.step * writable.step
        raise WriteRefusedError(
            f"{writable.name} = {value}: the device counts in steps of {writable.step}; send {below} or {below + writable.step}",
            reason=Refusal.OFF_STEP,
        )
    past = [moment for moment in written if moment <= now]
    if past and now - past[-1] < writable.least_pause:
        wait_s = (writable.least_pause - (now - past[-1])).total_seconds()
        raise WriteRefusedError(
            f"{writable.name}: written {(now - past[-1]).total_seconds():.0f} s ago; try again in {wait_s:.1f} s",
            reason=Refusal.TOO_SOON,
        )
    # A clock that was put back leaves moments ahead of it: they count for the memory, but not for longer than a day.
    if writable.in_flash and sum(1 for moment in written if abs(now - moment) < DAY) >= FLASH_WRITES_PER_DAY:
        raise WriteRefusedError(
            f"{writable.name}: written {FLASH_WRITES_PER_DAY} times within a day, and each write wears the device's memory; try"
            " again tomorrow",
            reason=Refusal.FLASH_BUDGET,
        )


def on_step(writable: Writable, value: Decimal) -> Decimal:
    """The nearest value at or below, towards less power, that the register can hold and the range allows."""
    stepped = value // writable.step * writable.step
    return min(max(stepped, writable.low), writable.high)
