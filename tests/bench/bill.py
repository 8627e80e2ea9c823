"""What a year's bills cost: Solar Hub and NREL's PySAM on the same energy and a comparable tariff, in turns, in one process.

    python -m tests.bench.bill [--rounds 40] [--bills 2000] [--sites 300]

One site, one year of hours (and of quarter-hours), a tariff with two prices by time of use, a fixed charge, a demand charge and a credit
for exports, with and without solar: 24 bills. PySAM's side is one `execute()` of Utilityrate5, with everything set before. Ours is

- `aggregated`: arrays in, the amounts of 24 bills out, the calendar of the place and the tariff made ready before;
- `prepared_each_time`: the same, with the tariff made ready anew each time;
- `taxed`: as `aggregated`, with the tariff in force: fuel and quarterly adjustments, surcharge, duty, sales tax, income tax;
- `explained`: arrays in; 24 bills with explained lines, their breakdowns, their lines and the savings as JSON.

Before anything is timed the two sides' energy and demand charges are compared: they must agree within a paisa a month.
`thirty_tariffs_ms` is a year under 30 tariffs, each made ready for it, from the units added up once. `bills_per_s_pure` are monthly
bills as the worker makes them, from quarter-hours to the stored document, without the database; `bills_per_s_worker` are the worker's
own, one transaction each, against a real and durable PostgreSQL, of `--sites` homes with a month of quarter-hours each: `homes_made_s`
is what making them takes, `database_gb` their room on disk. 10,000 homes are 29 million quarter-hours and some minutes in all.

The last line is one JSON object. Milliseconds are of CPU, in one thread, which say more than the clock while something else is running.
A ratio is our time by PySAM's: below 1 is faster.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from cloud.billing.catalogue import PlanRecord, read_catalogue
from cloud.billing.rules.annual.bills import PreparedTariff, annual_amounts, annual_bills, prepare_tariff
from cloud.billing.rules.annual.units import (
    AnnualUnits,
    IntArray,
    YearCalendar,
    annual_units,
    monthly_periods,
    year_calendar,
)
from cloud.billing.rules.annual.year import BillYear, SiteTerms
from cloud.billing.rules.breakdown import bill_breakdown, line_json, savings_breakdown
from cloud.billing.rules.metering.energy import QuarterHour, period_energy, period_window
from cloud.billing.rules.metering.tou import is_peak
from cloud.billing.rules.model import (
    Adjustment,
    BillingCase,
    ExportScheme,
    FixedBasis,
    LineKind,
    Plan,
    PricingRule,
    RateStatus,
)
from cloud.billing.rules.month import Month
from cloud.billing.rules.simulation import inputs_json, simulate
from tests.bench.support.monthly_run import worker_figures
from tests.bench.support.sam import Sam, SamTariff

KARACHI = ZoneInfo("Asia/Karachi")
DISCO = "lesco"
YEAR = 2027
"""Every month of it lies in the tariff's last version."""
PERIODS = monthly_periods(YEAR)
TERMS = SiteTerms(DISCO, "punjab", Decimal(60), ExportScheme.NET_BILLING_2026)
PLAN = Plan(
    code="comparable",
    category="tou_commercial",
    pricing_rule=PricingRule.TOU,
    source="benchmark",
    peak_rate=Decimal("43.82"),
    off_peak_rate=Decimal("35.15"),
    fixed_basis=FixedBasis.PER_CONSUMER,
    fixed_charge=Decimal(1000),
    demand_charge_per_kw=Decimal(1250),
    fallback_export_rate=Decimal("8.13"),
)
CO2_KG_PER_KWH = Decimal("0.5")
CO2_KG_PER_TREE = Decimal(60)
THIRTY = 30


