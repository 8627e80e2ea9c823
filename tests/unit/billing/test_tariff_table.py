"""The notified tables, written out once more by hand, against the product's data: rate by rate, date by date."""

from datetime import date
from decimal import Decimal

import pytest

from cloud.billing.catalogue import PlanRecord, read_catalogue
from cloud.billing.rules.model import AdjustmentKind, FixedBasis, PricingRule, RateStatus
from cloud.core.discos import DiscoProvider

CATALOGUE = read_catalogue()
SRO = "S.R.O. 279(I)/2026"
SLAB_TOPS = (100, 200, 300, 400, 500, 600, 700, None)


def version(category: str, start: date) -> PlanRecord:
    (found,) = [p for p in CATALOGUE.plans if (p.category, p.effective_from) == (category, start)]
    return found


def numbers(*texts: str | None) -> list[Decimal | None]:
    return [None if text is None else Decimal(text) for text in texts]


# first day, last day, rates, fixed charges, basis of the fixed charge; None = not on record
HOMES = [
    (
        date(2023, 7, 1),
        date(2024, 6, 30),
        numbers("16.48", "22.95", "27.14", "32.03", "35.24", "36.66", "37.80", "42.72"),
        [None] * 8,
        FixedBasis.PER_CONSUMER,
    ),
    (
        date(2024, 7, 1),
        date(2025, 6, 30),
        numbers(None, None, "34.26", "39.15", "41.36", "42.78", "43.92", "48.84"),
        [None] * 8,
        FixedBasis.PER_CONSUMER,
    ),
    (
        date(2025, 7, 1),
        date(2026, 2, 11),
        numbers("22.44", "28.91", "33.10", "37.99", "40.22", "41.62", "42.76", "47.69"),
        numbers("0", "0", "0", "200", "400", "600", "800", "1000"),
        FixedBasis.PER_CONSUMER,
    ),
    (
        date(2026, 2, 12),
        None,
        numbers("22.44", "28.91", "33.10", "36.46", "38.95", "40.22", "41.85", "47.20"),
        numbers("275", "300", "350", "400", "500", "675", "675", "675"),
        FixedBasis.PER_KW_SANCTIONED,
    ),
]


@pytest.mark.parametrize(("start", "end", "rates", "fixed", "basis"), HOMES)
def test_unprotected_homes(
    start: date, end: date | None, rates: list[Decimal | None], fixed: list[Decimal | None], basis: FixedBasis
) -> None:
    record = version("residential_unprotected", start)
    plan = record.plan()
    assert record.effective_to == end
    assert plan.pricing_rule is PricingRule.SINGLE_SLAB
    assert [slab.top_units for slab in plan.slabs] == [None if t is None else Decimal(t) for t in SLAB_TOPS]
    assert [slab.rate for slab in plan.slabs] == rates
    assert [slab.fixed for slab in plan.slabs] == fixed
    assert (plan.slab_fixed, plan.fixed_basis) == (True, basis)
    assert (plan.effective_from, plan.effective_to) == (start, end)


@pytest.mark.parametrize(
    ("category", "rule", "slabs"),
    [
        ("residential_lifeline", PricingRule.SINGLE_SLAB, [("50", "3.95", "0"), ("100", "7.74", "0")]),
        ("residential_protected", PricingRule.ONE_PREVIOUS, [("100", "10.54", "200"), ("200", "13.01", "300")]),
    ],
)
def test_subsidised_homes(category: str, rule: PricingRule, slabs: list[tuple[str, str, str]]) -> None:
    record = version(category, date(2026, 2, 12))
    plan = record.plan()
    assert plan.pricing_rule is rule
    assert [(s.top_units, s.rate, s.fixed) for s in plan.slabs] == [tuple(map(Decimal, row)) for row in slabs]
    assert plan.fixed_basis is FixedBasis.PER_KW_SANCTIONED
    assert (record.source, record.status, record.effective_to) == (SRO, RateStatus.VERIFIED, None)


PER_KW, PER_CONSUMER = FixedBasis.PER_KW_BILLING_DEMAND, FixedBasis.PER_CONSUMER


@pytest.mark.parametrize(
    ("category", "code", "peak", "off_peak", "fixed", "basis", "share"),
    [
        ("residential_tou", "A-1(b)", "46.85", "34.53", "675", PER_KW, "0.50"),
        ("tou_commercial", "A-2(c)", "43.82", "35.15", "1250", PER_KW, "0.25"),
        ("industrial_b1", "B-1", "35.74", "25.48", "1000", PER_CONSUMER, None),
        ("industrial_b2", "B-2", "35.68", "22.83", "1250", PER_KW, "0.25"),
        ("industrial_b3", "B-3", "35.68", "23.67", "1250", PER_KW, "0.25"),
        # 27.96 is printed for B-4 and likely a misprint: left out.
        ("industrial_b4", "B-4", "35.68", None, "1250", PER_KW, "0.25"),
    ],
)
def test_time_of_use(
    category: str, code: str, peak: str, off_peak: str | None, fixed: str, basis: FixedBasis, share: str | None
) -> None:
    record = version(category, date(2026, 2, 12))
    plan = record.plan()
    assert plan.pricing_rule is PricingRule.TOU
    assert [plan.peak_rate, plan.off_peak_rate, plan.fixed_charge, plan.demand_share] == numbers(
        peak, off_peak, fixed, share
    )
    assert plan.fixed_basis is basis
    assert (record.source, record.effective_to) == (SRO, None)
    assert CATALOGUE.category(category).nepra_code == code


