"""Energy of months to come, worked out by hand from small measured months."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.rules.errors import MissingInputError
from cloud.billing.rules.metering.energy import QuarterHour
from cloud.billing.rules.month import Month
from cloud.billing.rules.outlook.profile import (
    Basis,
    MeasuredMonth,
    Quarter,
    YearOutlook,
    days_of,
    measured_month,
    month_energy,
    moved,
    peak_slots,
    standing_in,
)
from cloud.billing.rules.outlook.sun import clear_day_shares
from shared.periods import month_window

D = Decimal
KARACHI = ZoneInfo("Asia/Karachi")
NOON, EVENING = 48, 76  # 12:00 and 19:00


def day(generated: int = 0, consumed: int = 0, *, slot: int = NOON) -> Quarter:
    """A quarter-hour without a battery: what is short is imported, what is over is exported."""
    over = generated - consumed
    return Quarter(slot, D(generated), D(consumed), D(max(0, -over)), D(max(0, over)))


def measured(month: Month, *quarters: Quarter, coverage: float = 100.0) -> MeasuredMonth:
    return MeasuredMonth(month, quarters, coverage)


JULY = measured(Month(2026, 7), day(800, 500), day(0, 300, slot=EVENING))
"""A mean day of July: 0.8 kWh generated and 0.5 used at noon, 0.3 used in the evening."""


def test_the_same_calendar_month_is_measured() -> None:
    energy = month_energy(Month(2027, 7), YearOutlook([JULY], "lesco"))
    assert (energy.generated_kwh, energy.consumed_kwh) == (D("24.800"), D("24.800"))
    assert (energy.imported_kwh, energy.exported_kwh) == (D("9.300"), D("9.300"))
    assert (energy.imported_peak_kwh, energy.exported_peak_kwh, energy.consumed_peak_kwh) == (D("9.300"), 0, D("9.300"))
    assert (energy.max_demand_kw, energy.max_demand_without_kw) == (D("1.200"), D("2.000"))
    assert energy.basis is Basis.MEASURED
    assert energy.stands_on == Month(2026, 7)


def test_another_month_stands_in_and_says_so() -> None:
    energy = month_energy(Month(2026, 12), YearOutlook([JULY], "lesco"))
    assert energy.consumed_kwh == D("24.800")
    assert (energy.consumption_basis, energy.generation_basis) == (Basis.ASSUMED, Basis.ASSUMED)
    # December's peak is 17:00 to 21:00, June's to August's 19:00 to 23:00: the evening quarter lies in both.
    assert energy.imported_peak_kwh == D("9.300")


def test_generation_is_scaled_by_the_expected_yields_and_moves_import_and_export() -> None:
    yields = [D(100)] * 12
    yields[11] = D(50)
    energy = month_energy(Month(2026, 12), YearOutlook([JULY], "lesco", yield_kwh_per_kwp=yields))
    assert energy.generated_kwh == D("12.400")
    # 0.4 instead of 0.8 kWh at noon: the 0.3 of export are gone and 0.1 is bought.
    assert energy.exported_kwh == 0
    assert energy.imported_kwh == D("12.400")
    assert energy.generation_basis is Basis.SCALED
    assert energy.basis is Basis.ASSUMED


def test_days_count_in_a_leap_year() -> None:
    february = measured(Month(2026, 2), day(0, 1_000))
    assert month_energy(Month(2028, 2), YearOutlook([february], "lesco")).consumed_kwh == 29
    assert [days_of(Month(year, 2)) for year in (2027, 2028, 2100)] == [28, 29, 28]


def test_missing_quarter_hours_are_the_mean_of_the_others() -> None:
    july = measured(Month(2026, 7), *[day(0, 1_000)] * 20, day(0, 2_000), coverage=95.0)
    energy = month_energy(Month(2026, 7), YearOutlook([july], "lesco"))
    assert energy.consumed_kwh == (D(22) / 21 * 31).quantize(D("0.001"))
    assert energy.max_demand_kw == 8


def test_consumption_from_the_bills_scales_what_was_measured() -> None:
    given = [D("49.6")] * 12
    energy = month_energy(Month(2026, 7), YearOutlook([JULY], "lesco", consumption_kwh=given))
    assert energy.consumed_kwh == D("49.600")
    # 1.0 instead of 0.5 at noon eats the export of 0.3 and imports 0.2; the evening doubles to 0.6.
    assert (energy.imported_kwh, energy.exported_kwh) == (D("24.800"), 0)
    assert energy.basis is Basis.SCALED


def test_nothing_measured_spreads_the_bills_evenly() -> None:
    energy = month_energy(Month(2026, 7), YearOutlook([], "lesco", consumption_kwh=[D(310)] * 12))
    assert energy.consumed_kwh == energy.imported_kwh == 310
    assert energy.imported_peak_kwh == (D(310) * 16 / 96).quantize(D("0.001"))
    assert (energy.max_demand_kw, energy.stands_on, energy.basis) == (None, None, Basis.ASSUMED)


def test_nothing_at_all_names_the_way_out() -> None:
    with pytest.raises(MissingInputError, match="monthly_consumption_kwh"):
        month_energy(Month(2026, 7), YearOutlook([], "lesco"))


def test_a_new_system_is_laid_over_the_measured_consumption() -> None:
    july = measured(Month(2026, 7), day(0, 500), day(0, 300, slot=EVENING))
    shares = {7: [D(1) if slot == NOON else D(0) for slot in range(96)]}
    outlook = YearOutlook([july], "lesco", yield_kwh_per_kwp=[D(155)] * 12, system_kwp=D(2), day_shares=shares)
    energy = month_energy(Month(2026, 7), outlook)
    assert energy.generated_kwh == 310
    assert (energy.imported_kwh, energy.exported_kwh) == (D("9.300"), D("294.500"))
    assert (energy.consumption_basis, energy.generation_basis) == (Basis.MEASURED, Basis.SCALED)
    assert (energy.max_demand_kw, energy.max_demand_without_kw) == (D("1.200"), 2)


def test_a_new_system_needs_yields() -> None:
    with pytest.raises(MissingInputError, match="monthly_yield_kwh_per_kwp"):
        month_energy(Month(2026, 7), YearOutlook([JULY], "lesco", system_kwp=D(2)))


@pytest.mark.parametrize(
    ("generated", "consumed", "imported", "exported"),
    [
        (100, 300, 200, 0),  # as measured
        (250, 300, 50, 0),  # more generation buys less
        (400, 300, 0, 100),  # and is exported when nothing is bought any more
        (0, 300, 300, 0),
        (100, 600, 500, 0),
        (100, 0, 0, 100),
    ],
)
def test_a_quarter_hour_is_moved(generated: int, consumed: int, imported: int, exported: int) -> None:
    quarter = moved(day(100, 300), generated_wh=D(generated), consumed_wh=D(consumed))
    assert (quarter.imported_wh, quarter.exported_wh) == (imported, exported)


def test_a_battery_stays_as_it_was_measured() -> None:
    # 900 generated, 300 used, 600 into the battery: nothing crosses the meter. With 200 less, 200 are bought.
    charged = Quarter(NOON, D(900), D(300), D(0), D(0))
    less = moved(charged, generated_wh=D(700), consumed_wh=D(300))
    assert (less.imported_wh, less.exported_wh) == (200, 0)


def test_the_nearest_month_stands_in_across_the_new_year_and_the_latest_of_two() -> None:
    months = [measured(Month(year, n), day(0, 1)) for year, n in ((2025, 1), (2026, 1), (2026, 6), (2025, 11))]
    assert standing_in(Month(2027, 1), months) is months[1]
    assert standing_in(Month(2026, 12), months) is months[1]
    assert standing_in(Month(2026, 8), months) is months[2]
    thin = [measured(Month(2026, 8), day(0, 1), coverage=89.9), months[2]]
    assert standing_in(Month(2026, 8), thin) is months[2]
    assert standing_in(Month(2026, 8), thin[:1]) is None


def test_a_measured_month_is_read_in_local_time() -> None:
    window = month_window(2026, 7, KARACHI)
    noon = datetime(2026, 7, 1, 7, 0, tzinfo=UTC)
    rows = [
        QuarterHour(noon, 800, None, 0, 300, 900),
        QuarterHour(noon + timedelta(minutes=15), 800, 400, 100, None, 900),
        QuarterHour(noon + timedelta(minutes=30), 800, 400, None, 300, 900),
    ]
    month = measured_month(rows, month=Month(2026, 7), window=window, zone=KARACHI)
    assert [q.slot for q in month.quarters] == [48, 49]
    assert month.quarters[0].consumed_wh == 500
    assert month.quarters[1].exported_wh == 0
    assert not month.has_consumption
    assert not month.has_export
    dark = measured_month(
        [QuarterHour(noon, 0, 400, 400, None, 900)], month=Month(2026, 7), window=window, zone=KARACHI
    )
    assert dark.has_consumption
    assert dark.has_export
    assert month.coverage_percent == pytest.approx(1800 / (31 * 86400) * 100)
    assert not month.is_measured


def test_peak_quarters_follow_company_and_season() -> None:
    assert peak_slots(Month(2026, 12), "lesco") == set(range(68, 84))
    assert peak_slots(Month(2026, 7), "kelectric") == set(range(74, 90))


def test_a_clear_day_has_its_noon_in_the_middle_and_ends_at_night() -> None:
    june = clear_day_shares(Month(2026, 6), latitude=24.86, longitude=67.0, zone=KARACHI)
    december = clear_day_shares(Month(2026, 12), latitude=24.86, longitude=67.0, zone=KARACHI)
    assert abs(sum(june) - 1) < D("1e-20")
    assert june[0] == june[95] == 0
    # Karachi lies 8 degrees west of its zone's meridian: noon is at 12:32.
    assert june.index(max(june)) in {49, 50}
    lit = [sum(share > 0 for share in shares) / 4 for shares in (june, december)]
    assert lit[0] == pytest.approx(13.5, abs=0.5)
    assert lit[1] == pytest.approx(10.5, abs=0.5)


def test_where_the_sun_does_not_rise_the_day_is_even() -> None:
    shares = clear_day_shares(Month(2026, 12), latitude=80.0, longitude=20.0, zone=ZoneInfo("UTC"))
    assert set(shares) == {D(1) / 96}
