"""A schedule as JSON (`schedule` of `tariff_plans.rates`) and back. Numbers are text, as everywhere in rates."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from cloud.billing.rules.errors import BillingError
from cloud.billing.rules.money import ZERO, number_text
from cloud.billing.rules.scheduled.schedule import (
    Matrix,
    Metering,
    RatePeriod,
    Schedule,
    Tier,
    TierSplit,
    TierUnit,
    Timetable,
    one_period,
)

_WordT = TypeVar("_WordT", bound=StrEnum)

_AMOUNTS = (
    "fixed_per_month",
    "fixed_per_day",
    "minimum_per_month",
    "minimum_per_day",
    "minimum_per_year",
    "year_end_sell_rate",
)
_WORDS: Mapping[str, type[StrEnum]] = {"tier_unit": TierUnit, "tier_split": TierSplit, "metering": Metering}
_COUNTS = ("netting_minutes", "demand_window_minutes", "true_up_month")
_TABLES = (
    "energy",
    "weekday",
    "weekend",
    "flat_demand",
    "flat_demand_months",
    "demand",
    "demand_weekday",
    "demand_weekend",
)
KEYS = frozenset({"currency", *_AMOUNTS, *_WORDS, *_COUNTS, *_TABLES})
"""What a schedule's record may say."""

_TIER_KEYS = frozenset({"top", "rate", "sell"})


