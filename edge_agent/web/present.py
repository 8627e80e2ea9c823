"""From a snapshot to what the templates print: words, rounded numbers, dashes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from edge_agent.web.text import TEXTS, Language, text
from edge_agent.web.view import DeviceView, Snapshot
from shared.enums import OperatingState
from shared.metrics import METRICS
from shared.readings import Value

DASH = "–"
"""Stands for every value that is not known; never a zero."""

_UNITS = {
    "percent": "%",
    "degC": "°C",
    "W/m2": "W/m²",
    "Mohm": "MΩ",
    "deg": "°",
    "1": "",
    "enum": "",
    "codes": "",
    "bool": "",
}
_UNITS |= {"count": "", "integer": ""}
_DECIMALS = {"kW": 2, "kVA": 2, "kvar": 2, "kWh": 1, "V": 1, "A": 1, "Hz": 2, "1": 2, "degC": 1, "percent": 0, "ms": 0}
_SUMMARY = (
    "ac_power_kw",
    "dc_power_kw",
    "grid_power_kw",
    "battery_power_kw",
    "battery_soc_percent",
    "irradiance_wm2.poa",
    "irradiance_wm2",
    "module_temperature_c",
    "energy_today_kwh",
    "ac_voltage_v.l1",
    "grid_frequency_hz",
)
_SUMMARY_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One labelled value; `number` is ready to print and `unit` may be empty. A word is a value in the page's language."""

    label: str
    number: str
    unit: str = ""
    is_word: bool = False


@dataclass(frozen=True, slots=True)
class DeviceCard:
    """One device on the page; `mood` is good | old | bad."""

    anchor: str
    name: str
    kind: str
    mood: str
    status: str
    age: str
    summary: tuple[Line, ...]
    values: tuple[Line, ...]


def number(value: float | None, *, decimals: int = 2) -> str:
    """A number with thousands separated by a comma, or the dash; never "-0.00"."""
    if value is None:
        return DASH
    shown = f"{value:,.{decimals}f}"
    return shown.removeprefix("-") if float(shown.replace(",", "")) == 0 else shown.replace("-", "−")


def age_text(language: Language, seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for key, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return text(language, key, n=int(seconds // size))
    return text(language, "seconds", n=max(0, int(seconds)))


def bytes_text(size: int) -> str:
    """A size in the unit that leaves at most three digits before the point."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def moment_text(moment: datetime, *, snapshot: Snapshot) -> str:
    """Local time of the site; with the date when it is not today."""
    zone = ZoneInfo(snapshot.timezone)
    local, today = moment.astimezone(zone), snapshot.now.astimezone(zone).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"


def value_line(language: Language, key: str, *, value: Value) -> Line:
    """Label, number and unit of one value; a key that the catalogue does not know is shown as it is."""
    name, _, channel = key.partition(".")
    metric = METRICS.get(name)
    if metric is None:
        return Line(key, DASH if value is None else str(value))
    label = text(language, f"m_{name}") + (f" {channel.upper()}" if channel else "")
    unit = _UNITS.get(metric.unit, metric.unit)
    if value is None:
        return Line(label, DASH)
    if isinstance(value, str):
        is_state = name == "operating_state"
        return Line(label, _state_text(language, value) if is_state else value or DASH, is_word=is_state)
    return Line(label, number(value, decimals=_DECIMALS.get(metric.unit, 0)), unit)


def device_cards(snapshot: Snapshot, *, language: Language) -> tuple[DeviceCard, ...]:
    """Every device in the plan's order."""
    return tuple(_card(device, language=language) for device in snapshot.devices)


def _card(device: DeviceView, *, language: Language) -> DeviceCard:
    mood, status = _mood(device, language=language)
    age = text(language, "no_reading")
    if device.age_s is not None:
        age = text(language, "age", age=age_text(language, device.age_s))
    summary = _summary_keys(device.values)
    return DeviceCard(
        anchor=f"device-{device.id}",
        name=device.name,
        kind=text(language, f"type_{device.device_type}"),
        mood=mood,
        status=status,
        age=age,
        summary=tuple(value_line(language, key, value=device.values[key]) for key in summary),
        values=tuple(value_line(language, key, value=value) for key, value in _in_catalogue_order(device.values)),
    )


def _mood(device: DeviceView, *, language: Language) -> tuple[str, str]:
    if device.link_up is None:
        return "old", text(language, "not_asked")
    if not device.link_up:
        return "bad", text(language, "silent")
    if not device.is_fresh:
        return "old", text(language, "stale")
    state = device.values.get("operating_state")
    if not isinstance(state, str):
        return "good", text(language, "answers")
    return "bad" if state == OperatingState.FAULT else "good", _state_text(language, state)


def _state_text(language: Language, state: str) -> str:
    """The state's word; one that only a newer profile knows is shown as it is."""
    key = f"state_{state}"
    return text(language, key) if key in TEXTS else state


def _summary_keys(values: Mapping[str, Value]) -> list[str]:
    return [key for key in _SUMMARY if key in values][:_SUMMARY_LENGTH]


def _in_catalogue_order(values: Mapping[str, Value]) -> list[tuple[str, Value]]:
    order = {name: place for place, name in enumerate(METRICS)}
    return sorted(values.items(), key=lambda item: (order.get(item[0].partition(".")[0], len(order)), item[0]))
