"""What holds for every series of readings when it becomes quarter-hours, hours, days and months."""

import itertools
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.telemetry.rules.context import BASES, LOOK_BACK, Timeline, hours_in, utc_hour
from cloud.telemetry.rules.facts import DeviceFacts, Flow, RawReading, SiteFacts
from cloud.telemetry.rules.quarter import QuarterHour, device_hours
from cloud.telemetry.rules.series import (
    MAX_POINTS,
    NoSeriesError,
    Resolution,
    TooManyPointsError,
    choose_resolution,
    period_edges,
)
from cloud.telemetry.rules.site import site_quarter
from cloud.telemetry.rules.summary import Subject, summarise, summarise_days
from shared.counters import unix_us
from shared.enums import DeviceType
from shared.periods import HOUR, QUARTER_HOUR, Window, day_of, day_window, days_between, month_window, zone_of

START = datetime(2026, 3, 27, 20, 0, tzinfo=UTC)
INVERTER = DeviceFacts(UUID(int=1), DeviceType.INVERTER, 60.0, rated_power_kw=10.0)
BATTERY = DeviceFacts(UUID(int=2), DeviceType.BATTERY, 60.0, rated_power_kw=10.0)
METER = DeviceFacts(UUID(int=3), DeviceType.METER, 60.0)
ZONES = ("Asia/Karachi", "Asia/Kathmandu", "Europe/London", "America/St_Johns", "Australia/Lord_Howe")


def site_in(zone: str) -> SiteFacts:
    return SiteFacts(
        UUID(int=9), UUID(int=8), zone_of(zone), (INVERTER, BATTERY, METER), dc_capacity_kw=11.0, ac_capacity_kw=10.0
    )


KARACHI = site_in("Asia/Karachi")

# Seconds to the next reading: polls, missed polls, and gaps of hours and days.
pauses = st.one_of(st.integers(1, 60), st.integers(60, 600), st.integers(3_600, 200_000))
steps = st.lists(st.tuples(pauses, st.floats(0, 1), st.sampled_from([1, 10, 100])), min_size=1, max_size=60)


