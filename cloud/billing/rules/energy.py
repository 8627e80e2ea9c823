"""Energy of a billing period from the site's quarter-hours."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.billing.rules.tou import is_peak
from shared.periods import Window, day_window

WH_PER_KWH = Decimal(1000)
QUARTERS_PER_HOUR = 4


@dataclass(frozen=True, slots=True)
class QuarterHour:
    """One quarter-hour of a site; None = not measured.

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


def _kwh(values: Iterable[int | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return Decimal(sum(known)) / WH_PER_KWH if known else None


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
    peak = [row for row in rows if is_peak(row.bucket.astimezone(zone), disco_provider)]

    def total(flow: Callable[[QuarterHour], int | None], among: list[QuarterHour]) -> Decimal | None:
        return _kwh(flow(row) for row in among)

    def peak_part(flow: Callable[[QuarterHour], int | None]) -> Decimal | None:
        return None if total(flow, rows) is None else total(flow, peak) or Decimal(0)

    def demand_kw(flow: Callable[[QuarterHour], int | None]) -> Decimal | None:
        highest = max((wh for row in rows if (wh := flow(row)) is not None), default=None)
        return None if highest is None else Decimal(highest) * QUARTERS_PER_HOUR / WH_PER_KWH

    return PeriodEnergy(
        generated_kwh=total(lambda row: row.generated_wh, rows),
        consumed_kwh=total(lambda row: row.consumed_wh, rows),
        imported_kwh=total(lambda row: row.imported_wh, rows),
        exported_kwh=total(lambda row: row.exported_wh, rows),
        imported_peak_kwh=peak_part(lambda row: row.imported_wh),
        exported_peak_kwh=peak_part(lambda row: row.exported_wh),
        consumed_peak_kwh=peak_part(lambda row: row.consumed_wh),
        max_demand_kw=demand_kw(lambda row: row.imported_wh),
        coverage_percent=min(100.0, sum(row.covered_seconds for row in rows) / window.seconds * 100),
        consumed_max_demand_kw=demand_kw(lambda row: row.consumed_wh),
    )