def test_small_shops() -> None:
    plan = version("commercial_a1", date(2026, 2, 12)).plan()
    assert (plan.pricing_rule, plan.flat_rate) == (PricingRule.FLAT, Decimal("37.44"))
    assert (plan.fixed_charge, plan.fixed_basis) == (Decimal(1000), FixedBasis.PER_CONSUMER)


def test_nothing_else_is_on_record() -> None:
    assert len(CATALOGUE.plans) == 4 + 2 + 6 + 1
    assert all(set(plan.disco_providers) == set(DiscoProvider) for plan in CATALOGUE.plans)
    having = {plan.category for plan in CATALOGUE.plans}
    assert {c.code for c in CATALOGUE.categories if c.alias_of is None} - having == {
        "commercial_a2",
        "commercial_a3",
        "general_services",
        "tou_industrial",
        "bulk_supply",
        "agricultural_tube_well",
        "electric_vehicle",
    }


@pytest.mark.parametrize(
    ("kind", "start", "end", "rate", "source"),
    [
        ("fca", date(2026, 4, 1), date(2026, 4, 30), "1.1907", "K-Electric bill of June 2026"),
        ("fca", date(2026, 5, 1), date(2026, 5, 31), "0.3364", "K-Electric bill of July 2026"),
        ("fca", date(2026, 6, 1), date(2026, 6, 30), "0.7503", "S.R.O. 1336(I)/2026"),
        ("fca", date(2026, 7, 1), date(2026, 7, 31), "2.0581", "S.R.O. 1499(I)/2026"),
        ("qta", date(2026, 6, 1), date(2026, 8, 31), "-1.9857", "S.R.O. 953(I)/2026"),
        ("qta", date(2026, 9, 1), date(2026, 11, 30), "0.5194", "S.R.O. 1501(I)/2026"),
    ],
)
def test_fuel_and_quarterly_adjustments(kind: str, start: date, end: date, rate: str, source: str) -> None:
    (record,) = [a for a in CATALOGUE.adjustments if (a.kind.value, a.effective_from) == (kind, start)]
    assert (record.effective_to, record.rate, record.source) == (end, Decimal(rate), source)
    assert record.status is RateStatus.VERIFIED
    assert record.excluded_categories == {"residential_lifeline"}


def test_the_quarterly_adjustment_before_june_2026() -> None:
    (record,) = [a for a in CATALOGUE.adjustments if a.rate == Decimal("0.3504")]
    assert (record.kind, record.effective_to) == (AdjustmentKind.QTA, date(2026, 5, 31))


def test_no_month_has_a_rate_that_was_not_announced() -> None:
    months = {a.effective_from for a in CATALOGUE.adjustments if a.kind is AdjustmentKind.FCA}
    assert months == {date(2026, month, 1) for month in (4, 5, 6, 7)}
    assert len([a for a in CATALOGUE.adjustments if a.kind is AdjustmentKind.QTA]) == 3


@pytest.mark.parametrize(
    ("kind", "start", "rate", "status"),
    [
        ("export_net_metering", date(2026, 1, 1), "25.32", "derived"),
        ("export_net_billing", date(2026, 2, 9), "8.13", "estimated"),
        ("phl", date(2026, 2, 12), "3.23", "verified"),
        ("gst", date(2023, 7, 1), "18", "verified"),
    ],
)
def test_rates_until_further_notice(kind: str, start: date, rate: str, status: str) -> None:
    (record,) = [a for a in CATALOGUE.adjustments if a.kind.value == kind]
    assert (record.effective_from, record.effective_to, record.rate, record.status.value) == (
        start,
        None,
        Decimal(rate),
        status,
    )


def test_duty_tv_fee_municipal_charge() -> None:
    duty = {p: a.rate for a in CATALOGUE.adjustments if a.kind is AdjustmentKind.DUTY for p in a.provinces}
    assert set(duty) == {"sindh", "punjab", "khyber_pakhtunkhwa", "balochistan", "islamabad"}
    assert set(duty.values()) == {Decimal("1.5")}
    sindh = [a for a in CATALOGUE.adjustments if a.kind is AdjustmentKind.DUTY and "sindh" in a.provinces]
    # Seen on bills of 2026; before that, the same rule carried back.
    assert [(a.status.value, a.effective_to) for a in sindh] == [("derived", date(2026, 2, 11)), ("verified", None)]
    fees = {a.rate: a for a in CATALOGUE.adjustments if a.kind is AdjustmentKind.TV_FEE}
    assert set(fees) == {Decimal(35), Decimal(60)}
    assert {a.effective_to for a in fees.values()} == {date(2025, 6, 30)}
    assert "commercial_a1" in fees[Decimal(60)].categories
    (muct,) = [a for a in CATALOGUE.adjustments if a.kind is AdjustmentKind.MUNICIPAL]
    assert [(band.top, band.amount) for band in muct.bands] == [(200, 20), (300, 40)]
    assert muct.disco_providers == {"kelectric"}


@pytest.mark.parametrize(
    ("category", "bands"),
    [
        ("tou_commercial", [("500", "0", "0", "0"), ("20000", "0", "10", "0"), (None, "1950", "12", "20000")]),
        ("industrial_b2", [("500", "0", "0", "0"), ("20000", "0", "10", "0"), (None, "1950", "5", "20000")]),
        ("residential_unprotected", [("24999.99", "0", "0", "0"), (None, "0", "7.5", "0")]),
    ],
)
def test_income_tax(category: str, bands: list[tuple[str | None, ...]]) -> None:
    (record,) = [a for a in CATALOGUE.adjustments if a.kind is AdjustmentKind.INCOME_TAX and category in a.categories]
    assert [[b.top, b.amount, b.percent, b.above] for b in record.bands] == [numbers(*band) for band in bands]
