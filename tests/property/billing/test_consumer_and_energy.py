"""Categories by history, peak hours, and the energy of a period, for any days and zones."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cloud.billing.rules.consumer import PROTECTED_KWH, billed_category, checked_months
from cloud.billing.rules.metering.energy import QuarterHour, period_energy, period_window
from cloud.billing.rules.metering.tou import is_peak
from cloud.billing.rules.month import Month

zones = st.sampled_from(["Asia/Karachi", "Europe/London", "America/St_Johns", "Asia/Kathmandu"]).map(ZoneInfo)
days = st.dates(date(2024, 1, 1), date(2028, 12, 31))
watt_hours = st.one_of(st.none(), st.integers(0, 50_000))


@given(st.dates(date(2024, 1, 1), date(2028, 12, 31)), st.sampled_from(["lesco", "kelectric", "qesco"]))
def test_four_peak_hours_a_day(day: date, disco: str) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Karachi"))
    assert sum(is_peak(start + timedelta(minutes=15 * n), disco) for n in range(96)) == 16


@given(days, st.integers(1, 2), zones, st.data())
def test_energy_adds_up_and_peak_is_a_part(first: date, length: int, zone: ZoneInfo, data: st.DataObject) -> None:
    window = period_window(first, first + timedelta(days=length - 1), zone)
    count = int(window.seconds // 900)
    values = data.draw(st.lists(watt_hours, min_size=count, max_size=count))
    rows = [QuarterHour(window.start + timedelta(minutes=15 * n), wh, wh, wh, None, 900) for n, wh in enumerate(values)]
    energy = period_energy(rows, window=window, zone=zone, disco_provider="lesco")
    known = [wh for wh in values if wh is not None]
    assert energy.imported_kwh == (Decimal(sum(known)) / 1000 if known else None)
    assert energy.exported_kwh is None
    assert energy.exported_peak_kwh is None
    assert energy.max_demand_kw == (Decimal(max(known)) * 4 / 1000 if known else None)
    assert energy.coverage_percent == 100.0
    if energy.imported_kwh is not None:
        assert energy.imported_peak_kwh is not None
        assert 0 <= energy.imported_peak_kwh <= energy.imported_kwh


@given(st.lists(days, min_size=3, max_size=3), zones)
def test_periods_meet_without_gap_or_overlap(three: list[date], zone: ZoneInfo) -> None:
    first, middle, last = sorted(three)
    whole = period_window(first, last, zone)
    if middle < last:
        left, right = period_window(first, middle, zone), period_window(middle + timedelta(days=1), last, zone)
        assert (left.start, left.end, right.end) == (whole.start, right.start, whole.end)
    assert whole.start.tzinfo is UTC


@given(
    st.decimals(0, 400, places=1),
    st.dictionaries(st.integers(1, 14), st.decimals(0, 400, places=1)),
    st.dates(date(2025, 6, 1), date(2028, 12, 1)),
)
def test_history_decides_the_protected_status(kwh: Decimal, past: dict[int, Decimal], day: date) -> None:
    month = Month.of(day)
    history = {month.back(back): units for back, units in past.items()}
    category, warnings = billed_category("residential_protected", units=kwh, history=history, bill_month=month)
    over = kwh > PROTECTED_KWH or any(units > PROTECTED_KWH for back, units in past.items() if back <= 6)
    assert category == ("residential_unprotected" if over else "residential_protected")
    complete = all(back in past for back in range(1, 7))
    assert [w.code for w in warnings] == (["category_lost"] if over else [] if complete else ["category_unchecked"])


@given(st.sampled_from(["residential_unprotected", "tou_commercial"]), st.decimals(0, 4000), days)
def test_other_categories_stay(category: str, kwh: Decimal, day: date) -> None:
    assert billed_category(category, units=kwh, history={}, bill_month=Month.of(day)) == (category, ())
    assert checked_months(category, Month.of(day)) == ()


@given(days, st.integers(0, 40))
def test_months_count_back(day: date, back: int) -> None:
    month = Month.of(day)
    earlier = month.back(back)
    assert (month.year - earlier.year) * 12 + month.month - earlier.month == back
    assert Month.parse(str(earlier)) == earlier