def _number(value: object, name: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise BillingError(f'{name} is {value!r}; write a number, in JSON as text: "0.1234"') from error
    if not number.is_finite():
        raise BillingError(f"{name} is {value!r}; write a finite number")
    return number


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BillingError(f"{name} is {value!r}; write a whole number")
    return value


def _list(value: object, name: str) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise BillingError(f"{name} is {value!r}; write a list")
    return value


def _known(record: object, keys: frozenset[str], name: str) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        raise BillingError(f"{name} is {record!r}; write an object with the keys {', '.join(sorted(keys))}")
    unknown = sorted(set(record) - keys)
    if unknown:
        raise BillingError(f"{name} has the key {unknown[0]!r}; known: {', '.join(sorted(keys))}")
    return record


def _word(value: object, kind: type[_WordT], name: str) -> _WordT:
    try:
        return kind(str(value))
    except ValueError as error:
        raise BillingError(f"{name} is {value!r}; known: {', '.join(kind)}") from error


def _tier(entry: object, name: str) -> Tier:
    record = _known(entry, _TIER_KEYS, name)
    if record.get("rate") is None:
        raise BillingError(f"{name}.rate is missing; give what a kWh or a kW of the tier costs")
    top, sell = record.get("top"), record.get("sell")
    return Tier(
        top=None if top is None else _number(top, f"{name}.top"),
        rate=_number(record["rate"], f"{name}.rate"),
        sell=ZERO if sell is None else _number(sell, f"{name}.sell"),
    )


def _periods(record: Mapping[str, Any], name: str) -> tuple[RatePeriod, ...]:
    periods = []
    for index, entry in enumerate(_list(record.get(name) or (), name)):
        place = f"{name}[{index}]"
        fields = _known(entry, frozenset({"name", "tiers"}), place)
        tiers = _list(fields.get("tiers") or (), f"{place}.tiers")
        periods.append(
            RatePeriod(
                str(fields.get("name") or ""),
                tuple(_tier(tier, f"{place}.tiers[{number}]") for number, tier in enumerate(tiers)),
            )
        )
    return tuple(periods)


def matrix_of(value: object, name: str) -> Matrix:
    """A matrix of whole numbers, rows of a month each.

    Raises:
        BillingError: names the entry that is no whole number.
    """
    return tuple(
        tuple(_whole(entry, f"{name}[{month}][{hour}]") for hour, entry in enumerate(_list(row, f"{name}[{month}]")))
        for month, row in enumerate(_list(value, name))
    )


def _timetable(record: Mapping[str, Any], weekday: str, weekend: str) -> Timetable | None:
    given = record.get(weekday), record.get(weekend)
    if given == (None, None):
        return None
    for name, value in zip((weekday, weekend), given, strict=True):
        if value is None:
            raise BillingError(f"{name} is missing; give both {weekday} and {weekend}")
    return Timetable(matrix_of(given[0], weekday), matrix_of(given[1], weekend))


def schedule_of(record: object) -> Schedule:
    """Build a schedule from its JSON.

    Args:
        record: keys of `Schedule`; the timetables as `weekday`, `weekend`, `demand_weekday` and `demand_weekend`, needed only
            with more than one period. A period is `{"name": …, "tiers": [{"top": …, "rate": …, "sell": …}]}`.

    Raises:
        BillingError: names the key that is unknown, missing or wrong.
    """
    fields = _known(record, KEYS, "schedule")
    chosen: dict[str, Any] = {}
    chosen |= {name: _number(fields[name], name) for name in _AMOUNTS if fields.get(name) is not None}
    chosen |= {name: _word(fields[name], kind, name) for name, kind in _WORDS.items() if fields.get(name) is not None}
    chosen |= {name: _whole(fields[name], name) for name in _COUNTS if fields.get(name) is not None}
    if fields.get("currency") is not None:
        chosen["currency"] = str(fields["currency"])
    energy, demand = _periods(fields, "energy"), _periods(fields, "demand")
    timetable = _timetable(fields, "weekday", "weekend")
    if timetable is None and len(energy) > 1:
        raise BillingError(f"energy has {len(energy)} periods but weekday and weekend are missing; say when each rules")
    demand_timetable = _timetable(fields, "demand_weekday", "demand_weekend")
    if demand_timetable is None and len(demand) == 1:
        demand_timetable = one_period()
    months = _list(fields.get("flat_demand_months") or (), "flat_demand_months")
    return Schedule(
        energy=energy,
        timetable=timetable or one_period(),
        flat_demand=_periods(fields, "flat_demand"),
        flat_demand_months=tuple(_whole(month, f"flat_demand_months[{n}]") for n, month in enumerate(months)),
        demand=demand,
        demand_timetable=demand_timetable,
        **chosen,
    )


def _tier_json(tier: Tier) -> dict[str, str]:
    record = {} if tier.top is None else {"top": number_text(tier.top)}
    record["rate"] = number_text(tier.rate)
    if tier.sell:
        record["sell"] = number_text(tier.sell)
    return record


def _periods_json(periods: Sequence[RatePeriod]) -> list[dict[str, Any]]:
    return [{"name": period.name, "tiers": [_tier_json(tier) for tier in period.tiers]} for period in periods]


def _timetable_json(timetable: Timetable, weekday: str, weekend: str) -> dict[str, Any]:
    return {weekday: [list(row) for row in timetable.weekday], weekend: [list(row) for row in timetable.weekend]}


def schedule_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule as JSON; `schedule_of` makes the same schedule of it. What is as by default is left out."""
    record: dict[str, Any] = {
        "currency": schedule.currency,
        "metering": schedule.metering.value,
        "tier_unit": schedule.tier_unit.value,
        "tier_split": schedule.tier_split.value,
    }
    record |= {name: number_text(amount) for name in _AMOUNTS if (amount := getattr(schedule, name))}
    record |= {name: count for name in _COUNTS if (count := getattr(schedule, name)) is not None}
    record["energy"] = _periods_json(schedule.energy)
    record |= _timetable_json(schedule.timetable, "weekday", "weekend")
    if schedule.flat_demand_months:
        record["flat_demand"] = _periods_json(schedule.flat_demand)
        record["flat_demand_months"] = list(schedule.flat_demand_months)
    if schedule.demand_timetable is not None:
        record["demand"] = _periods_json(schedule.demand)
        record |= _timetable_json(schedule.demand_timetable, "demand_weekday", "demand_weekend")
    return record
