"""Which table answers a question about a stretch of time, and the grid on which missing periods show as null."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from cloud.telemetry.rules.facts import Flow
from cloud.telemetry.rules.quarter import OWN_COLUMNS
from shared.errors import SolarHubError
from shared.metrics import Rollup, metric_of
from shared.periods import (
    HOUR,
    QUARTER_HOUR,
    Window,
    day_of,
    day_window,
    days_between,
    month_window,
    quarter_hour_floor,
)

MAX_POINTS = 5_000
"""Of one series."""

MAX_SERIES = 20
"""In one answer: metrics times devices."""

MAX_SPAN = timedelta(days=366 * 30)


class Resolution(StrEnum):
    """Distance between two points."""

    AUTO = "auto"
    """The finest one that keeps the answer within 5,000 points."""
    RAW = "raw"
    """The stored readings of one device."""
    QUARTER_HOUR = "15m"
    HOUR = "1h"
    DAY = "1d"
    MONTH = "1mo"


class Comparison(StrEnum):
    """An earlier stretch of time to hold against the one that is asked for."""

    PREVIOUS = "previous"
    """The one of the same length just before."""
    YEAR = "year"
    """The same days of the year before."""


class TooManyPointsError(SolarHubError):
    """The stretch of time has more points at this resolution than one answer holds."""


class NoEarlierTimeError(SolarHubError):
    """There is no stretch of time to compare with."""


class NoSeriesError(SolarHubError):
    """The metric has no series of the kind that was asked for."""


ENERGY_METRICS: Mapping[str, Flow] = {f"energy_{flow.value}_kwh": flow for flow in Flow}
"""Energies of a site or device, by the names that the summaries give them."""

_POWER_COLUMNS: Mapping[str, str] = {
    "ac_power_kw": "power",
    "load_power_kw": "load_power",
    "grid_power_kw": "grid_power",
    "battery_power_kw": "battery_power",
}
_MEAN_COLUMNS: Mapping[str, str] = {
    "irradiance_wm2": "irradiance_mean_wm2",
    "module_temperature_c": "module_temperature_mean_c",
    "ambient_temperature_c": "ambient_temperature_mean_c",
}


@dataclass(frozen=True, slots=True)
class GaugeColumns:
    """Where the quarter-hours keep a gauge.

    Attributes:
        mean: column of the mean (of the last value for a state of charge), or None if the metric is in `metrics`.
        low: column of the minimum, if there is one.
        high: column of the maximum, if there is one.
        key: key within `metrics`, for a gauge without columns.
    """

    mean: str | None = None
    low: str | None = None
    high: str | None = None
    key: str | None = None


def gauge_columns(metric: str, *, is_site: bool) -> GaugeColumns:
    """Find a gauge in the quarter-hours.

    Raises:
        NoSeriesError: if its quarter-hours are not kept.
        UnknownMetricError: if the catalogue does not have it.
    """
    found = metric_of(metric)
    name = found.name
    if "." in metric:
        raise NoSeriesError(f"metric {metric!r} is one channel; name a device_id to have it from raw readings")
    # A site's AC power is what its inverters generate; a hybrid inverter's own includes its battery, and is kept as it is.
    if name in _POWER_COLUMNS and (is_site or name != "ac_power_kw"):
        prefix = _POWER_COLUMNS[name]
        return GaugeColumns(f"{prefix}_mean_kw", f"{prefix}_min_kw", f"{prefix}_max_kw")
    if name == "battery_soc_percent":
        return GaugeColumns("battery_soc_last_percent", "battery_soc_min_percent", "battery_soc_max_percent")
    if name in _MEAN_COLUMNS:
        return GaugeColumns(_MEAN_COLUMNS[name])
    if found.rollup not in {Rollup.MEAN, Rollup.LAST}:
        raise NoSeriesError(f"metric {metric!r} is no gauge; its energy is in {', '.join(ENERGY_METRICS)}")
    if is_site:
        known = ", ".join(sorted(OWN_COLUMNS | {"ac_power_kw", *ENERGY_METRICS}))
        raise NoSeriesError(f"a site has no {metric!r}; name a device_id, or ask for one of {known}")
    return GaugeColumns(key=name)


def is_channel(metric: str) -> bool:
    """Whether a metric is one channel of a device (`dc_voltage_v.pv1`): its periods are computed from raw readings.

    Raises:
        NoSeriesError: if it is a channel of something that has no mean.
        UnknownMetricError: if the catalogue does not have it.
    """
    if "." not in metric:
        return False
    if metric_of(metric).rollup not in {Rollup.MEAN, Rollup.LAST}:
        raise NoSeriesError(f"metric {metric!r} is no gauge: it has no mean; ask for resolution 'raw'")
    return True


def unit_of(metric: str) -> str:
    """Unit of a series' values."""
    return "kWh" if metric in ENERGY_METRICS else metric_of(metric).unit


