"""The home's load: summer evenings and winter mornings of Lahore."""

import itertools
from datetime import datetime
from statistics import mean
from zoneinfo import ZoneInfo

from edge_agent.drivers.simulated_home import home_load_w
from edge_agent.drivers.simulated_weather import ambient_c

ZONE = ZoneInfo("Asia/Karachi")


def load(month: int, hour: int, minute: int = 0, day: int = 15) -> int:
    local = datetime(2026, month, day, hour, minute, tzinfo=ZONE)
    return home_load_w(local, ambient=ambient_c(local), seed=1)


def hourly_mean(month: int, hour: int) -> float:
    return mean(load(month, hour, minute, day) for day in (10, 15, 20) for minute in range(60))


def test_summer_evening_is_more_than_twice_the_summer_morning() -> None:
    assert hourly_mean(7, 20) > 2 * hourly_mean(7, 9)


def test_air_conditioners_do_not_run_in_winter() -> None:
    assert max(load(1, hour, minute) for hour in range(8, 24) for minute in range(0, 60, 5)) < 1450


def test_air_conditioners_cycle() -> None:
    evening = [load(7, 19, minute) for minute in range(60)]
    jumps = [abs(b - a) for a, b in itertools.pairwise(evening) if abs(b - a) > 1200]
    assert len(jumps) >= 2


def test_a_geyser_heats_on_winter_mornings_only() -> None:
    assert load(1, 6, 30) > 2000
    assert load(4, 6, 30) < 2000


def test_the_fridge_goes_on_and_off_at_night() -> None:
    night = [load(1, 3, minute) for minute in range(60)]
    assert max(night) - min(night) >= 140


def test_load_is_never_zero_and_stays_within_a_homes_connection() -> None:
    loads = [load(month, hour, 15) for month in range(1, 13) for hour in range(24)]
    assert min(loads) > 100
    assert max(loads) < 7500
