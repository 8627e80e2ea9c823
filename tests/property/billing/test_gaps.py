"""Gaps in quarter-hours: found, estimated from other days, never silently."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.rules.metering.energy import QuarterHour, period_window
from cloud.billing.rules.metering.gaps import REACH_DAYS, Filled, GapKind, days_to_learn_from, fill_gaps, has_missing
from shared.periods import Window, day_of, quarter_hours

KARACHI = ZoneInfo("Asia/Karachi")
FIRST = date(2026, 8, 3)
"""A Monday."""
zones = st.sampled_from(["Asia/Karachi", "Europe/London", "America/St_Johns", "Asia/Kathmandu"]).map(ZoneInfo)


def _usage(bucket: datetime, zone: ZoneInfo) -> int:
    """A home that uses the same at the same time of each kind of day."""
    local = bucket.astimezone(zone)
    return local.hour * 10 + local.minute + (1000 if local.weekday() >= 5 else 0)


def _rows(window: Window, zone: ZoneInfo = KARACHI) -> list[QuarterHour]:
    return [
        QuarterHour(bucket, None, _usage(bucket, zone) + 7, _usage(bucket, zone), 0, 900)
        for bucket in quarter_hours(window)
    ]


def _fill(rows: list[QuarterHour], window: Window, *, zone: ZoneInfo = KARACHI, may_estimate: bool = True) -> Filled:
    return fill_gaps(rows, window=window, zone=zone, may_estimate=may_estimate)


def _total(rows: tuple[QuarterHour, ...] | list[QuarterHour]) -> int:
    return sum(row.imported_wh or 0 for row in rows)


@settings(max_examples=min(20, settings().max_examples))
@given(st.sets(st.integers(0, 3 * 96 - 1), max_size=200), zones)
def test_regular_usage_is_estimated_exactly(lost: set[int], zone: ZoneInfo) -> None:
    """Three days (Saturday to Monday) in the middle of two weeks: whatever of them is lost, other days know it."""
    window = period_window(FIRST + timedelta(days=5), FIRST + timedelta(days=7), zone)
    rows = _rows(period_window(FIRST - timedelta(days=2), FIRST + timedelta(days=13), zone), zone)
    missing = {window.start + timedelta(minutes=15 * n) for n in lost}
    filled = _fill([row for row in rows if row.bucket not in missing], window, zone=zone)
    whole = [row for row in rows if row.bucket in window]
    assert [row.bucket for row in filled.quarters] == [row.bucket for row in whole]
    assert [(row.imported_wh, row.consumed_wh) for row in filled.quarters] == [
        (row.imported_wh, row.consumed_wh) for row in whole
    ]
    assert filled.quarter_hours(GapKind.ESTIMATED) == len(missing)
    assert filled.imported_wh(GapKind.ESTIMATED) == _total([row for row in whole if row.bucket in missing])
    assert filled.quarter_hours(GapKind.UNKNOWN) == 0


@given(st.lists(st.none() | st.integers(0, 900), min_size=96, max_size=96), st.booleans())
def test_what_is_measured_stays_and_gaps_cover_the_rest(values: list[int | None], may_estimate: bool) -> None:
    window = period_window(FIRST, FIRST, KARACHI)
    rows = [
        QuarterHour(bucket, None, None, wh, None, 900) for bucket, wh in zip(quarter_hours(window), values, strict=True)
    ]
    filled = _fill(rows, window, may_estimate=may_estimate)
    unknown = sum(wh is None for wh in values)
    # The day itself is not complete, and there is no other.
    assert filled.quarter_hours(GapKind.UNKNOWN) == unknown
    assert has_missing(rows, window) is bool(unknown)
    assert _total(filled.quarters) == sum(wh or 0 for wh in values)
    ends = [(gap.window.start, gap.window.end) for gap in filled.gaps]
    assert ends == sorted(ends)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(ends))


def test_no_readings_at_all_give_one_gap() -> None:
    window = period_window(FIRST, FIRST + timedelta(days=1), KARACHI)
    filled = _fill([], window)
    assert filled.quarters == ()
    assert [(gap.kind, gap.window, gap.imported_wh) for gap in filled.gaps] == [(GapKind.UNKNOWN, window, 0)]


def test_only_the_nearest_days_within_reach_count() -> None:
    window = period_window(FIRST, FIRST, KARACHI)
    far = period_window(FIRST - timedelta(days=REACH_DAYS + 7), FIRST - timedelta(days=REACH_DAYS + 1), KARACHI)
    assert _fill(_rows(far), window).gaps[0].kind is GapKind.UNKNOWN
    near = period_window(FIRST - timedelta(days=REACH_DAYS), FIRST - timedelta(days=REACH_DAYS), KARACHI)
    assert _fill(_rows(near), window).gaps[0].kind is GapKind.ESTIMATED
    weekend = period_window(FIRST - timedelta(days=2), FIRST - timedelta(days=1), KARACHI)
    assert _fill(_rows(weekend), window).gaps[0].kind is GapKind.UNKNOWN
    both = [*_rows(far), *[row._replace(imported_wh=4_000) for row in _rows(near)], *_rows(weekend)]
    assert _fill(both, window).imported_wh(GapKind.ESTIMATED) == 96 * 4_000


def test_a_mean_of_four_days() -> None:
    window = period_window(FIRST, FIRST, KARACHI)
    rows = []
    for days, wh in ((-3, 100), (1, 200), (2, 300), (3, 401), (4, 9_000)):
        day = FIRST + timedelta(days=days)
        rows += [row._replace(imported_wh=wh) for row in _rows(period_window(day, day, KARACHI))]
    # -3 is a Friday, as near as +3; +4 is the fifth.
    assert {row.imported_wh for row in _fill(rows, window).quarters} == {250}


def test_a_bridged_gap_keeps_its_measured_sum_and_teaches_nothing() -> None:
    window = period_window(FIRST, FIRST + timedelta(days=1), KARACHI)
    rows = _rows(window)
    bridged = [row._replace(covered_seconds=0, imported_bridged_wh=row.imported_wh or 0) for row in rows[40:48]]
    rows[40:48] = bridged
    filled = _fill([row for row in rows if row.bucket != rows[100].bucket], window)
    assert [(gap.kind, gap.imported_wh) for gap in filled.gaps] == [
        (GapKind.BRIDGED, _total(bridged)),
        (GapKind.UNKNOWN, 0),
    ]
    assert filled.quarters[40:48] == tuple(bridged)


def test_other_flows_that_were_measured_stay() -> None:
    window = period_window(FIRST, FIRST + timedelta(days=1), KARACHI)
    rows = _rows(window)
    rows[5] = QuarterHour(rows[5].bucket, None, 4_321, None, None, 600)
    made = _fill(rows, window).quarters[5]
    assert made == QuarterHour(rows[5].bucket, None, 4_321, rows[96 + 5].imported_wh, 0, 600)


def test_an_open_period_is_not_estimated() -> None:
    window = period_window(FIRST, FIRST + timedelta(days=6), KARACHI)
    rows = [row for row in _rows(window) if day_of(row.bucket, KARACHI) != FIRST]
    assert {gap.kind for gap in _fill(rows, window, may_estimate=False).gaps} == {GapKind.UNKNOWN}
    assert {gap.kind for gap in _fill(rows, window).gaps} == {GapKind.ESTIMATED}


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_on_which_the_clocks_are_set(day: date, hours: int) -> None:
    london = ZoneInfo("Europe/London")
    window = period_window(day, day, london)
    assert window.seconds == hours * 3600
    rows = [row for row in _rows(days_to_learn_from(window, london), london) if row.bucket not in window]
    filled = _fill(rows, window, zone=london)
    assert len(filled.quarters) == hours * 4
    assert [row.imported_wh for row in filled.quarters] == [_usage(row.bucket, london) for row in filled.quarters]
    assert all(row.bucket.tzinfo is UTC for row in filled.quarters)
