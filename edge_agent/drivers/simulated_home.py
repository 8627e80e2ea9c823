"""What a simulated home in Lahore draws: a pure function of local time, temperature and seed, in whole watts."""

from datetime import datetime

from edge_agent.drivers.simulated_weather import smooth_noise, uniform

_ALWAYS_ON_W = 160
_FRIDGE_W = 140
_FRIDGE_CYCLE_S = 2700
_FRIDGE_ON_S = 1080
_COMPRESSOR_W = 1450
"""One 1.5 ton air conditioner of the fixed-speed kind, still the usual one."""
_COMPRESSOR_CYCLE_S = 1200
_FAN_W = 75
_PUMP_W = 750
_GEYSER_W = 2000
_BASE_CHANNEL, _ROOM_CHANNEL, _PUMP_CHANNEL = 11, 20, 12

# Hours of local time in which each room's air conditioner may run: two bedrooms at night, the lounge in the afternoon and evening.
_ROOM_HOURS = ((range(22, 24), range(7)), (range(23, 24), range(6)), (range(13, 23),))


def home_load_w(local: datetime, *, ambient: float, seed: int) -> int:
    """Power (W) that the home draws at this local moment, with this air temperature (deg C)."""
    second = local.timestamp()
    load = _ALWAYS_ON_W + 60 * smooth_noise(seed, _BASE_CHANNEL, second=second, knot_s=240)
    load += _FRIDGE_W if second % _FRIDGE_CYCLE_S < _FRIDGE_ON_S else 0
    load += _lights_w(local.hour + local.minute / 60)
    load += _cooling_w(local, ambient=ambient, second=second, seed=seed)
    load += _water_w(local, ambient=ambient, seed=seed)
    return round(load)


def _lights_w(hour: float) -> int:
    if hour < 5:
        return 20
    if hour < 8:
        return 220  # breakfast: kettle and toaster averaged, lights before dawn
    if hour < 18:
        return 90
    return 420 if hour < 23.5 else 60  # lights, television and kitchen of the evening peak


def _cooling_w(local: datetime, *, ambient: float, second: float, seed: int) -> int:
    fans = 4 * _FAN_W if ambient > 24 else 0
    if ambient <= 27:
        return fans
    duty = min(0.9, 0.35 + (ambient - 27) * 0.045)
    running = 0
    for room, hours in enumerate(_ROOM_HOURS):
        if not any(local.hour in part for part in hours):
            continue
        cycle, into = divmod(second + room * 400, _COMPRESSOR_CYCLE_S)
        share = duty * (0.85 + 0.3 * uniform(seed, _ROOM_CHANNEL + room, int(cycle)))
        running += into < share * _COMPRESSOR_CYCLE_S
    return fans + running * _COMPRESSOR_W


def _water_w(local: datetime, *, ambient: float, seed: int) -> int:
    """Roof-tank pump in the morning, electric geyser on winter mornings."""
    minute = local.hour * 60 + local.minute
    pump_start = 7 * 60 + int(40 * uniform(seed, _PUMP_CHANNEL, local.toordinal()))
    pump = _PUMP_W if pump_start <= minute < pump_start + 25 else 0
    geyser = _GEYSER_W if ambient < 12 and 6 * 60 <= minute < 7 * 60 + 30 else 0
    return pump + geyser