@dataclass(frozen=True)
class Site:
    """Energy of each interval of the year, whole Wh."""

    step_minutes: int
    calendar: YearCalendar
    load_wh: IntArray
    generated_wh: IntArray

    @property
    def imported_wh(self) -> IntArray:
        """What the sun did not cover."""
        wh: IntArray = np.maximum(self.load_wh - self.generated_wh, 0)
        return wh

    @property
    def exported_wh(self) -> IntArray:
        """What was left over."""
        wh: IntArray = np.maximum(self.generated_wh - self.load_wh, 0)
        return wh

    def units(self) -> AnnualUnits:
        """The first step of ours: arrays to units of bills."""
        return annual_units(
            self.calendar, imported_wh=self.imported_wh, exported_wh=self.exported_wh, consumed_wh=self.load_wh
        )


def make_site(step_minutes: int) -> Site:
    """A shop with solar: work by day, cooling in summer, clouds that come and go."""
    calendar = year_calendar(PERIODS, zone=KARACHI, disco_provider=DISCO, step_minutes=step_minutes)
    random = np.random.default_rng(8760)
    hour = np.arange(calendar.intervals) * step_minutes / 60
    course, season = hour % 24, np.cos(2 * np.pi * (hour / 8760 - 0.54))
    load_kw = 6 + 10 * ((course > 9) & (course < 22)) + 5 * (1 + season) + random.random(hour.size) * 4
    sun = np.clip(np.sin(np.pi * (course - 6) / 12), 0, None) * (course < 18)
    generated_kw = 32 * sun * (0.8 + 0.2 * season) * (0.4 + 0.6 * random.random(hour.size))
    wh = 1000 * step_minutes / 60
    return Site(
        step_minutes, calendar, np.rint(load_kw * wh).astype(np.int64), np.rint(generated_kw * wh).astype(np.int64)
    )


def sam_of(site: Site) -> Sam:
    """PySAM's side: the same site and the comparable tariff."""
    days = (datetime(YEAR, month, 1, tzinfo=UTC) for month in range(1, 13))
    peak_hours = tuple(tuple(is_peak(day.replace(hour=hour), DISCO) for hour in range(24)) for day in days)
    tariff = SamTariff(35.15, 43.82, 8.13, 1000.0, 1250.0, peak_hours)
    per_kw = 60 / site.step_minutes / 1000
    return Sam(tariff, load_kw=(site.load_wh * per_kw).tolist(), generation_kw=(site.generated_wh * per_kw).tolist())


def totals(tariff: PreparedTariff, units: AnnualUnits) -> list[int]:
    """The 24 totals, paisa."""
    with_solar = annual_amounts(tariff, units.with_solar)
    return [bill.total for bill in (*with_solar, *annual_amounts(tariff, units.without_solar))]


def bill_year(adjustments: tuple[Adjustment, ...] = ()) -> BillYear:
    """The year at the site's place."""
    return BillYear(TERMS, periods=PERIODS, adjustments=adjustments)


def explained(plan: Plan, year: BillYear, units: AnnualUnits) -> list[dict[str, Any]]:
    """Twenty-four bills with every word, and the savings."""
    pairs = zip(
        annual_bills((plan,), year, units.with_solar), annual_bills((plan,), year, units.without_solar), strict=True
    )
    return [
        {
            "bill": bill_breakdown(bill),
            "lines": [line_json(line) for line in bill.lines],
            "without": bill_breakdown(without),
            "lines_without": [line_json(line) for line in without.lines],
            "savings": savings_breakdown(
                bill,
                without,
                generated_kwh=Decimal(500),
                co2_kg_per_kwh=CO2_KG_PER_KWH,
                co2_kg_per_tree=CO2_KG_PER_TREE,
            ),
        }
        for bill, without in pairs
    ]


def check_agreement(site: Site, sam: Sam) -> float:
    """Compare the charges that both sides know; gives the largest difference of a month, PKR."""
    sam.execute()
    theirs, units = sam.year(), site.units()
    worst = 0.0
    for counted, energy, demand in (
        (units.with_solar, theirs.energy, theirs.demand),
        (units.without_solar, theirs.energy_without, theirs.demand_without),
    ):
        bills = annual_bills((PLAN,), bill_year(), counted)
        quick = annual_amounts(prepare_tariff((PLAN,), bill_year()), counted)
        for bill, amounts, their_energy, their_demand in zip(bills, quick, energy, demand, strict=True):
            if bill.total_pkr * 100 != amounts.total:
                raise RuntimeError(
                    f"{bill.bill_month}: {bill.total_pkr} PKR explained, {amounts.total} paisa aggregated"
                )
            # Each of the two energy lines is rounded to the paisa; theirs are not.
            worst = max(
                worst,
                abs(float(bill.amount(LineKind.ENERGY)) - their_energy),
                abs(float(bill.amount(LineKind.DEMAND)) - their_demand),
            )
    if worst > 0.0101:
        raise RuntimeError(f"the two sides' charges differ by {worst:.4f} PKR in a month")
    return worst


