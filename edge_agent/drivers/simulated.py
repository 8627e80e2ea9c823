"""A simulated home with two inverters, a battery and a grid meter: every value a pure function of time, place and seed.

What each flow means here:
    generated: AC energy of the string inverter plus PV energy of the hybrid at its DC bus.
    charged, discharged: at the hybrid's DC bus; the battery's losses are inside the battery (its state of charge).
    consumed: the home and the hybrid's own use, which no meter of the site can tell apart.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock
from zoneinfo import ZoneInfo

from edge_agent.drivers.simulated_home import home_load_w
from edge_agent.drivers.simulated_plant import (
    FULL_MJ,
    STEP_MS,
    STEP_S,
    Carry,
    Counters,
    Day,
    EnergyFlows,
    Powers,
    ShownCounters,
    Sky,
    StringState,
    shown_counters,
    shown_growth,
    simulate_day,
)
from edge_agent.drivers.simulated_weather import (
    ambient_c,
    clear_sky_poa_wm2,
    cloud_factor,
    module_temperature_c,
    smooth_noise,
)
from edge_agent.errors import EdgeError
from shared.enums import OperatingState
from shared.sun import sun_position

OVERVOLTAGE_START = time(13, 10)
"""Local time at which the street's voltage rises, every day."""
OVERVOLTAGE_FOR = timedelta(minutes=40)
"""Long enough to be read several times where a day takes a minute and a half, on a machine that stands still for a second."""
OVERVOLTAGE_V = 262.0
_NOMINAL_V = 231.0
_STREET_V_PER_W = 0.0005
"""How far a watt of import lowers (of export lifts) the voltage at the street's end."""
_BATTERY_AT_START = 0.42
_DAY = timedelta(days=1)
_STRING_STATES = {
    StringState.SLEEPING: OperatingState.SLEEPING,
    StringState.STARTING: OperatingState.STARTING,
    StringState.PRODUCING: OperatingState.PRODUCING,
    StringState.LIMITED: OperatingState.PRODUCING_LIMITED,
}
_VOLTAGE_CHANNEL, _FREQUENCY_CHANNEL = 30, 35


class SimulationError(EdgeError):
    """The simulated site was asked for a moment before it was commissioned."""


@dataclass(frozen=True, slots=True)
class SiteState:
    """The whole site at one moment: V, Hz, deg C, W/m2, percent; powers in `powers` (W, sources positive).

    Attributes:
        counters: lifetime counters as shown.
        today: how far they went since the devices' midnight.
        charge_stored_percent: the battery's state of charge.
    """

    at: datetime
    poa_wm2: float
    ambient_c: float
    module_c: float
    string_state: OperatingState
    hybrid_state: OperatingState
    powers: Powers
    charge_stored_percent: float
    voltage_v: tuple[float, float, float]
    frequency_hz: float
    counters: ShownCounters
    today: ShownCounters


