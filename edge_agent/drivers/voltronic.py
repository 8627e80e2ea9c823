"""Reads a Voltronic inverter (PI30) as a device of the plan: the inverter itself, or the battery behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.clock import Clock
from edge_agent.drivers.base import DeviceAnswer, DriverError
from edge_agent.drivers.voltronic_line import NakError, VoltronicLine
from edge_agent.drivers.voltronic_table import (
    LOAD_ENERGY,
    LOAD_ENERGY_FIELDS,
    MODE,
    PV_ENERGY,
    PV_ENERGY_FIELDS,
    RATINGS,
    RATINGS_FIELDS,
    SERIAL_NUMBER,
    STATUS,
    STATUS_2,
    STATUS_2_FIELDS,
    STATUS_FIELDS,
    WARNINGS,
    Field,
    Query,
    battery_flow,
    charger_power,
    fault_codes,
    state_of,
    values_of,
)
from shared.enums import DeviceType, Quality
from shared.metrics import metric_of
from shared.readings import Value

DEVICE_TYPES = tuple(STATUS_FIELDS)

SLOW_PERIOD_S = 300.0
"""Between two questions for what hardly changes."""

COUNTER_PERIOD_S = 60.0
"""Between two questions for the lifetime counters."""

UNKNOWN_PERIOD_S = 3600.0
"""After which a command that the inverter did not know is tried again: the refusal may have been damage on the line."""

TRIES = 3
"""So often in a row a command must be refused, or met with silence as some firmware does, to count as unknown. A second tracker that is
there must not be taken for absent because of noise: the modules' power would be too low."""


@dataclass(slots=True)
class _Extra:
    """A command that not every firmware knows.

    Attributes:
        query: see there.
        metrics: None when the command fails.
        period_s: between two questions.
        due_at: monotonic; asked from then on.
        was_answered: whether this firmware knows it.
        failures: how often in a row it was refused or not answered.
    """

    query: Query
    metrics: tuple[str, ...]
    period_s: float = 0.0
    due_at: float = 0.0
    was_answered: bool = False
    failures: int = 0

    def answered(self, *, now: float) -> None:
        """Ask again when the period is over."""
        self.was_answered, self.failures, self.due_at = True, 0, now + self.period_s

    def failed(self, *, now: float) -> None:
        """Ask again with the next read, unless it never was answered: then leave it alone for long."""
        self.failures += 1
        if not self.was_answered and self.failures >= TRIES:
            self.failures, self.due_at = 0, now + UNKNOWN_PERIOD_S


def _metrics(table: Sequence[Field]) -> tuple[str, ...]:
    return tuple(field.metric for field in table)


def _extras() -> tuple[_Extra, ...]:
    return (
        _Extra(MODE, ("operating_state",)),
        _Extra(WARNINGS, ("fault_codes",)),
        _Extra(STATUS_2, _metrics(STATUS_2_FIELDS)),
        _Extra(PV_ENERGY, _metrics(PV_ENERGY_FIELDS), COUNTER_PERIOD_S),
        _Extra(LOAD_ENERGY, _metrics(LOAD_ENERGY_FIELDS), COUNTER_PERIOD_S),
        _Extra(RATINGS, _metrics(RATINGS_FIELDS), SLOW_PERIOD_S),
    )