def in_turns(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of CPU of each side; all of them in every round, the first round not counted."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, side in sides.items():
            started = time.thread_time()
            side()
            taken[name].append((time.thread_time() - started) * 1000)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def in_force_plan(records: tuple[PlanRecord, ...], category: str) -> Plan:
    """The category's last version."""
    return next(r for r in records if r.category == category and r.effective_to is None).plan()


def annual_figures(step_minutes: int, rounds: int) -> dict[str, float]:
    """One year of one site, both sides."""
    site = make_site(step_minutes)
    sam = sam_of(site)
    worst = check_agreement(site, sam)
    catalogue = read_catalogue()
    taxed = in_force_plan(catalogue.plans, "tou_commercial")
    ready = prepare_tariff((PLAN,), bill_year())
    ready_taxed = prepare_tariff((taxed,), bill_year(catalogue.adjustments))
    medians = in_turns(
        {
            "pysam": sam.execute,
            "aggregated": lambda: totals(ready, site.units()),
            "prepared_each_time": lambda: totals(prepare_tariff((PLAN,), bill_year()), site.units()),
            "taxed": lambda: totals(ready_taxed, site.units()),
            "explained": lambda: explained(PLAN, bill_year(), site.units()),
            "explained_taxed": lambda: explained(taxed, bill_year(catalogue.adjustments), site.units()),
        },
        rounds,
    )
    end = "" if step_minutes == 60 else f"_{site.calendar.intervals}"
    figures = {f"{name}_ms{end}": round(value, 3) for name, value in medians.items()}
    figures |= {
        f"{name}_ratio_to_pysam{end}": round(value / medians["pysam"], 3)
        for name, value in medians.items()
        if name != "pysam"
    }
    figures[f"largest_difference_pkr{end}"] = round(worst, 4)
    for name, value in medians.items():
        print(f"{site.calendar.intervals:6,} intervals  {name:20} {value:7.3f} ms", flush=True)
    return figures


def thirty_tariffs(rounds: int) -> dict[str, float]:
    """A year under thirty tariffs: those in force, and others like them at other rates."""
    catalogue = read_catalogue()
    known = [r.plan() for r in catalogue.plans if r.effective_to is None and _is_complete(r)]
    plans: list[Plan] = []
    while len(plans) < THIRTY:
        dearer = Decimal(len(plans) // len(known)) / 10
        plans += [_dearer(plan, dearer) for plan in known[: THIRTY - len(plans)]]
    units = make_site(60).units()

    def prepared() -> list[PreparedTariff]:
        year = bill_year(catalogue.adjustments)
        return [prepare_tariff((plan,), year) for plan in plans]

    ready = prepared()
    medians = in_turns(
        {
            "thirty_tariffs": lambda: [totals(tariff, units) for tariff in prepared()],
            "thirty_tariffs_prepared": lambda: [totals(tariff, units) for tariff in ready],
        },
        rounds,
    )
    for name, value in medians.items():
        print(f"{name:36} {value:7.3f} ms", flush=True)
    return {f"{name}_ms": round(value, 3) for name, value in medians.items()}


def _is_complete(record: PlanRecord) -> bool:
    # Protected and lifeline tables end below what the benchmark's shop uses; B-4 has no off-peak rate on record.
    plan = record.plan()
    if plan.pricing_rule is PricingRule.TOU:
        return plan.off_peak_rate is not None
    return not plan.slabs or plan.slabs[-1].top_units is None


def _dearer(plan: Plan, pkr: Decimal) -> Plan:
    def more(rate: Decimal | None) -> Decimal | None:
        return None if rate is None else rate + pkr

    return replace(
        plan,
        flat_rate=more(plan.flat_rate),
        peak_rate=more(plan.peak_rate),
        off_peak_rate=more(plan.off_peak_rate),
        slabs=tuple(replace(slab, rate=more(slab.rate)) for slab in plan.slabs),
    )


def month_of_quarters(site: Site) -> list[QuarterHour]:
    """June's quarter-hours, as the database gives them."""
    first, last = PERIODS[5]
    window = period_window(first, last, KARACHI)
    before = (first - PERIODS[0][0]).days * 96
    imported, exported = site.imported_wh.tolist(), site.exported_wh.tolist()
    load, generated = site.load_wh.tolist(), site.generated_wh.tolist()
    return [
        QuarterHour(window.start + timedelta(minutes=15 * n), generated[m], load[m], imported[m], exported[m], 900)
        for n, m in enumerate(range(before, before + ((last - first).days + 1) * 96))
    ]


def monthly_bill(record: PlanRecord, adjustments: tuple[Adjustment, ...], quarters: list[QuarterHour]) -> str:
    """One site's month: from quarter-hours to the document that is stored."""
    first, last = PERIODS[5]
    window = period_window(first, last, KARACHI)
    energy = period_energy(quarters, window=window, zone=KARACHI, disco_provider=DISCO)
    case = BillingCase(
        period_start=first,
        period_end=last,
        imported_kwh=energy.imported_kwh or Decimal(0),
        exported_kwh=energy.exported_kwh or Decimal(0),
        imported_peak_kwh=energy.imported_peak_kwh,
        exported_peak_kwh=energy.exported_peak_kwh or Decimal(0),
        max_demand_kw=energy.max_demand_kw,
        disco_provider=DISCO,
        province="punjab",
        sanctioned_load_kw=Decimal(60),
        export_scheme=ExportScheme.NET_BILLING_2026,
        billed_units={Month(YEAR, 4): Decimal(7000)},
    )
    inputs = inputs_json(
        plan_record={
            "code": record.name,
            "category": record.category,
            "source": record.source,
            "status": RateStatus.VERIFIED.value,
            "supports_tou": record.supports_tou,
            "rates": record.rates,
        },
        case=case,
        adjustments=adjustments,
        consumed_kwh=energy.consumed_kwh or Decimal(0),
        consumed_peak_kwh=energy.consumed_peak_kwh,
        consumed_units={Month(YEAR, 4): Decimal(9000)},
        generated_kwh=energy.generated_kwh or Decimal(0),
        co2_kg_per_kwh=CO2_KG_PER_KWH,
        co2_kg_per_tree=CO2_KG_PER_TREE,
    )
    return simulate(inputs).content_hash


def monthly_figures(count: int) -> dict[str, float]:
    """Monthly bills one after the other, without the database."""
    catalogue = read_catalogue()
    record = next(r for r in catalogue.plans if r.category == "tou_commercial" and r.effective_to is None)
    quarters = month_of_quarters(make_site(15))
    monthly_bill(record, catalogue.adjustments, quarters)
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        monthly_bill(record, catalogue.adjustments, quarters)
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"{count:,} monthly bills from quarter-hours in {taken:.1f} s", flush=True)
    return {"bills_per_s_pure": round(count / taken, 1), "cpu_s_per_1000_bills_pure": round(cpu / count * 1000, 3)}


def main() -> None:
    """Run both sides and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="times that both sides do each year, in turns")
    parser.add_argument("--bills", type=int, default=2000, help="monthly bills made without the database")
    parser.add_argument(
        "--sites", type=int, default=300, help="sites whose month the worker bills; 0 = no database is started"
    )
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for step_minutes in (60, 15):
        figures |= annual_figures(step_minutes, arguments.rounds)
    figures |= thirty_tariffs(arguments.rounds)
    figures |= monthly_figures(arguments.bills)
    if arguments.sites:
        figures |= asyncio.run(worker_figures(arguments.sites))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
