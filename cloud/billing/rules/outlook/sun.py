"""How the generation of a clear day is spread over its quarter-hours: by the height of the sun.

Declination after Cooper (1969), hour angle from local clock time and longitude; the equation of time (at most 16 minutes) is left out.
"""

import math
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.billing.rules.month import Month

QUARTERS_A_DAY = 96
_MID_MONTH_DAY = 15
_OBLIQUITY_DEGREES = 23.45
_DEGREES_PER_HOUR = 15.0
_PARTS = 1_000_000
"""Heights are counted in millionths, so that the shares are exact."""


def _declination(moment: datetime) -> float:
    day_of_year = moment.timetuple().tm_yday
    return math.radians(_OBLIQUITY_DEGREES) * math.sin(2 * math.pi * (284 + day_of_year) / 365)


def _height(slot: int, moment: datetime, *, latitude: float, longitude: float) -> float:
    """Sine of the sun's elevation in the middle of a quarter-hour, 0 below the horizon."""
    offset = moment.utcoffset()
    offset_hours = 0.0 if offset is None else offset.total_seconds() / 3600
    solar_hours = (slot + 0.5) / 4 - offset_hours + longitude / _DEGREES_PER_HOUR
    angle = math.radians((solar_hours - 12) * _DEGREES_PER_HOUR)
    declination, phi = _declination(moment), math.radians(latitude)
    sine = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(angle)
    return max(0.0, sine)


def clear_day_shares(month: Month, *, latitude: float, longitude: float, zone: ZoneInfo) -> tuple[Decimal, ...]:
    """Share of a day's generation by quarter-hour of the local day, from midnight; 96 numbers that add up to 1.

    Args:
        month: whose middle day is taken.
        latitude: degrees, north positive.
        longitude: degrees, east positive.
        zone: of the site's clock.

    Returns:
        Equal shares where the sun does not rise in that month.
    """
    moment = datetime(month.year, month.month, _MID_MONTH_DAY, 12, tzinfo=zone)
    heights = [_height(slot, moment, latitude=latitude, longitude=longitude) for slot in range(QUARTERS_A_DAY)]
    parts = [round(height * _PARTS) for height in heights]
    total = sum(parts)
    if total == 0:
        return (Decimal(1) / QUARTERS_A_DAY,) * QUARTERS_A_DAY
    return tuple(Decimal(part) / total for part in parts)
