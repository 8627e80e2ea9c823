"""The minute ring: one day of means for the local page's charts."""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from edge_agent.clock import from_ms, to_ms
from shared.readings import Value

RING_MINUTES = 24 * 60

CHARTED = frozenset(
    {
        "ac_power_kw",
        "dc_power_kw",
        "grid_power_kw",
        "load_power_kw",
        "battery_power_kw",
        "battery_soc_percent",
        "irradiance_wm2.poa",
        "irradiance_wm2.ghi",
    }
)
"""What a chart of a day shows; everything else is in the cloud's series."""

_MINUTE_MS = 60_000


def is_charted(key: str) -> bool:
    """Whether the ring keeps this value."""
    return key in CHARTED or key.startswith("dc_power_kw.pv")


@dataclass(frozen=True, slots=True)
class MinutePoint:
    """Mean, lowest and highest value of one minute."""

    at: datetime
    mean: float
    low: float
    high: float


@dataclass(slots=True)
class _Open:
    minute: int
    total: float
    count: int
    low: float
    high: float


Row = tuple[str, str, int, float, float, float]


class MinuteRing:
    """Gathers values in memory until their minute is over."""

    def __init__(self) -> None:
        self._open: dict[tuple[UUID, str], _Open] = {}
        self._done: list[Row] = []

    def add(self, device_id: UUID, at: datetime, values: Mapping[str, Value]) -> None:
        """Take one reading's values."""
        minute = to_ms(at) // _MINUTE_MS
        for key, value in values.items():
            if not is_charted(key) or not isinstance(value, (int, float)):
                continue
            entry = self._open.get((device_id, key))
            if entry is None or entry.minute != minute:
                if entry is not None:
                    self._done.append(_row(device_id, key, entry))
                self._open[device_id, key] = _Open(minute, float(value), 1, float(value), float(value))
                continue
            entry.total, entry.count = entry.total + value, entry.count + 1
            entry.low, entry.high = min(entry.low, value), max(entry.high, value)

    def take_done(self) -> list[Row]:
        """Minutes that are over, each once."""
        done, self._done = self._done, []
        return done


def _row(device_id: UUID, key: str, entry: _Open) -> Row:
    return str(device_id), key, entry.minute, entry.total / entry.count, entry.low, entry.high


def save_minutes(connection: sqlite3.Connection, rows: list[Row]) -> None:
    """Store finished minutes and forget those older than a day before the newest."""
    if not rows:
        return
    connection.executemany(
        "INSERT OR REPLACE INTO minute (device_id, metric, minute, mean, low, high) VALUES (?, ?, ?, ?, ?, ?)", rows
    )
    connection.execute("DELETE FROM minute WHERE minute <= ?", (max(row[2] for row in rows) - RING_MINUTES,))


def read_minutes(connection: sqlite3.Connection, *, since: datetime) -> dict[tuple[UUID, str], list[MinutePoint]]:
    """Series by device and metric, oldest first."""
    series: dict[tuple[UUID, str], list[MinutePoint]] = {}
    for device_id, metric, point in _points(connection, since):
        series.setdefault((device_id, metric), []).append(point)
    return series


def _points(connection: sqlite3.Connection, since: datetime) -> Iterator[tuple[UUID, str, MinutePoint]]:
    query = "SELECT device_id, metric, minute, mean, low, high FROM minute WHERE minute >= ? ORDER BY minute"
    for device_id, metric, minute, mean, low, high in connection.execute(query, (to_ms(since) // _MINUTE_MS,)):
        yield UUID(device_id), metric, MinutePoint(from_ms(minute * _MINUTE_MS), mean, low, high)
