"""Whether what a device says can be true: numbers that must agree with each other, with the grid and with the sun. Pure.

A profile may fit a device by its addresses and still read another map's registers. A wrong scale, a swapped word or a turned meter shows
in numbers that contradict each other, and here it is said which and why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.enums import DeviceType
from shared.metrics import metric_of
from shared.readings import Value
from shared.sun import sun_position

FREQUENCY_HZ = (45.0, 65.0)
PHASE_VOLTAGE_V = (100.0, 300.0)
"""Between a phase and neutral, from the lowest of 110 V grids to the highest of 230 V grids."""

POWER_TOLERANCE = 0.10
"""Part of a power by which volts times amperes may miss it."""

PHASE_TOLERANCE = 0.05
"""Part of the phases' magnitudes by which a total may miss their sum."""

FLOOR_KW = 0.05
"""Powers are not told apart below this: measuring errors, standby, rounding of the registers."""

CURRENT_STEP_A = 0.1
"""Resolution of the currents of most inverters."""

SIGN_FLOOR_KW = 0.2
"""A grid power below this says nothing about its direction."""

DARK_DEG = -6.0
"""Elevation of the sun under which no panel gives power (end of civil twilight)."""

BRIGHT_DEG = 15.0
"""Elevation of the sun above which a working panel gives some power."""

NIGHT_PART = 0.01
"""Part of the rated power that may be left at night."""

_PHASES = ("l1", "l2", "l3")
_SUMMED = ("ac_power_kw", "grid_power_kw", "load_power_kw")
_MAX_INPUTS = 24

Values = Mapping[str, Value]


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    DOUBTFUL = "doubtful"
    """Possible, but somebody should look."""
    WRONG = "wrong"
    """Cannot be true."""
    NOT_CHECKED = "not_checked"
    """Something that the check needs is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The end of one check.

    Attributes:
        check: stable short word: `answers`, `range`, `frequency`, `voltage`, `phases`, `pv_power`, `battery_power`, `night`, `meter_sign`.
        reason: in words, with the numbers.
    """

    check: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the site is: degrees, north and east positive."""

    latitude: float
    longitude: float


def judge(
    parts: Mapping[DeviceType, Values], *, at: datetime, place: Place | None = None, rated_kw: float | None = None
) -> tuple[Finding, ...]:
    """Every check that the values allow, in a fixed order.

    Args:
        parts: values by device type, of devices read at the same moment: those behind one address, or all of a site.
        at: aware moment of the reading.
        place: of the site; None leaves the sun out.
        rated_kw: of the inverter; None for what the inverter says.
    """
    inverter = parts.get(DeviceType.INVERTER, {})
    rated = rated_kw if rated_kw is not None else number(inverter, "rated_power_kw")
    findings: list[Finding] = []
    for values in parts.values():
        findings += _answers(values)
        findings += _ranges(values, rated_kw=rated)
        findings += _frequency(values)
        findings += _voltages(values)
        findings += _phases(values)
        findings += _battery_power(values)
    findings += _pv_power(inverter)
    findings += _night(inverter, at=at, place=place, rated_kw=rated)
    findings += _meter_sign(parts)
    return tuple(dict.fromkeys(findings))


def worst(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict over all: wrong before doubtful before ok; not checked if nothing could be."""
    for verdict in (Verdict.WRONG, Verdict.DOUBTFUL, Verdict.OK):
        if any(finding.verdict is verdict for finding in findings):
            return verdict
    return Verdict.NOT_CHECKED


def number(values: Values, key: str) -> float | None:
    """The number of a key; None where there is none."""
    value = values.get(key)
    return value if isinstance(value, float) else None


def _answers(values: Values) -> Iterator[Finding]:
    known = [key for key, value in values.items() if value is not None]
    if not known:
        yield Finding(
            "answers",
            Verdict.WRONG,
            "no value is available; check the profile, the unit and whether the device is on",
        )
    elif len(known) * 2 < len(values):
        yield Finding(
            "answers", Verdict.DOUBTFUL, f"only {len(known)} of {len(values)} values are available; check the profile"
        )
    else:
        yield Finding("answers", Verdict.OK, f"{len(known)} of {len(values)} values are available")


def _ranges(values: Values, *, rated_kw: float | None) -> Iterator[Finding]:
    """What no device can have is wrong; what only exceeds the rated power may be a rating that is read wrongly, or a surge."""
    for key, value in values.items():
        metric = metric_of(key)
        if not isinstance(value, float) or metric.is_sane(value, rated_kw=rated_kw or None):
            continue
        if metric.is_sane(value):
            reason = f"{key} = {value:g} {metric.unit} is much for a rated power of {rated_kw:g} kW; check the profile and its scale"
            yield Finding("range", Verdict.DOUBTFUL, reason)
        else:
            reason = f"{key} = {value:g} {metric.unit} cannot be; check the profile and its scale"
            yield Finding("range", Verdict.WRONG, reason)


