"""The power limit of SunSpec inverters, written as every other control: read, judged, remembered, written, read back."""

import logging
from datetime import datetime
from decimal import Decimal

from edge_agent.control.rules import Refusal, Writable, WriteRefusedError, judge
from edge_agent.control.writer import Journal, ReadBackError, WritingBus, Written
from edge_agent.drivers.base import Driver, DriverError
from edge_agent.drivers.sunspec import BASES, ModelPlace, find_chain
from edge_agent.drivers.sunspec_controls import (
    FULL_POWER_PERCENT,
    LIMIT_MODELS,
    LIMIT_POINTS,
    LimitChange,
    PowerLimitError,
    change_limit,
    limit_state,
)
from edge_agent.drivers.sunspec_models import DecodedModel
from edge_agent.drivers.sunspec_read import read_model

LOG = logging.getLogger(__name__)

LIMIT = "active_power_limit_percent"
_WRITE_SEVERAL = 16


class SunSpecLimitWriter:
    """Writes `active_power_limit_percent` through model 704 or 123.

    The standard is the second source that every other register needs: its models say range, steps and reversion themselves.

    Args:
        bus: shared with whoever reads.
        unit: Modbus unit id.
        driver: reads the same inverter.
        journal: of this device.
        bases: where its chain may start.
        reversion_s: the inverter drops the limit by itself after so many seconds without a write; 0 for never.
    """

    def __init__(
        self,
        bus: WritingBus,
        unit: int,
        *,
        driver: Driver,
        journal: Journal,
        bases: tuple[int, ...] = BASES,
        reversion_s: int = 0,
    ) -> None:
        self._bus = bus
        self._unit = unit
        self._driver = driver
        self._journal = journal
        self._bases = bases
        self._reversion_s = reversion_s

    async def write(self, name: str, value: Decimal, *, now: datetime, refresh: bool = False) -> Written:
        """Set the limit.

        Raises:
            WriteRefusedError: if it must not be; nothing was written.
            ReadBackError: if the inverter does not hold the limit afterwards.
            DriverError: if it does not answer.
        """
        if name != LIMIT:
            raise WriteRefusedError(f"{name}: a SunSpec inverter is only told {LIMIT}", reason=Refusal.UNKNOWN)
        await self._driver.read()
        place = await self._place()
        model = await read_model(self._bus, self._unit, place)
        before = limit_state(model).effective_percent
        reverts_after_s = float(self._reversion_s) or None
        if before == value and not refresh:
            return Written(name, value, before, changed=False, reverts_after_s=reverts_after_s)
        judge(_writable(model, reverts_after_s), value, written=await self._journal.written(name), now=now)
        try:
            change = change_limit(place, model, percent=value, reversion_s=self._reversion_s)
        except PowerLimitError as error:
            raise WriteRefusedError(str(error), reason=Refusal.OUT_OF_RANGE) from error
        await self._journal.note(name, at=now, value=value, before=before)
        await self._carry_out(change)
        LOG.info("control_written", extra={"control": name, "value": str(value), "before": str(before)})
        return Written(name, value, before, changed=True, reverts_after_s=reverts_after_s)

    async def _place(self) -> ModelPlace:
        chain = await find_chain(self._bus, self._unit, bases=self._bases)
        for number in LIMIT_MODELS:
            for place in chain.places:
                if place.id == number:
                    return place
        models = " or ".join(map(str, LIMIT_MODELS))
        raise WriteRefusedError(
            f"{LIMIT}: the inverter has no model {models}; it takes no limit", reason=Refusal.UNKNOWN
        )

    async def _carry_out(self, change: LimitChange) -> None:
        """Every write in its order; confirmations that were lost are made up for by what the inverter then says."""
        lost: DriverError | None = None
        for write in change.writes:
            try:
                await self._bus.write(
                    self._unit, address=write.address, words=write.words, function_code=_WRITE_SEVERAL
                )
            except DriverError as error:
                if error.kind != "timeout":
                    raise
                lost = error
        state = limit_state(await read_model(self._bus, self._unit, change.place))
        if not change.holds(state):
            raise ReadBackError(
                f"{LIMIT}: model {change.place.id} says {state} after {change.expected} was written; the inverter refuses it in its"
                " present state, or somebody else writes it too"
            ) from lost


def _writable(model: DecodedModel, reverts_after_s: float | None) -> Writable:
    factor = model.points[LIMIT_POINTS[model.definition.id].factor]
    if not isinstance(factor, Decimal):
        raise WriteRefusedError(f"{LIMIT}: the inverter does not say in which steps it counts", reason=Refusal.OFF_STEP)
    step = Decimal(1).scaleb(int(factor))
    return Writable(
        LIMIT, Decimal(0), FULL_POWER_PERCENT, step, in_flash=False, is_verified=True, reverts_after_s=reverts_after_s
    )
