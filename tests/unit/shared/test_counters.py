"""The nine series that published algorithms get wrong, and the rule's edges."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.counters import (
    CounterFlag,
    CounterLimits,
    CounterMethod,
    Delta,
    FlowSample,
    MeterEvent,
    allocate,
    energy_deltas,
    wh_of,
)

NOON = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TEN_KW = CounterLimits(rated_kw=10, max_gap_s=1200)


def lifetime(values: Sequence[float], *, step: timedelta = 15 * MINUTE, start: datetime = NOON) -> list[FlowSample]:
    return [FlowSample(start + i * step, total_wh=wh_of(value)) for i, value in enumerate(values)]


def daily(values: Sequence[float], *, step: timedelta = 15 * MINUTE) -> list[FlowSample]:
    return [FlowSample(NOON + i * step, today_wh=wh_of(value)) for i, value in enumerate(values)]


def total_kwh(deltas: Sequence[Delta]) -> float:
    return sum(delta.energy_wh for delta in deltas) / 1000


def flags(deltas: Sequence[Delta]) -> CounterFlag:
    seen = CounterFlag.NONE
    for delta in deltas:
        seen |= delta.flags
    return seen


class TestWorkedSeries:
    def test_device_swapped(self) -> None:
        deltas = energy_deltas(lifetime([9999, 10000, 0.5, 1.0, 2.0]), TEN_KW)
        assert total_kwh(deltas) == 2.5
        assert flags(deltas) == CounterFlag.RESET

    def test_one_zero_that_recovers(self) -> None:
        deltas = energy_deltas(lifetime([100, 101, 0, 102]), CounterLimits(rated_kw=10, max_gap_s=2000))
        assert total_kwh(deltas) == 2.0
        assert flags(deltas) == CounterFlag.NONE

    def test_noise_dip(self) -> None:
        assert total_kwh(energy_deltas(lifetime([100.0, 100.3, 100.2, 100.5]), TEN_KW)) == 0.5

    def test_daily_counter_at_midnight(self) -> None:
        deltas = energy_deltas(daily([44, 45, 0, 1]), TEN_KW)
        assert total_kwh(deltas) == 2.0
        assert {delta.method for delta in deltas} == {CounterMethod.DAILY}
        assert flags(deltas) == CounterFlag.ESTIMATED

    def test_gap_of_six_hours(self) -> None:
        samples = [FlowSample(NOON, total_wh=1_000_000), FlowSample(NOON + 360 * MINUTE, total_wh=1_120_000)]
        (delta,) = energy_deltas(samples, CounterLimits(rated_kw=30))
        assert delta == Delta(NOON, NOON + 360 * MINUTE, 120_000, CounterFlag.GAP)

    def test_large_plant(self) -> None:
        assert total_kwh(energy_deltas(lifetime([500_000, 500_040]), CounterLimits(rated_kw=250, max_gap_s=1200))) == 40

    def test_uint32_rollover(self) -> None:
        width = 2**32
        samples = [
            FlowSample(NOON + i * 15 * MINUTE, total_wh=value)
            for i, value in enumerate([width - 600, width - 100, 700])
        ]
        deltas = energy_deltas(samples, CounterLimits(rated_kw=10, width_wh=width, max_gap_s=1200))
        assert total_kwh(deltas) == 1.3
        assert flags(deltas) == CounterFlag.ROLLOVER

    def test_out_of_order(self) -> None:
        ordered = lifetime([50, 51, 52, 53])
        shuffled = [ordered[2], ordered[0], ordered[3], ordered[1]]
        assert energy_deltas(shuffled, TEN_KW) == energy_deltas(ordered, TEN_KW)
        assert total_kwh(energy_deltas(shuffled, TEN_KW)) == 3.0

    def test_first_reading_of_a_used_meter(self) -> None:
        assert total_kwh(energy_deltas(lifetime([48_211, 48_212]), TEN_KW)) == 1.0


class TestPending:
    def test_a_low_reading_alone_counts_nothing(self) -> None:
        assert total_kwh(energy_deltas(lifetime([100, 101, 5]), TEN_KW)) == 1.0

    def test_a_spike_is_left_out(self) -> None:
        assert (
            total_kwh(energy_deltas(lifetime([100, 101, 90_000, 102]), CounterLimits(rated_kw=10, max_gap_s=2000))) == 2
        )

    def test_two_unlike_glitches_do_not_confirm_each_other(self) -> None:
        values = [100, 101, 3, 60, 102]
        assert total_kwh(energy_deltas(lifetime(values), CounterLimits(rated_kw=10, max_gap_s=5000))) == 2.0

    def test_a_lasting_jump_is_a_new_base_not_energy(self) -> None:
        deltas = energy_deltas(lifetime([100, 101, 7000, 7001, 7002]), TEN_KW)
        assert total_kwh(deltas) == 3.0
        assert flags(deltas) & CounterFlag.RESET

    def test_a_night_of_zeros_is_no_reset(self) -> None:
        values = [100, 101, *[0] * 30, 101, 102]
        deltas = energy_deltas(lifetime(values), TEN_KW)
        assert total_kwh(deltas) == 2.0
        assert not flags(deltas) & CounterFlag.RESET

    def test_zero_before_a_gap_is_no_base(self) -> None:
        samples = [
            FlowSample(NOON, total_wh=0),
            *lifetime([48_211, 48_212], start=NOON + timedelta(days=300)),
        ]
        assert total_kwh(energy_deltas(samples, TEN_KW)) == 1.0

    def test_a_new_device_counts_from_zero(self) -> None:
        assert total_kwh(energy_deltas(lifetime([0, 0, 0.5, 1.5]), TEN_KW)) == 1.5

    def test_without_a_rated_power_only_drops_are_judged(self) -> None:
        assert total_kwh(energy_deltas(lifetime([100, 900, 2, 901]), CounterLimits(max_gap_s=2000))) == 801


class TestResolution:
    def test_a_step_of_a_coarse_counter_may_come_at_once(self) -> None:
        values = [100.0] * 30 + [100.1] * 30 + [100.2]
        deltas = energy_deltas(lifetime(values, step=10 * timedelta(seconds=1)), CounterLimits(rated_kw=1.5))
        assert total_kwh(deltas) == 0.2

    def test_a_step_belongs_to_the_time_since_the_value_was_first_seen(self) -> None:
        samples = lifetime([100.0, 100.0, 100.0, 100.3], step=MINUTE)
        (delta,) = [delta for delta in energy_deltas(samples, TEN_KW) if delta.energy_wh]
        assert (delta.start, delta.end) == (NOON, NOON + 3 * MINUTE)

    def test_but_for_an_hour_at_most(self) -> None:
        samples = lifetime([100.0] * 181 + [100.1], step=MINUTE)
        still, step = energy_deltas(samples, TEN_KW)
        assert (still.start, still.end, still.energy_wh) == (NOON, NOON + 120 * MINUTE, 0)
        assert (step.start, step.end, step.energy_wh) == (NOON + 120 * MINUTE, NOON + 181 * MINUTE, 100)

    def test_readings_that_update_every_five_minutes(self) -> None:
        values = [100 + 0.8 * (minute // 5) for minute in range(31)]
        deltas = energy_deltas(lifetime(values, step=MINUTE), CounterLimits(rated_kw=10, resolution_wh=0))
        assert total_kwh(deltas) == pytest.approx(4.8)


class TestMeterEvents:
    def test_a_swap_needs_no_confirmation(self) -> None:
        samples = lifetime([500, 501, 7, 8])
        event = MeterEvent(NOON + 20 * MINUTE)
        assert total_kwh(energy_deltas(samples, TEN_KW, events=[event])) == 2.0

    def test_recorded_values_close_and_open_the_counters(self) -> None:
        samples = lifetime([500, 501, 7, 8])
        event = MeterEvent(NOON + 20 * MINUTE, final_wh=501_400, initial_wh=6_500)
        deltas = energy_deltas(samples, TEN_KW, events=[event])
        assert total_kwh(deltas) == pytest.approx(1 + 0.4 + 0.5 + 1)
        assert flags(deltas) == CounterFlag.RESET

    def test_an_event_before_everything_changes_nothing(self) -> None:
        samples = lifetime([500, 501])
        deltas = energy_deltas(samples, TEN_KW, events=[MeterEvent(NOON - timedelta(days=1))])
        assert total_kwh(deltas) == 1.0

    def test_two_events_between_two_readings(self) -> None:
        samples = lifetime([500, 501, 7, 8])
        events = [MeterEvent(NOON + 16 * MINUTE, initial_wh=0), MeterEvent(NOON + 20 * MINUTE, initial_wh=6_900)]
        assert total_kwh(energy_deltas(samples, TEN_KW, events=events)) == pytest.approx(1 + 0.1 + 1)


class TestSources:
    def test_daily_zero_beside_a_lifetime_zero_says_nothing(self) -> None:
        samples = [
            FlowSample(NOON, total_wh=90_000, today_wh=5_000),
            FlowSample(NOON + 15 * MINUTE, total_wh=0, today_wh=0),
            FlowSample(NOON + 30 * MINUTE, total_wh=91_000, today_wh=6_000),
        ]
        deltas = energy_deltas(samples, CounterLimits(rated_kw=10, max_gap_s=2000))
        assert total_kwh(deltas) == 1.0
        assert {delta.method for delta in deltas} == {CounterMethod.LIFETIME}

    def test_the_daily_counter_bridges_a_swap(self) -> None:
        samples = [
            FlowSample(NOON + i * 15 * MINUTE, total_wh=total, today_wh=today)
            for i, (total, today) in enumerate([(900_000, 5_000), (3_000, 6_000), (4_000, 7_000)])
        ]
        deltas = energy_deltas(samples, TEN_KW)
        assert total_kwh(deltas) == 2.0
        assert [delta.method for delta in deltas] == [CounterMethod.DAILY, CounterMethod.LIFETIME]

    def test_power_is_integrated_where_no_counter_tells(self) -> None:
        samples = [FlowSample(NOON + i * MINUTE, power_w=3_000) for i in range(31)]
        deltas = energy_deltas(samples, TEN_KW)
        assert total_kwh(deltas) == 1.5
        assert [delta.method for delta in deltas] == [CounterMethod.POWER] * 2
        assert flags(deltas) == CounterFlag.ESTIMATED

    def test_power_is_not_integrated_over_a_gap(self) -> None:
        samples = [FlowSample(NOON, power_w=3_000), FlowSample(NOON + 60 * MINUTE, power_w=3_000)]
        assert energy_deltas(samples, TEN_KW) == []

    def test_power_under_a_counter_is_not_counted_twice(self) -> None:
        samples = [FlowSample(NOON + i * MINUTE, total_wh=5_000 + 50 * i, power_w=9_000) for i in range(5)]
        assert total_kwh(energy_deltas(samples, TEN_KW)) == 0.2

    def test_short_polls_lose_nothing(self) -> None:
        # 10 s at 100 W are 0.28 Wh each: rounding every poll would give nothing.
        samples = [FlowSample(NOON + i * timedelta(seconds=10), power_w=100) for i in range(91)]
        assert sum(delta.energy_wh for delta in energy_deltas(samples, TEN_KW)) == 25

    def test_negative_values_are_no_counter(self) -> None:
        samples = [FlowSample(NOON, total_wh=-5), *lifetime([1, 2], start=NOON + MINUTE)]
        assert total_kwh(energy_deltas(samples, TEN_KW)) == 1.0


class TestAllocate:
    def test_by_time(self) -> None:
        delta = Delta(NOON + 10 * MINUTE, NOON + 40 * MINUTE, 300)
        edges = [NOON + i * 15 * MINUTE for i in range(4)]
        assert allocate(delta, edges) == [50, 150, 100]

    def test_indivisible_watt_hours_are_all_there(self) -> None:
        delta = Delta(NOON, NOON + 45 * MINUTE, 100)
        shares = allocate(delta, [NOON + i * 15 * MINUTE for i in range(4)])
        assert shares == [33, 33, 34]

    def test_energy_outside_the_edges_is_in_none(self) -> None:
        delta = Delta(NOON, NOON + 60 * MINUTE, 100)
        assert allocate(delta, [NOON + 15 * MINUTE, NOON + 30 * MINUTE]) == [25]

    def test_no_reading_no_value(self) -> None:
        assert wh_of(None) is None
        assert wh_of(0.1 + 0.2) == 300
