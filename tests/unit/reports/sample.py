"""A plausible month of a home, for tests and for looking at."""

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.reports.rules.measures import CurvePoint, DayEnergy, Factor, PerformanceData, Worth

ZONE = ZoneInfo("Asia/Karachi")


def month(days: int = 31) -> PerformanceData:
    """October 2026 of a 10 kW hybrid home in Lahore; the 9th has no data, the 10th half of it."""
    first = date(2026, 10, 1)
    rows = []
    for offset in range(days):
        cloud = 0.72 + 0.28 * math.sin(offset * 1.7) ** 2
        generated = round(46 * cloud, 2)
        consumed = round(31 + 5 * math.cos(offset * 0.9), 2)
        exported = round(max(0.0, generated - 0.55 * consumed), 2)
        day = first + timedelta(days=offset)
        if day.day != 9 or days == 1:
            rows.append(
                DayEnergy(
                    day=day,
                    generated_kwh=generated,
                    consumed_kwh=consumed,
                    imported_kwh=round(consumed - generated + exported, 2),
                    exported_kwh=exported,
                    peak_power_kw=round(7.9 * cloud, 2),
                    irradiation_kwh_m2=round(generated / 10 / 0.81, 3),
                    completeness_percent=51.2 if day.day == 10 else 99.9,
                    irradiation_completeness_percent=99.7,
                )
            )
    best = date(2026, 10, 2) if days > 1 else first
    curve = []
    for quarter in range(96):
        at = datetime(best.year, best.month, best.day, tzinfo=ZONE) + timedelta(minutes=15 * quarter)
        hour = quarter / 4
        solar = max(0.0, 8.1 * math.sin((hour - 6) / 11.6 * math.pi)) if 6 < hour < 17.6 else 0.0
        load = 0.9 + 0.8 * math.exp(-((hour - 8) ** 2) / 3) + 2.1 * math.exp(-((hour - 20.5) ** 2) / 5)
        battery = (
            -min(2.5, solar - load) if 7 < hour < 12 and solar > load else (min(1.8, load) if hour > 17.6 else 0.0)
        )
        gap = 52 <= quarter < 55
        curve.append(
            CurvePoint(
                at=at,
                generated_kw=None if gap else round(solar, 3),
                load_kw=None if gap else round(load, 3),
                grid_kw=None if gap else round(load - solar - battery, 3),
                battery_kw=None if gap else round(battery, 3),
            )
        )
    return PerformanceData(
        organization="Ravi Solar Works",
        site="Home in Model Town",
        place="Lahore, Punjab",
        timezone="Asia/Karachi",
        first_day=first,
        last_day=first + timedelta(days=days - 1),
        created_at=datetime(2026, 11, 1, 6, 0, tzinfo=ZONE),
        days=tuple(rows),
        curve=tuple(curve),
        curve_day=best,
        capacity_kwp=10.0,
        inverter_kw=10.0,
        battery_kwh=10.0,
        disco="LESCO",
        worth=Worth(
            bill_with_solar_pkr=Decimal("9123.62"),
            bill_without_solar_pkr=Decimal("58214.90"),
            savings_pkr=Decimal("49091.28"),
            tariff="A-1(a) un-protected",
            source="S.R.O. 279(I)/2026",
            pending=("fuel charge adjustment of 2026-08",),
        ),
        worth_problem="",
        co2=Factor(0.515, "kg CO₂ per kWh", "UNFCCC IFI 2021, Pakistan, intermittent"),
        tree=Factor(60, "kg CO₂ per tree", "US EPA, seedling grown for ten years"),
    )
