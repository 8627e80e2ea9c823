"""A rate of the Utility Rate Database read twice, by us and by PySAM's own converter, gives the same year.

One word is read differently and not drawn: for "Net Billing Hourly" PySAM's converter takes net billing whose credit goes on to the next
month, and we take import and export to be set against each other within each hour.
"""

import copy
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from PySAM.UtilityRateTools import URDBv8_to_ElectricityRates

from cloud.billing.rules.scheduled.records import schedule_json, schedule_of
from cloud.billing.rules.scheduled.schedule import Metering, RatePeriod, Schedule, TierUnit
from cloud.billing.urdb import import_rate, read_urdb
from tests.property.billing.scheduled_years import (
    Site,
    assert_agreement,
    net_billing_tariffs,
    net_metering_tariffs,
    our_year,
    pysam_year,
    sites,
)

UNITS = {
    TierUnit.KWH: "kWh",
    TierUnit.KWH_PER_DAY: "kWh daily",
    TierUnit.KWH_PER_KW: "kWh/kW",
    TierUnit.KWH_PER_KW_PER_DAY: "kWh/kW daily",
}
RULES = {
    Metering.NET_METERING: "Net Metering",
    Metering.NET_BILLING: "Net Billing Instantaneous",
    Metering.BUY_ALL_SELL_ALL: "Buy All Sell All",
}


def structure(periods: tuple[RatePeriod, ...], unit: str, *, adj: Decimal) -> list[list[dict[str, Any]]]:
    found = []
    for period in periods:
        tiers = []
        for tier in period.tiers:
            entry: dict[str, Any] = {"unit": unit, "rate": float(tier.rate - adj), "adj": float(adj)}
            if tier.top is not None:
                entry["max"] = float(tier.top)
            if tier.sell:
                entry["sell"] = float(tier.sell)
            tiers.append(entry)
        found.append(tiers)
    return found


def urdb_rate(schedule: Schedule, *, adj: Decimal) -> dict[str, Any]:
    """A schedule as the API would answer."""
    rate: dict[str, Any] = {
        "label": "example",
        "utility": "Example Utility",
        "name": "Drawn",
        "startdate": 1514764800,
        "dgrules": RULES[schedule.metering],
        "energyratestructure": structure(schedule.energy, UNITS[schedule.tier_unit], adj=adj),
        "energyweekdayschedule": [list(row) for row in schedule.timetable.weekday],
        "energyweekendschedule": [list(row) for row in schedule.timetable.weekend],
        "fixedchargefirstmeter": float(schedule.fixed_per_month),
        "fixedchargeunits": "$/month",
    }
    if schedule.minimum_per_month:
        rate |= {"mincharge": float(schedule.minimum_per_month), "minchargeunits": "$/month"}
    if schedule.minimum_per_year:
        rate |= {"mincharge": float(schedule.minimum_per_year), "minchargeunits": "$/year"}
    if schedule.flat_demand_months:
        rate["flatdemandstructure"] = structure(schedule.flat_demand, "kW", adj=Decimal(0))
        rate["flatdemandmonths"] = list(schedule.flat_demand_months)
    if schedule.demand_timetable is not None:
        rate["demandratestructure"] = structure(schedule.demand, "kW", adj=Decimal(0))
        rate["demandweekdayschedule"] = [list(row) for row in schedule.demand_timetable.weekday]
        rate["demandweekendschedule"] = [list(row) for row in schedule.demand_timetable.weekend]
    return rate


@given(
    st.one_of(net_billing_tariffs(), net_metering_tariffs()),
    st.integers(-200, 200).map(lambda mills: Decimal(mills) / 10_000),
    sites(),
)
def test_a_year_agrees_whoever_reads_the_rate(schedule: Schedule, adj: Decimal, site: Site) -> None:
    rate = urdb_rate(schedule, adj=adj)
    imported = import_rate(read_urdb(json.dumps({"items": [rate]})), category="imported").schedule
    assert schedule_of(schedule_json(imported)) == imported
    theirs = pysam_year(URDBv8_to_ElectricityRates(copy.deepcopy(rate)), site)
    assert_agreement(our_year(imported, site), theirs)
