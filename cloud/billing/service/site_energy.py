"""What a site took and gave in a billing period, and in the months before it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.problems import EnergyMissingError
from cloud.billing.repository import actual, runs
from cloud.billing.repository import energy as store
from cloud.billing.rules.metering.cycle import bill_period
from cloud.billing.rules.metering.energy import (
    PeriodEnergy,
    buckets_of,
    energy_of,
    peak_stretches,
    period_energy,
    period_window,
)
from cloud.billing.rules.metering.gaps import (
    METHOD,
    Gap,
    GapKind,
    days_to_learn_from,
    fill_gaps,
    has_missing,
)
from cloud.billing.rules.model import BillWarning
from cloud.billing.rules.money import number_text
from cloud.billing.rules.month import Month
from cloud.core.discos import DiscoProvider
from cloud.sites.schemas import SiteOut
from shared.periods import Window, quarter_hour_floor, zone_of

HISTORY_COVERAGE_PERCENT = 99.0
"""A month's units are taken from the readings only when these are as complete as that."""
COMPLETE_PERCENT = 99.5
STILL_COMING = timedelta(hours=1)
"""In a period that is open, readings younger than this are not missed yet."""
_GAP_WORDS = {
    GapKind.ESTIMATED: ("gap_estimated", "{kwh} kWh of import are estimated for them. " + METHOD),
    GapKind.BRIDGED: (
        "gap_bridged",
        "the meter's counter gives {kwh} kWh of import for them, spread evenly; their hours and highest demand are not known.",
    ),
    GapKind.UNKNOWN: (
        "readings_incomplete",
        "nothing is put in their place: units and bill may be too low. The period is still open, or no complete day near tells them.",
    ),
}
_ZERO = Decimal(0)
_WH_PER_KWH = Decimal(1000)
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class MeasuredEnergy:
    """Energy of a period with what stands in for its gaps.

    Attributes:
        known_percent: share of the period whose import is measured, by readings or by the counter on both sides of a gap.
    """

    energy: PeriodEnergy
    gaps: tuple[Gap, ...]
    estimated_kwh: Decimal
    known_percent: float

    @property
    def is_complete(self) -> bool:
        """Whether everything that counts is measured."""
        kinds = {gap.kind for gap in self.gaps}
        return kinds <= {GapKind.BRIDGED} and self.known_percent >= COMPLETE_PERCENT


@dataclass(frozen=True, slots=True)
class History:
    """Units of earlier months: billed, and had everything been bought; their highest demand; and where these come from."""

    billed: dict[Month, Decimal]
    without_solar: dict[Month, Decimal]
    demand_kw: dict[Month, Decimal]
    notes: tuple[BillWarning, ...]


async def measured_energy(
    conn: AsyncConnection, site: SiteOut, window: Window, *, disco: DiscoProvider, now: datetime
) -> MeasuredEnergy:
    """The site's energy of a window, from its quarter-hours.

    Gaps of a window that has ended are estimated where other days tell how; while it is open their readings may still come.

    Raises:
        EnergyMissingError: if no import was measured in it.
    """
    whole = await _whole(conn, site, window, disco=disco)
    return whole or await _with_gaps(conn, site, window, disco=disco, now=now)


async def _whole(
    conn: AsyncConnection, site: SiteOut, window: Window, *, disco: DiscoProvider
) -> MeasuredEnergy | None:
    """The energy of a window whose every quarter-hour is measured: its sums tell it; None = there is a gap to be looked at."""
    peak = peak_stretches(window, zone_of(site.timezone), disco.value)
    sums = await store.window_sums(conn, site.id, window, peak)
    if sums.imported < len(buckets_of(window)) or sums.bridged:
        return None
    energy = energy_of(sums.energy, window)
    return MeasuredEnergy(energy, (), _ZERO, energy.coverage_percent)


async def _with_gaps(
    conn: AsyncConnection, site: SiteOut, window: Window, *, disco: DiscoProvider, now: datetime
) -> MeasuredEnergy:
    zone = zone_of(site.timezone)
    quarters = list(await store.site_quarter_hours(conn, site.id, window))
    if all(row.imported_wh is None for row in quarters):
        first, last = (at.astimezone(zone).date() for at in (window.start, window.end - timedelta(seconds=1)))
        raise EnergyMissingError(
            f"The site has no readings of grid import from {first} to {last}; connect a meter, or choose a period with readings."
        )
    has_ended = window.end <= now
    past = window if has_ended else Window(window.start, max(window.start, quarter_hour_floor(now - STILL_COMING)))
    known = quarters
    if has_ended and has_missing(quarters, window):
        known = list(await store.site_quarter_hours(conn, site.id, days_to_learn_from(window, zone)))
    filled = fill_gaps(known, window=past, zone=zone, may_estimate=has_ended)
    rows = (*filled.quarters, *(row for row in quarters if row.bucket >= past.end))
    energy = period_energy(rows, window=window, zone=zone, disco_provider=disco.value)
    bridged_s = sum(max(0, store.QUARTER_S - row.covered_seconds) for row in quarters if row.imported_bridged_wh)
    return MeasuredEnergy(
        energy,
        filled.gaps,
        Decimal(filled.imported_wh(GapKind.ESTIMATED)) / _WH_PER_KWH,
        min(100.0, energy.coverage_percent + bridged_s / window.seconds * _PERCENT),
    )


def _stretch_words(gaps: Iterable[Gap], site: SiteOut) -> str:
    """The first of them in local time, and how many follow."""
    found = list(gaps)
    zone = zone_of(site.timezone)
    start, end = (at.astimezone(zone) for at in (found[0].window.start, found[0].window.end))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}{more}"


