"""Where the sun stands: pure functions of place and time.

Source: NOAA's "General Solar Position Calculations" (the series of Spencer, 1971). Good to half a degree and some two minutes of sunrise
for latitudes where people live.
"""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from shared.periods import Window

_NOON = time(12, tzinfo=UTC)
_HALF_A_DAY = timedelta(hours=12)
_SEAM = timedelta(minutes=1)
"""Where the sun stays up, days reach a little into each other: noon is not exactly 24 hours after noon."""


@dataclass(frozen=True, slots=True)
class SunPosition:
    """Where the sun stands: degrees above the horizon (no refraction), and degrees clockwise from north."""

    elevation_deg: float
    azimuth_deg: float


def sun_position(latitude: float, longitude: float, *, at: datetime) -> SunPosition:
    """Sun over a place (degrees north and east) at an aware moment; good to half a degree."""
    utc = at.astimezone(UTC)
    hour = utc.hour + utc.minute / 60 + utc.second / 3600
    declination, equation_min = _course(utc.timetuple().tm_yday, hour)
    solar_minutes = hour * 60 + equation_min + 4 * longitude
    hour_angle = math.radians(solar_minutes / 4 - 180)
    phi = math.radians(latitude)
    sine = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(hour_angle)
    east_west = math.sin(hour_angle) * math.cos(declination)
    north_south = math.cos(hour_angle) * math.sin(phi) * math.cos(declination) - math.sin(declination) * math.cos(phi)
    return SunPosition(
        elevation_deg=math.degrees(math.asin(min(1.0, max(-1.0, sine)))),
        azimuth_deg=(math.degrees(math.atan2(east_west, north_south)) + 180) % 360,
    )


def sun_up(latitude: float, longitude: float, *, day: date) -> Window | None:
    """From sunrise to sunset around the noon of a day at a place, which is the day of its longitude; None where the sun stays down.

    The sun is up while its centre stands above a flat horizon, without refraction.

    Args:
        latitude: degrees, north positive.
        longitude: degrees, east positive.
        day: date of the noon.
    """
    early = datetime.combine(day, _NOON) - timedelta(minutes=4 * longitude)
    declination, equation_min = _course(early.timetuple().tm_yday, early.hour + early.minute / 60)
    noon = early - timedelta(minutes=equation_min)
    cosine = -math.tan(math.radians(latitude)) * math.tan(declination)
    if cosine >= 1:
        return None
    if cosine <= -1:
        return Window(noon - _HALF_A_DAY - _SEAM, noon + _HALF_A_DAY + _SEAM)
    half = timedelta(minutes=4 * math.degrees(math.acos(cosine)))
    return Window(noon - half, noon + half)


def _course(day_of_year: int, hour: float) -> tuple[float, float]:
    """Declination (radians) and equation of time (minutes) at an hour of UTC."""
    gamma = 2 * math.pi / 365 * (day_of_year - 1 + (hour - 12) / 24)
    equation_min = 229.18 * (
        0.000075
        + 0.001868 * math.cos(gamma)
        - 0.032077 * math.sin(gamma)
        - 0.014615 * math.cos(2 * gamma)
        - 0.040849 * math.sin(2 * gamma)
    )
    declination = (
        0.006918
        - 0.399912 * math.cos(gamma)
        + 0.070257 * math.sin(gamma)
        - 0.006758 * math.cos(2 * gamma)
        + 0.000907 * math.sin(2 * gamma)
        - 0.002697 * math.cos(3 * gamma)
        + 0.00148 * math.sin(3 * gamma)
    )
    return declination, equation_min
