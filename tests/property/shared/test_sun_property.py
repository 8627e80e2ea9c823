"""Between sunrise and sunset the sun stands above the horizon, and outside below it."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.sun import sun_position, sun_up

days = st.dates(date(2000, 1, 1), date(2060, 1, 1))
places = st.tuples(st.floats(-60, 60), st.floats(-180, 180))


@given(place=places, day=days, minute=st.integers(0, 24 * 60))
def test_up_between_sunrise_and_sunset_alone(place: tuple[float, float], day: date, minute: int) -> None:
    up = sun_up(*place, day=day)
    assert up is not None
    at = datetime.combine(day, datetime.min.time(), tzinfo=UTC) + timedelta(minutes=minute - 4 * place[1])
    elevation = sun_position(*place, at=at).elevation_deg
    # The declination of noon stands for the whole day: at sunrise it is off by a fifth of a degree at most.
    if abs(elevation) > 0.5:
        assert (at in up) == (elevation > 0)


@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), day=days)
def test_a_day_is_never_longer_than_a_day(latitude: float, longitude: float, day: date) -> None:
    up = sun_up(latitude, longitude, day=day)
    assert up is None or timedelta(0) <= up.end - up.start <= timedelta(hours=24, minutes=2)