def gap_warnings(measured: MeasuredEnergy, site: SiteOut) -> tuple[BillWarning, ...]:
    """What the reader must know about gaps; empty when everything was measured."""
    found = []
    for kind, (code, words) in _GAP_WORDS.items():
        gaps = [gap for gap in measured.gaps if gap.kind is kind]
        if gaps:
            kwh = number_text(Decimal(sum(gap.imported_wh for gap in gaps)) / _WH_PER_KWH)
            message = f"Readings are missing ({_stretch_words(gaps, site)}): {words.format(kwh=kwh)}"
            found.append(BillWarning(code, message))
    if not any(warning.code == "readings_incomplete" for warning in found) and not measured.estimated_kwh:
        found += _thin(measured)
    return tuple(found)


def _thin(measured: MeasuredEnergy) -> list[BillWarning]:
    if measured.known_percent >= COMPLETE_PERCENT:
        return []
    message = f"Readings cover {measured.known_percent:.1f} % of the period: units and bill may be too low."
    return [BillWarning("readings_incomplete", message)]


def energy_json(measured: MeasuredEnergy) -> dict[str, Any]:
    """What a stored bill keeps about its gaps; part of its inputs."""
    return {
        "estimated_kwh": number_text(measured.estimated_kwh),
        "method": METHOD if measured.estimated_kwh else None,
        "gaps": [
            {
                "kind": gap.kind.value,
                "from": gap.window.start.isoformat(),
                "to": gap.window.end.isoformat(),
                "imported_kwh": number_text(Decimal(gap.imported_wh) / _WH_PER_KWH),
            }
            for gap in measured.gaps
        ],
    }


async def history_of(
    conn: AsyncConnection,
    site: SiteOut,
    months: Iterable[Month],
    *,
    told: Mapping[Month, Decimal],
    told_without_solar: Mapping[Month, Decimal],
    netted: bool,
) -> History:
    """Units and demand of earlier months: as told, else of the month's paper bill, else of the bill made here, else from its readings.

    Readings count where they are complete.

    Args:
        conn: a transaction that sees the site.
        site: whose reading day bounds the months.
        months: that are asked for.
        told: units from bills.
        told_without_solar: units had everything been bought.
        netted: whether exports are set against imports.
    """
    asked = sorted(set(months), key=str)
    billed, without = dict(told), {**told, **told_without_solar}
    demand_kw: dict[Month, Decimal] = {}
    notes = []
    entered = {row.month: row for row in await actual.entered_months(conn, site.id, asked)}
    stored = {row.month: row for row in await runs.billed_months(conn, site.id, asked)} | entered
    for month in asked:
        bill = stored.get(month)
        found = bill or await _from_readings(conn, site, month, netted=netted)
        if found is None:
            continue
        if found.max_demand_kw is not None:
            demand_kw[month] = found.max_demand_kw
        if month not in billed:
            billed[month] = found.billed_kwh
            without.setdefault(month, found.consumed_kwh)
            notes.append(_note(month, found.billed_kwh, is_bill=bill is not None, is_entered=month in entered))
    return History(billed, without, demand_kw, tuple(notes))


def _note(month: Month, kwh: Decimal, *, is_bill: bool, is_entered: bool) -> BillWarning:
    if is_entered:
        message = f"Units of {month} ({number_text(kwh)} kWh) are those of the paper bill that was entered."
        return BillWarning("history_from_entered_bill", message)
    if is_bill:
        message = f"Units of {month} ({number_text(kwh)} kWh) are those of that month's bill as worked out here."
        return BillWarning("history_from_bill", message)
    message = f"Units of {month} ({number_text(kwh)} kWh) are taken from the site's readings, not from a bill."
    return BillWarning("history_from_readings", message)


async def _from_readings(
    conn: AsyncConnection, site: SiteOut, month: Month, *, netted: bool
) -> runs.BilledMonth | None:
    period = bill_period(month, site.configuration.reading_day)
    window = period_window(period.first, period.last, zone_of(site.timezone))
    sums = await store.window_sums(conn, site.id, window)
    energy = energy_of(sums.energy, window)
    if energy.imported_kwh is None or sums.known_seconds / window.seconds * _PERCENT < HISTORY_COVERAGE_PERCENT:
        return None
    given = (energy.exported_kwh or _ZERO) if netted else _ZERO
    billed = max(_ZERO, energy.imported_kwh - given)
    return runs.BilledMonth(
        month=month,
        billed_kwh=billed,
        consumed_kwh=billed if energy.consumed_kwh is None else energy.consumed_kwh,
        max_demand_kw=energy.max_demand_kw,
    )


def consumed_of(energy: PeriodEnergy) -> tuple[Decimal, tuple[BillWarning, ...]]:
    """What the site used, kWh; where it was not measured, by the balance of the others."""
    if energy.consumed_kwh is not None:
        return max(_ZERO, energy.consumed_kwh), ()
    generated, exported = energy.generated_kwh or _ZERO, energy.exported_kwh or _ZERO
    message = "The site's consumption was not measured; it is taken as import + generation - export."
    return (energy.imported_kwh or _ZERO) + max(_ZERO, generated - exported), (
        BillWarning("consumption_estimated", message),
    )


def window_of(site: SiteOut, first: date, last: date) -> Window:
    """The site's local days from `first` to `last`."""
    return period_window(first, last, zone_of(site.timezone))