def choose_resolution(asked: Resolution, window: Window, *, raw_interval_s: float | None) -> Resolution:
    """Settle the resolution of an answer.

    Args:
        asked: what the caller wants.
        window: the stretch of time.
        raw_interval_s: seconds between two readings; None where raw readings cannot answer.

    Raises:
        TooManyPointsError: if the resolution that was asked for would exceed `MAX_POINTS`.
        NoSeriesError: if raw readings were asked for and cannot answer.
    """
    if asked is Resolution.RAW and raw_interval_s is None:
        raise NoSeriesError(
            "resolution 'raw' shows the readings of one device; add its device_id and name a metric that it measures"
        )
    steps: dict[Resolution, float] = {
        Resolution.QUARTER_HOUR: 900,
        Resolution.HOUR: 3_600,
        Resolution.DAY: 86_400,
        Resolution.MONTH: 28 * 86_400,
    }
    if raw_interval_s is not None:
        steps = {Resolution.RAW: raw_interval_s, **steps}
    fitting = [step for step, seconds in steps.items() if window.seconds / seconds + 2 <= MAX_POINTS]
    if asked is Resolution.AUTO and fitting:
        return fitting[0]
    if asked not in fitting:
        way_out = (
            f"ask for {fitting[0].value!r}, for 'auto', or for a shorter time" if fitting else "ask for a shorter time"
        )
        raise TooManyPointsError(f"{asked.value!r} would give more than {MAX_POINTS} points; {way_out}")
    return asked


def period_edges(resolution: Resolution, window: Window, zone: ZoneInfo) -> list[datetime]:
    """The moments between the periods that share time with a window, with the first start and the last end.

    Args:
        resolution: not `auto` and not `raw`.
        window: the stretch of time.
        zone: the site's: its hours, days and months.
    """
    last_moment = window.end - timedelta(microseconds=1)
    if resolution is Resolution.QUARTER_HOUR:
        start = quarter_hour_floor(window.start)
        count = -((start - window.end) // QUARTER_HOUR)
        return [start + i * QUARTER_HOUR for i in range(count + 1)]
    first, last = day_of(window.start, zone), day_of(last_moment, zone)
    if resolution is Resolution.HOUR:
        return _hour_edges(window, [day_window(day, zone) for day in days_between(first, last)])
    if resolution is Resolution.DAY:
        return [day_window(day, zone).start for day in days_between(first, last + timedelta(days=1))]
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month + 1)
    return [month_window(month // 12, month % 12 + 1, zone).start for month in months]


def _hour_edges(window: Window, days: Sequence[Window]) -> list[datetime]:
    """Hours are counted from each midnight; where the clock is set by half an hour, the day's last one is half as long."""
    edges: list[datetime] = []
    end = window.start
    for day in days:
        start = day.start + max(0, (window.start - day.start) // HOUR) * HOUR
        until = min(day.end, window.end)
        while start < until:
            edges.append(start)
            start += HOUR
        end = min(start, day.end)
    return [*edges, end]


def earlier_window(how: Comparison, window: Window, zone: ZoneInfo) -> Window:
    """The stretch of time to compare a window with.

    Raises:
        NoEarlierTimeError: if the calendar does not reach that far back.
    """
    try:
        if how is Comparison.PREVIOUS:
            return Window(_along(window.start, window, zone, times=-1), window.start)
        start, end = _year_before(window.start, zone), _year_before(window.end, zone)
    except (OverflowError, ValueError) as error:
        raise NoEarlierTimeError(f"there is no {how.value} of {window.start.isoformat()}") from error
    # The 29th of February has become the 28th: nothing is left of a window that ends there.
    return Window(start, end) if start < end else window_of_length(window, start, zone)


def window_of_length(window: Window, start: datetime, zone: ZoneInfo) -> Window:
    """A stretch of time as long as another one.

    Raises:
        NoEarlierTimeError: if the calendar does not reach that far.
    """
    try:
        return Window(start, _along(start, window, zone, times=1))
    except (OverflowError, ValueError) as error:
        raise NoEarlierTimeError(f"no such stretch of time begins at {start.isoformat()}") from error


def _along(at: datetime, window: Window, zone: ZoneInfo, *, times: int) -> datetime:
    """A moment moved by a window's length: by local days where it has whole ones, so that midnight stays midnight."""
    start, end = (moment.astimezone(zone).replace(tzinfo=None) for moment in (window.start, window.end))
    if start.time() != end.time():
        return at + times * (window.end - window.start)
    moved = at.astimezone(zone).replace(tzinfo=None) + times * (end - start)
    return moved.replace(tzinfo=zone).astimezone(UTC)


def _year_before(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    day = min(local.day, 28) if local.month == 2 else local.day
    return local.replace(year=local.year - 1, day=day).astimezone(UTC)
