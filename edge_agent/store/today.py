"""Energy since the site's local midnight, from lifetime counters; for the local page only, the cloud counts for itself."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.enums import Quality
from shared.readings import Reading

COUNTERS = (
    "energy_total_kwh",
    "grid_import_energy_total_kwh",
    "grid_export_energy_total_kwh",
    "battery_charge_energy_total_kwh",
    "battery_discharge_energy_total_kwh",
)

NEAR_MIDNIGHT = timedelta(minutes=15)
"""A counter read at most this long before or after midnight tells where the day began."""

Key = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class DayStart:
    """A counter at the beginning of a day; None = nobody was there to read it."""

    day: date
    kwh: float | None


def read_day_starts(connection: sqlite3.Connection) -> dict[Key, DayStart]:
    """By device and counter."""
    rows = connection.execute("SELECT device_id, metric, day, kwh FROM day_start")
    return {(UUID(device_id), metric): DayStart(date.fromisoformat(day), kwh) for device_id, metric, day, kwh in rows}


def save_day_start(connection: sqlite3.Connection, *, key: Key, start: DayStart) -> None:
    """Remember where a counter's day began."""
    connection.execute(
        "INSERT OR REPLACE INTO day_start (device_id, metric, day, kwh) VALUES (?, ?, ?, ?)",
        (str(key[0]), key[1], start.day.isoformat(), start.kwh),
    )


class Today:
    """Follows the counters of the devices through the day."""

    def __init__(
        self,
        timezone: str,
        *,
        starts: dict[Key, DayStart],
        stage: Callable[[Callable[[sqlite3.Connection], None]], None],
    ) -> None:
        self._zone = ZoneInfo(timezone)
        self._starts = starts
        self._stage = stage
        self._latest: dict[Key, tuple[datetime, float]] = {}

    def observe(self, reading: Reading) -> None:
        """Take one reading into account."""
        if reading.quality & Quality.LINK_DOWN:
            return
        local = reading.at.astimezone(self._zone)
        for metric in COUNTERS:
            value = reading.values.get(metric)
            if not isinstance(value, (int, float)):
                continue
            key = (reading.device_id, metric)
            start = self._starts.get(key)
            if start is None or start.day != local.date():
                self._begin(key, local, float(value))
            self._latest[key] = (local, float(value))

    def _begin(self, key: Key, local: datetime, value: float) -> None:
        midnight = datetime.combine(local.date(), datetime.min.time(), self._zone)
        before = self._latest.get(key)
        kwh: float | None = None
        if before is not None and midnight - before[0] <= NEAR_MIDNIGHT:
            kwh = before[1]
        elif local - midnight <= NEAR_MIDNIGHT:
            kwh = value
        self._starts[key] = DayStart(local.date(), kwh)
        self._stage(partial(save_day_start, key=key, start=self._starts[key]))

    def has(self, devices: Iterable[UUID], metric: str) -> bool:
        """Whether one of these devices has such a counter."""
        return any((device, metric) in self._starts or (device, metric) in self._latest for device in devices)

    def kwh(self, devices: Iterable[UUID], metric: str, *, now: datetime) -> float | None:
        """Energy of today over these devices; None as soon as one of those that have the counter is not known."""
        day = now.astimezone(self._zone).date()
        total: float | None = None
        for device in devices:
            start, latest = self._starts.get((device, metric)), self._latest.get((device, metric))
            if start is None and latest is None:
                continue  # this device has no such counter
            if start is None or start.kwh is None or start.day != day or latest is None or latest[1] < start.kwh:
                return None
            total = (total or 0.0) + latest[1] - start.kwh
        return None if total is None else round(total, 3)
