"""Files of intervals: what is read, what is refused, and what cannot be seen in them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.rules.metering.energy import period_window
from cloud.billing.rules.metering.intervals import (
    Interval,
    IntervalError,
    interval_energy,
    max_demand_kw,
    parse_intervals_csv,
)

KARACHI = ZoneInfo("Asia/Karachi")
LONDON = ZoneInfo("Europe/London")


def _file(*lines: str, header: str = "start,imported_kwh,exported_kwh") -> str:
    return "\n".join((header, *lines)) + "\n"


def test_a_file_is_read_in_order_of_time() -> None:
    text = _file("2026-08-05T00:15:00+05:00,0.198,", "2026-08-05 00:00,0.213,0", "", "2026-08-04T19:30:00Z,0.2,0.1")
    found = parse_intervals_csv(text, zone=KARACHI)
    start = datetime(2026, 8, 4, 19, 0, tzinfo=UTC)
    assert [interval.start for interval in found] == [start + timedelta(minutes=15 * n) for n in range(3)]
    assert {interval.seconds for interval in found} == {900}
    assert [interval.imported_kwh for interval in found] == [Decimal("0.213"), Decimal("0.198"), Decimal("0.2")]
    assert [interval.exported_kwh for interval in found] == [0, None, Decimal("0.1")]
    assert found[0].end == found[1].start


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, "start", "column start is missing"),
        (_file(header="imported_kwh"), 1, "start", "column start is missing"),
        (_file(header="start,exported_kwh"), 1, "imported_kwh", "column imported_kwh is missing"),
        (_file(header="start,imported_kwh,import"), 1, "import", "'import' is not a column"),
        (_file(header="start,imported_kwh,imported_kwh"), 1, "imported_kwh", "stands there twice"),
        (_file(), None, None, "no intervals"),
        (_file("2026-08-05 00:00,1,0"), None, None, "fewer than two lines"),
        (_file("yesterday,1,0"), 2, "start", "'yesterday' is not a moment"),
        (_file("2026-08-05 00:00,1,0", "2026-08-05 00:15,1.2.3,0"), 3, "imported_kwh", "'1.2.3' is not a number"),
        (_file("2026-08-05 00:00,-1,0"), 2, "imported_kwh", "-1 is out of range"),
        (_file("2026-08-05 00:00,NaN,0"), 2, "imported_kwh", "NaN is out of range"),
        (_file("2026-08-05 00:00,1,1e9"), 2, "exported_kwh", "1e9 is out of range"),
        (_file("2026-08-05 00:00,1"), 2, None, "2 fields where the header names 3"),
        (_file("2026-08-05 00:00,1,0", "2026-08-05 00:20,1,0"), 3, "start", "0:20:00 apart"),
        (_file("2026-08-05 00:07,1,0", "2026-08-05 00:22,1,0"), 2, "start", "not on a step of 15 minutes"),
        (_file("2026-08-05 00:00,1,0", "2026-08-04T19:00:00Z,2,0"), 3, "start", "is on line 2 as well"),
    ],
)
def test_an_error_names_the_place(text: str, line: int | None, column: str | None, words: str) -> None:
    with pytest.raises(IntervalError) as caught:
        parse_intervals_csv(text, zone=KARACHI)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert words in str(caught.value)
    assert line is None or f"line {line}" in str(caught.value)


def test_overlap_with_the_length_that_was_named() -> None:
    text = _file("2026-08-05 00:00,1,0", "2026-08-05 01:00,1,0", "2026-08-05 01:30,1,0")
    assert {interval.seconds for interval in parse_intervals_csv(text, zone=KARACHI)} == {1800}
    with pytest.raises(IntervalError, match=r"line 4, column start: .* overlaps the 60 minutes of line 3"):
        parse_intervals_csv(text, zone=KARACHI, step_minutes=60)
    with pytest.raises(IntervalError, match="step_minutes is 10"):
        parse_intervals_csv(text, zone=KARACHI, step_minutes=10)


def test_the_hour_that_is_shown_twice_and_the_one_that_is_not() -> None:
    text = _file("2026-10-25 00:00,1,0", "2026-10-25 01:00,2,0", "2026-10-25 01:00,3,0", "2026-10-25 02:00,4,0")
    found = parse_intervals_csv(text, zone=LONDON)
    assert [interval.start.hour for interval in found] == [23, 0, 1, 2]
    with pytest.raises(IntervalError, match="line 3, column start: 2026-03-29 01:00 did not exist in Europe/London"):
        parse_intervals_csv(_file("2026-03-29 00:00,1,0", "2026-03-29 01:00,1,0"), zone=LONDON)


def _day(minutes: int, kwh: str = "1") -> list[Interval]:
    start = datetime(2026, 8, 5, tzinfo=KARACHI)
    return [
        Interval(start + timedelta(minutes=minutes * n), minutes * 60, Decimal(kwh), Decimal(0))
        for n in range(24 * 60 // minutes)
    ]


@pytest.mark.parametrize(("minutes", "peak_units"), [(5, 48), (15, 16), (30, 8), (60, 4)])
def test_four_peak_hours_whatever_the_length(minutes: int, peak_units: int) -> None:
    day = date(2026, 8, 5)
    made = interval_energy(
        _day(minutes), window=period_window(day, day, KARACHI), zone=KARACHI, disco_provider="kelectric"
    )
    assert made.energy.imported_kwh == 24 * 60 // minutes
    assert made.energy.imported_peak_kwh == peak_units
    assert made.energy.exported_peak_kwh == 0
    assert made.energy.consumed_kwh is None
    assert made.energy.coverage_percent == 100.0
    assert any("edge of the peak hours of kelectric" in words for words in made.assumptions) is (minutes == 60)
    assert any("highest demand is a mean" in words for words in made.assumptions) is (minutes > 15)


def test_demand_is_of_quarter_hours_or_of_longer_intervals() -> None:
    fives = _day(5, "0.1")[:6]
    fives[4] = Interval(fives[4].start, 300, Decimal("0.7"))
    assert max_demand_kw(fives) == Decimal("3.6")
    assert max_demand_kw(_day(30, "2")) == 4
    assert max_demand_kw(_day(60, "2")) == 2
    assert max_demand_kw([Interval(fives[0].start, 300)]) is None


def test_what_is_outside_the_period_does_not_count() -> None:
    window = period_window(date(2026, 8, 5), date(2026, 8, 6), KARACHI)
    made = interval_energy(_day(15), window=window, zone=KARACHI, disco_provider="lesco")
    assert made.energy.coverage_percent == 50.0
    with pytest.raises(IntervalError, match="no interval begins"):
        interval_energy(
            _day(15),
            window=period_window(date(2026, 8, 7), date(2026, 8, 7), KARACHI),
            zone=KARACHI,
            disco_provider="lesco",
        )
