"""Sun and sky against values that others compute."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from edge_agent.drivers.simulated_weather import (
    ambient_c,
    clear_sky_poa_wm2,
    cloud_factor,
    module_temperature_c,
    smooth_noise,
    uniform,
)
from shared.sun import SunPosition, sun_position

LAHORE = (31.52, 74.36)


@pytest.mark.parametrize(
    ("at", "elevation", "tolerance"),
    [
        # At solar noon the elevation is 90 - latitude + declination; declination is +23.44 and -23.44 at the solstices, 0 at the equinoxes.
        (datetime(2026, 6, 21, 7, 4, tzinfo=UTC), 90 - 31.52 + 23.44, 0.3),
        (datetime(2026, 12, 21, 7, 1, tzinfo=UTC), 90 - 31.52 - 23.44, 0.3),
        (datetime(2026, 3, 20, 7, 10, tzinfo=UTC), 90 - 31.52, 0.6),
    ],
)
def test_noon_elevation_follows_the_declination(at: datetime, elevation: float, tolerance: float) -> None:
    sun = sun_position(*LAHORE, at=at)
    assert sun.elevation_deg == pytest.approx(elevation, abs=tolerance)
    assert sun.azimuth_deg == pytest.approx(180, abs=3)


def test_sun_rises_in_the_east_and_sets_in_the_west() -> None:
    morning = sun_position(*LAHORE, at=datetime(2026, 3, 20, 1, 30, tzinfo=UTC))
    evening = sun_position(*LAHORE, at=datetime(2026, 3, 20, 12, 45, tzinfo=UTC))
    assert morning.azimuth_deg == pytest.approx(92, abs=3)
    assert evening.azimuth_deg == pytest.approx(268, abs=3)


def test_day_length_in_lahore_is_right_at_the_solstices() -> None:
    def hours_up(day: date) -> float:
        first = datetime.combine(day, datetime.min.time(), tzinfo=ZoneInfo("Asia/Karachi"))
        up = [sun_position(*LAHORE, at=first + timedelta(minutes=m)).elevation_deg > -0.833 for m in range(1440)]
        return sum(up) / 60

    assert hours_up(date(2026, 6, 21)) == pytest.approx(14 + 11 / 60, abs=0.15)
    assert hours_up(date(2026, 12, 21)) == pytest.approx(10 + 6 / 60, abs=0.15)


def test_clear_sky_is_dark_below_the_horizon_and_plausible_at_noon() -> None:
    assert clear_sky_poa_wm2(SunPosition(-0.1, 180)) == 0
    assert 850 < clear_sky_poa_wm2(SunPosition(60, 180)) < 1100


def test_a_south_roof_sees_more_of_the_winter_noon_than_a_flat_one() -> None:
    sun = SunPosition(35, 180)
    assert clear_sky_poa_wm2(sun, tilt_deg=25) > 1.2 * clear_sky_poa_wm2(sun, tilt_deg=0)


def test_the_sun_behind_the_roof_leaves_only_diffuse_light() -> None:
    assert clear_sky_poa_wm2(SunPosition(5, 60)) < 40


def test_summer_afternoon_is_the_hottest_time() -> None:
    zone = ZoneInfo("Asia/Karachi")
    assert ambient_c(datetime(2026, 6, 15, 15, tzinfo=zone)) == pytest.approx(40.4)
    assert ambient_c(datetime(2026, 6, 15, 3, tzinfo=zone)) == pytest.approx(27.4)
    assert ambient_c(datetime(2026, 1, 15, 3, tzinfo=zone)) == pytest.approx(5.9)


def test_a_module_in_full_sun_is_25_kelvin_hotter_than_the_air_at_800_watts() -> None:
    assert module_temperature_c(20, poa_wm2=800) == pytest.approx(45)
    assert module_temperature_c(20, poa_wm2=0) == 20


def test_days_differ_in_cloud_and_some_are_clear() -> None:
    noons = [cloud_factor(1, second=86_400.0 * day + 25_000, day=day) for day in range(60)]
    assert min(noons) < 0.6
    assert noons.count(1.0) >= 5


def test_noise_depends_on_every_argument_and_on_nothing_else() -> None:
    assert uniform(1, 2, 3) == uniform(1, 2, 3)
    assert len({uniform(1, 2, 3), uniform(2, 2, 3), uniform(1, 3, 3), uniform(1, 2, 4)}) == 4
    assert smooth_noise(1, 2, second=120, knot_s=60) == uniform(1, 2, 2)
