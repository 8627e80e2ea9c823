"""Rates of the Utility Rate Database: what is taken over, what is told, what is refused."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.catalogue import plan_record_of
from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.scheduled.schedule import Metering, Tier, TierUnit
from cloud.billing.urdb import ImportedTariff, UrdbError, import_rate, read_urdb
from cloud.billing.urdb_fields import REFUSED, UNTAKEN

D = Decimal
ONE = [[0] * 24] * 12
EVENING = [[0] * 16 + [1] * 5 + [0] * 3] * 12

RATE: dict[str, Any] = {
    "label": "example-tou",
    "utility": "Example Utility",
    "name": "Time of use",
    "uri": "https://example.org/rates/tou",
    "country": "USA",
    "startdate": 1704067200,
    "enddate": 1735603200,
    "servicetype": "Bundled",
    "dgrules": "Net Billing Instantaneous",
    "energyratestructure": [
        [{"max": 500, "unit": "kWh", "rate": 0.1012, "adj": 0.003, "sell": 0.04}, {"unit": "kWh", "rate": 0.12}],
        [{"max": 500, "unit": "kWh", "rate": 0.21, "sell": 0.06}, {"unit": "kWh", "rate": 0.24, "adj": -0.01}],
    ],
    "energyweekdayschedule": EVENING,
    "energyweekendschedule": ONE,
    "flatdemandunit": "kW",
    "flatdemandstructure": [[{"rate": 8.25}], [{"max": 50, "rate": 10.5}, {"rate": 12, "adj": 0.5}]],
    "flatdemandmonths": [0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0],
    "demandrateunit": "kW",
    "demandratestructure": [[{"rate": 0}], [{"rate": 3.5, "unit": "kW"}]],
    "demandweekdayschedule": EVENING,
    "demandweekendschedule": ONE,
    "demandwindow": 15,
    "fixedchargefirstmeter": 25.5,
    "fixedchargeunits": "$/month",
    "mincharge": 30,
    "minchargeunits": "$/month",
}


def taken(**changes: Any) -> ImportedTariff:
    rate = {name: value for name, value in {**RATE, **changes}.items() if value is not ...}
    return import_rate(read_urdb(json.dumps(rate)), category="imported")


def test_every_part_is_taken_over_exactly() -> None:
    imported = taken()
    schedule = imported.schedule
    assert imported.warnings == ()
    assert schedule.energy[0].tiers == (Tier(D(500), D("0.1042"), D("0.04")), Tier(None, D("0.12")))
    assert schedule.energy[1].tiers == (Tier(D(500), D("0.21"), D("0.06")), Tier(None, D("0.23")))
    assert schedule.timetable.weekday[6][15:22] == (0, 1, 1, 1, 1, 1, 0)
    assert schedule.timetable.weekend[6] == (0,) * 24
    assert [season.tiers for season in schedule.flat_demand] == [
        (Tier(None, D("8.25")),),
        (Tier(D(50), D("10.5")), Tier(None, D("12.5"))),
    ]
    assert schedule.flat_demand_months == (0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0)
    assert schedule.demand[1].tiers == (Tier(None, D("3.5")),)
    assert schedule.demand_timetable == schedule.timetable
    assert (schedule.fixed_per_month, schedule.minimum_per_month, schedule.demand_window_minutes) == (
        D("25.5"),
        D(30),
        15,
    )
    assert (schedule.metering, schedule.tier_unit, schedule.currency) == (Metering.NET_BILLING, TierUnit.KWH, "USD")


def test_the_record_is_a_plan_of_tariff_data() -> None:
    record = taken().record
    plan = plan_record_of(record)
    assert (plan.code, plan.name) == ("example-tou", "Example Utility: Time of use")
    assert (plan.effective_from, plan.effective_to) == (date(2024, 1, 1), date(2024, 12, 31))
    assert plan.source == "Utility Rate Database (OpenEI), https://example.org/rates/tou"
    assert (plan.status, plan.supports_tou, plan.supports_net_metering) == ("derived", True, False)
    assert plan.plan().schedule == taken().schedule


@pytest.mark.parametrize("field", sorted(REFUSED))
def test_what_cannot_be_priced_is_refused_by_name(field: str) -> None:
    with pytest.raises(UrdbError, match=f"^{field} is set: .*cannot be priced"):
        taken(**{field: [0, 0.5]})
    taken(**{field: [[0, 0], []]})  # says nothing
    taken(**{field: None})


def test_names_in_capitals_are_the_same_field() -> None:
    with pytest.raises(UrdbError, match="lookbackpercent is set"):
        taken(lookbackPercent=0.8)


@pytest.mark.parametrize("field", sorted(UNTAKEN))
def test_what_is_left_out_is_told(field: str) -> None:
    (warning,) = taken(**{field: 5}).warnings
    assert warning == f"{field}: {UNTAKEN[field]}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"servicetype": "Delivery"}, "servicetype is Delivery: the bill is of that part of the supply only"),
        ({"newfield": {"a": 1}}, "newfield: the field is not known and is left out"),
        ({"dgrules": ...}, "dgrules is missing: exported units are taken to earn the sell rates"),
        ({"dgrules": "Net Metering"}, "what stands at the year's end is worth nothing"),
        ({"dgrules": "Net Metering"}, "sell rates are left out"),
        ({"energyratestructure": [[{"rate": 0.1}]] * 2}, "no tier has a sell rate: exported units earn nothing"),
        ({"energyratestructure": [[{"adj": 0.1, "sell": 1}]] * 2}, "has no rate, only adj: that is the whole rate"),
        ({"energyratestructure": [[{"max": 9, "rate": 0.1, "sell": 1}]] * 2}, "a last tier has a max: above it"),
    ],
)
def test_what_is_taken_for_granted_is_told(changes: dict[str, Any], words: str) -> None:
    assert any(words in warning for warning in taken(**changes).warnings)


@pytest.mark.parametrize(
    ("rules", "older", "metering", "minutes"),
    [
        ("Net Metering", None, Metering.NET_METERING, None),
        ("Net Billing Instantaneous", None, Metering.NET_BILLING, None),
        ("Net Billing Hourly", None, Metering.NET_BILLING, 60),
        ("Buy All Sell All", None, Metering.BUY_ALL_SELL_ALL, None),
        (None, True, Metering.NET_METERING, None),
        (None, False, Metering.NET_BILLING, None),
    ],
)
def test_rules_of_generation(rules: str | None, older: bool | None, metering: Metering, minutes: int | None) -> None:
    schedule = taken(dgrules=rules, usenetmetering=older).schedule
    assert (schedule.metering, schedule.netting_minutes) == (metering, minutes)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("kWh", TierUnit.KWH),
        ("kWh daily", TierUnit.KWH_PER_DAY),
        ("kWh/kW", TierUnit.KWH_PER_KW),
        ("kWh/kW daily", TierUnit.KWH_PER_KW_PER_DAY),
    ],
)
def test_units_of_tiers(unit: str, expected: TierUnit) -> None:
    tiers = [{"max": 12, "unit": unit, "rate": 0.1}, {"rate": 0.2}]
    assert taken(energyratestructure=[tiers, tiers]).schedule.tier_unit is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"fixedchargefirstmeter": 0.5, "fixedchargeunits": "$/day"},
            {"fixed_per_day": D("0.5"), "fixed_per_month": D(0)},
        ),
        ({"fixedchargefirstmeter": 120, "fixedchargeunits": "$/year"}, {"fixed_per_month": D(10)}),
        ({"fixedchargefirstmeter": ..., "fixedmonthlycharge": 7}, {"fixed_per_month": D(7)}),
        ({"mincharge": 1, "minchargeunits": "$/day"}, {"minimum_per_day": D(1), "minimum_per_month": D(0)}),
        ({"mincharge": 99, "minchargeunits": "$/year"}, {"minimum_per_year": D(99), "minimum_per_month": D(0)}),
        (
            {"mincharge": ..., "minmonthlycharge": 4, "annualmincharge": 50},
            {"minimum_per_month": D(4), "minimum_per_year": D(50)},
        ),
    ],
)
def test_fixed_and_minimum_charges(changes: dict[str, Any], expected: dict[str, Decimal]) -> None:
    schedule = taken(**changes).schedule
    assert {name: getattr(schedule, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"energyratestructure": ...}, "energyratestructure is missing"),
        ({"energyratestructure": [[]]}, "energyratestructure is not a list of periods"),
        ({"energyratestructure": [["x"]] * 2}, r"energyratestructure\[0\]\[0\] is 'x'"),
        ({"energyratestructure": [[{"max": 5}]] * 2}, r"energyratestructure\[0\]\[0\] has neither rate nor adj"),
        ({"energyratestructure": [[{"rate": "0.1"}]] * 2}, r"energyratestructure\[0\]\[0\].rate is '0.1'"),
        ({"energyratestructure": [[{"rate": 1, "seasonal": 2}]] * 2}, "has seasonal, which is not known"),
        ({"energyratestructure": [[{"rate": 1, "max": 5, "unit": "therms"}, {"rate": 1}]] * 2}, "unit is 'therms'"),
        (
            {
                "energyratestructure": [
                    [{"rate": 1, "max": 5, "unit": "kWh/kW"}, {"rate": 1, "max": 900, "unit": "kWh"}]
                ]
                * 2
            },
            "tiers of several units",
        ),
        ({"energyratestructure": [[{"rate": 1, "max": 5}, {"rate": 2}], [{"rate": 1}]]}, "both occur in month 1"),
        ({"energyweekendschedule": ...}, "energyweekendschedule is missing"),
        ({"energyweekdayschedule": [[0] * 23] * 12}, "not 12 months of 24 hours"),
        ({"energyweekdayschedule": [[2] * 24] * 12}, "the energy timetable names period 2; there are 2"),
        ({"flatdemandmonths": [0]}, "flatdemandmonths is"),
        ({"flatdemandmonths": [7] * 12}, "flat_demand_months names period 7"),
        ({"flatdemandmonths": [0.5] * 12}, r"flatdemandmonths\[0\]\[0\] is Decimal\('0.5'\); write a whole number"),
        ({"startdate": 10**18}, "startdate is 1000000000000000000; it has to be seconds"),
        ({"flatdemandunit": "kVA"}, "is 'kVA'; demand is known in kW a month only"),
        ({"demandratestructure": [[{"rate": 1, "unit": "kW daily"}]] * 2}, "is 'kW daily'"),
        ({"demandweekdayschedule": ...}, "demandweekdayschedule is missing"),
        ({"demandwindow": 90}, "demandwindow is 90 minutes"),
        ({"fixedchargeunits": ...}, "fixedchargeunits is '' with fixedchargefirstmeter 25.5"),
        ({"fixedmonthlycharge": 3}, "both fixedchargefirstmeter and fixedmonthlycharge are set"),
        ({"minmonthlycharge": 3}, "both mincharge and minmonthlycharge are set"),
        ({"minchargeunits": "$/week"}, r"minchargeunits is '\$/week'"),
        ({"mincharge": True}, "mincharge is True"),
        ({"dgrules": "Barter"}, "dgrules is 'Barter'"),
        ({"country": "CAN"}, "country is CAN, and the rate does not name its currency"),
        ({"startdate": ...}, r"startdate is missing; give the plan's first day \(--from\)"),
        ({"name": ..., "label": ...}, "name and label are missing"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BillingError, match=words):
        taken(**changes)


def test_one_period_needs_no_timetable() -> None:
    only = taken(
        energyratestructure=[[{"rate": 0.1, "sell": 0.1}]], energyweekdayschedule=..., energyweekendschedule=...
    )
    assert only.schedule.timetable.weekday == ((0,) * 24,) * 12
    assert not only.record["supports_tou"]


def test_day_and_currency_may_be_given() -> None:
    rate = read_urdb(json.dumps({**RATE, "country": "CAN", "startdate": None}))
    imported = import_rate(rate, category="imported", effective_from=date(2025, 4, 1), currency="CAD")
    assert (imported.record["effective_from"], imported.schedule.currency) == (date(2025, 4, 1), "CAD")


def test_one_rate_is_found_in_an_answer() -> None:
    answer = json.dumps({"items": [RATE, {**RATE, "label": "other"}]})
    assert read_urdb(answer, label="other")["label"] == "other"
    with pytest.raises(UrdbError, match="the file has 2; choose by label: example-tou, other"):
        read_urdb(answer)
    with pytest.raises(UrdbError, match="the file has 0"):
        read_urdb(answer, label="third")
    with pytest.raises(UrdbError, match="the file has 0"):
        read_urdb("[]")
    with pytest.raises(UrdbError, match="not JSON"):
        read_urdb("<html>")
    with pytest.raises(UrdbError, match="the file has 0"):
        read_urdb("3")
