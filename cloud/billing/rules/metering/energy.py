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
from shared.periods import Window, day_window, quarter_hours

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


@lru_cache(maxsize=256)
def _peak_buckets(window: Window, zone: ZoneInfo, disco_provider: str) -> frozenset[datetime]:
    """Quarter-hours of the window that begin in peak hours; kept for the next site of the company."""
    return frozenset(bucket for bucket in quarter_hours(window) if is_peak(bucket.astimezone(zone), disco_provider))


def _kwh(values: Sequence[int | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return Decimal(sum(known)) / WH_PER_KWH if known else None


def _peak_kwh(values: Sequence[int | None], peak: Sequence[bool]) -> Decimal | None:
    """What of it lies in peak hours; 0 where only other hours were measured, None where none were."""
    return _kwh(list(compress(values, peak))) or (None if _kwh(values) is None else Decimal(0))


def _demand_kw(values: Sequence[int | None]) -> Decimal | None:
    highest = max([value for value in values if value is not None], default=None)
    return None if highest is None else Decimal(highest) * QUARTERS_PER_HOUR / WH_PER_KWH


def period_energy(
    quarters: Iterable[QuarterHour], *, window: Window, zone: ZoneInfo, disco_provider: str
) -> PeriodEnergy:
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
    return PeriodEnergy(
        generated_kwh=_kwh([row.generated_wh for row in rows]),
        consumed_kwh=_kwh(consumed),
        imported_kwh=_kwh(imported),
        exported_kwh=_kwh(exported),
        imported_peak_kwh=_peak_kwh(imported, peak),
        exported_peak_kwh=_peak_kwh(exported, peak),
        consumed_peak_kwh=_peak_kwh(consumed, peak),
        max_demand_kw=_demand_kw(imported),
        coverage_percent=min(100.0, sum([row.covered_seconds for row in rows]) / window.seconds * 100),
        consumed_max_demand_kw=_demand_kw(consumed),
    )
