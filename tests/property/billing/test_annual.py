"""A year of intervals added up once: the same units as interval by interval."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.rules.annual.units import annual_units, monthly_periods, watt_hours, year_calendar
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.metering.tou import is_peak
from shared.periods import day_window

KARACHI = ZoneInfo("Asia/Karachi")
zones = st.sampled_from(["Asia/Karachi", "Europe/London", "America/St_Johns", "Asia/Kathmandu"]).map(ZoneInfo)
discos = st.sampled_from(["lesco", "kelectric"])


@given(
    st.dates(date(2024, 1, 1), date(2028, 6, 1)),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    zones,
    discos,
    st.integers(0, 2**32),
)
def test_units_are_those_of_each_interval(
    first: date, lengths: list[int], zone: ZoneInfo, disco: str, seed: int
) -> None:
    periods: list[tuple[date, date]] = []
    for length in lengths:
        periods.append((first, first + timedelta(days=length - 1)))
        first += timedelta(days=length)
    calendar = year_calendar(tuple(periods), zone=zone, disco_provider=disco, step_minutes=15)
    flows = np.random.default_rng(seed).integers(0, 50_000, (3, calendar.intervals))
    units = annual_units(calendar, imported_wh=flows[0], exported_wh=flows[1], consumed_wh=flows[2])
    origin = day_window(periods[0][0], zone).start
    expected = [[0] * 6 for _ in periods]
    highest = [[0, 0] for _ in periods]
    for index in range(calendar.intervals):
        local = (origin + timedelta(minutes=15 * index)).astimezone(zone)
        place = next(n for n, (start, end) in enumerate(periods) if start <= local.date() <= end)
        for flow in range(3):
            wh = int(flows[flow][index]) * 1000
            expected[place][2 * flow] += wh
            expected[place][2 * flow + 1] += wh if is_peak(local, disco) else 0
        highest[place] = [max(highest[place][n], int(flows[flow][index]) * 4000) for n, flow in ((0, 0), (1, 2))]
    made = [(*a[:4], *b[:2]) for a, b in zip(units.with_solar, units.without_solar, strict=True)]
    assert made == [tuple(row) for row in expected]
    assert [(a.demand, b.demand) for a, b in zip(units.with_solar, units.without_solar, strict=True)] == [
        tuple(pair) for pair in highest
    ]


@given(st.dates(date(2024, 1, 1), date(2028, 6, 1)), discos, st.integers(0, 2**32))
def test_an_hour_that_the_edge_of_peak_cuts_counts_on_both_sides(first: date, disco: str, seed: int) -> None:
    periods = ((first, first + timedelta(days=2)),)
    hours = np.random.default_rng(seed).integers(0, 10_000, 72) * 4
    whole = year_calendar(periods, zone=KARACHI, disco_provider=disco, step_minutes=60)
    fine = year_calendar(periods, zone=KARACHI, disco_provider=disco, step_minutes=15)
    quarters = np.repeat(hours // 4, 4)
    coarse = annual_units(whole, imported_wh=hours, exported_wh=hours, consumed_wh=hours)
    assert coarse == annual_units(fine, imported_wh=quarters, exported_wh=quarters, consumed_wh=quarters)


@pytest.mark.parametrize(("reading_day", "length"), [(None, 8760), (7, 8760), (31, 8760)])
def test_a_year_of_bills(reading_day: int | None, length: int) -> None:
    periods = monthly_periods(2026, reading_day=reading_day)
    calendar = year_calendar(periods, zone=KARACHI, disco_provider="lesco")
    assert (len(periods), calendar.intervals) == (12, length)
    flow = np.full(length, 1500)
    units = annual_units(calendar, imported_wh=flow, exported_wh=flow * 0, consumed_wh=flow)
    assert [u.imported for u in units.with_solar] == [36_000_000 * ((b - a).days + 1) for a, b in periods]
    assert [u.imported_peak for u in units.with_solar] == [6_000_000 * ((b - a).days + 1) for a, b in periods]
    assert {u.demand for u in units.with_solar} == {1_500_000}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"imported_wh": np.zeros(23, dtype=np.int64)}, r"imported_wh has the shape \(23,\)"),
        ({"consumed_wh": np.full(24, -1)}, "consumed_wh has an interval of -1 Wh"),
        ({"exported_wh": np.full(24, 10**12)}, "exported_wh has .* a sum of 24000000000000 Wh"),
    ],
)
def test_arrays_that_cannot_be_are_refused(change: dict[str, Any], words: str) -> None:
    calendar = year_calendar(((date(2026, 1, 1), date(2026, 1, 1)),), zone=KARACHI, disco_provider="lesco")
    nothing = np.zeros(24, dtype=np.int64)
    with pytest.raises(BillingError, match=words):
        annual_units(calendar, **{"imported_wh": nothing, "exported_wh": nothing, "consumed_wh": nothing, **change})


def test_calendars_that_cannot_be_are_refused() -> None:
    day = date(2026, 1, 1)
    place: dict[str, Any] = {"zone": KARACHI, "disco_provider": "lesco"}
    with pytest.raises(BillingError, match="7 minutes"):
        year_calendar(((day, day),), **place, step_minutes=7)
    with pytest.raises(BillingError, match="0 periods"):
        year_calendar((), **place)
    with pytest.raises(BillingError, match="leave no day between"):
        year_calendar(((day, day), (date(2026, 1, 3), date(2026, 1, 3))), **place)
    with pytest.raises(BillingError, match="before its first day"):
        year_calendar(((day, date(2025, 12, 31)),), **place)
    change = date(2026, 4, 5)
    with pytest.raises(BillingError, match="do not fill"):
        year_calendar(((change, change),), zone=ZoneInfo("Australia/Lord_Howe"), disco_provider="lesco")
    with pytest.raises(BillingError, match="reading_day is 32"):
        monthly_periods(2026, reading_day=32)


def test_energies_become_whole_watt_hours() -> None:
    assert watt_hours(np.array([0.0, 0.1234, 1.0005001, 7.0])).tolist() == [0, 123, 1001, 7000]
    with pytest.raises(BillingError, match="not a number"):
        watt_hours(np.array([1.0, np.nan]))
