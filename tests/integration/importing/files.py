"""Files of an earlier system, made for tests."""

import csv
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from shared.periods import day_window, zone_of

NOW = datetime(2026, 8, 1, tzinfo=UTC)
STEP = timedelta(minutes=15)
MAPPING = """
[time]
column = "time"
format = "%Y-%m-%d %H:%M"
zone = "Asia/Karachi"
fold = "in_order"
[device]
ref = "string"
[[values]]
source = "P"
metric = "ac_power_kw"
unit = "W"
[[values]]
source = "E"
metric = "energy_total_kwh"
unit = "Wh"
[[values]]
source = "Import"
metric = "grid_import_energy_total_kwh"
device = "meter"
"""
HEADING = ("time", "P", "E", "Import")


def powers(at: Sequence[datetime], zone: str = "Asia/Karachi") -> list[int]:
    """W of a device that gives 4 kW from 8 to 16 o'clock."""
    return [4000 if 8 <= moment.astimezone(zone_of(zone)).hour < 16 else 0 for moment in at]


def export(path: Path, at: Sequence[datetime], *, zone: str = "Asia/Karachi", first_wh: int = 5_000_000) -> Path:
    """A file with power, generated Wh and imported kWh."""
    energy_wh, grid_kwh = first_wh, 1000.0
    with path.open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(HEADING)
        for moment, power in zip(at, powers(at, zone), strict=True):
            local = moment.astimezone(zone_of(zone)).strftime("%Y-%m-%d %H:%M")
            write.writerow([local, power, energy_wh, f"{grid_kwh:.2f}"])
            energy_wh += power // 4
            grid_kwh += 0.25
    return path


def grid(first: date, last: date, zone: str = "Asia/Karachi") -> list[datetime]:
    """Every quarter-hour from the beginning of a day to the end of another."""
    start, end = day_window(first, zone_of(zone)).start, day_window(last, zone_of(zone)).end
    return [start + i * STEP for i in range(int((end - start) / STEP) + 1)]
