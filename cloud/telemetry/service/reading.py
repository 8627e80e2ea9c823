"""Answers to questions about a stretch of time."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.core.errors import FieldProblem, NotFoundError, ValidationFailedError
from cloud.sites.schemas import SiteOut
from cloud.telemetry.repository import reads
from cloud.telemetry.repository.reads import Slot
from cloud.telemetry.rules.facts import Flow
from cloud.telemetry.rules.series import (
    ENERGY_METRICS,
    MAX_POINTS,
    NoSeriesError,
    Resolution,
    TooManyPointsError,
    choose_resolution,
    edges_of,
    gauge_columns,
    grid,
    unit_of,
)
from cloud.telemetry.schemas import DayEnergy, Energy, Point, Series
from shared.metrics import UnknownMetricError, metric_of
from shared.periods import Window, day_of, days_between, zone_of

MAX_DAYS = 1_100
"""Three years of days in one answer."""


async def series(
    conn: AsyncConnection, site: SiteOut, *, metric: str, window: Window, resolution: Resolution, device_id: UUID | None
) -> Series:
    """One metric of a site or a device.

    Raises:
        NotFoundError: if the site has no such device.
        ValidationFailedError: if the metric has no such series, or it would be too long.
    """
    zone = zone_of(site.timezone)
    try:
        interval_s = await _raw_interval_s(conn, site.id, device_id, metric)
        unit = unit_of(metric)
        taken = choose_resolution(resolution, window, raw_interval_s=interval_s)
        if taken is Resolution.RAW and device_id is not None:
            points = await _raw(conn, site.id, device_id, metric, window)
        else:
            periods = grid(taken, window, zone)
            flow = ENERGY_METRICS.get(metric)
            slots = (
                await _gauges(conn, site.id, device_id, metric, periods)
                if flow is None
                else await _energies(conn, site, device_id, flow, taken, periods=periods)
            )
            points = [
                Point(at=period.start, value=slot.value, low=slot.low, high=slot.high)
                for period, slot in zip(periods, _filled(slots, len(periods)), strict=True)
            ]
    except (UnknownMetricError, NoSeriesError) as error:
        raise _refused("metric", metric, error) from error
    except TooManyPointsError as error:
        raise _refused("resolution", resolution.value, error) from error
    return Series(
        site_id=site.id,
        device_id=device_id,
        metric=metric,
        unit=unit,
        resolution=taken.value,
        timezone=site.timezone,
        start=window.start,
        end=window.end,
        points=points,
    )


async def energy(conn: AsyncConnection, site: SiteOut, *, first: date, last: date) -> Energy:
    """The site's days.

    Raises:
        ValidationFailedError: if the last day is before the first, or there are too many.
    """
    if not 0 <= (last - first).days < MAX_DAYS:
        problem: FieldProblem = {
            "field": "to",
            "value": last.isoformat(),
            "message": f"must not be before {first.isoformat()}, nor {MAX_DAYS} days or more after it",
        }
        raise ValidationFailedError("The days do not make a period that can be answered.", errors=[problem])
    rows = {row["summary_date"]: row for row in await reads.site_days(conn, site.id, first=first, last=last)}
    names = [name for name in DayEnergy.model_fields if name != "date"]
    days = [
        DayEnergy(date=day, **{name: rows[day][name] for name in names} if day in rows else {})
        for day in days_between(first, last)
    ]
    return Energy(site_id=site.id, timezone=site.timezone, first_day=first, last_day=last, days=days)


async def _raw_interval_s(conn: AsyncConnection, site_id: UUID, device_id: UUID | None, metric: str) -> float | None:
    """Seconds between two raw values; None where raw readings cannot answer."""
    if device_id is None:
        return None
    interval_s = await reads.poll_interval_s(conn, site_id, device_id)
    if interval_s is None:
        raise NotFoundError("There is no such device on this site.")
    return None if metric in ENERGY_METRICS else interval_s


async def _raw(conn: AsyncConnection, site_id: UUID, device_id: UUID, metric: str, window: Window) -> list[Point]:
    name, dot, channel = metric.partition(".")
    key = metric_of(name).name + dot + channel
    found = await reads.raw_points(conn, site_id, device_id, metric=key, window=window, limit=MAX_POINTS + 1)
    if len(found) > MAX_POINTS:
        raise TooManyPointsError(
            f"the readings are denser than the device's poll interval: more than {MAX_POINTS}; ask for '15m' or a shorter time"
        )
    return [Point(at=at, value=value) for at, value in found]


async def _gauges(
    conn: AsyncConnection, site_id: UUID, device_id: UUID | None, metric: str, periods: list[Window]
) -> list[Slot]:
    columns = gauge_columns(metric, is_site=device_id is None)
    return await reads.gauge_slots(conn, site_id, device_id, columns=columns, edges=edges_of(periods))


async def _energies(
    conn: AsyncConnection,
    site: SiteOut,
    device_id: UUID | None,
    flow: Flow,
    resolution: Resolution,
    *,
    periods: list[Window],
) -> list[Slot]:
    if resolution is Resolution.QUARTER_HOUR:
        return await reads.energy_quarters(conn, site.id, device_id, flow=flow, edges=edges_of(periods))
    zone = zone_of(site.timezone)
    keys: list[Any] = [
        period.start if resolution is Resolution.HOUR else day_of(period.start, zone) for period in periods
    ]
    found = await reads.energy_summaries(
        conn, site.id, device_id, flow=flow, resolution=resolution, first=keys[0], last=keys[-1]
    )
    return [Slot(index, found[key]) for index, key in enumerate(keys) if key in found]


def _filled(slots: list[Slot], count: int) -> list[Slot]:
    """A slot for every period: null where nothing was measured."""
    known = {slot.index: slot for slot in slots}
    return [known.get(index, Slot(index, None)) for index in range(count)]


def _refused(field: str, value: str, error: Exception) -> ValidationFailedError:
    problem: FieldProblem = {"field": field, "value": value, "message": str(error)}
    return ValidationFailedError(f"{field}: {error}", errors=[problem])
