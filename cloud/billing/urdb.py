"""Tariffs of the Utility Rate Database (OpenEI) as plans of ours.

Read is the JSON of its API, versions 3 to 8 (https://openei.org/services/doc/rest/util_rates): one rate, or an answer with `items`. What
would change the bill and is not understood is refused with the field's name; whatever else is not taken over is told in a warning.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.kinds import PricingRule, RateStatus
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.scheduled.records import matrix_of, schedule_json
from cloud.billing.rules.scheduled.schedule import (
    MINUTES_AN_HOUR,
    MONTHS_A_YEAR,
    Metering,
    RatePeriod,
    Schedule,
    Tier,
    TierUnit,
    Timetable,
    one_period,
)
from cloud.billing.urdb_fields import METERING, READ, REFUSED, TIER_FIELDS, TIER_UNITS, UNTAKEN, WORDS_ONLY

_NAME_CHARS = 200

Rate = Mapping[str, Any]


class UrdbError(BillingError):
    """The rate cannot be taken over; the message names the field."""


@dataclass(frozen=True, slots=True)
class ImportedTariff:
    """A rate taken over.

    Attributes:
        record: a `[[plans]]` entry of tariff data; it names no distribution company.
        warnings: what was not taken over or had to be taken for granted, in words.
    """

    record: Mapping[str, Any]
    schedule: Schedule
    warnings: tuple[str, ...]


def read_urdb(text: str, *, label: str | None = None) -> Rate:
    """Find the rate in an answer of the API.

    Args:
        text: JSON; a rate, or an object with `items`.
        label: which of the items; needed when there are several.

    Returns:
        The rate, its field names in small letters; numbers with a fraction as Decimal.

    Raises:
        UrdbError: if it is no JSON, or no one rate can be found in it.
    """
    try:
        answer = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise UrdbError(f"the file is not JSON: {error}; save the answer of the API with format=json") from error
    items = answer.get("items", [answer]) if isinstance(answer, dict) else answer
    rates = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    if label is not None:
        rates = [rate for rate in rates if rate.get("label") == label]
    if len(rates) != 1:
        labels = ", ".join(str(rate.get("label")) for rate in rates) or "none"
        raise UrdbError(f"one rate is needed, the file has {len(rates)}; choose by label: {labels}")
    return {name.lower(): value for name, value in rates[0].items()}


def import_rate(
    rate: Rate, *, category: str, effective_from: date | None = None, currency: str | None = None
) -> ImportedTariff:
    """Take a rate over.

    Args:
        rate: see `read_urdb`.
        category: code of the category that the plan shall be of.
        effective_from: the plan's first day; None = the rate's `startdate`.
        currency: of all its amounts; None = USD, where the rate is of the United States.

    Raises:
        UrdbError: names the field that would change the bill and cannot be taken over.
    """
    for name, why in REFUSED.items():
        if _says(rate.get(name)):
            raise UrdbError(f"{name} is set: {why}; such a tariff cannot be priced")
    warnings = [*_general_warnings(rate)]
    metering, netting_minutes = _metering(rate, warnings)
    chosen: dict[str, Any] = {**_flat_demand(rate), **_demand(rate), **_fixed(rate), **_minimum(rate)}
    energy = _energy(rate, warnings)
    schedule = Schedule(
        energy=energy,
        timetable=_timetable(rate, "energyweekdayschedule", "energyweekendschedule", energy),
        tier_unit=_tier_unit(rate),
        metering=metering,
        netting_minutes=netting_minutes,
        demand_window_minutes=_window(rate),
        currency=_currency(rate, currency),
        **chosen,
    )
    warnings += _tariff_warnings(schedule)
    record = _record(rate, schedule, category=category, effective_from=effective_from)
    return ImportedTariff(record, schedule, tuple(warnings))


def _says(value: object) -> bool:
    """Whether a field says anything: not null, empty, 0, false, or a list of such."""
    if isinstance(value, list | tuple):
        return any(_says(entry) for entry in value)
    if isinstance(value, dict):
        return any(_says(entry) for entry in value.values())
    return bool(value)


def _number(value: object, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise UrdbError(f"{name} is {value!r}; it has to be a number")
    return Decimal(value)


def _amount(rate: Rate, name: str) -> Decimal:
    value = rate.get(name)
    return ZERO if value is None else _number(value, name)


def _general_warnings(rate: Rate) -> Iterator[str]:
    for name, why in UNTAKEN.items():
        if _says(rate.get(name)):
            yield f"{name}: {why}"
    service = rate.get("servicetype")
    if service and str(service).lower() != "bundled":
        yield f"servicetype is {service}: the bill is of that part of the supply only"
    known = {*REFUSED, *UNTAKEN, *WORDS_ONLY, *READ}
    for name in sorted(set(rate) - known):
        if _says(rate[name]):
            yield f"{name}: the field is not known and is left out"


def _tariff_warnings(schedule: Schedule) -> Iterator[str]:
    tiers = [tier for period in schedule.energy for tier in period.tiers]
    if schedule.metering is Metering.NET_METERING:
        yield "net metering: what stands at the year's end is worth nothing, for the rate does not say otherwise"
        if any(tier.sell for tier in tiers):
            yield "net metering: sell rates are left out, for units are set against units"
    elif not any(tier.sell for tier in tiers):
        yield "no tier has a sell rate: exported units earn nothing"
    last = [period.tiers[-1] for period in (*schedule.energy, *schedule.flat_demand, *schedule.demand)]
    if any(tier.top is not None for tier in last):
        yield "a last tier has a max: above it there is no rate, and such a month cannot be priced"


def _metering(rate: Rate, warnings: list[str]) -> tuple[Metering, int | None]:
    rules = rate.get("dgrules")
    if rules:
        found = METERING.get(str(rules).lower())
        if found is None:
            raise UrdbError(
                f"dgrules is {rules!r}; known: Net Metering, Net Billing Instantaneous or Hourly, Buy All Sell All"
            )
        return found
    if rate.get("usenetmetering") is True:
        return Metering.NET_METERING, None
    warnings.append("dgrules is missing: exported units are taken to earn the sell rates, interval by interval")
    return Metering.NET_BILLING, None


def _structure(rate: Rate, name: str) -> Sequence[Sequence[Mapping[str, Any]]]:
    periods = rate.get(name) or []
    if not isinstance(periods, list) or not all(isinstance(tiers, list) and tiers for tiers in periods):
        raise UrdbError(f"{name} is not a list of periods that are lists of tiers")
    for position, tiers in enumerate(periods):
        for number, tier in enumerate(tiers):
            place = f"{name}[{position}][{number}]"
            if not isinstance(tier, dict):
                raise UrdbError(f"{place} is {tier!r}; a tier is an object with a rate")
            unknown = sorted(field for field in set(tier) - TIER_FIELDS if _says(tier[field]))
            if unknown:
                raise UrdbError(f"{place} has {unknown[0]}, which is not known and may change the bill")
            if tier.get("rate") is None and tier.get("adj") is None:
                raise UrdbError(f"{place} has neither rate nor adj; what it costs is not known")
    return periods


def _tiers(tiers: Sequence[Mapping[str, Any]], place: str, *, sell: bool) -> tuple[Tier, ...]:
    found = []
    for number, tier in enumerate(tiers):
        amounts = {
            name: None if tier.get(name) is None else _number(tier[name], f"{place}[{number}].{name}")
            for name in ("max", "rate", "adj", "sell")
        }
        cost = (amounts["rate"] or ZERO) + (amounts["adj"] or ZERO)
        found.append(Tier(amounts["max"], cost, (amounts["sell"] or ZERO) if sell else ZERO))
    return tuple(found)


def _periods(rate: Rate, name: str, word: str, *, sell: bool = False) -> tuple[RatePeriod, ...]:
    return tuple(
        RatePeriod(f"{word} {position + 1}", _tiers(tiers, f"{name}[{position}]", sell=sell))
        for position, tiers in enumerate(_structure(rate, name))
    )


def _energy(rate: Rate, warnings: list[str]) -> tuple[RatePeriod, ...]:
    periods = _periods(rate, "energyratestructure", "period", sell=True)
    if not periods:
        raise UrdbError("energyratestructure is missing; a tariff without energy rates cannot be priced")
    for position, tiers in enumerate(rate["energyratestructure"]):
        for number, tier in enumerate(tiers):
            if tier.get("rate") is None:
                warnings.append(
                    f"energyratestructure[{position}][{number}] has no rate, only adj: that is the whole rate"
                )
    return periods


def _tier_unit(rate: Rate) -> TierUnit:
    """The one unit of all tiers that end; where none ends there is nothing to count."""
    units = set()
    for position, tiers in enumerate(rate["energyratestructure"]):
        for number, tier in enumerate(tiers):
            unit = str(tier.get("unit") or "kWh")
            if unit.lower() not in TIER_UNITS:
                known = "kWh, kWh daily, kWh/kW, kWh/kW daily"
                raise UrdbError(f"energyratestructure[{position}][{number}].unit is {unit!r}; known: {known}")
            if tier.get("max") is not None:
                units.add(TIER_UNITS[unit.lower()])
    if len(units) > 1:
        words = ", ".join(sorted(unit.value for unit in units))
        raise UrdbError(f"energyratestructure has tiers of several units ({words}); blocks of both cannot be priced")
    return units.pop() if units else TierUnit.KWH


def _timetable(rate: Rate, weekday: str, weekend: str, periods: Sequence[RatePeriod]) -> Timetable:
    given = [name for name in (weekday, weekend) if rate.get(name)]
    if not given and len(periods) == 1:
        return one_period()
    if len(given) < 2:
        missing = weekend if given == [weekday] else weekday
        raise UrdbError(f"{missing} is missing; it says when each of the {len(periods)} periods rules")
    return Timetable(matrix_of(rate[weekday], weekday), matrix_of(rate[weekend], weekend))


def _check_kw(rate: Rate, unit_field: str, structure: str) -> None:
    units = {str(rate[unit_field])} if rate.get(unit_field) else set()
    units |= {str(tier["unit"]) for tiers in _structure(rate, structure) for tier in tiers if tier.get("unit")}
    for unit in units:
        if unit.lower() != "kw":
            raise UrdbError(f"{unit_field} or a unit in {structure} is {unit!r}; demand is known in kW a month only")


def _flat_demand(rate: Rate) -> dict[str, Any]:
    if not rate.get("flatdemandstructure"):
        return {}
    _check_kw(rate, "flatdemandunit", "flatdemandstructure")
    months = rate.get("flatdemandmonths")
    if not isinstance(months, list) or len(months) != MONTHS_A_YEAR:
        raise UrdbError(f"flatdemandmonths is {months!r}; flatdemandstructure needs a period for each of the 12 months")
    (seasons,) = matrix_of([months], "flatdemandmonths")
    return {"flat_demand": _periods(rate, "flatdemandstructure", "season"), "flat_demand_months": seasons}


def _demand(rate: Rate) -> dict[str, Any]:
    if not rate.get("demandratestructure"):
        return {}
    _check_kw(rate, "demandrateunit", "demandratestructure")
    periods = _periods(rate, "demandratestructure", "demand period")
    timetable = _timetable(rate, "demandweekdayschedule", "demandweekendschedule", periods)
    return {"demand": periods, "demand_timetable": timetable}


def _window(rate: Rate) -> int | None:
    minutes = _amount(rate, "demandwindow")
    if not minutes:
        return None
    if minutes != int(minutes) or MINUTES_AN_HOUR % int(minutes):
        raise UrdbError(
            f"demandwindow is {number_text(minutes)} minutes; a part of an hour is known, such as 15, 30 or 60"
        )
    return int(minutes)


def _by_unit(rate: Rate, amount_field: str, unit_field: str) -> tuple[str, Decimal]:
    """An amount and what it is for: `month`, `day` or `year`."""
    amount = _amount(rate, amount_field)
    if not amount:
        return "month", ZERO
    unit = str(rate.get(unit_field) or "")
    word = unit.lower().removeprefix("$/")
    if word not in {"month", "day", "year"}:
        raise UrdbError(
            f"{unit_field} is {unit!r} with {amount_field} {number_text(amount)}; known: $/month, $/day, $/year"
        )
    return word, amount


def _older(rate: Rate, older: str, newer: str) -> Decimal:
    amount = _amount(rate, older)
    if amount and _amount(rate, newer):
        raise UrdbError(f"both {newer} and {older} are set; which one counts is not known")
    return amount


def _fixed(rate: Rate) -> dict[str, Decimal]:
    word, amount = _by_unit(rate, "fixedchargefirstmeter", "fixedchargeunits")
    if word == "day":
        return {"fixed_per_day": amount}
    if word == "year":
        amount /= MONTHS_A_YEAR
    return {"fixed_per_month": amount + _older(rate, "fixedmonthlycharge", "fixedchargefirstmeter")}


def _minimum(rate: Rate) -> dict[str, Decimal]:
    word, amount = _by_unit(rate, "mincharge", "minchargeunits")
    found = {"minimum_per_month": _older(rate, "minmonthlycharge", "mincharge")}
    found["minimum_per_year"] = _older(rate, "annualmincharge", "mincharge")
    if amount:
        found[f"minimum_per_{word}"] = amount
    return found


def _currency(rate: Rate, chosen: str | None) -> str:
    if chosen is not None:
        return chosen
    country = rate.get("country") or "USA"
    if country != "USA":
        raise UrdbError(f"country is {country}, and the rate does not name its currency; give it (--currency)")
    return "USD"


def _day(rate: Rate, name: str) -> date | None:
    value = rate.get(name)
    if value is None or value == "":
        return None
    try:
        return datetime.fromtimestamp(int(_number(value, name)), tz=UTC).date()
    except (OverflowError, OSError, ValueError) as error:
        raise UrdbError(f"{name} is {value}; it has to be seconds since 1970") from error


def _record(rate: Rate, schedule: Schedule, *, category: str, effective_from: date | None) -> dict[str, Any]:
    start = effective_from or _day(rate, "startdate")
    if start is None:
        raise UrdbError("startdate is missing; give the plan's first day (--from)")
    label = str(rate.get("label") or "")
    utility, name = str(rate.get("utility") or ""), str(rate.get("name") or label)
    if not name:
        raise UrdbError("name and label are missing; the plan needs a name")
    address = str(rate.get("uri") or rate.get("source") or label or name)
    return {
        "code": (label or name)[:_NAME_CHARS],
        "name": ": ".join(word for word in (utility, name) if word)[:_NAME_CHARS],
        "category": category,
        "variant": "standard",
        "effective_from": start,
        "effective_to": _day(rate, "enddate"),
        "source": f"Utility Rate Database (OpenEI), {address}",
        # Transcribed from the utility's rate book by the database, not read there.
        "status": RateStatus.DERIVED.value,
        "supports_net_metering": schedule.metering is Metering.NET_METERING,
        "supports_tou": len(schedule.energy) > 1,
        "rates": {"pricing_rule": PricingRule.SCHEDULE.value, "schedule": schedule_json(schedule)},
    }
