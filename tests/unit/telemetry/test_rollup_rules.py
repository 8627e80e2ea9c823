"""Readings to quarter-hours, sites and summaries: known answers."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from cloud.telemetry.rules.context import Timeline
from cloud.telemetry.rules.facts import (
    FLOW_SOURCES,
    DeviceFacts,
    Factors,
    Flow,
    RawReading,
    RollupFlag,
    SiteFacts,
    counter_limits,
    generation_kw,
)
from cloud.telemetry.rules.gauges import Samples
from cloud.telemetry.rules.quarter import QuarterHour, device_hours
from cloud.telemetry.rules.series import NoSeriesError, gauge_columns, unit_of
from cloud.telemetry.rules.site import site_quarter
from cloud.telemetry.rules.summary import Subject, Summary, summarise, summarise_days
from shared.counters import MeterEvent
from shared.enums import DeviceType, Quality
from shared.periods import QUARTER_HOUR, Window, day_window, month_window, quarter_hours, zone_of

HOUR = datetime(2026, 6, 1, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INVERTER = DeviceFacts(
    UUID(int=1), DeviceType.INVERTER, 60.0, rated_power_kw=5.0, commissioned_at=HOUR - timedelta(days=90)
)
HYBRID = dataclasses.replace(INVERTER, id=UUID(int=2))
BATTERY = DeviceFacts(UUID(int=3), DeviceType.BATTERY, 60.0, rated_power_kw=5.0)
METER = DeviceFacts(UUID(int=4), DeviceType.METER, 60.0)
SENSOR = DeviceFacts(UUID(int=5), DeviceType.SENSOR, 60.0)
KARACHI = zone_of("Asia/Karachi")
SITE = SiteFacts(
    UUID(int=9),
    UUID(int=8),
    KARACHI,
    (INVERTER, HYBRID, BATTERY, METER, SENSOR),
    factors=Factors(0.515, 60),
    dc_capacity_kw=10.0,
    ac_capacity_kw=10.0,
)


def at(minute: float) -> datetime:
    return HOUR + minute * MINUTE


def quarters(
    readings: Sequence[RawReading], device: DeviceFacts = INVERTER, site: SiteFacts = SITE
) -> list[QuarterHour]:
    return device_hours(Timeline.of(readings), Window(HOUR, HOUR + timedelta(hours=1)), device, site)


class TestQuarterHour:
    def test_energy_power_and_coverage(self) -> None:
        readings = [
            RawReading(
                at(minute),
                0,
                {"energy_total_kwh": 100 + minute / 20, "ac_power_kw": 3.0, "grid_frequency_hz": 50 + minute / 100},
            )
            for minute in range(-5, 66)
        ]
        rows = quarters(readings)
        assert [row.bucket for row in rows] == [at(minute) for minute in (0, 15, 30, 45)]
        first = rows[0]
        assert (first.generated_wh, first.generated_bridged_wh, first.imported_wh) == (750, 0, None)
        assert (first.power_mean_kw, first.power_min_kw, first.power_max_kw) == (pytest.approx(3), 3, 3)
        assert (first.n_valid, first.n_expected, first.covered_seconds, first.flags) == (15, 15, 900, 0)
        assert first.metrics == {
            "ac_power_kw": {"mean": pytest.approx(3), "min": 3, "max": 3, "last": 3},
            "grid_frequency_hz": {"mean": pytest.approx(50.075), "min": 50, "max": 50.14, "last": 50.14},
        }

    def test_a_gap_is_bridged_and_its_quarter_hours_exist(self) -> None:
        rows = quarters(
            [RawReading(at(-30), 0, {"energy_total_kwh": 100}), RawReading(at(90), 0, {"energy_total_kwh": 104})]
        )
        assert [(row.generated_wh, row.generated_bridged_wh) for row in rows] == [(500, 500)] * 4
        assert {row.flags for row in rows} == {RollupFlag.GAP}
        assert {(row.n_valid, row.covered_seconds) for row in rows} == {(0, 0)}

    def test_a_gap_in_which_nothing_was_generated_hides_nothing(self) -> None:
        night = [RawReading(at(-300), 0, {"energy_total_kwh": 100}), RawReading(at(300), 0, {"energy_total_kwh": 100})]
        assert {(row.generated_wh, row.covered_seconds) for row in quarters(night)} == {(0, 900)}

    def test_a_gap_beyond_the_reach_is_not_bridged(self) -> None:
        readings = [
            RawReading(HOUR - timedelta(days=39), 0, {"energy_total_kwh": 100}),
            RawReading(HOUR + timedelta(days=39), 0, {"energy_total_kwh": 104}),
        ]
        assert quarters(readings) == []

    def test_power_is_integrated_where_there_is_no_counter(self) -> None:
        rows = quarters([RawReading(at(minute), 0, {"ac_power_kw": 2.0}) for minute in range(61)])
        assert [row.generated_wh for row in rows] == [500] * 4
        assert {row.flags for row in rows} == {RollupFlag.ESTIMATED}

    def test_a_hybrid_s_battery_is_not_generation(self) -> None:
        assert generation_kw(3.0, 0.0) == 0.0
        assert generation_kw(2.9, 3.0) == 2.9
        assert generation_kw(None, 3.0) == 3.0
        assert generation_kw(None, None) is None

    @pytest.mark.parametrize("quality", [Quality.FUTURE, Quality.BEFORE_DEVICE])
    def test_a_reading_at_a_wrong_time_makes_no_quarter_hour(self, quality: Quality) -> None:
        assert quarters([RawReading(at(5), int(quality), {"ac_power_kw": 2.0})]) == []

    def test_a_silent_link_is_a_quarter_hour_without_values(self) -> None:
        (row,) = quarters([RawReading(at(5), int(Quality.LINK_DOWN), {})])
        assert (row.n_valid, row.n_expected, row.generated_wh, row.power_mean_kw) == (0, 15, None, None)

    def test_values_that_cannot_be_are_left_out(self) -> None:
        readings = [
            RawReading(at(1), 0, {"ac_power_kw": 2.0, "grid_frequency_hz": float("nan")}),
            RawReading(at(2), 8, {"ac_power_kw": 700.0, "nonsense": 1.0}),
            RawReading(at(3), 0, {"ac_power_kw": 2.0}),
        ]
        (row,) = quarters(readings)
        assert (row.power_max_kw, row.n_valid, set(row.metrics or ())) == (2.0, 3, {"ac_power_kw"})

    def test_full_load_is_flagged(self) -> None:
        (row,) = quarters([RawReading(at(minute), 0, {"ac_power_kw": 4.97}) for minute in range(3)])
        assert row.flags & RollupFlag.CLIPPED

    def test_irradiation_of_the_plane_of_array(self) -> None:
        values = {"irradiance_wm2": 100.0, "irradiance_wm2.poa": 800.0, "module_temperature_c": 50.0}
        rows = quarters([RawReading(at(minute), 0, values) for minute in range(16)], SENSOR)
        assert (rows[0].irradiance_mean_wm2, rows[0].irradiation_wh_m2, rows[0].irradiation_covered_seconds) == (
            800,
            200,
            900,
        )
        assert rows[0].module_temperature_mean_c == 50
        assert rows[0].generated_wh is None

    def test_a_recorded_swap_and_a_register_s_width(self) -> None:
        swapped = dataclasses.replace(INVERTER, events={"energy_total_kwh": (MeterEvent(at(10), initial_wh=0),)})
        readings = [RawReading(at(5), 0, {"energy_total_kwh": 900}), RawReading(at(12), 0, {"energy_total_kwh": 0.2})]
        assert quarters(readings, swapped)[0].generated_wh == 200
        narrow = dataclasses.replace(INVERTER, widths_wh={"energy_total_kwh": 6_553_600})
        readings = [
            RawReading(at(5), 0, {"energy_total_kwh": 6553.5}),
            RawReading(at(12), 0, {"energy_total_kwh": 0.1}),
        ]
        (row,) = quarters(readings, narrow)
        assert (row.generated_wh, row.flags) == (200, RollupFlag.ROLLOVER | RollupFlag.GAP)

    def test_limits_follow_the_device_and_the_connection(self) -> None:
        sources = {source.flow: source for source in FLOW_SOURCES[DeviceType.INVERTER]}
        assert counter_limits(sources[Flow.GENERATED], INVERTER, SITE).rated_kw == 5
        assert counter_limits(sources[Flow.IMPORTED], METER, SITE).rated_kw == 40
        assert (
            counter_limits(sources[Flow.IMPORTED], dataclasses.replace(METER, rated_power_kw=20), SITE).rated_kw == 20
        )
        unknown = dataclasses.replace(SITE, ac_capacity_kw=None, devices=(METER,))
        assert counter_limits(sources[Flow.IMPORTED], METER, unknown).rated_kw is None


class TestCourse:
    SAMPLES = Samples.of([0, 100, 200, 1000], [0.0, 10.0, 20.0, 100.0], longest=100)

    def test_straight_between_samples_and_blind_in_gaps(self) -> None:
        course = self.SAMPLES.course(50, 500)
        assert course is not None
        assert (course.mean, course.low, course.high, course.last, course.covered_us) == (12.5, 10, 20, 20, 150)

    def test_between_two_samples(self) -> None:
        course = self.SAMPLES.course(110, 120)
        assert course is not None
        assert (course.mean, course.low, course.covered_us) == (11.5, None, 10)

    def test_a_lonely_sample_is_its_own_mean(self) -> None:
        course = self.SAMPLES.course(900, 1100)
        assert course is not None
        assert (course.mean, course.covered_us) == (100, 0)

    def test_nothing(self) -> None:
        assert self.SAMPLES.course(300, 400) is None
        assert Samples.of([], [], longest=100).course(0, 10) is None


def row(**fields: object) -> QuarterHour:
    return QuarterHour(HOUR, **fields)  # type: ignore[arg-type]


class TestSite:
    def test_each_flow_from_the_device_that_measures_it(self) -> None:
        site = site_quarter(
            HOUR,
            {
                INVERTER.id: row(generated_wh=600, power_mean_kw=2.4, covered_seconds=900),
                HYBRID.id: row(generated_wh=500, imported_wh=9, charged_wh=9, power_mean_kw=2.0, covered_seconds=800),
                BATTERY.id: row(charged_wh=200, discharged_wh=0, battery_power_mean_kw=-0.8, battery_soc_last_percent=60.0,
                                battery_soc_min_percent=55.0, battery_soc_max_percent=60.0),
                METER.id: row(imported_wh=100, exported_wh=300, imported_bridged_wh=50, grid_power_mean_kw=-0.8),
                SENSOR.id: row(irradiance_mean_wm2=700.0, irradiation_wh_m2=175.0, irradiation_covered_seconds=900),
            },
            SITE,
        )  # fmt: skip
        assert (site.generated_wh, site.imported_wh, site.exported_wh) == (1100, 100, 300)
        assert (site.charged_wh, site.discharged_wh, site.consumed_wh) == (200, 0, 700)
        assert (site.imported_bridged_wh, site.consumed_bridged_wh) == (50, 50)
        assert site.load_power_mean_kw == pytest.approx(2.4 + 2.0 - 0.8 - 0.8)
        assert (site.battery_soc_last_percent, site.irradiation_wh_m2, site.covered_seconds) == (60, 175, 800)
        assert site.flags == 0

    def test_a_missing_inverter_makes_the_sum_partial_and_the_balance_unknown(self) -> None:
        site = site_quarter(
            HOUR,
            {
                INVERTER.id: row(generated_wh=600),
                METER.id: row(imported_wh=100, exported_wh=0),
                BATTERY.id: row(charged_wh=0, discharged_wh=0),
            },
            SITE,
        )
        assert (site.generated_wh, site.consumed_wh, site.covered_seconds) == (600, None, 0)
        assert site.flags & RollupFlag.PARTIAL

    def test_a_load_meter_is_believed(self) -> None:
        site = site_quarter(HOUR, {METER.id: row(consumed_wh=420, load_power_mean_kw=1.7)}, SITE)
        assert (site.consumed_wh, site.load_power_mean_kw) == (420, 1.7)

    def test_without_battery_and_grid_nothing_is_missing_for_the_balance(self) -> None:
        alone = dataclasses.replace(SITE, devices=(INVERTER,), grid_connected=False)
        assert site_quarter(HOUR, {INVERTER.id: row(generated_wh=600)}, alone).consumed_wh == 600
        connected = dataclasses.replace(alone, grid_connected=True)
        assert site_quarter(HOUR, {INVERTER.id: row(generated_wh=600)}, connected).consumed_wh is None

    def test_a_hybrid_alone_tells_grid_battery_and_load(self) -> None:
        alone = dataclasses.replace(SITE, devices=(HYBRID,))
        told = row(generated_wh=600, imported_wh=1, exported_wh=2, charged_wh=3, discharged_wh=4, consumed_wh=590)
        site = site_quarter(HOUR, {HYBRID.id: told}, alone)
        assert [site.energy_wh(flow) for flow in Flow] == [600, 590, 1, 2, 3, 4]

    def test_no_rows_no_values(self) -> None:
        site = site_quarter(HOUR, {}, SITE)
        assert {site.energy_wh(flow) for flow in Flow} == {None}


DAY = day_window(date(2026, 6, 1), KARACHI)


def sunny_day(**fields: object) -> list[QuarterHour]:
    return [
        QuarterHour(bucket, generated_wh=500, power_mean_kw=2.0, power_max_kw=2.0 + (index == 40), irradiance_mean_wm2=250.0,
                    irradiation_wh_m2=62.5, irradiation_covered_seconds=900, covered_seconds=900, n_valid=75, **fields)  # type: ignore[arg-type]
        for index, bucket in enumerate(quarter_hours(DAY))
    ]  # fmt: skip


class TestSummary:
    def test_a_day(self) -> None:
        day = summarise(sunny_day(exported_wh=100, imported_wh=50, consumed_wh=450), DAY, Subject.of_site(SITE))
        assert (day.energy_generated_kwh, day.energy_consumed_kwh, day.net_energy_kwh) == (48, 43.2, 4.8)
        assert day.irradiation_kwh_m2 == 6
        assert day.performance_ratio == pytest.approx(4.8 / 6)
        assert (day.specific_yield_kwh_kwp, day.capacity_factor) == (4.8, 0.2)
        assert (day.peak_power_kw, day.peak_power_at, day.average_power_kw) == (3, DAY.start + 40 * QUARTER_HOUR, 2)
        assert (day.sunshine_hours, day.sunshine_basis) == (24, "irradiance")
        assert day.self_consumed_kwh == pytest.approx(38.4)
        assert day.self_consumption_percent == pytest.approx(80)
        assert day.self_sufficiency_percent == pytest.approx(100 * (450 - 50) / 450)
        assert day.co2_avoided_kg == pytest.approx(48 * 0.515)
        assert (day.expected_count, day.sample_count, day.data_completeness_percent) == (7200, 7200, 100)

    @pytest.mark.parametrize(
        ("changes", "site", "reason"),
        [
            ({"irradiation_wh_m2": None}, SITE, "no_irradiation"),
            ({"irradiation_covered_seconds": 800}, SITE, "irradiation_incomplete"),
            ({"covered_seconds": 800}, SITE, "energy_incomplete"),
            ({"generated_wh": None}, SITE, "no_generation_data"),
            ({"irradiation_wh_m2": 0.0}, SITE, "no_sun"),
            ({}, dataclasses.replace(SITE, dc_capacity_kw=None), "no_dc_capacity"),
        ],
    )
    def test_no_performance_ratio_without_its_reason(
        self, changes: dict[str, object], site: SiteFacts, reason: str
    ) -> None:
        rows = [dataclasses.replace(row, **changes) for row in sunny_day()]  # type: ignore[arg-type]
        day = summarise(rows, DAY, Subject.of_site(site))
        assert (day.performance_ratio, day.performance_ratio_reason) == (None, reason)

    def test_a_device_has_no_performance_ratio(self) -> None:
        day = summarise(sunny_day(), DAY, Subject.of_device(SITE, INVERTER))
        assert (day.performance_ratio, day.performance_ratio_reason) == (None, "only_for_a_site")
        assert (day.capacity_factor, day.expected_count) == (0.4, 1440)

    def test_without_irradiance_the_power_tells_of_the_sun(self) -> None:
        rows = [
            dataclasses.replace(row, irradiation_covered_seconds=0, power_mean_kw=0.4 if i % 2 else 2.0)
            for i, row in enumerate(sunny_day())
        ]
        day = summarise(rows, DAY, Subject.of_site(SITE))
        assert (day.sunshine_hours, day.sunshine_basis) == (12, "power")

    def test_readings_are_expected_from_commissioning_on(self) -> None:
        device = dataclasses.replace(INVERTER, commissioned_at=DAY.start + timedelta(hours=18))
        assert Subject.of_device(SITE, device).expected_readings(DAY) == 360
        assert Subject.of_device(SITE, device).expected_readings(Window(DAY.start, DAY.start + timedelta(hours=3))) == 0

    def test_nothing_measured_is_null_not_zero(self) -> None:
        day = summarise([QuarterHour(DAY.start, n_valid=1)], DAY, Subject.of_site(SITE))
        told = {field.name: getattr(day, field.name) for field in dataclasses.fields(Summary)}
        counted = {"sample_count", "expected_count", "covered_seconds", "days_with_data", "flags"}
        percents = {"data_completeness_percent", "irradiation_completeness_percent", "performance_ratio_reason"}
        assert {name for name, value in told.items() if value is not None} == counted | percents

    def test_a_month_is_the_sum_of_its_days(self) -> None:
        site = Subject.of_site(SITE)
        day = summarise(sunny_day(), DAY, site)
        weak = dataclasses.replace(day, sunshine_basis="power", peak_power_kw=9.0)
        window = month_window(2026, 6, KARACHI)
        spans = [day_window(date(2026, 6, number), KARACHI) for number in range(1, 31)]
        month = summarise_days([day, weak], window, site, day_windows=spans[:2])
        assert (month.energy_generated_kwh, month.days_with_data, month.peak_power_kw) == (96, 2, 9)
        assert (month.sunshine_hours, month.sunshine_basis) == (48, "power")
        assert (month.performance_ratio, month.performance_ratio_reason) == (None, "irradiation_incomplete")
        assert month.trees_equivalent == pytest.approx(96 * 0.515 / 60)
        full = summarise_days([day] * 30, window, site, day_windows=spans)
        assert full.performance_ratio == pytest.approx(0.8)
        assert full.capacity_factor == pytest.approx(0.2)


class TestSeries:
    def test_where_gauges_are_kept(self) -> None:
        assert gauge_columns("power_output", is_site=True).mean == "power_mean_kw"
        assert gauge_columns("power_output", is_site=False).key == "ac_power_kw"
        assert gauge_columns("battery_soc_percent", is_site=True).high == "battery_soc_max_percent"
        assert gauge_columns("grid_frequency_hz", is_site=False).key == "grid_frequency_hz"
        assert (unit_of("energy_generated_kwh"), unit_of("ac_voltage_v.l1")) == ("kWh", "V")

    @pytest.mark.parametrize(
        ("metric", "is_site", "words"),
        [
            ("ac_voltage_v.l1", False, "raw"),
            ("energy_total_kwh", False, "energy_generated_kwh"),
            ("operating_state", False, "no gauge"),
            ("grid_frequency_hz", True, "device_id"),
        ],
    )
    def test_what_has_no_series(self, metric: str, is_site: bool, words: str) -> None:
        with pytest.raises(NoSeriesError, match=words):
            gauge_columns(metric, is_site=is_site)