class SimulatedSite:
    """One home, from the local midnight on which it was commissioned.

    Days are computed when they are first asked for (a fraction of a second each) and the newest few are kept; `prepare` does it ahead
    of time. A site commissioned on the same date with the same seed has the same past in every process. The devices' own clocks
    know no summer time: their midnight keeps the distance to UTC that it had on the first day.

    Args:
        latitude: degrees north.
        longitude: degrees east.
        timezone: IANA name.
        commissioned: date from which counters count.
        seed: picks clouds, loads and noise.
    """

    _KEPT_DAYS = 3

    def __init__(self, latitude: float, longitude: float, *, timezone: str, commissioned: date, seed: int = 1) -> None:
        self._latitude = latitude
        self._longitude = longitude
        self._zone = ZoneInfo(timezone)
        self._seed = seed
        self.start = datetime.combine(commissioned, time(), tzinfo=self._zone).astimezone(UTC)
        """UTC moment of the first midnight."""
        self._carries = [Carry(Counters(), int(FULL_MJ * _BATTERY_AT_START))]
        self._days: dict[int, Day] = {}
        self._computing = Lock()

    def prepare(self, moment: datetime) -> None:
        """Compute everything up to and including the day of this moment.

        Raises:
            SimulationError: if the moment lies before commissioning.
        """
        self._day(self._locate(moment)[0])

    def at(self, moment: datetime) -> SiteState:
        """State of the site at an aware moment.

        Raises:
            SimulationError: if the moment lies before commissioning.
        """
        index, into_ms = self._locate(moment)
        day = self._day(index)
        step = into_ms // STEP_MS
        powers, sky = day.powers[step], day.sky[step]
        shown = shown_counters(day.counters(into_ms))
        second = step * STEP_S + index * 86_400
        return SiteState(
            at=moment,
            poa_wm2=sky.poa_wm2,
            ambient_c=ambient_c(moment.astimezone(self._zone)),
            module_c=sky.module_c,
            string_state=_STRING_STATES[day.states[step]],
            hybrid_state=OperatingState.PRODUCING if powers.hybrid_ac or powers.battery else OperatingState.STANDBY,
            powers=powers,
            charge_stored_percent=100 * day.stored_mj[step] / FULL_MJ,
            voltage_v=self._voltages(moment, second=second, grid_w=powers.grid),
            frequency_hz=49.9 + 0.2 * smooth_noise(self._seed, _FREQUENCY_CHANNEL, second=second, knot_s=60),
            counters=shown,
            today=shown_growth(shown_counters(self._carries[index].counters), shown),
        )

    def device_counters(self, moment: datetime) -> ShownCounters:
        """Lifetime counters as the devices show them at an aware moment.

        Raises:
            SimulationError: if the moment lies before commissioning.
        """
        return shown_counters(self._counters(moment))

    def true_energy_mj(self, start: datetime, end: datetime) -> EnergyFlows:
        """Energy of each flow between two aware moments in millijoules, exact: sources equal sinks.

        Raises:
            SimulationError: if a moment lies before commissioning.
        """
        first, last = self._counters(start), self._counters(end)

        def grown(*names: str) -> int:
            return sum(getattr(last, name) - getattr(first, name) for name in names)

        return EnergyFlows(
            generated=grown("string_ac", "pv1", "pv2"),
            consumed=grown("load"),
            imported=grown("imported"),
            exported=grown("exported"),
            charged=grown("charged"),
            discharged=grown("discharged"),
        )

    def counter_energy_wh(self, start: datetime, end: datetime) -> EnergyFlows:
        """Energy (Wh) of each flow as the *shown* counters tell it: what a reader of the devices must find, to the last digit.

        Grid energy is the meter's; consumption is what the balance leaves.

        Raises:
            SimulationError: if a moment lies before commissioning.
        """
        grown = shown_growth(self.device_counters(start), self.device_counters(end))
        generated = grown.string_wh + grown.hybrid_pv_wh
        sources = generated + grown.meter_import_wh + grown.hybrid_discharge_wh
        return EnergyFlows(
            generated=generated,
            consumed=sources - grown.meter_export_wh - grown.hybrid_charge_wh,
            imported=grown.meter_import_wh,
            exported=grown.meter_export_wh,
            charged=grown.hybrid_charge_wh,
            discharged=grown.hybrid_discharge_wh,
        )

    def _locate(self, moment: datetime) -> tuple[int, int]:
        """Number of the day and milliseconds into it."""
        since = moment - self.start
        if since < timedelta(0):
            raise SimulationError(
                f"moment {moment.isoformat()} is before the site's commissioning {self.start.isoformat()}; "
                "ask for a later moment or commission the site earlier"
            )
        return since // _DAY, (since % _DAY) // timedelta(milliseconds=1)

    def _counters(self, moment: datetime) -> Counters:
        index, into_ms = self._locate(moment)
        return self._day(index).counters(into_ms)

    def _day(self, index: int) -> Day:
        day = self._days.get(index)
        if day is not None:
            return day
        with self._computing:  # `prepare` may run in a thread beside the one that asks
            while len(self._carries) <= index:
                self._compute(len(self._carries) - 1)
            return self._days.get(index) or self._compute(index)

    def _compute(self, index: int) -> Day:
        day = simulate_day(self._carries[index], sky=self._sky(index), load_w=self._loads(index))
        if len(self._carries) == index + 1:
            self._carries.append(day.end)
        for first_computed in list(self._days)[: 1 - self._KEPT_DAYS]:
            self._days.pop(first_computed, None)
        self._days[index] = day
        return day

    def _sky(self, index: int) -> list[Sky]:
        """Light and module temperature of every step of a day; the sun moves once a minute, the light changes in every step."""
        first = self.start + index * _DAY
        minutes = [first + timedelta(minutes=m) for m in range(24 * 60 + 1)]
        clear = [clear_sky_poa_wm2(sun_position(self._latitude, self._longitude, at=minute)) for minute in minutes]
        air = [ambient_c(minute.astimezone(self._zone)) for minute in minutes]
        day_number, start_second = first.toordinal(), first.timestamp()
        sky = []
        for second in range(0, 86_400, STEP_S):
            minute, part = divmod(second, 60)
            poa = clear[minute] + (clear[minute + 1] - clear[minute]) * part / 60
            if poa > 0:
                poa *= cloud_factor(self._seed, second=start_second + second, day=day_number)
            sky.append(Sky(poa, module_temperature_c(air[minute], poa_wm2=poa)))
        return sky

    def _loads(self, index: int) -> list[int]:
        """What the home draws (W) in every step of a day; decided once a minute."""
        loads: list[int] = []
        for minute in range(24 * 60):
            local = (self.start + index * _DAY + timedelta(minutes=minute)).astimezone(self._zone)
            loads += [home_load_w(local, ambient=ambient_c(local), seed=self._seed)] * (60 // STEP_S)
        return loads

    def _voltages(self, moment: datetime, *, second: int, grid_w: int) -> tuple[float, float, float]:
        """Phase voltages: they move with noise and with what the home itself sends or draws."""
        local = moment.astimezone(self._zone)
        begin = local.replace(hour=OVERVOLTAGE_START.hour, minute=OVERVOLTAGE_START.minute, second=0, microsecond=0)
        base, swing = _NOMINAL_V - grid_w * _STREET_V_PER_W, 5.0
        if begin <= local < begin + OVERVOLTAGE_FOR:
            base, swing = OVERVOLTAGE_V, 0.3

        def phase(number: int) -> float:
            noise = smooth_noise(self._seed, _VOLTAGE_CHANNEL + number, second=second, knot_s=40)
            return base + swing * (2 * noise - 1)

        return phase(1), phase(2), phase(3)
