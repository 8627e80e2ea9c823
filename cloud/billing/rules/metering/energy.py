"""Energy of a billing period from the site's quarter-hours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import compress
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cloud.billing.rules.metering.tou import is_peak
from shared.periods import QUARTER_HOUR, Window, day_window, quarter_hours

WH_PER_KWH = Decimal(1000)
QUARTERS_PER_HOUR = 4


class QuarterHour(NamedTuple):
    """One quarter-hour of a site; None = not measured. A tuple: a month has three thousand of them.

    Attributes:
        bucket: its start, aware.
        imported_bridged_wh: part of the import that was spread over a gap between two readings of the counter.
    """

    bucket: datetime
    generated_wh: int | None
    consumed_wh: int | None
    imported_wh: int | None
    exported_wh: int | None
    covered_seconds: int
    imported_bridged_wh: int = 0


@dataclass(frozen=True, slots=True)
class PeriodEnergy:
    """Energy of a period, kWh; None = not measured at all.

    Attributes:
        max_demand_kw: highest mean import of a quarter-hour.
        coverage_percent: seconds with readings of all seconds of the period.
        consumed_max_demand_kw: highest mean consumption of a quarter-hour: the demand had everything been bought.
    """

    generated_kwh: Decimal | None
    consumed_kwh: Decimal | None
    imported_kwh: Decimal | None
    exported_kwh: Decimal | None
    imported_peak_kwh: Decimal | None
    exported_peak_kwh: Decimal | None
    consumed_peak_kwh: Decimal | None
    max_demand_kw: Decimal | None
    coverage_percent: float
    consumed_max_demand_kw: Decimal | None = None


def period_window(first: date, last: date, zone: ZoneInfo) -> Window:
    """The local days from `first` to `last`, both included."""
    return Window(day_window(first, zone).start, day_window(last, zone).end)


@dataclass(frozen=True, slots=True)
class EnergySums:
    """Whole watt-hours of a window; None = not measured in any of its quarter-hours.

    Attributes:
        imported_peak_wh: of the quarter-hours that begin in peak hours; 0 where only others were measured. So the other two.
        max_imported_wh: the largest of a quarter-hour.
        covered_seconds: with readings.
    """

    generated_wh: int | None
    consumed_wh: int | None
    imported_wh: int | None
    exported_wh: int | None
    imported_peak_wh: int | None
    exported_peak_wh: int | None
    consumed_peak_wh: int | None
    max_imported_wh: int | None
    max_consumed_wh: int | None
    covered_seconds: int


@lru_cache(maxsize=256)
def buckets_of(window: Window) -> tuple[datetime, ...]:
    """Quarter-hours that share time with the window; kept for the next site whose bill covers it."""
    return tuple(quarter_hours(window))


@lru_cache(maxsize=256)
def _peak_buckets(window: Window, zone: ZoneInfo, disco_provider: str) -> frozenset[datetime]:
    """Quarter-hours of the window that begin in peak hours; kept for the next site of the company."""
    return frozenset(bucket for bucket in buckets_of(window) if is_peak(bucket.astimezone(zone), disco_provider))


@lru_cache(maxsize=256)
def peak_stretches(window: Window, zone: ZoneInfo, disco_provider: str) -> tuple[Window, ...]:
    """The window's quarter-hours that begin in peak hours, those that follow each other as one; in order, kept for the next site."""
    stretches: list[Window] = []
    for bucket in sorted(_peak_buckets(window, zone, disco_provider)):
        start = stretches.pop().start if stretches and stretches[-1].end == bucket else bucket
        stretches.append(Window(start, bucket + QUARTER_HOUR))
    return tuple(stretches)


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _peak_sum(values: Sequence[int | None], peak: Sequence[bool]) -> int | None:
    """What of it lies in peak hours; 0 where only other hours were measured, None where none were."""
    return _sum(list(compress(values, peak))) or (None if _sum(values) is None else 0)


def _max(values: Sequence[int | None]) -> int | None:
    return max([value for value in values if value is not None], default=None)


def sums_of(quarters: Iterable[QuarterHour], *, window: Window, zone: ZoneInfo, disco_provider: str) -> EnergySums:
    """Add up the quarter-hours of a window.

    Args:
        quarters: those that begin in the window; a quarter-hour without a row has no energy and no coverage.
        window: see `period_window`.
        zone: of the site.
        disco_provider: decides the peak hours.
    """
    rows = list(quarters)
    peak_buckets = _peak_buckets(window, zone, disco_provider)
    peak = [row.bucket in peak_buckets for row in rows]
    imported, exported = [row.imported_wh for row in rows], [row.exported_wh for row in rows]
    consumed = [row.consumed_wh for row in rows]
    return EnergySums(
        generated_wh=_sum([row.generated_wh for row in rows]),
        consumed_wh=_sum(consumed),
        imported_wh=_sum(imported),
        exported_wh=_sum(exported),
        imported_peak_wh=_peak_sum(imported, peak),
        exported_peak_wh=_peak_sum(exported, peak),
        consumed_peak_wh=_peak_sum(consumed, peak),
        max_imported_wh=_max(imported),
        max_consumed_wh=_max(consumed),
        covered_seconds=sum([row.covered_seconds for row in rows]),
    )


def _kwh(wh: int | None) -> Decimal | None:
    return None if wh is None else Decimal(wh) / WH_PER_KWH


def demand_kw(highest_wh: int | None) -> Decimal | None:
    """Mean power of a quarter-hour with so much energy."""
    return None if highest_wh is None else Decimal(highest_wh) * QUARTERS_PER_HOUR / WH_PER_KWH


def energy_of(sums: EnergySums, window: Window) -> PeriodEnergy:
    """The energy of a window from its sums."""
    return PeriodEnergy(
        generated_kwh=_kwh(sums.generated_wh),
        consumed_kwh=_kwh(sums.consumed_wh),
        imported_kwh=_kwh(sums.imported_wh),
        exported_kwh=_kwh(sums.exported_wh),
        imported_peak_kwh=_kwh(sums.imported_peak_wh),
        exported_peak_kwh=_kwh(sums.exported_peak_wh),
        consumed_peak_kwh=_kwh(sums.consumed_peak_wh),
        max_demand_kw=demand_kw(sums.max_imported_wh),
        coverage_percent=min(100.0, sums.covered_seconds / window.seconds * 100),
        consumed_max_demand_kw=demand_kw(sums.max_consumed_wh),
    )


def period_energy(
    quarters: Iterable[QuarterHour], *, window: Window, zone: ZoneInfo, disco_provider: str
) -> PeriodEnergy:
    """The energy of a window from its quarter-hours; arguments as those of `sums_of`."""
    return energy_of(sums_of(quarters, window=window, zone=zone, disco_provider=disco_provider), window)
