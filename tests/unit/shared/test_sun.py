"""Sunrise and sunset against values that almanacs print, which count from the upper edge and with refraction: some minutes longer."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from shared.sun import sun_up

LONGER = timedelta(minutes=8)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "day", "rise", "fall"),
    [
        # Lahore, Asia/Karachi; the almanac's 04:58 to 19:10 and 06:57 to 17:03 are given in UTC.
        ((31.52, 74.36), date(2026, 6, 21), utc("2026-06-20 23:58"), utc("2026-06-21 14:10")),
        ((31.52, 74.36), date(2026, 12, 21), utc("2026-12-21 01:57"), utc("2026-12-21 12:03")),
        # Greenwich at the solstices.
        ((51.48, 0.0), date(2026, 6, 21), utc("2026-06-21 03:43"), utc("2026-06-21 20:21")),
        ((51.48, 0.0), date(2026, 12, 21), utc("2026-12-21 08:04"), utc("2026-12-21 15:53")),
        # Quito on the equator, west of Greenwich.
        ((-0.18, -78.47), date(2026, 3, 20), utc("2026-03-20 11:18"), utc("2026-03-20 23:24")),
        # Auckland: its noon is at midnight UTC.
        ((-36.85, 174.76), date(2026, 1, 1), utc("2025-12-31 17:04"), utc("2026-01-01 07:43")),
    ],
)
def test_sunrise_and_sunset(place: tuple[float, float], day: date, rise: datetime, fall: datetime) -> None:
    up = sun_up(*place, day=day)
    assert up is not None
    assert timedelta(minutes=-1) <= up.start - rise <= LONGER
    assert timedelta(minutes=-1) <= fall - up.end <= LONGER


def test_the_sun_that_does_not_rise_and_the_one_that_does_not_set() -> None:
    tromso = (69.65, 18.96)
    assert sun_up(*tromso, day=date(2026, 12, 21)) is None
    summer = [sun_up(*tromso, day=date(2026, 6, day)) for day in (20, 21, 22)]
    for one, next_one in pairwise(summer):
        assert one is not None
        assert next_one is not None
        assert one.end >= next_one.start