def _frequency(values: Values) -> Iterator[Finding]:
    frequency = number(values, "grid_frequency_hz")
    low, high = FREQUENCY_HZ
    if frequency is None:
        return
    if low <= frequency <= high:
        yield Finding("frequency", Verdict.OK, f"{frequency:g} Hz")
    elif frequency == 0:
        yield Finding("frequency", Verdict.DOUBTFUL, "0 Hz: there is no grid now, or another register is read")
    else:
        yield Finding(
            "frequency",
            Verdict.WRONG,
            f"grid_frequency_hz = {frequency:g} lies outside {low:g} to {high:g} Hz; scale or address is another platform's",
        )


def _voltages(values: Values) -> Iterator[Finding]:
    low, high = PHASE_VOLTAGE_V
    for phase in _PHASES:
        voltage = number(values, f"ac_voltage_v.{phase}")
        if voltage is None or voltage == 0:
            continue  # one phase of three is used, or there is no grid, which the frequency says
        if low <= voltage <= high:
            yield Finding("voltage", Verdict.OK, f"{phase} has {voltage:g} V")
        elif voltage < low and voltage > high / 10:
            yield Finding("voltage", Verdict.DOUBTFUL, f"ac_voltage_v.{phase} = {voltage:g} is low for a grid")
        else:
            yield Finding(
                "voltage",
                Verdict.WRONG,
                f"ac_voltage_v.{phase} = {voltage:g} lies outside {low:g} to {high:g} V; check the scale, or whether it is a line voltage",
            )


def _phases(values: Values) -> Iterator[Finding]:
    for metric in _SUMMED:
        total = number(values, metric)
        phases = [number(values, f"{metric}.{phase}") for phase in _PHASES]
        known = [power for power in phases if power is not None]
        if total is None or len(known) != len(phases):
            continue
        tolerance = max(FLOOR_KW, PHASE_TOLERANCE * sum(abs(power) for power in known))
        if abs(sum(known) - total) <= tolerance:
            yield Finding("phases", Verdict.OK, f"the phases of {metric} add up to its total, {total:g} kW")
            continue
        turned = abs(sum(abs(power) for power in known) - abs(total)) <= tolerance
        hint = "the clamp of one phase is turned" if turned else "scale, sign or address of one of them is wrong"
        # A load is computed by the inverter, on some from other moments or with the backup output left out.
        yield Finding(
            "phases",
            Verdict.DOUBTFUL if metric == "load_power_kw" else Verdict.WRONG,
            f"{metric} is {total:g} kW, but its phases add up to {sum(known):g} kW; {hint}",
        )


def _battery_power(values: Values) -> Iterator[Finding]:
    power, voltage, current = (
        number(values, key) for key in ("battery_power_kw", "battery_voltage_v", "battery_current_a")
    )
    if power is None or voltage is None or current is None:
        return
    product = voltage * current / 1000
    # Slow battery managers report the current later than the power: only a clear contradiction counts.
    tolerance = max(FLOOR_KW, 2 * POWER_TOLERANCE * max(abs(power), abs(product)), CURRENT_STEP_A * voltage / 1000)
    if abs(product - power) <= tolerance:
        yield Finding("battery_power", Verdict.OK, f"battery power {power:g} kW is volts times amperes")
    elif abs(product + power) <= tolerance:
        yield Finding(
            "battery_power",
            Verdict.WRONG,
            f"battery power is {power:g} kW and volts times amperes {product:g} kW: one of the signs is wrong (discharging is positive)",
        )
    else:
        yield Finding(
            "battery_power",
            Verdict.DOUBTFUL,
            f"battery power is {power:g} kW, but volts times amperes {product:g} kW; read again, then check the scales",
        )


def _pv_power(values: Values) -> Iterator[Finding]:
    inputs: list[tuple[str, float, float, float]] = []
    powers: list[float] = []
    for channel in (f"pv{position}" for position in range(1, _MAX_INPUTS + 1)):
        power, voltage, current = (
            number(values, f"{name}.{channel}") for name in ("dc_power_kw", "dc_voltage_v", "dc_current_a")
        )
        if power is not None:
            powers.append(power)
            if voltage is not None and current is not None:
                inputs.append((channel, power, voltage, current))
    # Two strings on one tracker: some inverters give the tracker's power and the strings' currents. Then only the sums agree.
    sums_agree = len(inputs) > 1 and _agree(
        sum(power for _, power, _, _ in inputs), sum(voltage * current / 1000 for _, _, voltage, current in inputs)
    )
    for channel, power, voltage, current in inputs:
        yield _volts_times_amperes(channel, power, voltage=voltage, current=current, sums_agree=sums_agree)
    yield from _inputs_and_total(powers, number(values, "dc_power_kw"))


def _agree(power: float, product: float) -> bool:
    return abs(product - power) <= max(FLOOR_KW, POWER_TOLERANCE * max(abs(power), abs(product)))


