"""What a site should generate in a month: its installer's own table, else a clear default from its latitude.

The default is no forecast. It follows FAO Irrigation and Drainage Paper 56 (Allen et al., 1998): the sun's irradiation above the
atmosphere by latitude and day of the year (equations 21 to 25), and the part that reaches the ground by Angström's formula with its
recommended coefficients (equation 35, a = 0.25, b = 0.50). Sunshine is taken to be 70 % of the daylight hours, and a plant to make use
of the horizontal irradiation with a performance ratio of 75 %; the gain of a tilted roof and the losses of a badly placed one are left
out. Months that rest on it carry `RollupFlag.DEFAULT_EXPECTATION`.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta

from shared.periods import days_between

ASSUMED_LATITUDE = 30.4
"""Centre of Pakistan, for a site that does not tell where it is."""

_SOLAR_CONSTANT_MJ_M2_MIN = 0.0820
_MJ_PER_KWH = 3.6
_ANGSTROM_A, _ANGSTROM_B = 0.25, 0.50
_SUNSHINE_FRACTION = 0.70
_PERFORMANCE_RATIO = 0.75


def expected_month_kwh(
    year: int, month: int, *, dc_capacity_kw: float, latitude: float | None, monthly_yield: Sequence[float] | None
) -> float:
    """Generation to expect of a whole month (kWh).

    Args:
        year: calendar year.
        month: 1 to 12.
        dc_capacity_kw: rating of the modules at STC.
        latitude: degrees, north positive.
        monthly_yield: kWh per kWp of the twelve months, as the installer promised; None = the default of this module.
    """
    if monthly_yield is not None:
        return monthly_yield[month - 1] * dc_capacity_kw
    first = date(year, month, 1)
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    above = math.fsum(
        extraterrestrial_kwh_m2(day.timetuple().tm_yday, ASSUMED_LATITUDE if latitude is None else latitude)
        for day in days_between(first, last)
    )
    on_the_ground = above * (_ANGSTROM_A + _ANGSTROM_B * _SUNSHINE_FRACTION)
    return on_the_ground * _PERFORMANCE_RATIO * dc_capacity_kw


def extraterrestrial_kwh_m2(day_of_year: int, latitude: float) -> float:
    """The sun's irradiation of a horizontal square metre above the atmosphere in one day (FAO 56, equations 21 to 25)."""
    angle, phi = 2 * math.pi * day_of_year / 365, math.radians(latitude)
    distance, declination = 1 + 0.033 * math.cos(angle), 0.409 * math.sin(angle - 1.39)
    # Beyond the polar circles the sun stays up or down all day.
    sunset = math.acos(min(1.0, max(-1.0, -math.tan(phi) * math.tan(declination))))
    height = sunset * math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.sin(sunset)
    return max(0.0, 24 * 60 / math.pi * _SOLAR_CONSTANT_MJ_M2_MIN * distance * height / _MJ_PER_KWH)
