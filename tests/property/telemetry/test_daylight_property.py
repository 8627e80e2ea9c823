"""The daylight of a period is what the sun's position says of the middle of each of its quarter-hours."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.telemetry.rules.daylight import daylight
from shared.periods import QUARTER_HOUR, Window, quarter_hours
from shared.sun import sun_position

START = datetime(2026, 1, 1, tzinfo=UTC)
windows = st.builds(
    lambda first, length: Window(START + first * QUARTER_HOUR, START + (first + length) * QUARTER_HOUR),
    st.integers(0, 365 * 96),
    st.integers(1, 200),
)


@given(window=windows, latitude=st.floats(-65, 65), longitude=st.floats(-180, 180))
def test_each_quarter_hour_is_day_or_night(window: Window, latitude: float, longitude: float) -> None:
    spans = daylight(window, latitude=latitude, longitude=longitude)
    for bucket in quarter_hours(window):
        elevation = sun_position(latitude, longitude, at=bucket + QUARTER_HOUR / 2).elevation_deg
        if abs(elevation) > 0.5:
            assert any(bucket in span for span in spans) == (elevation > 0)


@given(window=windows, cut=st.integers(0, 200), latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))
def test_parts_of_a_period_add_up(window: Window, cut: int, latitude: float, longitude: float) -> None:
    middle = min(window.end, window.start + cut * QUARTER_HOUR)
    parts = [
        span
        for part in (Window(window.start, middle), Window(middle, window.end))
        for span in daylight(part, latitude=latitude, longitude=longitude)
    ]
    whole = daylight(window, latitude=latitude, longitude=longitude)
    assert sum(span.seconds for span in whole) == sum(span.seconds for span in parts)
    assert all(one.end < other.start for one, other in pairwise(whole))
    assert all(window.start <= span.start < span.end <= window.end for span in whole)
    assert all((edge - START) % QUARTER_HOUR == timedelta(0) for span in whole for edge in (span.start, span.end))
