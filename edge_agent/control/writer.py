"""Writes one control of a device: read, judged, remembered, written, read back."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from edge_agent.control.rules import Refusal, Writable, WriteRefusedError, judge
from edge_agent.drivers.base import Driver, DriverError
from edge_agent.drivers.modbus import RegisterBus
from edge_agent.profiles.controls import Control
from edge_agent.profiles.model import Profile
from edge_agent.profiles.parts import RegisterFunction, WordOrder
from shared.enums import DeviceType

LOG = logging.getLogger(__name__)

_WORD_BITS = 16


class WritingBus(RegisterBus, Protocol):
    """A bus that can also write holding registers."""

    async def write(self, unit: int, *, address: int, words: Sequence[int], function_code: int) -> None:
        """Write registers with function 6 (one) or 16 (several).

        Raises:
            DriverError: on anything but the device's confirmation.
        """
        ...


class Journal(Protocol):
    """Remembers writes across restarts."""

    async def written(self, control: str) -> Sequence[datetime]:
        """Moments of the writes of the last day, in order."""
        ...

    async def note(self, control: str, *, at: datetime, value: Decimal, before: Decimal | None) -> None:
        """Remember that a write is about to be tried."""
        ...


class Writer(Protocol):
    """Writes the controls of one device, whatever they look like there."""

    async def write(self, name: str, value: Decimal, *, now: datetime, refresh: bool = False) -> "Written":
        """Set a control; see `ControlWriter.write`."""
        ...


class ReadBackError(DriverError):
    """The device confirmed a write, or was silent, and holds something else."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=True, kind="read_back")


@dataclass(frozen=True, slots=True)
class Written:
    """What a write has come to.

    Attributes:
        before: what the device held; None if the register cannot be read.
        changed: False if it held the value already, and nothing was written.
        reverts_after_s: the device takes it back after so long; None if it stays.
    """

    control: str
    value: Decimal
    before: Decimal | None
    changed: bool
    reverts_after_s: float | None


class ControlWriter:
    """Writes the controls of one device.

    Args:
        bus: shared with whoever reads.
        unit: Modbus unit id.
        profile: of the device.
        device_type: whose controls.
        driver: reads the same device by the same profile.
        journal: of this device.
    """

    def __init__(
        self, bus: WritingBus, unit: int, *, profile: Profile, device_type: DeviceType, driver: Driver, journal: Journal
    ) -> None:
        self._bus = bus
        self._unit = unit
        self._profile = profile
        self._device_type = device_type
        self._driver = driver
        self._journal = journal

    @property
    def controls(self) -> dict[str, Control]:
        """What the profile lists for this type of device, by name."""
        return {control.name: control for control in self._profile.controls if self._device_type in control.read_for}

    async def write(self, name: str, value: Decimal, *, now: datetime, refresh: bool = False) -> Written:
        """Set a control.

        Args:
            name: of the control.
            value: in the unit of the name.
            now: the present moment.
            refresh: write also what the device holds already, so that its reversion timer begins anew.

        Raises:
            WriteRefusedError: if it must not be; nothing was written.
            ReadBackError: if the device does not hold the value afterwards.
            DriverError: if the device does not answer, or is another one than the profile says.
        """
        control = self.controls.get(name)
        if control is None:
            known = ", ".join(self.controls) or "none"
            raise WriteRefusedError(
                f"{name}: profile {self._profile.name} lists no such control for a {self._device_type.value}; it lists: {known}",
                reason=Refusal.UNKNOWN,
            )
        writable = writable_of(control)
        # Reading it first shows that it is there and of this platform: the same address means something else on another one.
        await self._driver.read()
        before = await self._present(control)
        gate_is_open = await self._gate_is_open(control)
        if before == value and gate_is_open and not refresh:
            return Written(name, value, before, changed=False, reverts_after_s=control.reverts_after_s)
        judge(writable, value, written=await self._journal.written(name), now=now)
        # Before, not after: an attempt that nobody hears of again has worn the memory all the same.
        await self._journal.note(name, at=now, value=value, before=before)
        if control.gate is not None and not gate_is_open:
            await self._put(control.gate.address, [control.gate.value], what=f"gate of {name}")
        await self._put_value(control, value)
        LOG.info("control_written", extra={"control": name, "value": str(value), "before": str(before)})
        return Written(name, value, before, changed=True, reverts_after_s=control.reverts_after_s)

    async def _present(self, control: Control) -> Decimal | None:
        if not control.read_back:
            return None
        words = await self._read(control.address, len(control.words))
        return value_of(control, words, order=self._order(control))

    async def _gate_is_open(self, control: Control) -> bool:
        if control.gate is None:
            return True
        return await self._read(control.gate.address, 1) == [control.gate.value]

    async def _put_value(self, control: Control, value: Decimal) -> None:
        words = words_of(control, value, order=self._order(control))
        if control.read_back:
            await self._put(control.address, words, what=control.name, function_code=control.function_code)
        else:
            await self._send(control.address, words, control.function_code)

    async def _put(self, address: int, words: Sequence[int], *, what: str, function_code: int = 6) -> None:
        """Write and read back; a confirmation that was lost is made up for by what the device then holds."""
        lost: DriverError | None = None
        try:
            await self._send(address, words, function_code)
        except DriverError as error:
            if error.kind != "timeout":
                raise
            lost = error
        held = await self._read(address, len(words))
        if held != list(words):
            raise ReadBackError(
                f"{what}: register {address} holds {held} after {list(words)} was written; the device refuses it in its present"
                " state, or somebody else writes it too"
            ) from lost

    async def _read(self, address: int, count: int) -> list[int]:
        return await self._bus.read(self._unit, RegisterFunction.HOLDING, address=address, count=count)

    async def _send(self, address: int, words: Sequence[int], function_code: int) -> None:
        await self._bus.write(self._unit, address=address, words=words, function_code=function_code)

    def _order(self, control: Control) -> WordOrder:
        return control.word_order or self._profile.word_order


def writable_of(control: Control) -> Writable:
    """A profile's control as the rules judge it.

    Raises:
        WriteRefusedError: if the profile gives no range.
    """
    if control.range is None:
        raise WriteRefusedError(
            f"{control.name}: the profile gives no range; it is not written before it has one",
            reason=Refusal.OUT_OF_RANGE,
        )
    low, high = (Decimal(repr(bound)) for bound in control.range)
    return Writable(
        control.name,
        low,
        high,
        abs(control.scale),
        in_flash=control.in_flash,
        is_verified=control.verified,
        reverts_after_s=control.reverts_after_s,
    )


def words_of(control: Control, value: Decimal, *, order: WordOrder) -> list[int]:
    """The words that say a value, which lies on the control's step."""
    raw = int(value / control.scale)
    low, high = control.raw_limits
    if not low <= raw <= high:
        raise WriteRefusedError(
            f"{control.name} = {value}: raw {raw} does not fit into {control.type.value}", reason=Refusal.OUT_OF_RANGE
        )
    count = len(control.words)
    unsigned = raw % (1 << _WORD_BITS * count)
    words = [(unsigned >> _WORD_BITS * place) & 0xFFFF for place in range(count)]
    return words if order is WordOrder.LOW_FIRST else words[::-1]


def value_of(control: Control, words: Sequence[int], *, order: WordOrder) -> Decimal:
    """What the words say, in the control's unit."""
    raw = 0
    for word in words if order is WordOrder.HIGH_FIRST else reversed(words):
        raw = raw << _WORD_BITS | word
    bits = _WORD_BITS * len(words)
    if control.type.is_signed and raw >> (bits - 1):
        raw -= 1 << bits
    return raw * control.scale