def plausible(found: list[tuple[int, float, int]]) -> list[RawReading]:
    """A counter that rises by at most 10 kW and shows steps of 1, 10 or 100 Wh."""
    step_wh = found[0][2]
    at, true_wh = START, 5_000_000
    readings = [RawReading(at, 0, {"energy_total_kwh": true_wh / 1000})]
    for seconds, load, _ in found:
        at, true_wh = at + timedelta(seconds=seconds), true_wh + int(10_000 * load * seconds / 3_600)
        readings.append(RawReading(at, 0, {"energy_total_kwh": true_wh // step_wh * step_wh / 1000}))
    return readings


def all_hours(readings: list[RawReading], device: DeviceFacts = INVERTER) -> list[QuarterHour]:
    timeline = Timeline.of(readings)
    window = Window(utc_hour(readings[0].at) - 2 * HOUR, utc_hour(readings[-1].at) + 2 * HOUR)
    rows = device_hours(timeline, window, device, KARACHI)
    assert rows == [
        row for hour in hours_in(window) for row in device_hours(timeline, Window(hour, hour + HOUR), device, KARACHI)
    ]
    return rows


@settings(max_examples=60)
@given(steps)
def test_hours_computed_one_by_one_sum_to_the_counter(found: list[tuple[int, float, int]]) -> None:
    readings = plausible(found)
    rows = all_hours(readings)
    first, last = (round(1000 * (reading.values["energy_total_kwh"] or 0)) for reading in (readings[0], readings[-1]))
    assert sum(row.generated_wh or 0 for row in rows) == last - first
    assert all((row.generated_wh or 0) >= row.generated_bridged_wh >= 0 for row in rows)
    assert all(0 <= row.covered_seconds <= 900 for row in rows)
    assert sum(row.n_valid for row in rows) == len(readings)


values = st.none() | st.floats(0, 5_000) | st.just(0.0)
anything = st.lists(
    st.tuples(st.integers(1, 20_000), st.integers(0, 255), values, values, st.none() | st.floats(-15, 15)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60)
@given(anything, st.randoms(use_true_random=False), st.integers(0, 200))
def test_an_hour_depends_on_its_context_only(
    found: list[tuple[int, int, float | None, float | None, float | None]], random: object, cut: int
) -> None:
    """Whatever else is loaded beside an hour's context, in whatever order, its rows are the same."""
    at, readings = START, []
    for seconds, quality, total, today, power in found:
        at += timedelta(seconds=seconds)
        readings.append(
            RawReading(at, quality, {"energy_total_kwh": total, "energy_today_kwh": today, "ac_power_kw": power})
        )
    hour = utc_hour(readings[cut % len(readings)].at)
    timeline = Timeline.of(readings)
    first, last = timeline.context(unix_us(hour), straddle_us=round(INVERTER.max_gap_s * 1_000_000))
    shuffled = [reading for reading in readings if first <= unix_us(reading.at) <= last]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    window = Window(hour, hour + HOUR)
    expected = device_hours(timeline, window, INVERTER, KARACHI)
    assert device_hours(Timeline.of(shuffled), window, INVERTER, KARACHI) == expected
    for row in expected:
        assert (row.generated_wh or 0) >= 0
        assert row.flags >= 0
    ahead = [at for at in timeline.anchors if unix_us(hour + HOUR + LOOK_BACK) <= at <= last]
    assert len(ahead) <= BASES


quarter_rows = st.builds(
    QuarterHour,
    bucket=st.just(START),
    generated_wh=st.none() | st.integers(0, 3_000),
    imported_wh=st.none() | st.integers(0, 3_000),
    exported_wh=st.none() | st.integers(0, 3_000),
    charged_wh=st.none() | st.integers(0, 3_000),
    discharged_wh=st.none() | st.integers(0, 3_000),
    covered_seconds=st.integers(0, 900),
    n_valid=st.integers(0, 15),
    flags=st.integers(0, 31),
)


@given(quarter_rows, quarter_rows, quarter_rows)
def test_the_balance_of_a_site_holds_in_every_quarter_hour(
    inverter: QuarterHour, battery: QuarterHour, meter: QuarterHour
) -> None:
    row = site_quarter(START, {INVERTER.id: inverter, BATTERY.id: battery, METER.id: meter}, KARACHI)
    if row.consumed_wh is not None:
        told = [row.energy_wh(flow) for flow in Flow]
        assert None not in told
        generated, consumed, imported, exported, charged, discharged = (wh or 0 for wh in told)
        assert generated + imported + discharged == consumed + exported + charged
    assert row.generated_wh == inverter.generated_wh
    assert row.n_valid == inverter.n_valid + battery.n_valid + meter.n_valid


energies = st.dictionaries(st.integers(0, 96 * 70), st.none() | st.integers(-50, 2_500), min_size=1, max_size=40)


@settings(max_examples=60)
@given(energies, st.sampled_from(ZONES))
def test_days_hours_and_months_hold_every_watt_hour(found: dict[int, int | None], zone_name: str) -> None:
    zone = zone_of(zone_name)
    rows = [
        QuarterHour(START + index * QUARTER_HOUR, generated_wh=wh, n_valid=15, covered_seconds=900)
        for index, wh in sorted(found.items())
    ]
    site = Subject.of_site(site_in(zone_name))
    first, last = day_of(rows[0].bucket, zone), day_of(rows[-1].bucket, zone)
    months: dict[tuple[int, int], list[date]] = {}
    total_days = total_months = 0
    for day in days_between(first, last):
        inside = [row for row in rows if row.bucket in day_window(day, zone)]
        if inside:
            months.setdefault((day.year, day.month), []).append(day)
            total_days += summarise(inside, day_window(day, zone), site).energy_wh(Flow.GENERATED) or 0
    for (year, month), days in months.items():
        summaries = [
            summarise([row for row in rows if row.bucket in day_window(day, zone)], day_window(day, zone), site)
            for day in days
        ]
        spans = [day_window(day, zone) for day in days]
        whole = summarise_days(summaries, month_window(year, month, zone), site, day_windows=spans)
        total_months += whole.energy_wh(Flow.GENERATED) or 0
        assert whole.days_with_data == len(days)
        assert whole.sample_count == sum(day.sample_count for day in summaries)
    assert total_days == total_months == sum(row.generated_wh or 0 for row in rows)


spans = st.tuples(st.integers(0, 40_000_000), st.integers(60, 300_000_000))


@given(spans, st.sampled_from(ZONES), st.none() | st.sampled_from([1.0, 10.0, 300.0]), st.sampled_from(Resolution))
def test_no_answer_has_more_points_than_allowed(
    span: tuple[int, int], zone_name: str, interval_s: float | None, asked: Resolution
) -> None:
    start = START + timedelta(seconds=span[0])
    window = Window(start, start + timedelta(seconds=span[1]))
    try:
        taken = choose_resolution(asked, window, raw_interval_s=interval_s)
    except (TooManyPointsError, NoSeriesError):
        assert asked is not Resolution.AUTO
        return
    if taken is Resolution.RAW:
        assert interval_s is not None
        assert window.seconds / interval_s <= MAX_POINTS
        return
    edges = period_edges(taken, window, zone_of(zone_name))
    periods = [Window(start, end) for start, end in itertools.pairwise(edges)]
    assert len(periods) <= MAX_POINTS
    assert periods[0].start <= window.start
    assert periods[-1].end >= window.end
    assert all(before.end == after.start for before, after in itertools.pairwise(periods))
    assert all(period.overlaps(window) for period in periods)
