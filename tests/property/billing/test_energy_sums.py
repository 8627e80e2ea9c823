"""Sums of a window and its peak hours, for any days, zones and gaps."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.rules.metering.energy import (
    QuarterHour,
    buckets_of,
    energy_of,
    peak_stretches,
    period_energy,
    period_window,
    sums_of,
)
from cloud.billing.rules.metering.tou import is_peak
from shared.periods import Window

zones = st.sampled_from(["Asia/Karachi", "Europe/London", "America/St_Johns", "Asia/Kathmandu"]).map(ZoneInfo)
days = st.dates(date(2024, 1, 1), date(2028, 12, 31))
companies = st.sampled_from(["lesco", "kelectric"])
watt_hours = st.one_of(st.none(), st.integers(0, 50_000))


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, ZoneInfo]:
    first, length, zone = draw(days), draw(st.integers(1, 3)), draw(zones)
    return period_window(first, first + timedelta(days=length - 1), zone), zone


@given(windows(), companies)
def test_a_moment_is_in_peak_hours_if_it_has_passed_an_odd_number_of_edges(
    placed: tuple[Window, ZoneInfo], disco: str
) -> None:
    window, zone = placed
    stretches = peak_stretches(window, zone, disco)
    edges = [edge for stretch in stretches for edge in (stretch.start, stretch.end)]
    assert edges == sorted(set(edges))
    for bucket in buckets_of(window):
        passed = sum(edge <= bucket for edge in edges)
        assert (passed % 2 == 1) is is_peak(bucket.astimezone(zone), disco)


@given(windows(), companies, st.data())
def test_sums_of_parts_are_the_sums_of_the_whole(
    placed: tuple[Window, ZoneInfo], disco: str, data: st.DataObject
) -> None:
    window, zone = placed
    buckets = buckets_of(window)
    values = data.draw(st.lists(st.tuples(watt_hours, watt_hours), min_size=len(buckets), max_size=len(buckets)))
    rows = [
        QuarterHour(bucket, sun, load, load, sun, 900)
        for bucket, (sun, load) in zip(buckets, values, strict=True)
        if load is not None or sun is not None
    ]
    sums = sums_of(rows, window=window, zone=zone, disco_provider=disco)
    loads = [row.imported_wh for row in rows if row.imported_wh is not None]
    at_peak = [row for row in rows if is_peak(row.bucket.astimezone(zone), disco) and row.imported_wh is not None]
    assert (sums.imported_wh, sums.consumed_wh) == ((sum(loads),) * 2 if loads else (None, None))
    assert sums.imported_peak_wh == (sum(row.imported_wh or 0 for row in at_peak) if loads else None)
    assert sums.max_imported_wh == max(loads, default=None)
    assert sums.covered_seconds == 900 * len(rows)
    assert energy_of(sums, window) == period_energy(rows, window=window, zone=zone, disco_provider=disco)
