"""Reads one device by its profile."""

from edge_agent.clock import Clock
from edge_agent.drivers import modbus_codec
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.modbus import RefusedAddressError, RegisterBus
from edge_agent.drivers.modbus_plan import Request, halve, plan
from edge_agent.profiles.model import IdentityCheck, PollClass, Profile, Row
from shared.enums import DeviceType, Quality
from shared.readings import Value

SLOW_PERIOD_S = 300.0
"""Between two reads of the rows of the slow class."""

REFUSED_PERIOD_S = 3600.0
"""After which registers that did not exist are asked for again: a firmware update may have brought them."""


class _Group:
    """The requests for one poll class, and what has been learnt about them."""

    def __init__(self, rows: tuple[Row, ...], profile: Profile) -> None:
        self._rows = rows
        self._profile = profile
        self.requests = plan(rows, limits=profile.bus)
        self.refused: tuple[Row, ...] = ()
        self._refused_at = 0.0

    def forget(self) -> None:
        """Back to the plan of the profile."""
        self.requests = plan(self._rows, limits=self._profile.bus)
        self.refused = ()

    def forget_if_old(self, *, now: float) -> None:
        """Give refused registers another chance from time to time."""
        if self.refused and now - self._refused_at >= REFUSED_PERIOD_S:
            self.forget()

    def learn(self, requests: list[Request], refused: list[Row], *, now: float) -> None:
        """Keep the requests that were answered, and the rows that the device has no registers for."""
        self.requests = tuple(requests)
        if refused:
            self.refused = (*self.refused, *refused)
            self._refused_at = now


class ProfileDriver:
    """One device of a profile's platform.

    Args:
        bus: the endpoint, shared with other devices.
        unit: Modbus unit id.
        profile: the register map.
        device_type: selects the rows.
        clock: of the agent.
    """

    def __init__(self, bus: RegisterBus, unit: int, *, profile: Profile, device_type: DeviceType, clock: Clock) -> None:
        self._bus = bus
        self._unit = unit
        self._profile = profile
        self._clock = clock
        rows = profile.rows_for(device_type)
        self._derived = profile.derived_for(device_type)
        self._fast = _Group(tuple(row for row in rows if row.poll is PollClass.FAST), profile)
        self._slow = _Group(tuple(row for row in rows if row.poll is PollClass.SLOW), profile)
        self._slow_at: float | None = None
        self._is_identified = False

    async def read(self) -> DeviceAnswer:
        """Read every row that is due.

        Raises:
            DriverError: if a request gets no answer, if the device is of another platform, or if it has none of the registers.
        """
        if not self._is_identified:
            await self._identify()
        now = self._clock.monotonic()
        slow_is_due = self._slow_at is None or now - self._slow_at >= SLOW_PERIOD_S
        values = await self._read_group(self._fast, now=now)
        if slow_is_due:
            values |= await self._read_group(self._slow, now=now)
            self._slow_at = now
        if values and not (self._fast.requests or self._slow.requests):
            self._forget()
            raise DriverError(
                f"profile {self._profile.name}: unit {self._unit} has none of the registers; check the profile and the unit id",
                retry=True,
                kind="exception",
            )
        return self._answer(values)

    async def close(self) -> None:
        """Let go of the connection: a device that left the plan must not hold its maker's only one; who shares it opens it again."""
        await self._bus.close()

    def _forget(self) -> None:
        self._fast.forget()
        self._slow.forget()
        self._slow_at = None
        self._is_identified = False

    async def _identify(self) -> None:
        for check in self._profile.identity:
            try:
                words = await self._bus.read(self._unit, check.function, address=check.address, count=1)
            except RefusedAddressError:
                continue  # some data loggers hide the register; the ranges of the rows are the second line of defence
            if words[0] not in check.any_of:
                raise self._stranger(check, words[0])
        self._is_identified = True

    def _stranger(self, check: IdentityCheck, word: int) -> DriverError:
        wanted = " or ".join(map(str, check.any_of))
        return DriverError(
            f"unit {self._unit} is no {self._profile.name}: register {check.address} is {word}, expected {wanted} ({check.meaning}); "
            "choose the profile of this device",
            retry=False,
            kind="identity",
        )

    async def _read_group(self, group: _Group, *, now: float) -> dict[str, Value]:
        group.forget_if_old(now=now)
        values: dict[str, Value] = {}
        answered: list[Request] = []
        refused: list[Row] = []
        waiting = list(group.requests)
        while waiting:
            request = waiting.pop(0)
            try:
                registers = await self._bus.read(
                    self._unit, request.function, address=request.address, count=request.count
                )
            except RefusedAddressError:
                if len(request.rows) > 1:
                    waiting[:0] = halve(request)
                else:
                    refused.append(request.rows[0])
                continue
            answered.append(request)
            for row in request.rows:
                order = self._profile.order_of(row)
                values[row.metric] = modbus_codec.decode(row, request.words_of(row, registers), order=order)
        group.learn(answered, refused, now=now)
        return values | {row.metric: None for row in group.refused}

    def _answer(self, values: dict[str, Value]) -> DeviceAnswer:
        quality = Quality.GOOD
        if any(row.metric in values for group in (self._fast, self._slow) for row in group.refused):
            quality |= Quality.PARTIAL
        requests = (*self._fast.requests, *self._slow.requests)
        rows = (row for request in requests for row in request.rows)
        if not all(modbus_codec.is_in_range(row, values.get(row.metric)) for row in rows):
            quality |= Quality.OUT_OF_RANGE
        for derived in self._derived:
            values[derived.metric] = modbus_codec.compute(derived, values)
            if values[derived.metric] is not None:
                quality |= Quality.DERIVED
        return DeviceAnswer(values, quality)