def _inputs_and_total(powers: list[float], total: float | None) -> Iterator[Finding]:
    if total is None or not powers:
        return
    if abs(sum(powers) - total) <= max(FLOOR_KW, POWER_TOLERANCE * abs(total)):
        yield Finding("pv_power", Verdict.OK, f"the inputs add up to the PV power, {total:g} kW")
    else:
        yield Finding(
            "pv_power",
            Verdict.DOUBTFUL,
            f"dc_power_kw is {total:g} kW, but the inputs add up to {sum(powers):g} kW; an input may be missing, or one counted twice",
        )


def _volts_times_amperes(channel: str, power: float, *, voltage: float, current: float, sums_agree: bool) -> Finding:
    product = voltage * current / 1000
    if _agree(power, product) or abs(product - power) <= CURRENT_STEP_A * abs(voltage) / 1000:
        return Finding("pv_power", Verdict.OK, f"{channel}: {power:g} kW is {voltage:g} V times {current:g} A")
    words = f"{channel}: dc_power_kw is {power:g} kW, but {voltage:g} V times {current:g} A are {product:.3g} kW"
    if sums_agree:
        reason = f"{words}; over all inputs they agree: the power is given for another input of the same tracker"
        return Finding("pv_power", Verdict.DOUBTFUL, reason)
    return Finding("pv_power", Verdict.WRONG, f"{words}; check scale and address")


def _pv(values: Values) -> float | None:
    """PV power: the device's total, else the sum of its inputs."""
    total = number(values, "dc_power_kw")
    if total is not None:
        return total
    inputs = [value for key, value in values.items() if key.startswith("dc_power_kw.") and isinstance(value, float)]
    return sum(inputs) if inputs else None


def _night(values: Values, *, at: datetime, place: Place | None, rated_kw: float | None) -> Iterator[Finding]:
    power = _pv(values)
    if power is None:
        return
    if place is None:
        yield Finding("night", Verdict.NOT_CHECKED, "the site's place is not known: give latitude and longitude")
        return
    elevation = sun_position(place.latitude, place.longitude, at=at).elevation_deg
    most = max(FLOOR_KW, NIGHT_PART * (rated_kw or 0.0))
    if elevation < DARK_DEG and power > most:
        yield Finding(
            "night",
            Verdict.WRONG,
            f"PV power is {power:g} kW while the sun stands {-elevation:.0f} degrees below the horizon; check place, clock and address",
        )
    elif elevation > BRIGHT_DEG and power <= 0:
        yield Finding(
            "night",
            Verdict.DOUBTFUL,
            f"PV power is {power:g} kW while the sun stands {elevation:.0f} degrees high; is the inverter switched on?",
        )
    else:
        yield Finding("night", Verdict.OK, f"PV power is {power:g} kW, the sun's elevation {elevation:.0f} degrees")


def _meter_sign(parts: Mapping[DeviceType, Values]) -> Iterator[Finding]:
    """The house cannot give power: inverter and grid together are its load, which is positive."""
    meter, inverter = parts.get(DeviceType.METER, {}), parts.get(DeviceType.INVERTER, {})
    grid = _first(meter, inverter, key="grid_power_kw")
    given = number(inverter, "ac_power_kw")
    if grid is None:
        return
    if given is None:
        yield Finding("meter_sign", Verdict.NOT_CHECKED, "the inverter's power is not known: read both together")
    elif abs(grid) < SIGN_FLOOR_KW:
        yield Finding(
            "meter_sign", Verdict.NOT_CHECKED, f"{grid:g} kW at the meter is too little to tell import from export"
        )
    else:
        yield _sign_of(grid, given=given, load=_first(meter, inverter, key="load_power_kw"))


def _sign_of(grid: float, *, given: float, load: float | None) -> Finding:
    tolerance = max(FLOOR_KW, POWER_TOLERANCE * max(abs(grid), abs(given)))
    words = (
        f"the inverter gives {given:g} kW and the meter says {'import' if grid > 0 else 'export'} of {abs(grid):g} kW"
    )
    if given + grid < -tolerance:
        return Finding("meter_sign", Verdict.WRONG, f"{words}: more goes out than there is; turn the meter's sign")
    if load is not None and abs(given + grid - load) <= tolerance:
        return Finding("meter_sign", Verdict.OK, f"{words}, together the load of {load:g} kW")
    if load is not None and abs(given - grid - load) <= tolerance:
        return Finding(
            "meter_sign",
            Verdict.WRONG,
            f"{words}, but the load of {load:g} kW needs the opposite; turn the meter's sign",
        )
    if grid < 0:
        return Finding("meter_sign", Verdict.OK, f"{words}, the house takes the rest")
    return Finding(
        "meter_sign",
        Verdict.NOT_CHECKED,
        f"{words}: possible; switch on a large load and see the import grow to be sure",
    )


def _first(*sources: Values, key: str) -> float | None:
    known = (number(values, key) for values in sources)
    return next((value for value in known if value is not None), None)
