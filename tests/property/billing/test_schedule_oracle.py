"""Scheduled tariffs against NREL's PySAM, which prices the same year in C++ and floats.

The two have to agree within a cent a year, unrounded. Where their rules differ the examples stay away, and say why:

- PySAM knows no leap year, and its year begins on a Monday: 2018.
- A fixed charge per day is 365/12 days each month there and the month's days here.
- Two meters (buy all, sell all): there a minimum is held against the load's meter alone.
- A month's and a year's minimum together: there the year's minimum does not count what made up the months' minimums. The Utility
  Rate Database has one minimum or the other.
- Net metering: there a period's surplus goes to the period of the next month that the weekday has at 0, 5, 11 or 17 o'clock, and
  is lost where it has none of these; here to the one at the hour where the period begins. The surplus at the year's end is there
  that of all periods' balance, here that of each period. Examples of several periods have the same hours in each month, every
  period at one of those hours, and no payment at the year's end.
- Above a last tier that ends PySAM refuses energy and gives demand away; here both are refused. Last tiers have no end.
"""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings

from cloud.billing.rules.scheduled.schedule import Metering, Schedule
from tests.property.billing.scheduled_years import (
    Site,
    assert_agreement,
    net_billing_tariffs,
    net_metering_tariffs,
    our_year,
    pysam_year,
    rate_inputs,
    sites,
)

PROFILE = settings().max_examples


@pytest.mark.timeout(300)
@settings(max_examples=5 * PROFILE)  # 500 in the whole suite
@given(net_billing_tariffs(), sites())
def test_a_year_of_net_billing_agrees_with_pysam(schedule: Schedule, site: Site) -> None:
    assert_agreement(our_year(schedule, site), pysam_year(rate_inputs(schedule), site))


@settings(max_examples=PROFILE)
@given(net_metering_tariffs(), sites())
def test_a_year_of_net_metering_agrees_with_pysam(schedule: Schedule, site: Site) -> None:
    assert_agreement(our_year(schedule, site), pysam_year(rate_inputs(schedule), site))


@given(net_billing_tariffs(), sites())
def test_a_year_of_two_meters_agrees_with_pysam(schedule: Schedule, site: Site) -> None:
    two_meters = replace(
        schedule, metering=Metering.BUY_ALL_SELL_ALL, minimum_per_month=Decimal(0), minimum_per_year=Decimal(0)
    )
    assert_agreement(our_year(two_meters, site), pysam_year(rate_inputs(two_meters), site))