class VoltronicDriver:
    """One device type of one inverter.

    Args:
        line: the inverter's port, shared with the plan's other device on it.
        device_type: inverter or battery.
        clock: of the agent.
        serial_number: if given, an inverter with another one is refused; a USB adapter that was plugged in elsewhere is noticed so.
        rated_power_kw: narrows what is plausible.
    """

    def __init__(
        self,
        line: VoltronicLine,
        *,
        device_type: DeviceType,
        clock: Clock,
        serial_number: str | None = None,
        rated_power_kw: float | None = None,
    ) -> None:
        self._line = line
        self._device_type = device_type
        self._clock = clock
        self._serial_number = serial_number
        self._rated_kw = rated_power_kw
        self._is_identified = serial_number is None
        self._extras = _extras() if device_type is DeviceType.INVERTER else ()

    async def read(self) -> DeviceAnswer:
        """Read the status, and what else is due.

        Raises:
            DriverError: if the status cannot be read, or the inverter is another one; if only something else fails, the answer is partial.
        """
        try:
            await self._identify()
            status = await self._line.ask(STATUS, taker=self)
        except DriverError:
            self._is_identified = self._serial_number is None  # what answers next may be another inverter
            raise
        values = values_of(status, STATUS_FIELDS[self._device_type])
        if self._device_type is DeviceType.BATTERY:
            return self._answer(values | battery_flow(status), Quality.DERIVED)
        charger = charger_power(status)
        quality = Quality.DERIVED if charger else Quality.GOOD
        values |= charger
        quality |= await self._read_extras(values, status=status)
        _add_modules_up(values)
        return self._answer(values, quality)

    async def close(self) -> None:
        """Let go of the port; who shares it opens it again."""
        await self._line.close()

    async def _identify(self) -> None:
        if self._is_identified or self._serial_number is None:
            return
        told = await self._line.ask(SERIAL_NUMBER, taker=self)
        if not self._serial_number.startswith(told):  # QID tells the first 14 characters of a longer number
            raise DriverError(
                f"{self._line.name}: the inverter's serial number is {told}, expected {self._serial_number}; correct "
                "connection.serial_number, or plug the adapters as they were",
                retry=False,
                kind="identity",
            )
        self._is_identified = True

    async def _read_extras(self, values: dict[str, Value], *, status: str) -> Quality:
        """Ask what is due, into `values`; after a silence the rest is left for the next read, so that one read stays short."""
        now = self._clock.monotonic()
        due = [extra for extra in self._extras if now >= extra.due_at]
        quality, is_silent = Quality.GOOD, False
        for extra in due:
            answer = None
            if not is_silent:
                try:
                    answer = await self._line.ask(extra.query, taker=self)
                except DriverError as error:
                    extra.failed(now=now)
                    is_silent = not isinstance(error, NakError)
            if answer is None:
                if now < extra.due_at:
                    continue  # this firmware does not know it
                values |= dict.fromkeys(extra.metrics)
                quality = Quality.PARTIAL
            else:
                extra.answered(now=now)
                values |= _extra_values(extra.query, answer, status=status)
        return quality

    def _answer(self, values: dict[str, Value], quality: Quality) -> DeviceAnswer:
        rated_kw = self._rated_kw
        for key, value in values.items():
            if isinstance(value, float) and not metric_of(key).is_sane(value, rated_kw=rated_kw):
                quality |= Quality.OUT_OF_RANGE
        return DeviceAnswer(values, quality)


_TABLES = {
    STATUS_2.command: STATUS_2_FIELDS,
    PV_ENERGY.command: PV_ENERGY_FIELDS,
    LOAD_ENERGY.command: LOAD_ENERGY_FIELDS,
    RATINGS.command: RATINGS_FIELDS,
}


def _extra_values(query: Query, answer: str, *, status: str) -> dict[str, Value]:
    if query is MODE:
        return {"operating_state": state_of(answer, status).value}
    if query is WARNINGS:
        return {"fault_codes": fault_codes(answer)}
    return values_of(answer, _TABLES[query.command])


def _add_modules_up(values: dict[str, Value]) -> None:
    """The modules' whole power: of both trackers where there are two, and None if one of them is not known."""
    first, second = values.get("dc_power_kw.pv1"), values.get("dc_power_kw.pv2", 0.0)
    if isinstance(first, float) and isinstance(second, float):
        values["dc_power_kw"] = round(first + second, 6)  # whole watts
    else:
        values["dc_power_kw"] = None
