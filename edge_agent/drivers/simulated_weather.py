"""Sky and temperatures of a simulated site: pure functions of place, time and seed.

Sources: air mass by Kasten and Young 1989; direct beam by Meinel and Meinel 1976 (1353 W/m2 x 0.7^(AM^0.678)); diffuse light as a tenth
of the beam, from an isotropic sky (Liu and Jordan 1963); module temperature by the linear NOCT model (Ross 1976). Clouds are smooth noise:
no weather that was.
"""

import math
from datetime import datetime
from hashlib import blake2b
from struct import pack

from shared.sun import SunPosition

TILT_DEG = 25.0
"""Usual fixed tilt on Lahore's flat roofs, facing due south."""

NOCT_C = 45.0
"""Nominal operating cell temperature of a usual glass-backsheet module."""

_WARMEST_HOUR = 15.0
_HAZE = 0.93
_CLOUD_KNOT_S = 900
_FLICKER_KNOT_S = 90
_CLOUD_CHANNEL, _FLICKER_CHANNEL, _DAY_CHANNEL = 1, 2, 3

# Monthly mean of the daily lowest and highest air temperature in Lahore, deg C, January to December (climate normals 1961-1990).
_NORMALS_C = (
    (5.9, 19.8),
    (8.9, 22.0),
    (14.0, 27.1),
    (19.6, 33.9),
    (23.7, 38.6),
    (27.4, 40.4),
    (26.9, 36.1),
    (26.4, 35.0),
    (24.4, 35.0),
    (18.2, 32.9),
    (11.6, 27.4),
    (6.8, 21.6),
)


def uniform(seed: int, channel: int, index: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    digest = blake2b(pack("<qqq", seed, channel, index), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def smooth_noise(seed: int, channel: int, *, second: float, knot_s: float) -> float:
    """Noise in [0, 1) without jumps: one random value every `knot_s` seconds of Unix time, cosine between them."""
    position = second / knot_s
    index = math.floor(position)
    weight = (1 - math.cos(math.pi * (position - index))) / 2
    return uniform(seed, channel, index) * (1 - weight) + uniform(seed, channel, index + 1) * weight


def clear_sky_poa_wm2(sun: SunPosition, *, tilt_deg: float = TILT_DEG) -> float:
    """Irradiance (W/m2) on a plane tilted to the south under a hazy, cloudless sky; 0 while the sun is down."""
    if sun.elevation_deg <= 0:
        return 0.0
    sine = math.sin(math.radians(sun.elevation_deg))
    zenith_deg = 90 - sun.elevation_deg
    air_mass = 1 / (sine + 0.50572 * math.pow(96.07995 - zenith_deg, -1.6364))
    beam = _HAZE * 1353 * math.pow(0.7, math.pow(air_mass, 0.678))
    tilt = math.radians(tilt_deg)
    across = math.cos(math.radians(sun.elevation_deg)) * math.cos(math.radians(sun.azimuth_deg - 180))
    incidence = max(0.0, sine * math.cos(tilt) + across * math.sin(tilt))
    return beam * incidence + 0.1 * beam * (1 + math.cos(tilt)) / 2


def cloud_factor(seed: int, *, second: float, day: int) -> float:
    """Share (0.12 to 1) of the clear sky's light that comes through; `day` picks how cloudy the day is, `second` is Unix time."""
    cloudiness = uniform(seed, _DAY_CHANNEL, day) ** 2
    slow = smooth_noise(seed, _CLOUD_CHANNEL, second=second, knot_s=_CLOUD_KNOT_S)
    cover = min(1.0, max(0.0, (slow - 0.75 + 0.6 * cloudiness) * 3))
    if cover == 0:
        return 1.0
    flicker = smooth_noise(seed, _FLICKER_CHANNEL, second=second, knot_s=_FLICKER_KNOT_S)
    return 1 - cover * (0.45 + 0.43 * flicker)


def ambient_c(local: datetime) -> float:
    """Air temperature (deg C) by Lahore's monthly normals: lowest before sunrise, highest in mid-afternoon."""
    low, high = _NORMALS_C[local.month - 1]
    hour = local.hour + local.minute / 60 + local.second / 3600
    return (low + high) / 2 + (high - low) / 2 * math.cos(2 * math.pi * (hour - _WARMEST_HOUR) / 24)


def module_temperature_c(ambient: float, *, poa_wm2: float) -> float:
    """Temperature (deg C) of a module in the sun."""
    return ambient + (NOCT_C - 20) / 800 * poa_wm2
